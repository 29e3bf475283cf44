"""A console that a command carries: the program runs on a pseudo-terminal of its own and sees raw bytes.

It is the leader of a session with that terminal, so it ends when qrmd does, however that ends: the kernel hangs up
(termios(3), tty_ioctl(4)).
"""
from __future__ import annotations

import asyncio
import contextlib
import fcntl
import functools
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import tty
from collections.abc import Sequence
from dataclasses import dataclass, field

from qrm_tui.core.names import printable
from qrm_tui.runners.console import BREAK, SYSRQ, ConsoleLine, Ended, NoLine, NotTaken, Received

#: Bytes read at once.
_PIECE = 1 << 16
#: Seconds for a far end to take what is typed, and for a program to end when it is told to.
_TAKES, _ENDS = 5.0, 2.0
#: Bytes that are kept of what a program says before the line is there.
_SAID = 4096
#: ipmitool(1), sol: what it prints when the line is there, and when the controller's only one is another's.
_THERE, _BUSY = b"SOL Session operational", b"already active on another session"
_ESCAPE = ord("~")
#: What it says of a break: its beginning, and all of it.
_SENT_BEGINS, _SENT = b"~B [send break]\r", re.compile(rb"~B \[send break\]\r?\n")


def _settle(future: asyncio.Future[bool], result: bool) -> None:
    if not future.done():
        future.set_result(result)


def _own_terminal() -> None:
    """In the child, after setsid(2): standard input becomes the controlling terminal."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class PtyLine:
    """A program on a pseudo-terminal; `open_pty` makes it."""

    means: frozenset[str] = frozenset()

    def __init__(self, process: subprocess.Popen[bytes], master: int, received: Received, ended: Ended) -> None:
        self._process, self._master = process, master
        self._received, self._ended = received, ended
        self._loop = asyncio.get_running_loop()
        self._open = True
        self._typing = asyncio.Lock()
        self._reaping: asyncio.Task[None] | None = None
        self._loop.add_reader(master, self._read)

    def _read(self) -> None:
        try:
            data = os.read(self._master, _PIECE)
        except BlockingIOError:
            return
        except OSError:  # EIO: the last of its processes has closed the terminal
            data = b""
        if data:
            self._received(data)
        else:
            self._hang_up()
            self._reaping = self._loop.create_task(self._tell_end(), name="console ends")

    async def _tell_end(self) -> None:
        status = await self._reap()
        self._ended(f"its program ended by signal {-status}" if status < 0 else
                    f"its program ended with status {status}")

    def _hang_up(self) -> None:
        if self._open:
            self._open = False
            self._loop.remove_reader(self._master)
            self._loop.remove_writer(self._master)
            os.close(self._master)

    async def _reap(self) -> int:
        """Its status, once every process of its group has been told to end."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            status = self._process.poll()
            # also where the leader is gone: others of the group may be left
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number if status is None else signal.SIGKILL)
            if status is not None:
                return status
            if await self._exit(_ENDS if number == signal.SIGTERM else None):
                return self._process.wait()
        raise AssertionError("SIGKILL is not survived")

    async def _exit(self, seconds: float | None) -> bool:
        """Whether it has ended within this time; a descriptor of the process tells (pidfd_open(2)), since threads would
        be too few. No asyncio.timeout: in a task that is being cancelled, Python 3.11.2's ends it."""
        descriptor = os.pidfd_open(self._process.pid)
        ended: asyncio.Future[bool] = self._loop.create_future()
        settle = functools.partial(_settle, ended)
        self._loop.add_reader(descriptor, settle, True)
        timer = self._loop.call_later(seconds, settle, False) if seconds is not None else None
        try:
            return await ended
        finally:
            if timer is not None:
                timer.cancel()
            self._loop.remove_reader(descriptor)
            os.close(descriptor)

    async def type(self, data: bytes) -> None:
        """Bytes for the program; NotTaken when it does not read them."""
        async with self._typing:
            try:
                async with asyncio.timeout(_TAKES):
                    while data:
                        if not self._open:
                            raise NotTaken("the line was lost")
                        try:
                            data = data[os.write(self._master, data):]
                        except BlockingIOError:
                            await self._writable()
            except TimeoutError:
                raise NotTaken("the far end does not take what is typed") from None
            except OSError as error:
                raise NotTaken(f"the line was lost: {error.strerror}") from None

    async def _writable(self) -> None:
        ready = asyncio.Event()
        self._loop.add_writer(self._master, ready.set)
        try:
            await ready.wait()
        finally:
            if self._open:
                self._loop.remove_writer(self._master)

    async def send_break(self) -> None:
        """A program of any kind has no way for it."""
        raise NotTaken("a command has no break; type what your terminal server takes for one")

    async def send_sysrq(self, letter: str) -> None:
        """Nor for that."""
        raise NotTaken("a command has no SysRq; type what your terminal server takes for a break, and the letter")

    def resize(self, columns: int, rows: int) -> None:
        """The pseudo-terminal's size; the program gets SIGWINCH."""
        if self._open:
            fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    async def close(self) -> None:
        """Hang up and see it end."""
        if self._reaping is not None:
            await asyncio.gather(self._reaping, return_exceptions=True)
            return
        self._hang_up()
        await self._reap()


