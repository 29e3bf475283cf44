"""Who is at the other end of the socket: the kernel says so, and groups decide the role."""
from __future__ import annotations

import array
import contextlib
import grp
import os
import pwd
import socket
import struct
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from qrm_tui.core.operations.declarations import Role

#: getsockopt's number on Linux (asm-generic/socket.h; other on parisc and sparc); Python has no name for it.
_SO_PEERGROUPS = 59
#: Python's getsockopt takes 1,024 bytes at the most.
_MOST_GROUPS = 256
_NOBODY = 65534
#: People's accounts begin here; those that systemd gives to services, and nobody's, lie among them.
_FIRST_PERSON, _SERVICES = 1000, range(61184, 65536)
#: The journal's room for a terminal.
_TERMINAL = 64
#: Connections of one account without a role, and of all of them together: a wall of 24 consoles has some 30.
MOST_OF_STRANGER, MOST_OF_STRANGERS = 100, 400
#: Groups and what their members may.
GROUPS: Mapping[str, Role] = {"qrm-admin": Role.administrator, "qrm-operator": Role.operator, "qrm-viewer": Role.viewer}


@dataclass(frozen=True, slots=True)
class Peer:
    """The process at the other end."""

    pid: int
    uid: int
    groups: tuple[int, ...]
    #: the user whose session it showed; empty: it is known by its account alone
    logged_in: str = ""

    @property
    def account(self) -> str:
        """The account of this machine that it runs as."""
        try:
            return pwd.getpwuid(self.uid).pw_name
        except KeyError:
            return str(self.uid)

    @property
    def is_person(self) -> bool:
        """Whether its account is root's or a person's, not a service's (login.defs(5), systemd's UIDS-GIDS)."""
        return self.uid == 0 or (self.uid >= _FIRST_PERSON and self.uid not in _SERVICES)

    @property
    def user(self) -> str:
        """Who it is to the journal."""
        return self.logged_in or self.account

    @property
    def terminal(self) -> str:
        """Its terminal, where that can be seen; of one who has logged in, the account too."""
        try:
            target = str(Path(f"/proc/{self.pid}/fd/0").readlink())
        except OSError:
            target = ""
        shown = target if target.startswith(("/dev/pts/", "/dev/tty")) else ""
        return f"{shown} as {self.account}".strip()[:_TERMINAL] if self.logged_in else shown

    def as_user(self, name: str) -> Peer:
        """The same process, known by a session."""
        return replace(self, logged_in=name)


def peer_of(connection: socket.socket) -> Peer:
    """From SO_PEERCRED and SO_PEERGROUPS (unix(7), socket(7))."""
    pid, uid, gid = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    groups = array.array("i")
    # one who is in more groups than fit has none here, and so no rights
    with contextlib.suppress(OSError):
        groups.frombytes(connection.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, _MOST_GROUPS * groups.itemsize))
    return Peer(pid, uid, (gid, *groups))


def role_of(peer: Peer, groups: Mapping[str, Role] = GROUPS, own_uid: int | None = None) -> Role:
    """root and the account that runs qrmd administer; others by group; nobody else may anything."""
    if peer.uid in (0, os.getuid() if own_uid is None else own_uid):
        return Role.administrator
    best = Role.nobody
    for name, role in groups.items():
        try:
            if grp.getgrnam(name).gr_gid in peer.groups:
                best = max(best, role)
        except KeyError:
            continue
    return best


@dataclass(slots=True)
class Strangers:
    """How many connections accounts without a role have: they cannot take all that qrmd may have."""

    role_of: Callable[[Peer], Role]
    of: Counter[int] = field(default_factory=Counter)

    def admit(self, peer: Peer) -> int | None:
        """The account to count, None for one with a role; OverflowError: it has too many."""
        if self.role_of(peer) is not Role.nobody:
            return None
        if self.of[peer.uid] >= MOST_OF_STRANGER or self.of.total() >= MOST_OF_STRANGERS:
            raise OverflowError
        self.of[peer.uid] += 1
        return peer.uid

    def left(self, account: int) -> None:
        """One connection fewer."""
        self.of[account] -= 1
        if not self.of[account]:
            del self.of[account]


class PeerProtocol(H11Protocol):
    """uvicorn's protocol, which puts the peer in place of the address that a unix socket does not have."""

    def __init__(self, *arguments: Any, strangers: Strangers, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._strangers = strangers
        self._counted: int | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        connection = transport.get_extra_info("socket")
        if connection is not None and connection.family == socket.AF_UNIX:
            peer = peer_of(connection)
            self.client = (",".join(map(str, (peer.pid, peer.uid, *peer.groups))), 0)
            try:
                self._counted = self._strangers.admit(peer)
            except OverflowError:
                transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._counted is not None:
            self._strangers.left(self._counted)
            self._counted = None
        super().connection_lost(exc)


def protocol_for(role_of: Callable[[Peer], Role]) -> Any:
    """PeerProtocol for a server whose accounts have these roles."""
    return partial(PeerProtocol, strangers=Strangers(role_of))


def peer_from_scope(client: Sequence[Any] | None) -> Peer:
    """The peer of a request; nobody where it did not come over our socket."""
    words = str(client[0]).split(",") if client else []
    if len(words) < 2 or not all(word.isdigit() for word in words):
        return Peer(0, _NOBODY, ())
    pid, uid, *groups = map(int, words)
    return Peer(pid, uid, tuple(groups))


def open_socket(path: Path) -> socket.socket:
    """A listening unix socket that anybody may connect to; who it is decides what they may: of qrmd's, strangers get
    hello and a log-in. Takes over a dead one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    if path.is_socket():
        probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            probe.connect(str(path))
        except OSError:
            path.unlink()
        else:
            raise OSError(f"{path}: another qrmd listens there")
        finally:
            probe.close()
    listener.bind(str(path))
    path.chmod(0o666)
    listener.listen(128)
    return listener
