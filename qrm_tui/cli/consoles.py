"""`console list`, `console log`, `console attach`."""
from __future__ import annotations

import json
import os
import re
import sys
import time
from typing import Any

from qrm_tui.cli.console_text import Lines
from qrm_tui.cli.output import emit_rows
from qrm_tui.cli.session import Session
from qrm_tui.cli.terminal import ReaderGone, emit, harmless, is_terminal, talk
from qrm_tui.cli.verbs import Verb
from qrm_tui.client.connection import Client
from qrm_tui.client.console import Gap, Output, list_consoles, read_log
from qrm_tui.core.errors import BadInput, QrmError
from qrm_tui.core.operations.arguments import check_arguments
from qrm_tui.core.units import format_time, parse_time

_AGE = re.compile(r"([0-9]{1,6})([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def list_rows(session: Session, verb: Verb, given: dict[str, Any]) -> int:
    """`console list`."""
    rows = session.call(list_consoles)
    if not session.options.json:
        rows = [{**row, "typist": row["typist"]["who"] if row.get("typist") else None} for row in rows]
        if not session.options.plain:
            rows = [{**row, "event": f"ALERT {row['event']}" if row.get("event_stands") else row.get("event")}
                    for row in rows]
    emit_rows("console", rows, session.options)
    if not rows and not (session.options.json or session.options.plain):
        talk("no machine has a console that is known here; say where: qrm resource edit NAME --console ...")
    return 0


def log(session: Session, verb: Verb, given: dict[str, Any]) -> int:
    """`console log`: harmless lines; with --json an object a piece, with --raw the bytes as they came."""
    given = check_arguments(verb.arguments, given)
    if given["times"] and given["raw"]:
        raise BadInput("times: the bytes as they came (--raw) have no room for times; leave one of the two out")
    since = parse_since(given["since"]) if given["since"] else None
    as_json, raw, lines = session.options.json, bool(given["raw"]), Lines()

    def tell(line: str, at: float, offset: int | None = None) -> None:
        if as_json:
            place = {} if offset is None else {"offset": offset, "at": format_time(at)}
            emit(json.dumps({**place, "text": line}))
        else:
            emit(f"{format_time(at)} {line}" if given["times"] else line)

    async def read(client: Client) -> None:
        at = 0.0
        async for event in read_log(client, str(given["name"]), lines=given["lines"], since=since,
                                    follow=bool(given["follow"])):
            if isinstance(event, Gap):
                _tell_gap(event, as_json)
            elif isinstance(event, Output):
                if raw:
                    emit_bytes(event.data)
                    continue
                at = event.at
                for line in lines.feed(event.data):
                    tell(line, at, event.offset)
        for line in lines.end():
            tell(line, at)

    session.call(read)
    return 0


def attach(session: Session, verb: Verb, given: dict[str, Any]) -> int:
    """`console attach`."""
    given = check_arguments(verb.arguments, given)
    if not (is_terminal(sys.stdin) and is_terminal(sys.stdout)):
        raise BadInput(f"console attach wants a terminal; elsewhere: qrm console log {given['name']} --follow")
    from qrm_tui.cli.attach import Attachment  # what a terminal needs, and no other verb does

    session.call(lambda client: Attachment(client, str(given["name"]), given["lines"]).run())
    return 0


def parse_since(text: str, now: float | None = None) -> float:
    """Seconds since the epoch of an age (10m) or a time; BadInput."""
    age = _AGE.fullmatch(text.strip())
    if age:
        return (time.time() if now is None else now) - int(age[1]) * _SECONDS[age[2]]
    try:
        return parse_time(text)
    except (ValueError, OverflowError):
        raise BadInput(f"since: {harmless(text)!r} is no time; write 90s, 10m, 2h, 3d, or 2026-11-22T10:00:00Z") \
            from None


def emit_bytes(data: bytes) -> None:
    """Bytes on stdout as they are; ReaderGone, or QrmError when they cannot be written."""
    try:
        sys.stdout.flush()
        while data:
            data = data[os.write(sys.stdout.fileno(), data):]
    except BrokenPipeError:
        raise ReaderGone from None
    except OSError as error:
        raise QrmError(f"the console cannot be written to stdout: {error.strerror}") from None


def gap_text(gap: Gap) -> str:
    """A gap in words."""
    if gap.since == gap.until:
        return f"-- {gap.why} --"
    return f"-- from {format_time(gap.since)} to {format_time(gap.until)}: {gap.why} --"


def _tell_gap(gap: Gap, as_json: bool) -> None:
    if as_json:
        emit(json.dumps({"offset": gap.offset, "from": format_time(gap.since), "to": format_time(gap.until),
                         "gap": gap.why}))
    else:
        talk(harmless(gap_text(gap)))