def open_pty(argv: Sequence[str], received: Received, ended: Ended) -> PtyLine:
    """Start a program on a terminal of its own; NoLine if it cannot be."""
    try:
        master, slave = pty.openpty()
    except OSError as error:
        raise NoLine(f"there is no terminal for it: {error.strerror}") from None
    try:
        tty.setraw(slave)
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        process = subprocess.Popen(argv, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
                                   preexec_fn=_own_terminal, env={**os.environ, "LC_ALL": "C.UTF-8", "TERM": "vt220"})
    except (OSError, subprocess.SubprocessError) as error:
        os.close(master)
        why = getattr(error, "strerror", None) or str(error)
        lasting = isinstance(error, (FileNotFoundError, PermissionError))
        raise NoLine(f"{printable(argv[0])} cannot be started: {why}", lasting=lasting) from None
    finally:
        os.close(slave)
    os.set_blocking(master, False)
    return PtyLine(process, master, received, ended)


@dataclass(frozen=True, slots=True)
class CommandSource:
    """A command given for a machine."""

    argv: tuple[str, ...]
    kind: str = field(default="command", init=False)

    async def open(self, received: Received, ended: Ended) -> ConsoleLine:
        """It is there as soon as the program runs."""
        return open_pty(self.argv, received, ended)


class _Echoes:
    """Takes out what ipmitool says of each break that it sends (ipmi_sol.c): no machine said it."""

    def __init__(self, received: Received) -> None:
        self._received = received
        self._awaited, self._held = 0, b""

    def expect(self) -> None:
        """A break goes out now."""
        self._awaited += 1

    def received(self, data: bytes) -> None:
        """Hand on what comes, but for the words that are awaited; their beginning waits for the rest of them."""
        data, self._held = self._held + data, b""
        while self._awaited and (echo := _SENT.search(data)):
            data = data[:echo.start()] + data[echo.end():]
            self._awaited -= 1
        if self._awaited:
            begun = next((size for size in range(min(len(data), len(_SENT_BEGINS)), 0, -1)
                          if _SENT_BEGINS.startswith(data[-size:])), 0)
            data, self._held = data[:len(data) - begun], data[len(data) - begun:]
        if data:
            self._received(data)

    def end(self) -> None:
        """Nothing comes any more: what waited was the machine's."""
        held, self._held = self._held, b""
        if held:
            self._received(held)


class _SolLine:
    """ipmitool's line: `~` at the beginning of a line is ipmitool's own, `~B` a break, `~~` one of them."""

    means = frozenset((BREAK, SYSRQ))

    def __init__(self, line: PtyLine, echoes: _Echoes) -> None:
        self._line, self._echoes = line, echoes
        self._at_start = True

    async def type(self, data: bytes) -> None:
        wire = bytearray()
        for byte in data:
            wire += b"~~" if byte == _ESCAPE and self._at_start else bytes((byte,))
            self._at_start = byte in b"\r\n"
        await self._line.type(bytes(wire))

    async def send_break(self) -> None:
        await self._break(b"")

    async def send_sysrq(self, letter: str) -> None:
        """The kernel's serial driver takes the byte after a break (serial_core.h, uart_handle_sysrq_char)."""
        await self._break(letter.encode())

    async def _break(self, then: bytes) -> None:
        if not self._at_start:
            raise NotTaken("serial-over-LAN takes a break only at the beginning of a line: press enter first")
        self._echoes.expect()
        self._at_start = not then
        await self._line.type(b"~B" + then)

    def resize(self, columns: int, rows: int) -> None:
        """A serial line knows no size."""

    async def close(self) -> None:
        await self._line.close()


@dataclass(frozen=True, slots=True)
class SolSource:
    """Serial-over-LAN by ipmitool; `release` frees the controller's only session from one who is gone."""

    argv: tuple[str, ...]
    release: tuple[str, ...]
    kind: str = field(default="ipmi-sol", init=False)

    async def open(self, received: Received, ended: Ended) -> ConsoleLine:
        """It is there when ipmitool says so; what it says before is no part of the console."""
        said = bytearray()
        there: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        echoes = _Echoes(received)

        def first(data: bytes) -> None:
            if there.done():
                echoes.received(data)
                return
            said.extend(data)
            _, mark, rest = bytes(said).partition(_THERE)
            _, end, console = rest.partition(b"\n")
            if mark and end:
                there.set_result("")
                if console:
                    received(console)
            else:
                del said[:-_SAID]

        def gone(why: str) -> None:
            if there.done():
                echoes.end()
                ended(why)
            else:
                there.set_result(_last_line(bytes(said)) or why)

        line = open_pty(self.argv, first, gone)
        try:
            why = await there
        except asyncio.CancelledError:
            await line.close()
            raise
        if not why:
            return _SolLine(line, echoes)
        await line.close()
        if _BUSY in said:
            await self._release()
        raise NoLine(why)

    async def _release(self) -> None:
        """Whoever held it was a recorder that is gone, or must look through us from now on."""
        process = await asyncio.create_subprocess_exec(*self.release, stdin=asyncio.subprocess.DEVNULL,
                                                       stdout=asyncio.subprocess.DEVNULL,
                                                       stderr=asyncio.subprocess.DEVNULL)
        try:
            async with asyncio.timeout(30):
                await process.wait()
        except TimeoutError:
            pass
        finally:
            if process.returncode is None:
                process.kill()


def _last_line(said: bytes) -> str:
    lines = [line.strip() for line in said.decode(errors="replace").splitlines() if line.strip()]
    return printable(lines[-1], 200) if lines else ""
