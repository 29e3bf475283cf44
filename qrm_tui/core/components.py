"""Components: services that the server is made of (openQRM's plug-ins), as configured and as seen."""
from __future__ import annotations

import msgspec


class ComponentWanted(msgspec.Struct, frozen=True, kw_only=True):
    """A component that was set up on the server, and with which answers."""

    settings: dict[str, str] = {}
    #: SHA-256 of each file that was written, by path: a file that was changed by hand since is told
    files: dict[str, str] = {}
    enabled: bool = True
    #: services that ran before it was set up: they go on when it is uninstalled
    ran: tuple[str, ...] = ()
    #: files that were there before it, by path: SHA-256 of what was kept beside (`.by-hand`)
    before: dict[str, str] = {}


class ComponentSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A component as the server showed it last."""

    #: its services and their state as systemd calls it
    services: dict[str, str] = {}
    #: files that are not as they were written
    changed: tuple[str, ...] = ()
    troubles: tuple[str, ...] = ()
    #: what works, and yet wants attention: another DHCP server on the wire
    warnings: tuple[str, ...] = ()
