"""Verbs that change something: plan, ask, run, and follow the job until it ends."""
from __future__ import annotations

import sys
from collections import deque
from contextlib import aclosing
from typing import Any

from qrm_tui.cli.columns import columns_of, for_scripts
from qrm_tui.cli.output import emit_json, plain_line
from qrm_tui.cli.plan_text import plan_lines
from qrm_tui.cli.progress import Progress
from qrm_tui.cli.session import Session
from qrm_tui.cli.terminal import ReaderGone, emit, harmless, is_terminal, talk
from qrm_tui.cli.verbs import Verb
from qrm_tui.client import documents
from qrm_tui.client.connection import Client
from qrm_tui.core.errors import NoServer, Refused
from qrm_tui.core.fields import outside
from qrm_tui.core.model import FINISHED
from qrm_tui.core.operations.arguments import check_arguments
from qrm_tui.core.operations.declarations import Operation

Row = dict[str, Any]
#: Lines of a failed step's output that are shown.
_TAIL = 10
#: What a shell calls a command that ctrl+c ended: 128 + SIGINT.
INTERRUPTED = 130


def operate(session: Session, verb: Verb, given: dict[str, Any]) -> int:
    """The verb of an operation; the exit code."""
    assert verb.operation is not None
    return carry_out(session, verb.operation, given)


def carry_out(session: Session, operation: Operation, given: dict[str, Any]) -> int:
    """Plan and run an operation with arguments as typed; the exit code. Errors of `core.errors`."""
    if any(argument.secret for argument in operation.arguments):
        from qrm_tui.cli import secrets  # seldom wanted

        given = secrets.filled(operation, given)
    given = documents.load(operation, given)
    check_arguments(operation.arguments, given)
    options = session.options
    plan = session.call(lambda client: client.plan(operation.name, given, options.reason))
    if options.plan:
        _emit_plan(session, plan)
        return 0
    if is_terminal(sys.stderr):
        talk("\n".join(plan_lines(plan, sys.stderr)))
    else:
        for warning in plan.get("warnings", []):
            talk(harmless(f"warning: {warning}"))
        for note in plan.get("notes", []) if not plan.get("steps") else ():
            talk(harmless(note))
    if plan.get("steps") and (plan.get("destructive") or operation.destructive):
        _confirm(session, operation, plan)
    revision = session.call(lambda client: client.hello()).get("revision")
    answer = session.call(lambda client: client.run(plan["id"], options.reason))
    if "job" not in answer:
        _emit_changed(session, answer)
        return 0
    job: Row = answer["job"]
    if options.no_wait:
        if options.json:
            emit_json(outside(job))
        else:
            emit(str(job["id"]))
        return 0
    code = follow(session, job, revision)
    if code == 0 and plan.get("afterwards"):
        talk("\n".join(map(harmless, plan["afterwards"])))
    return code


def wait(session: Session, verb: Verb, given: dict[str, Any]) -> int:
    """`job wait`: 0 done, 1 failed."""
    revision = session.call(lambda client: client.hello()).get("revision")
    row = session.call(lambda client: client.show("job", str(given["name"])))
    return follow(session, row, revision)


def follow(session: Session, job: Row, revision: int | None) -> int:
    """Show a job's progress until it ends, then how it ended; `revision`: one before the job's row as given."""
    number = job["id"]
    talk(harmless(f"job {number}: {job.get('operation')} {job.get('object')}"))
    progress = Progress()
    try:
        final = session.call(lambda client: _until_ended(client, job, revision, progress))
    except KeyboardInterrupt:
        progress.end()
        talk(f"job {number} goes on without you: `qrm job wait {number}` follows it, `qrm job cancel {number}` takes "
             "it back")
        return INTERRUPTED
    except NoServer as error:
        progress.end()
        raise NoServer(*error.reasons, f"job {number} goes on there: `qrm job wait {number}` follows it") from None
    progress.end()
    return _ended(session, final)


