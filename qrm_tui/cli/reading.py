"""Verbs that only read: list, show, why for every kind; the farm; a job's log; the journal's proof."""
from __future__ import annotations

import json
import re
import sys
from typing import Any

from qrm_tui.cli.columns import for_people, for_scripts
from qrm_tui.cli.output import Row, described, emit_json, emit_object, emit_rows, plain_line
from qrm_tui.cli.plan_text import job_step_lines
from qrm_tui.cli.session import Session
from qrm_tui.cli.table import table
from qrm_tui.cli.terminal import emit, harmless, talk, width
from qrm_tui.cli.verbs import Verb
from qrm_tui.client.connection import Client
from qrm_tui.core.errors import BadInput
from qrm_tui.core.fields import outside
from qrm_tui.core.filters import compile_filter
from qrm_tui.core.units import format_size, format_time


def list_rows(session: Session, verb: Verb, given: dict[str, Any]) -> int:
    """`list`."""
    expression = given["filter"] or ""
    if expression:
        compile_filter(expression)   # a slip is told without a server, too
    offset = _from_zero("offset", given["offset"])
    answer = session.call(lambda client: client.list(verb.noun, filter=expression, sort=given["sort"] or "",
                                                     limit=given["limit"], offset=offset))
    rows = answer["rows"]
    emit_rows(verb.noun, rows, session.options)
    if not session.options.json and not session.options.plain and len(rows) < answer["total"]:
        talk(f"{len(rows)} of {answer['total']}")
    return 0


def show(session: Session, verb: Verb, given: dict[str, Any]) -> int:
    """`show`; a job with its steps."""
    name = str(given["name"])
    row = session.call(lambda client: client.show(verb.noun, name))
    emit_object(row, session.options)
    if verb.noun == "job" and not session.options.json and not session.options.plain:
        plan = session.call(lambda client: client.job_plan(name))
        emit("\n".join(["steps", *job_step_lines(plan.get("steps", []))]))
    return 0


def why(session: Session, verb: Verb, given: dict[str, Any]) -> int:
    """`why`: state, since when, reason, what next."""
    row = session.call(lambda client: client.show(verb.noun, str(given["name"])))
    answer = {"kind": verb.noun, **{key: row.get(key) for key in ("name", "state", "since", "why", "next")}}
    if session.options.json or session.options.plain:
        emit_object(answer, session.options)
        return 0
    since = row.get("since")
    when = f" since {format_time(since)} ({for_people('since', since)})" if since else ""
    emit(harmless(f"{verb.noun} {row.get('name')} is {row.get('state')}{when}: {row.get('why') or 'nothing to say'}"))
    if row.get("next"):
        emit(harmless(f"next: {row['next']}"))
    return 0


def farm_status(session: Session, verb: Verb, given: dict[str, Any]) -> int:
    """`farm status`."""
    farm = session.call(lambda client: client.farm())
    alerts = [outside(alert) for alert in farm.get("alerts", [])]
    if session.options.json:
        emit_json(outside(farm) | {"alerts": alerts})
    elif session.options.plain:
        emit("\n".join(_plain_farm(farm, alerts)))
    else:
        emit("\n".join(_farm_lines(farm)))
    return 0


def _plain_farm(farm: Row, alerts: list[Row]) -> list[str]:
    """Lines that begin with what they are: a field's name, `count`, `capacity`, `alert`."""
    lines = [plain_line(key, for_scripts(key, value)) for key, value in farm.items()
             if not isinstance(value, (dict, list))]
    lines += [plain_line("count", kind, state, str(number)) for kind, states in farm.get("counts", {}).items()
              for state, number in states.items()]
    lines += [plain_line("capacity", *(for_scripts(key, place.get(key)) for key in ("storage", "size", "free")))
              for place in farm.get("capacity", [])]
    lines += [plain_line("machines", key, str(number)) for key, number in farm.get("machines", {}).items()]
    lines += [plain_line("alert", *(for_scripts(key, alert.get(key))
                                    for key in ("kind", "name", "state", "since", "why", "next")))
              for alert in alerts]
    return lines


