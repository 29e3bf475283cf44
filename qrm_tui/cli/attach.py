"""A console on the terminal at hand: raw keys go to the machine, what it says comes here, ctrl+] is ours."""
from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import aclosing

from qrm_tui.cli.console_text import Guard
from qrm_tui.cli.consoles import emit_bytes, gap_text
from qrm_tui.cli.terminal import harmless
from qrm_tui.client.connection import Client
from qrm_tui.client.console import (
    Gap,
    Output,
    Status,
    open_console,
    send_break,
    send_sysrq,
    set_size,
    take,
    type_into,
)
from qrm_tui.core.errors import NoServer, QrmError
from qrm_tui.core.sysrq import check_letter

#: ctrl+], and the seconds that it waits for another key before it leaves.
PREFIX, _WAITS = 0x1D, 0.8
#: Seconds until a lost line to the server is tried again; and of silence until what has scrolled away is told again.
_AGAIN, _QUIET = 1.0, 0.3
_HELP = "ctrl+] leaves, ctrl+] t takes over, ctrl+] b sends a break, ctrl+] r h SysRq h, ctrl+] ctrl+] types one"
_LETTER = "SysRq: now its letter, as in h for help; any other key sends none"
_AFTER = {"t": "take", "b": "break", "r": "sysrq", "q": "leave", "d": "leave", ".": "leave"}


class Keys:
    """Keys taken apart: what is for the machine, and what follows ctrl+]."""

    def __init__(self) -> None:
        #: after ctrl+], and after SysRq's key
        self.pending = self.lettering = False

    def feed(self, data: bytes) -> Iterator[tuple[str, bytes]]:
        """(`type`, bytes), (`letter`, the key after `sysrq`), or (`leave`, `take`, `break`, `sysrq`, `help`;
        nothing)."""
        typed = bytearray()
        for byte in data:
            if self.lettering:
                self.lettering = False
                yield "letter", bytes((byte,))
                continue
            if not self.pending and byte != PREFIX:
                typed.append(byte)
                continue
            if not self.pending:
                self.pending = True
                continue
            self.pending = False
            if byte == PREFIX:
                typed.append(byte)
                continue
            if typed:
                yield "type", bytes(typed)
                typed.clear()
            what = _AFTER.get(chr(byte), "help")
            self.lettering = what == "sysrq"
            yield what, b""
        if typed:
            yield "type", bytes(typed)


