"""The line to a host's libvirtd: opened when needed and again when lost, with events and calls that end in time.

libvirt's own keepalive finds a libvirtd that is gone while calls wait for it; over ssh, asyncssh's a host that is.
"""
from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar
from urllib.parse import quote

import asyncssh
import libvirt

from qrm_tui.backends.virtualization import technology_of
from qrm_tui.core.errors import Broken, QrmError, Refused, StepFailed, Unreachable
from qrm_tui.core.names import printable
from qrm_tui.core.partitions import DomainEvent, Event
from qrm_tui.runners.hypervisor import OnEvent
from qrm_tui.runners.libvirt_threads import Overdue, Workers, start_events
from qrm_tui.runners.ssh import SshRunner

_log = logging.getLogger("qrmd.libvirt")
T = TypeVar("T")

#: Where libvirtd listens on Debian (libvirtd(8)).
SOCKET = "/run/libvirt/libvirt-sock"
#: Seconds between two questions whether libvirtd is there, and how many may stay unanswered.
KEEPALIVE, KEEPALIVE_COUNT = 5, 3
#: Seconds until libvirtd must have taken a new line, and for an ordinary call.
OPENS, SHORT = 30.0, 60.0
#: Seconds until a lost line is tried again, at first and at the most.
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
#: Threads of one host for what changes domains, and for looks and consoles, which starts must not hold up. Together
#: fewer than libvirtd takes of one client (libvirtd.conf, max_client_requests: 5): where it is full it reads no more,
#: not even that we are there.
CHANGE_THREADS, LOOK_THREADS = 2, 2
#: virDomainEventType (libvirt-domain.h), and the details of a stop that was none of ours: crashed, failed.
_EVENTS: dict[int, Event] = {0: "defined", 1: "undefined", 2: "started", 3: "paused", 4: "resumed", 5: "stopped",
                             6: "shutdown", 7: "paused", 8: "crashed"}
_STOPPED, _AMISS = 5, (2, 5)
_LOST = {libvirt.VIR_CONNECT_CLOSE_REASON_EOF: "its libvirtd closed the line",
         libvirt.VIR_CONNECT_CLOSE_REASON_KEEPALIVE: "its libvirtd did not answer any more",
         libvirt.VIR_CONNECT_CLOSE_REASON_ERROR: "the line broke"}


class Reach(Protocol):
    """How libvirtd is reached."""

    #: as messages call what answers there, before the host's name
    who: str

    async def uri(self) -> str:
        """A URI that can be opened now; Unreachable, Broken."""

    def open(self, uri: str) -> libvirt.virConnect:
        """The connection, in a thread; libvirtError."""

    async def close(self) -> None:
        """Let go of what `uri` made."""


class LocalReach:
    """A URI of this machine, as `qemu:///system` or `test:///default`."""

    who = "libvirtd on"

    def __init__(self, uri: str) -> None:
        self._uri = uri

    async def uri(self) -> str:
        return self._uri

    def open(self, uri: str) -> libvirt.virConnect:
        return libvirt.open(uri)

    async def close(self) -> None:
        return


class PasswordReach(LocalReach):
    """A host that libvirt's client itself speaks with, and that wants a password: the first line of a file here."""

    who = "the host"

    def __init__(self, uri: str, secret: Path) -> None:
        super().__init__(uri)
        self._secret = secret

    async def uri(self) -> str:
        try:
            if self._secret.stat().st_mode & 0o077:
                raise Refused(f"{self._secret} may be read by others than its owner: chmod 600 {self._secret}")
        except OSError as error:
            raise Refused(f"the password cannot be read from {self._secret}: {error.strerror}") from None
        return await super().uri()

    def open(self, uri: str) -> libvirt.virConnect:
        def answer(credentials: list[list[object]], _: object) -> int:
            for credential in credentials:
                if credential[0] == libvirt.VIR_CRED_PASSPHRASE:
                    credential[4] = self._secret.read_text().partition("\n")[0]
            return 0

        return libvirt.openAuth(uri, [[libvirt.VIR_CRED_PASSPHRASE], answer, None], 0)


