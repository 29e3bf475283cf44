"""A domain's console over a libvirt stream.

So that it is recorded from the first byte, three do their part. The job starts the domain paused. The recorder, which
waits in `worth_trying` while it is off, opens the console as soon as libvirt tells of the start. The job waits until
the recorder is connected, for so long as is sensible, and resumes the domain. One that boots anew in place keeps its
stream (KVM); one that libvirt starts anew by itself (Xen) is opened again at the event, and what it said meanwhile
waits in its terminal's buffer on the host.

libvirt calls back in its own thread, and only that one reads and writes the stream; bytes that come while the loop is
busy are handed over together. Nothing in that thread may wait, so what asks the far end runs in threads of the host.
"""
from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable

import libvirt
import libvirt_qemu

from qrm_tui.backends.domain_console import (
    DomainConsole,
    break_command,
    console_of,
    refusal_in,
    sysrq_to_kernel,
    typed_to_kernel,
)
from qrm_tui.core.errors import QrmError
from qrm_tui.core.partitions import DomainEvent
from qrm_tui.runners.console import BREAK, SYSRQ, ConsoleLine, Ended, NoLine, NotTaken, Received
from qrm_tui.runners.libvirt import LibvirtHypervisor
from qrm_tui.runners.libvirt_line import words
from qrm_tui.runners.libvirt_threads import Overdue

#: Bytes read at once; and that may wait for the loop before the line is given up.
_PIECE, _MOST_WAITING = 1 << 16, 32 << 20
#: Seconds for a far end to take what is typed; to open, and to hang up.
_TAKES, _OPENS, _CLOSES = 5.0, 30.0, 5.0
_READ, _WRITE = libvirt.VIR_STREAM_EVENT_READABLE, libvirt.VIR_STREAM_EVENT_WRITABLE
_GONE = libvirt.VIR_STREAM_EVENT_ERROR | libvirt.VIR_STREAM_EVENT_HANGUP
#: what virStreamRecv and virStreamSend return where they would have to wait
_LATER = -2
NO_BREAK = "a console of Xen has no break; SysRq goes without one"
_NEITHER = "libvirt has neither a break nor SysRq on a console of this kind"
_OVER = "it was switched off or started anew, or somebody else has taken its console"