class Attachment:
    """One console on this terminal, until one leaves."""

    def __init__(self, client: Client, name: str, lines: int) -> None:
        self._client, self._name, self._lines = client, name, lines
        self._session = ""
        self._offset: int | None = None
        self._guard = Guard()
        self._stands = ""
        self._types = False
        self._said = ""
        #: lines that came since the keys were told, until that was seen to
        self._lines_since: int | None = None
        self._reminder: asyncio.TimerHandle | None = None
        self._keys: asyncio.Queue[bytes] = asyncio.Queue()
        self._left = asyncio.Event()

    async def run(self) -> None:
        """Until one leaves; NotFound, NoServer at the start."""
        loop, before = asyncio.get_running_loop(), termios.tcgetattr(0)
        typing: asyncio.Task[None] | None = None
        showing = asyncio.create_task(self._show())
        leaving = asyncio.create_task(self._left.wait())
        try:
            tty.setraw(0)
            loop.add_reader(0, self._read)
            for number in (signal.SIGTERM, signal.SIGHUP):
                loop.add_signal_handler(number, self._left.set)
            loop.add_signal_handler(signal.SIGWINCH, self._keys.put_nowait, b"")
            typing = asyncio.create_task(self._type())
            await asyncio.wait({showing, leaving, typing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            loop.remove_reader(0)
            if self._reminder is not None:
                self._reminder.cancel()
            for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGWINCH):
                loop.remove_signal_handler(number)
            for task in (showing, leaving, typing):
                if task is not None and not task.done():
                    task.cancel()
            # colours, cursor, mouse, pasting: as they were
            reset = (b"\x1b[?1049l" if self._guard.other_screen else b"") + \
                b"\x1b[0m\x1b[?25h\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?2004l\r\n"
            with contextlib.suppress(OSError):
                os.write(1, reset)
            termios.tcsetattr(0, termios.TCSADRAIN, before)
        await asyncio.gather(leaving, return_exceptions=True)
        for task in (showing, typing):
            with contextlib.suppress(asyncio.CancelledError):
                await task

    # what the machine says

    async def _show(self) -> None:
        while True:
            events = open_console(self._client, self._name, lines=self._lines, start=self._offset)
            try:
                async with aclosing(events):
                    async for event in events:
                        self._event(event)
            except NoServer as error:
                if not self._session:
                    raise
                self._session = ""
                self._notice(f"{error}; trying again")
            # the first attempt failed with words, later ones go on until one leaves
            while True:
                await asyncio.sleep(_AGAIN)
                with contextlib.suppress(NoServer):
                    await self._client.hello()
                    break

    def _event(self, event: Output | Status | Gap) -> None:
        if isinstance(event, Output):
            emit_bytes(self._guard.feed(event.data))
            self._offset = event.offset + len(event.data)
            if self._lines_since is not None:
                self._lines_since += event.data.count(b"\n")
                self._remind_later()
        elif isinstance(event, Gap):
            self._notice(gap_text(event))
        else:
            self._status(event)

    def _status(self, status: Status) -> None:
        fresh = status.session != self._session
        self._session = status.session
        types, typed = status.typist is not None and status.typist.session == status.session, self._types
        if fresh:
            self._notice(f"{self._name}: {_HELP}")
            self._lines_since = 0
        if types and not self._types:
            self._keys.put_nowait(b"")
        self._types = self._guard.may_answer = types
        stands = f"{status.state}{': ' + status.reason if status.reason else ''}"
        if status.typist is not None and not types:
            stands += f"; {status.typist.who} types"
        if stands != self._stands:
            # that one types now was told when it was taken
            if (self._stands or stands != "connected") and (typed or not types):
                self._notice(stands)
            self._stands = stands

    def _remind_later(self) -> None:
        """What was recorded goes by at once, and the keys with it: they are told again when it is through."""
        if self._reminder is not None:
            self._reminder.cancel()
        self._reminder = asyncio.get_running_loop().call_later(_QUIET, self._remind)

    def _remind(self) -> None:
        came, self._lines_since = self._lines_since or 0, None
        with contextlib.suppress(OSError):  # the terminal is gone
            if came > (os.get_terminal_size(1).lines or 24) - 3:
                self._said = ""
                self._notice(f"{self._name}: {_HELP}")

    def _notice(self, text: str) -> None:
        """A line of our own, told once."""
        if text != self._said:
            self._said = text
            emit_bytes(f"\r\n\x1b[0m[{harmless(text)}]\r\n".encode(errors="replace"))

    # what is typed

    def _read(self) -> None:
        try:
            data = os.read(0, 4096)
        except OSError:
            data = b""
        if data:
            self._keys.put_nowait(data)
        else:  # the terminal is gone
            self._left.set()

    async def _type(self) -> None:
        keys = Keys()
        while True:
            try:
                async with asyncio.timeout(_WAITS if keys.pending else None):
                    data = await self._keys.get()
            except TimeoutError:
                return
            while not self._keys.empty():
                data += self._keys.get_nowait()
            if not data:
                await self._try("size")
            for what, typed in keys.feed(data):
                if what == "leave":
                    return
                if what in ("help", "sysrq"):
                    self._notice(_HELP if what == "help" else _LETTER)
                else:
                    await self._try(what, typed)

    async def _try(self, what: str, data: bytes = b"") -> None:
        """Tell the server; its refusal is a line here."""
        client, name, session = self._client, self._name, self._session
        try:
            if what == "type":
                await type_into(client, name, session, data)
            elif what == "take":
                await take(client, name, session)
            elif what == "break":
                await send_break(client, name, session)
            elif what == "letter":
                await send_sysrq(client, name, session, check_letter(data.decode(errors="replace")))
            elif self._types:
                size = os.get_terminal_size(sys.stdout.fileno())
                await set_size(client, name, session, size.columns, size.lines)
        except (QrmError, OSError) as error:
            if what != "size":
                self._notice(f"{error}{' (ctrl+] t)' if 'take over' in str(error) else ''}")
        else:
            if what == "take":
                self._notice("you type now")
            if what != "size":
                self._said = ""
