"""WHERE a server is: a unix socket's path, or `ssh://[user@]host[:port]`."""
from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from qrm_tui.core.errors import BadInput
from qrm_tui.core.names import printable

#: Where the installed server listens, here and on every machine that ssh reaches.
INSTALLED = "/run/qrm/qrmd.sock"
#: unix(7): sun_path has 108 bytes, the last of them a NUL.
LONGEST_SOCKET = 107
# Neither a user nor a host may begin with '-': ssh would take it for an option.
_SSH = re.compile(r"ssh://(?:(?P<user>[A-Za-z0-9_][A-Za-z0-9_.+-]*)@)?"
                  r"(?:\[(?P<six>[0-9A-Fa-f:.]+(?:%[A-Za-z0-9_.-]+)?)\]|(?P<host>[A-Za-z0-9_][A-Za-z0-9_.-]*))"
                  r"(?::(?P<port>[0-9]{1,5}))?/?")


class UnixSocket(NamedTuple):
    """A server on this machine."""

    path: str


class SshHost(NamedTuple):
    """A server that OpenSSH reaches; `user` empty and `port` 0: what ssh's own configuration says."""

    host: str
    user: str = ""
    port: int = 0

    def __str__(self) -> str:
        """As a person would type it for `ssh`."""
        return f"{self.user}@{self.host}" if self.user else self.host


def default_where(environ: Mapping[str, str]) -> str:
    """WHERE without `--connect`: `QRM_CONNECT`, else the installed server's socket."""
    return environ.get("QRM_CONNECT") or INSTALLED


def parse_where(text: str) -> UnixSocket | SshHost:
    """WHERE taken apart; BadInput says what is wrong with it."""
    shown = printable(text)
    if not text:
        raise BadInput("--connect: is empty; write a socket's path or ssh://[user@]host")
    if text.startswith("ssh:"):
        match = _SSH.fullmatch(text)
        if not match:
            raise BadInput(f"{shown!r} is not ssh://[user@]host[:port] (no password and no path in it)")
        port = int(match["port"] or 0)
        if match["port"] and not 1 <= port <= 65535:
            raise BadInput(f"{shown!r}: a port is a number from 1 to 65535")
        return SshHost(match["six"] or match["host"], match["user"] or "", port)
    if "://" in text:
        raise BadInput(f"{shown!r}: a server is a unix socket's path or ssh://[user@]host, nothing else")
    if "/" not in text:
        raise BadInput(f"{shown!r} is no server: for a host write ssh://{shown}, for a socket here ./{shown}")
    if "\0" in text:
        raise BadInput(f"{shown!r}: a path has no NUL in it")
    if len(text.encode("utf-8", "surrogateescape")) > LONGEST_SOCKET:
        raise BadInput(f"{shown!r}: a unix socket's path has at most {LONGEST_SOCKET} bytes; use a shorter folder")
    return UnixSocket(text)