def _farm_lines(farm: Row) -> list[str]:
    head = {key: value for key, value in farm.items() if not isinstance(value, (dict, list))}
    lines = ["PRACTICE: a simulated farm, nothing here is real"] if farm.get("practice") else []
    lines += [*described(head), ""]
    for kind, states in farm.get("counts", {}).items():
        parts = ", ".join(f"{number} {state}" for state, number in states.items() if state != "total" and number)
        lines.append(harmless(f"{kind:10} {states.get('total', 0):>6}  {parts}"))
    free = farm.get("machines", {})
    if farm.get("counts", {}).get("resource", {}).get("total"):
        lines += ["", f"machines free for VEs: {free.get('free', 0)}, with {free.get('cpus', 0)} CPUs and "
                  f"{format_size(free.get('memory', 0))} memory; in maintenance: {free.get('maintenance', 0)}"]
    places = farm.get("capacity", [])
    if places:
        body = [[harmless(place.get("storage")), format_size(place.get("free")), format_size(place.get("size"))]
                for place in places]
        lines += ["", *table(["STORAGE", "FREE", "SIZE"], body, width(sys.stdout))]
    lines.append("")
    alerts = farm.get("alerts", [])
    if not alerts:
        return [*lines, "no alerts"]
    for alert in alerts:
        following = f"; next: {alert['next']}" if alert.get("next") else ""
        lines.append(harmless(f"{alert.get('kind')} {alert.get('name')} is {alert.get('state')} "
                              f"({for_people('since', alert.get('since'))}): {alert.get('why')}{following}"))
    return lines


def job_log(session: Session, verb: Verb, given: dict[str, Any]) -> int:
    """`job log`: text for people, tab-separated fields with --plain, a JSON object a line with --json."""
    start, options = _from_zero("from", given["from"]), session.options

    async def read(client: Client) -> None:
        async for entry in client.job_log(given["name"], follow=bool(given["follow"]), start=start):
            if options.json:
                emit(json.dumps(outside(entry)))
            elif options.plain:
                emit(plain_line(*(for_scripts(key, entry.get(key)) for key in ("n", "at", "step", "stream", "text"))))
            else:
                for line in str(entry.get("text", "")).splitlines():
                    emit(harmless(line))

    session.call(read)
    return 0


def verify_journal(session: Session, verb: Verb, given: dict[str, Any]) -> int:
    """`journal verify`: 0 whole, 1 not."""
    answer = session.call(lambda client: client.verify_journal())
    if session.options.json or session.options.plain:
        emit_object(answer, session.options)
    elif answer.get("ok"):
        emit(f"the journal is whole: {answer.get('entries')} entries, each with the hash of the one before")
    if not answer.get("ok"):
        talk(harmless(f"qrm: the journal is not whole: {answer.get('trouble')}; compare it with a backup"))
    return 0 if answer.get("ok") else 1


def component_status(session: Session, verb: Verb, given: dict[str, Any]) -> int:
    """`component status`: each with its services, and why it is in its state; 1 if one is in trouble."""
    async def read(client: Client) -> list[Row]:
        names = [given["name"]] if given["name"] else [row["name"] for row in (await client.list("component"))["rows"]]
        return [await client.show("component", name) for name in names]

    rows = [{key: row.get(key) for key in ("name", "state", "since", "services", "why", "next")}
            for row in session.call(read)]
    if session.options.json:
        emit_json([outside(row) for row in rows])
    elif session.options.plain:
        for row in rows:
            emit(plain_line(*(for_scripts(key, value) for key, value in row.items())))
    elif rows:
        body = [[harmless(row["name"]), harmless(row["state"]), harmless(", ".join(
            f"{unit} {state or 'not there'}" for unit, state in (row["services"] or {}).items())), harmless(row["why"])]
            for row in rows]
        emit("\n".join(table(["NAME", "STATE", "SERVICES", "WHY"], body, width(sys.stdout))))
    else:
        talk("nothing is set up: qrm install answers >answers.toml; qrm install run --answers answers.toml")
    return 1 if any(row["state"] == "error" for row in rows) else 0


def _from_zero(name: str, text: str | None) -> int:
    if text is None:
        return 0
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise BadInput(f"{name}: {harmless(text)!r} is no whole number from 0 on")
    return int(text)
