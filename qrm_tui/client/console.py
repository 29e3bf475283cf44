"""A machine's console: what it says with offsets and times, how things stand there, and typing."""
from __future__ import annotations

import base64
import json
import secrets
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, NamedTuple

from qrm_tui.client.connection import Client
from qrm_tui.core.console_wire import GAP, MOST_TYPED, OUTPUT, Frame, Frames, WrongFrame, read_output
from qrm_tui.core.errors import Broken, NoServer


class Typist(NamedTuple):
    """Who has the right to type."""

    who: str
    session: str


class Output(NamedTuple):
    """Bytes of the console as they came, from `offset` on; `at`: seconds since the epoch."""

    offset: int
    at: float
    data: bytes


class Status(NamedTuple):
    """How things stand: `session` is our own; `state` is connected, waiting or error, `reason` says why."""

    session: str
    typist: Typist | None
    watchers: int
    state: str
    reason: str
    #: which of "break" and "sysrq" the line has; nothing while there is no line
    means: frozenset[str] = frozenset()


class Gap(NamedTuple):
    """At `offset` something is missing: nobody listened from `since` to `until` (seconds since the epoch)."""

    offset: int
    since: float
    until: float
    why: str


ConsoleEvent = Output | Status | Gap


async def list_consoles(connection: Client) -> list[dict[str, Any]]:
    """Rows: name, source, state, reason, since, size, watchers, typist, and what was found last (event ...)."""
    return list((await connection.ask("GET", ("v1", "consoles")))["consoles"])


async def open_console(connection: Client, name: str, *, lines: int = 2000, start: int | None = None,
                       glance: bool = False) -> AsyncGenerator[ConsoleEvent, None]:
    """The last `lines` lines, then what comes, endless; the first event is always a Status. With `start`: from that
    offset on, which is how one goes on after a lost line. What was found on the console counts as seen by who opens it
    and may type there, unless it is but a `glance`, one of many. NotFound; NoServer when the line is lost."""
    query = {"lines": lines, "opens": int(not glance)} if start is None else {"from": start}
    async with aclosing(_events(connection, name, query)) as events:
        async for event in events:
            yield event


async def read_log(connection: Client, name: str, *, lines: int | None = None, since: float | None = None,
                   follow: bool = False) -> AsyncGenerator[ConsoleEvent, None]:
    """What was recorded: all of it, the last `lines`, or from a time on; with `follow` what comes, too, endless.
    Whoever reads so counts as no watcher unless they follow."""
    query = {"lines": lines, "since": since, "from": 0 if lines is None and since is None else None,
             "follow": 1 if follow else 0}
    async with aclosing(_events(connection, name, query)) as events:
        async for event in events:
            yield event


async def type_into(connection: Client, name: str, session: str, data: bytes) -> None:
    """Type; the first who does has the right to. Refused tells who has it, or why nothing can be typed."""
    for at in range(0, len(data), MOST_TYPED):
        await _tell(connection, name, "input", session, data=base64.b64encode(data[at: at + MOST_TYPED]).decode())


async def take(connection: Client, name: str, session: str) -> None:
    """Take the right to type, from whoever has it."""
    await _tell(connection, name, "take", session)


async def send_break(connection: Client, name: str, session: str) -> None:
    """A break on the line. Refused where the source has none."""
    await _tell(connection, name, "break", session)


async def send_sysrq(connection: Client, name: str, session: str, letter: str) -> None:
    """A letter (a-z, 0-9) for the kernel's SysRq, as the source sends it. Refused where it has no way for it."""
    await _tell(connection, name, "break", session, letter=letter)


async def set_size(connection: Client, name: str, session: str, columns: int, rows: int) -> None:
    """How large the terminal is, for sources that can be told."""
    await _tell(connection, name, "size", session, columns=columns, rows=rows)


async def _tell(connection: Client, name: str, verb: str, session: str, **more: Any) -> None:
    # a request that got lost on an idle line is sent again, and must not type twice
    body = {"session": session, "stroke": secrets.token_hex(8), **more}
    await connection.ask("POST", ("v1", "consoles", name, verb), body=body)


async def _events(connection: Client, name: str, query: dict[str, Any]) -> AsyncGenerator[ConsoleEvent, None]:
    frames = Frames()
    pieces = connection.pieces(("v1", "consoles", name, "stream"), query)
    async with aclosing(pieces):
        async for piece in pieces:
            try:
                for one in frames.feed(piece):
                    yield _event(one)
            except (WrongFrame, ValueError, KeyError, TypeError) as error:
                raise Broken(f"the console of {name} sent what is not understood ({error}); are qrmd and this client "
                             "of one version?") from None
    if query.get("follow") != 0:
        raise NoServer(f"the server let the console of {name} go: it ends, or its settings were changed; attach again")


def _event(one: Frame) -> ConsoleEvent:
    if one.kind == OUTPUT:
        offset, at, data = read_output(one.payload)
        return Output(offset, at / 1e6, data)
    told = json.loads(one.payload)
    if one.kind == GAP:
        return Gap(int(told["offset"]), float(told["from"]), float(told["to"]), str(told["why"]))
    typist = told["typist"]
    return Status(str(told["session"]), Typist(str(typist["who"]), str(typist["session"])) if typist else None,
                  int(told["watchers"]), str(told["state"]), str(told["reason"]), frozenset(told.get("means", ())))