class LibvirtLine:
    """An open console."""

    def __init__(self, host: LibvirtHypervisor, received: Received, ended: Ended) -> None:
        self._host, self._received, self._ended = host, received, ended
        self._loop = asyncio.get_running_loop()
        self._typing = asyncio.Lock()
        self._stream: libvirt.virStream | None = None
        self._domain: libvirt.virDomain | None = None
        self._console = DomainConsole()
        #: between the two threads: what came, what is to go and who waits for it, why it ended
        self._between = threading.Lock()
        self._came, self._goes = bytearray(), bytearray()
        self._gone: asyncio.Future[None] | None = None
        self._why: str | None = None
        self._closed = False
        self._deaf = host.listen(self._hear)

    # in a thread of the host

    def open(self, connection: libvirt.virConnect, uuid: str) -> None:
        domain = connection.lookupByUUIDString(uuid)
        if not domain.isActive():
            raise NoLine("it is off")
        self._domain, self._console = domain, console_of(domain.XMLDesc())
        stream = connection.newStream(libvirt.VIR_STREAM_NONBLOCK)
        # by force: whoever holds it is a recorder that is gone, or must look through us from now on
        domain.openConsole(None, stream, libvirt.VIR_DOMAIN_CONSOLE_FORCE)
        with self._between:
            given_up, self._stream = self._closed, stream
        if given_up:
            self._hang_up()
        else:
            stream.eventAddCallback(_READ | _GONE, self._event, None)

    def _hang_up(self) -> None:
        with self._between:
            stream, self._stream, self._domain = self._stream, None, None
        if stream is None:
            return
        with contextlib.suppress(libvirt.libvirtError):
            stream.eventRemoveCallback()
        with contextlib.suppress(libvirt.libvirtError):
            stream.abort()

    # in libvirt's thread

    def _event(self, stream: libvirt.virStream, events: int, _: object) -> None:
        try:
            if events & (_READ | _GONE):
                self._read(stream)
            if events & _WRITE:
                self._write(stream)
            if events & _GONE:
                self._end(_OVER)
            if self._why is not None:  # else it is told of again and again
                stream.eventUpdateCallback(0)
        except libvirt.libvirtError as error:
            self._end(f"its host has hung up: {words(error)}")
            with contextlib.suppress(libvirt.libvirtError):
                stream.eventUpdateCallback(0)

    def _read(self, stream: libvirt.virStream) -> None:
        while self._why is None:
            data = stream.recv(_PIECE)
            if data == _LATER:
                return
            if not data:
                self._end(_OVER)
                return
            with self._between:
                first, waiting = not self._came, len(self._came)
                self._came += data
            if first:
                self._call(self._hand_over)
            if waiting > _MOST_WAITING:
                self._end("it says more than can be recorded")

    def _write(self, stream: libvirt.virStream) -> None:
        while True:
            with self._between:
                data = bytes(self._goes[:_PIECE])
            if not data:
                break
            taken = stream.send(data)
            if taken == _LATER:
                return
            with self._between:
                del self._goes[:taken]
        stream.eventUpdateCallback(_READ | _GONE)
        self._call(self._taken)

    def _end(self, why: str) -> None:
        """In any thread."""
        with self._between:
            first, self._why = self._why is None, self._why or why
        if first:
            self._call(self._tell_end)

    def _call(self, function: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(function)

    # in the loop

    def _hand_over(self) -> None:
        with self._between:
            data, self._came = bytes(self._came), bytearray()
        if data and not self._closed:
            self._received(data)

    def _taken(self) -> None:
        if self._gone is not None and not self._gone.done():
            self._gone.set_result(None)

    def _tell_end(self) -> None:
        self._hand_over()
        if self._gone is not None and not self._gone.done():
            self._gone.set_exception(NotTaken("the line was lost"))
        if not self._closed and self._why is not None:
            self._ended(self._why)

    def _hear(self, event: DomainEvent) -> None:
        if event.event == "line-lost":  # not every libvirt tells its streams
            self._end(f"the line to its host was lost: {event.why}")

    @property
    def means(self) -> frozenset[str]:
        if self._console.kernel:
            return frozenset((SYSRQ,))
        return frozenset((BREAK, SYSRQ)) if self._console.chardev else frozenset()

    async def type(self, data: bytes) -> None:
        """Bytes for the domain; NotTaken when its host does not take them."""
        async with self._typing:
            await self._send(typed_to_kernel(data) if self._console.kernel else data)

    async def _send(self, data: bytes) -> None:
        """With the right to type, bytes as they are."""
        if self._why is not None or self._closed:
            raise NotTaken("the line was lost")
        self._gone = self._loop.create_future()
        try:
            await self._host.line.run(lambda: self._offer(data), _TAKES)
            done, _ = await asyncio.wait((self._gone,), timeout=_TAKES)
            if not done:
                raise NotTaken("the far end does not take what is typed")
            self._gone.result()
        except (Overdue, libvirt.libvirtError):
            raise NotTaken("the line was lost") from None
        finally:
            self._gone.cancel()
            self._gone = None
            with self._between:
                self._goes.clear()

    def _offer(self, data: bytes) -> None:
        """In a thread of the host: libvirt's own lock may be held by one that waits."""
        with self._between:
            stream = self._stream
            self._goes += data
        if stream is not None:
            stream.eventUpdateCallback(_READ | _WRITE | _GONE)

    async def send_break(self) -> None:
        """On the serial line that QEMU emulates, by its monitor: libvirt itself has no way for it, and its log has the
        domain as tainted by it (custom-monitor)."""
        async with self._typing:
            await self._break()

    async def send_sysrq(self, letter: str) -> None:
        """As the domain's kernel takes it: after a byte, or after a break, which taints as `send_break` does, and is
        before what was typed and still waits on the host."""
        async with self._typing:
            if self._console.kernel:
                await self._send(sysrq_to_kernel(letter))
            else:
                await self._break()
                await self._send(letter.encode())

    async def _break(self) -> None:
        domain, chardev = self._domain, self._console.chardev
        if not chardev:
            raise NotTaken(NO_BREAK if self._console.kernel else _NEITHER)
        if self._why is not None or domain is None:
            raise NotTaken("the line was lost")
        try:
            answer = await self._host.line.run(
                lambda: libvirt_qemu.qemuMonitorCommand(domain, break_command(chardev), 0), _TAKES)
        except Overdue:  # the kernel takes what comes within 5 s of a break (serial_core.h, SYSRQ_TIMEOUT)
            raise NotTaken(f"its QEMU did not send a break within {_TAKES:.0f} s, and may still do so: what is typed "
                           "within 5 s of it counts as SysRq") from None
        except libvirt.libvirtError as error:
            raise NotTaken(f"its host's libvirt sends no break: {words(error)}") from None
        if why := refusal_in(answer):
            raise NotTaken(f"its QEMU sends no break: {why}")

    def resize(self, columns: int, rows: int) -> None:
        """A serial line knows no size."""

    async def close(self) -> None:
        """Hang up; within seconds, whatever the host does."""
        self._deaf()
        with self._between:
            self._closed = True
        with contextlib.suppress(Overdue):
            await self._host.line.run(self._hang_up, _CLOSES)


class LibvirtSource:
    """A domain's console."""

    kind = "libvirt"

    def __init__(self, host: LibvirtHypervisor, uuid: str) -> None:
        self._host, self._uuid = host, uuid
        self._starts = 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LibvirtSource) and (self._host, self._uuid) == (other._host, other._uuid)

    def __hash__(self) -> int:
        return hash((self._host, self._uuid))

    async def open(self, received: Received, ended: Ended) -> ConsoleLine:
        """It is there while the domain is on."""
        self._starts = self._host.line.starts(self._uuid)
        line = LibvirtLine(self._host, received, ended)
        try:
            await self._host.line.call("open a console", lambda connection: line.open(connection, self._uuid), _OPENS)
        except QrmError as error:
            await line.close()
            raise NoLine(str(error)) from None
        except BaseException:
            await line.close()
            raise
        return line

    async def worth_trying(self) -> None:
        """Until its domain was started, or its host came back."""
        happened = asyncio.Event()
        end = self._host.listen(lambda event: happened.set())
        try:
            while self._host.line.starts(self._uuid) == self._starts:
                happened.clear()
                await happened.wait()
        finally:
            end()
