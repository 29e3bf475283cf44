"""Who is at the other end of the socket: the kernel says so, and groups decide the role."""
from __future__ import annotations

import array
import contextlib
import grp
import os
import pwd
import socket
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from qrm_tui.core.operations.declarations import Role

#: getsockopt's number on Linux (asm-generic/socket.h; other on parisc and sparc); Python has no name for it.
_SO_PEERGROUPS = 59
#: Python's getsockopt takes 1,024 bytes at the most.
_MOST_GROUPS = 256
_NOBODY = 65534
#: Groups and what their members may.
GROUPS: Mapping[str, Role] = {"qrm-admin": Role.administrator, "qrm-operator": Role.operator, "qrm-viewer": Role.viewer}


@dataclass(frozen=True, slots=True)
class Peer:
    """The process at the other end."""

    pid: int
    uid: int
    groups: tuple[int, ...]

    @property
    def user(self) -> str:
        try:
            return pwd.getpwuid(self.uid).pw_name
        except KeyError:
            return str(self.uid)

    @property
    def terminal(self) -> str:
        """Its terminal, where that can be seen."""
        try:
            target = str(Path(f"/proc/{self.pid}/fd/0").readlink())
        except OSError:
            return ""
        return target if target.startswith(("/dev/pts/", "/dev/tty")) else ""


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


class PeerProtocol(H11Protocol):
    """uvicorn's protocol, which puts the peer in place of the address that a unix socket does not have."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        connection = transport.get_extra_info("socket")
        if connection is not None and connection.family == socket.AF_UNIX:
            peer = peer_of(connection)
            self.client = (",".join(map(str, (peer.pid, peer.uid, *peer.groups))), 0)


def peer_from_scope(client: Sequence[Any] | None) -> Peer:
    """The peer of a request; nobody where it did not come over our socket."""
    words = str(client[0]).split(",") if client else []
    if len(words) < 2 or not all(word.isdigit() for word in words):
        return Peer(0, _NOBODY, ())
    pid, uid, *groups = map(int, words)
    return Peer(pid, uid, tuple(groups))


def open_socket(path: Path) -> socket.socket:
    """A listening unix socket that anybody may connect to; who it is decides what they may. Takes over a dead one."""
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
