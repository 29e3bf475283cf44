"""`install answers|check|record`: what is looked at before a server is set up, if need be by one for a moment."""
from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from qrm_tui.cli.output import emit_json, plain_line
from qrm_tui.cli.session import Session
from qrm_tui.cli.terminal import emit, harmless, is_terminal, paint, talk, width
from qrm_tui.cli.verbs import Verb
from qrm_tui.client.connection import Client
from qrm_tui.client.own_server import OwnServer
from qrm_tui.client.recordings import check_recording
from qrm_tui.core.errors import NoServer, QrmError

Answer = TypeVar("Answer")
#: Seconds for a server of one's own to answer, and between two attempts.
_START, _BEAT = 30.0, 0.05
_STYLES = {"error": "red", "warning": "yellow"}
_MARKS = {"ok": "ok", "warning": "!", "error": "WRONG", "unknown": "?"}


def answers(session: Session, verb: Verb, given: dict[str, Any]) -> int:
    """`install answers`: the file itself, also with --plain; with --json an object that holds it."""
    if given["schema"]:
        from qrm_tui.core.answers import schema

        emit_json(schema())
        return 0
    answer = _ask(session, lambda client: client.install_answers(given["interface"] or ""))
    if session.options.json:
        emit_json(answer)
    else:
        emit("\n".join(harmless(line) for line in str(answer.get("answers", "")).splitlines()))
    return 0


def record(session: Session, verb: Verb, given: dict[str, Any]) -> int:
    """`install record`: the document itself, whatever the form."""
    answer = _ask(session, lambda client: client.install_recording(given["what"] or ""))
    emit_json(json.loads(answer["recording"]))   # whole: a firewall's rules are one line of any length
    return 0


def check(session: Session, verb: Verb, given: dict[str, Any]) -> int:
    """`install check`: 1 where something must be mended first."""
    found = _ask(session, lambda client: client.install_checks(given["interface"] or ""), given["machine"] or "")
    rows = found["checks"]
    if session.options.json:
        emit_json(found)
    elif session.options.plain:
        for row in rows:
            emit(plain_line(*(", ".join(value) if isinstance(value, list) else str(value) for value in row.values())))
    else:
        for row in rows:
            emit("\n".join(_told(row)))
        if any(row["fix"] for row in rows):
            talk("what has a fix is fixed by its name, as in: qrm install fix address")
    return 1 if any(row["state"] == "error" for row in rows) else 0


def _told(row: dict[str, Any]) -> list[str]:
    """A check for people."""
    import textwrap

    room = max(40, width(sys.stdout) or 100) - 9
    head = paint(f"{_MARKS[row['state']]:6}", _STYLES.get(row["state"], ""), sys.stdout)
    lines = textwrap.wrap(harmless(f"{row['title']}: {row['found']}"), room)
    if row["state"] in ("warning", "error"):
        lines += textwrap.wrap(harmless(f"because {row['means']}"), room)
        lines += textwrap.wrap(harmless(f"do: {row['advice']}"), room) if row["advice"] else []
        lines += textwrap.wrap(harmless(f"fix {row['name']}: {row['fix']}"), room) if row["fix"] else []
    return [f"{head} {lines[0]}", *(f"       {line}" for line in lines[1:])]


def _ask(session: Session, ask: Callable[[Client], Awaitable[Answer]], machine: str = "") -> Answer:
    """Of the server, or where there is none, and nobody named one, of one of our own for a moment."""
    named = session.options.connect or os.environ.get("QRM_CONNECT")
    if not machine:
        try:
            return session.call(ask)
        except NoServer:
            if named:
                raise
    if machine:
        check_recording(machine)
    own = OwnServer(("--machine", str(Path(machine).absolute())) if machine else ("--look",))
    try:
        return asyncio.run(_of_own(own, ask))
    finally:
        own.stop()


async def _of_own(own: OwnServer, ask: Callable[[Client], Awaitable[Answer]]) -> Answer:
    deadline = time.monotonic() + _START
    while True:
        try:
            async with Client(own.where, may_ask=is_terminal(sys.stdin)) as client:
                await client.hello()
                return await ask(client)
        except NoServer:
            if own.trouble or time.monotonic() > deadline:
                raise QrmError(own.trouble or f"the server for this look does not answer after {_START:.0f} s"
                               ) from None
        await asyncio.sleep(_BEAT)
