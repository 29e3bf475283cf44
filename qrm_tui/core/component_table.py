"""The table of components (data/components/*.toml): what each is made of, on which systems."""
from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path

import msgspec

from qrm_tui.core.places import data_folder
from qrm_tui.core.plan import Expectation

#: In this order they are set up, and told: one that another depends on comes first.
ORDER = ("qrmd", "sshlogin", "nfs", "lvm-mgmt", "tftpd", "apache", "dhcpd", "node", "xen", "mysql", "nagios", "puppet",
         "cockpit", "webmin")


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """One setting of a component."""

    name: str
    type: str
    help: str
    default: str = ""
    #: its default is found out on the server (install.answers)
    computed: bool = False
    #: and yet it is this component's alone, and asked on its page
    alone: bool = False
    optional: bool = False


class FileEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A file that is written."""

    template: str
    path: str
    mode: int = 0o644
    checker: str = ""
    #: written only where there is none
    once: bool = False
    #: a systemd unit: systemd reads its units anew
    unit: bool = False
    #: its services read it when they start
    restart: bool = True


class Port(msgspec.Struct, frozen=True, kw_only=True):
    """Where it listens; `process` is the program's name, empty where it cannot be told."""

    protocol: str
    port: str
    process: str = ""


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """What tells that it answers (a Check of plans)."""

    summary: str
    argv: tuple[str, ...]
    expect: Expectation = "ok"
    text: str = ""
    otherwise: str = ""


class Component(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a component is made of."""

    name: str
    what: str
    #: by distribution: `ID-VERSION_ID` of os-release(5)
    packages: dict[str, tuple[str, ...]]
    services: tuple[str, ...]
    settings: tuple[Setting, ...]
    #: components without which it is of no use
    depends: tuple[str, ...] = ()
    #: packages that do the same, and take its port
    conflicts: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    #: those of them that the server fills by itself
    filled: tuple[str, ...] = ()
    #: folders that its packages leave when they are purged: what it was set up for
    data: tuple[str, ...] = ()
    files: tuple[FileEntry, ...] = ()
    #: target → source: files of packages that are served from elsewhere
    copies: dict[str, str] = {}
    ports: tuple[Port, ...] = ()
    checks: tuple[Proof, ...] = ()
    #: where people look at it with a browser, `{address}` being the server's
    page: str = ""
    #: a secret that is made on the server, and never leaves it
    key: str = ""
    #: it is what runs plans: none starts it, or switches it off
    itself: bool = False
    #: seconds that its services may take to start, and then to answer
    patience: float = 60
    #: part of a server unless somebody says otherwise
    chosen: bool = True
    #: why there are systems for which it names no packages
    lacking: str = ""

    @property
    def slow(self) -> bool:
        """Whether its services take longer to start than a command may as a rule (a minute)."""
        return self.patience > 60

    def setting(self, name: str) -> Setting | None:
        """A setting by name."""
        return next((setting for setting in self.settings if setting.name == name), None)


@cache
def table() -> dict[str, Component]:
    """All components by name, in the order in which they are set up."""
    folder = data_folder() / "components"
    found = [msgspec.toml.decode(_read(folder / f"{name}.toml"), type=Component) for name in ORDER]
    return {component.name: component for component in found}


def _read(path: Path) -> str:
    return path.read_text()


# distributions


def distribution(os_release: str) -> tuple[str, str]:
    """`ID-VERSION_ID` and what people call it, from /etc/os-release (os-release(5))."""
    fields = {}
    for line in os_release.splitlines():
        key, sign, value = line.strip().partition("=")
        if sign and not key.startswith("#"):
            fields[key] = value.strip("\"'")
    return f"{fields.get('ID', 'linux')}-{fields.get('VERSION_ID', '')}".rstrip("-"), \
        fields.get("PRETTY_NAME") or fields.get("NAME") or "an unknown system"


def needed(names: Iterable[str]) -> list[str]:
    """These components and all that they need, in the table's order."""
    wanted, waiting = set[str](), list(names)
    while waiting:
        name = waiting.pop()
        if name not in wanted:
            wanted.add(name)
            waiting += table()[name].depends
    return [name for name in table() if name in wanted]


def distributions() -> list[str]:
    """What can be set up."""
    return sorted({known for component in table().values() for known in component.packages})