class SshReach:
    """libvirtd's socket on a machine, led over its ssh line to a private socket here."""

    who = "libvirtd on"

    def __init__(self, runner: SshRunner, driver: str, folder: Path, socket: str = SOCKET) -> None:
        """`driver`: xen or qemu. `folder`: for the socket; only the server's own user reads it."""
        self._runner, self._driver, self._folder, self._socket = runner, driver, folder, socket
        self._listener: asyncssh.SSHListener | None = None

    @property
    def _here(self) -> Path:
        return self._folder / f"{self._runner.name}.libvirt"

    async def uri(self) -> str:
        try:
            await self.close()
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise Broken(f"no socket can be made at {self._here}: {error.strerror}") from None
        self._listener = await self._runner.forward_socket(self._here, self._socket)
        return f"{self._driver}+unix:///system?socket={quote(str(self._here))}"

    def open(self, uri: str) -> libvirt.virConnect:
        return libvirt.open(uri)

    async def close(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        with contextlib.suppress(OSError):
            self._here.unlink()


def words(error: libvirt.libvirtError) -> str:
    """What libvirt says, in one line."""
    return printable(" ".join((error.get_error_message() or str(error)).split()), 300)


def is_lost(error: libvirt.libvirtError) -> bool:
    """Whether it is the line that failed and not the call."""
    return error.get_error_domain() in (libvirt.VIR_FROM_RPC, libvirt.VIR_FROM_REMOTE) or error.get_error_code() in (
        libvirt.VIR_ERR_INVALID_CONN, libvirt.VIR_ERR_NO_CONNECT)


@dataclass(frozen=True, eq=False)
class _Open:
    """An open connection; `events` is the number of the callback, where the driver has events."""

    connection: libvirt.virConnect
    events: int | None

    def close(self) -> None:
        """In a thread, since it asks the far end. What still has a callback would stay open."""
        with contextlib.suppress(libvirt.libvirtError):
            self.connection.unregisterCloseCallback()
        with contextlib.suppress(libvirt.libvirtError):
            if self.events is not None:
                self.connection.domainEventDeregisterAny(self.events)
        with contextlib.suppress(libvirt.libvirtError):
            self.connection.close()


class Line:
    """The line to one host."""

    def __init__(self, name: str, reach: Reach) -> None:
        self.name, self.technology = name, ""
        self._reach = reach
        self._changes, self._looks = Workers(name, CHANGE_THREADS), Workers(name, LOOK_THREADS)
        self._open: _Open | None = None
        self._opening: asyncio.Task[_Open] | None = None
        self._listeners: list[OnEvent] = []
        #: how often each domain was started while we listened
        self._starts: dict[str, int] = {}
        self._was_lost = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._closed = False

    # its life

    async def start(self) -> None:
        """Keep it open from now on."""
        if self._keeper is None:
            self._keeper = asyncio.create_task(self._keep(), name=f"libvirt on {self.name}")

    async def _keep(self) -> None:
        pause = FIRST_PAUSE
        while True:
            self._was_lost.clear()
            try:
                await self.connection()
            except QrmError as error:
                _log.info("%s", error)
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)
            else:
                pause = FIRST_PAUSE
                await self._was_lost.wait()

    async def connection(self) -> libvirt.virConnect:
        """An open one; Unreachable. All who want one while it is opened wait for the same."""
        if self._closed:
            raise Unreachable(f"the line to libvirtd on {self.name} is closed")
        if self._open is not None:
            return self._open.connection
        if self._opening is None:
            self._opening = asyncio.create_task(self._open_anew(), name=f"opening libvirt on {self.name}")
            self._opening.add_done_callback(self._opened)
        task = self._opening
        await asyncio.wait((task,), timeout=OPENS)
        if not task.done():
            raise Unreachable(f"libvirtd on {self.name} takes the line and says nothing for {OPENS:.0f} s: look at "
                              "it there (systemctl status libvirtd)")
        if task.cancelled():
            raise Unreachable(f"the line to libvirtd on {self.name} is closed")
        return task.result().connection

    async def _open_anew(self) -> _Open:
        start_events()
        uri = await self._reach.uri()
        loop = asyncio.get_running_loop()

        def tell_lost(connection: libvirt.virConnect, reason: int, _: object) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(self.lost, connection, _LOST.get(reason, "the line was closed"))

        def tell(connection: libvirt.virConnect, domain: libvirt.virDomain, event: int, detail: int, _: object) -> None:
            word = "crashed" if event == _STOPPED and detail in _AMISS else _EVENTS.get(event, "changed")
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._tell, DomainEvent(word, domain.UUIDString()))

        def open_it() -> _Open:
            connection = self._reach.open(uri)
            _if_there(lambda: connection.setKeepAlive(KEEPALIVE, KEEPALIVE_COUNT))
            _if_there(lambda: connection.registerCloseCallback(tell_lost, None))
            found = _Open(connection, _if_there(lambda: connection.domainEventRegisterAny(
                None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, tell, None)))
            if self._closed:  # nobody waits for it any more
                found.close()
                return found
            kvm = connection.getType() == "QEMU" and "<domain type='kvm'" in connection.getCapabilities()
            self.technology = technology_of(connection.getType().lower(), kvm=kvm)
            return found

        try:
            return await self._looks.run(open_it, None)
        except libvirt.libvirtError as error:
            raise Unreachable(f"{self._reach.who} {self.name} does not answer: {words(error)}") from None

    def _opened(self, task: asyncio.Task[_Open]) -> None:
        self._opening = None
        if not task.cancelled() and task.exception() is None and not self._closed:
            self._open = task.result()
            self._tell(DomainEvent("line-back"))

    def is_current(self, connection: libvirt.virConnect) -> bool:
        """Whether this is the open one."""
        return self._open is not None and self._open.connection is connection

    def lost(self, connection: libvirt.virConnect, why: str) -> None:
        """It is of no use any more."""
        if self._open is None or self._open.connection is not connection:
            return
        self._discard()
        _log.info("libvirt on %s: %s", self.name, why)
        self._tell(DomainEvent("line-lost", why=why))
        self._was_lost.set()

    def _discard(self) -> asyncio.Future[None]:
        """In a thread of its own: those of the host may hang."""
        assert self._open is not None
        closer = Workers(self.name, 1)
        done = closer.begin(self._open.close)
        closer.end()
        self._open = None
        return done

    async def close(self) -> None:
        self._closed = True
        tasks = [task for task in (self._keeper, self._opening) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._open is not None:
            await asyncio.wait((self._discard(),), timeout=FIRST_PAUSE)
        self._changes.end()
        self._looks.end()
        await self._reach.close()

    # events

    def listen(self, on_event: OnEvent) -> Callable[[], None]:
        self._listeners.append(on_event)

        def end() -> None:
            if on_event in self._listeners:
                self._listeners.remove(on_event)

        return end

    def starts(self, uuid: str) -> int:
        """Grows with each start of a domain, and whenever the line came back: then starts may have been missed."""
        return self._starts.get(uuid, 0) + self._starts.get("", 0)

    def _tell(self, event: DomainEvent) -> None:
        if event.event in ("started", "line-back"):
            self._starts[event.uuid] = self._starts.get(event.uuid, 0) + 1
        elif event.event == "undefined":
            self._starts.pop(event.uuid, None)
        for listener in tuple(self._listeners):
            listener(event)

    # calls

    async def run(self, function: Callable[[], T], seconds: float) -> T:
        """A function in a thread of this host, its line open or not; Overdue, and what the function raises."""
        return await self._looks.run(function, seconds)

    async def call(self, what: str, function: Callable[[libvirt.virConnect], T], seconds: float = SHORT, *,
                   changes: bool = False) -> T:
        """A call's result; `changes`: it may be a slow one. Unreachable: the line, so its effect is not known.
        StepFailed: it was refused, or it does not end though the line is well."""
        connection = await self.connection()
        try:
            return await (self._changes if changes else self._looks).run(lambda: function(connection), seconds)
        except libvirt.libvirtError as error:
            if is_lost(error) or not self.is_current(connection):
                self.lost(connection, words(error))
                raise Unreachable(f"libvirtd on {self.name} went away while it was to {what}: {words(error)}") from None
            raise StepFailed(f"libvirt on {self.name} does not {what}: {words(error)}") from None
        except Overdue as error:
            if not self.is_current(connection):
                raise Unreachable(f"libvirtd on {self.name} went away while it was to {what}") from None
            if not error.begun:
                raise Unreachable(f"libvirtd on {self.name} is held up by former calls: it did not begin to {what} "
                                  f"within {seconds:.0f} s") from None
            raise StepFailed(f"libvirtd on {self.name} did not {what} within {seconds:.0f} s") from None


def _if_there(function: Callable[[], T]) -> T | None:
    """Not every driver has keepalive and callbacks."""
    try:
        return function()
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_NO_SUPPORT:
            raise
        return None