async def _until_ended(client: Client, job: Row, revision: int | None, progress: Progress) -> Row:
    name = str(job["id"])
    progress.show(job)
    if job["state"] not in FINISHED:
        async with aclosing(client.watch(["job"], revision)) as events:
            async for event in events:
                mine = [row for row in _jobs_in(event) if str(row.get("name")) == name]
                for row in mine:
                    progress.show(row)
                if any(row.get("state") in FINISHED for row in mine):
                    break
            else:
                raise NoServer("the server ended the line (it may be restarting)")
    return await client.show("job", name)


def _jobs_in(event: Row) -> list[Row]:
    if event.get("event") == "snapshot" and event.get("kind") == "job":
        return list(event.get("rows", []))
    return list(event.get("changed", {}).get("job", []))


def _ended(session: Session, job: Row) -> int:
    """Tell how a job ended; the exit code."""
    failed = job["state"] != "done"
    if failed:
        _tell_failure(session, job)
    else:
        talk(harmless(f"job {job['id']} done"))
    try:
        if session.options.json:
            emit_json(outside(job))
        elif session.options.plain:
            fields = columns_of("job", job).plain
            emit(plain_line(*(for_scripts(field, job.get(field)) for field in fields)))
    except ReaderGone:
        pass   # what the job came to is still the exit code
    return int(failed)


def _tell_failure(session: Session, job: Row) -> None:
    async def tail(client: Client) -> list[Row]:
        last: deque[Row] = deque(maxlen=_TAIL)
        async for entry in client.job_log(job["id"]):
            if entry.get("stream") in ("out", "err"):
                last.append(entry)
        return list(last)

    try:
        for entry in session.call(tail):
            talk(harmless(f"  | {entry.get('text', '')}"))
    except NoServer:
        pass   # the failure itself is told all the same
    how = "failed, and what it did was taken back" if job["state"] == "undone" else "failed"
    following = f"; {job['next']}" if job.get("next") else ""
    talk(harmless(f"qrm: job {job['id']} ({job.get('operation')} {job.get('object')}) {how}: "
                  f"{job.get('error') or job.get('why') or 'no reason was given'}{following}"))


def _confirm(session: Session, operation: Operation, plan: Row) -> None:
    """Ask for the object's name; Refused without it."""
    if session.options.yes:
        return
    name = str(plan.get("confirm") or str(plan.get("object", "")).rpartition("/")[2])
    what = f"{plan.get('operation')} {plan.get('object')}"
    if not (is_terminal(sys.stdin) and is_terminal(sys.stderr)):
        raise Refused(f"{what} ({operation.summary}) has to be confirmed, and nobody can be asked here: look at it "
                      "with --plan, then add --yes")
    talk(harmless(f"Type {name} to go on, anything else to leave all as it is: "), end="")
    if sys.stdin.readline().strip() != name:
        raise Refused(f"{what}: {name} was not typed; nothing was changed")


def _emit_plan(session: Session, plan: Row) -> None:
    if session.options.json:
        emit_json(plan | {"steps": [outside(step) for step in plan.get("steps", [])]})
    elif session.options.plain:
        for step in plan.get("steps", []):
            emit(plain_line(*(for_scripts(field, step.get(field))
                              for field in ("machine", "kind", "summary", "undo", "done_already"))))
    else:
        emit("\n".join(plan_lines(plan, sys.stdout)))


def _emit_changed(session: Session, answer: Row) -> None:
    """What a record operation changed."""
    changed: list[Row] = answer.get("changed", [])
    removed = [{"object": kind, "kind": kind, "name": name, "removed": True}
               for kind, name in answer.get("removed", [])]
    if session.options.json:
        emit_json([outside(row) for row in [*changed, *removed]])
        return
    for row in [*changed, *removed]:
        kind, name = str(row.get("object")), str(row.get("name"))
        if session.options.plain:
            emit(plain_line(kind, name, "removed" if "removed" in row else "changed"))
        else:
            state = f": {row['state']}" if row.get("state") else ""
            did = "removed" if row.get("removed") else "added" if row.get("added") else "changed"
            talk(harmless(f"{kind} {name} is {did}{state}"))
    if not changed and not removed and not session.options.plain:
        talk("nothing had to be changed")
