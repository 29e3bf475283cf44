"""The table of components (data/components/*.toml): what each is made of, and whether settings fit together."""
from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from ipaddress import IPv4Address
from pathlib import Path
from typing import NamedTuple

import msgspec

from qrm_tui.backends import dhcpd, mounts
from qrm_tui.backends.rendering import render
from qrm_tui.core import names
from qrm_tui.core.places import data_folder, templates_folder
from qrm_tui.core.plan import Check, Expectation

#: In this order they are set up, and told: one that another depends on comes first.
ORDER = ("nfs", "tftpd", "apache", "dhcpd", "node")
#: Where qrmd listens for qrmd-node.
NODE_SOCKET = "/run/qrm/node.sock"
#: `apache2ctl -t` with one more file, its complaints in one line; arguments: the file.
APACHE_CHECK_SCRIPT = (templates_folder() / "apache/check.sh").read_text()
#: What must accept a file before it is put in place; `{file}` is where it lies then.
CHECKERS: Mapping[str, tuple[str, ...]] = {
    "": (), "unit": mounts.CHECKER, "dhcpd": ("sh", "-c", dhcpd.CHECK_SCRIPT, "qrm", "{file}"),
    "apache": ("sh", "-c", APACHE_CHECK_SCRIPT, "qrm", "{file}"),
}


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """One setting of a component."""

    name: str
    type: str
    help: str
    default: str = ""
    #: its default is found out on the server (install.answers)
    computed: bool = False
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
    files: tuple[FileEntry, ...] = ()
    #: target → source: files of packages that are served from elsewhere
    copies: dict[str, str] = {}
    ports: tuple[Port, ...] = ()
    checks: tuple[Proof, ...] = ()
    #: a secret that is made on the server, and never leaves it
    key: str = ""

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


# types of settings


def _ip(text: str) -> str:
    try:
        return str(IPv4Address(text))
    except ValueError:
        raise ValueError(f"{names.printable(text)!r} is no IPv4 address, as in 192.168.88.1") from None


def _ips(text: str) -> str:
    return ",".join(_ip(part) for part in re.split(r"[\s,]+", text.strip()) if part)


def _interface(text: str) -> str:
    # IFNAMSIZ is 16 with the end; a `/` or blank cannot be in it (net/core/dev.c, dev_valid_name)
    if not re.fullmatch(r"[A-Za-z0-9_.@-]{1,15}", text):
        raise ValueError(f"{names.printable(text)!r} is no network interface, as in eth0")
    return text


def _number(least: int, most: int, what: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if not re.fullmatch(r"[0-9]{1,10}", text) or not least <= int(text) <= most:
            raise ValueError(f"{names.printable(text)!r} is no {what}: {least} to {most}")
        return str(int(text))

    return parse


def _yes_no(text: str) -> str:
    word = {"true": "yes", "false": "no"}.get(text.lower(), text.lower())
    if word not in ("yes", "no"):
        raise ValueError(f"{names.printable(text)!r} is neither yes nor no")
    return word


def _line(text: str) -> str:
    if not text.isprintable() or len(text) > 500:
        raise ValueError("a line of at most 500 printable characters is wanted")
    return " ".join(text.split())


def _hostname(text: str) -> str:
    return names.check_hostname(text)


class SettingType(NamedTuple):
    """What a setting must be; `parse` gives it as it is kept, or raises ValueError with the reason."""

    parse: Callable[[str], str]
    hint: str


TYPES: Mapping[str, SettingType] = {
    "interface": SettingType(_interface, "a network interface"),
    "ip": SettingType(_ip, "an IPv4 address"),
    "ips": SettingType(_ips, "IPv4 addresses with commas between"),
    "network": SettingType(lambda text: str(dhcpd.parse_network(text)), "ADDRESS/PREFIX"),
    "range": SettingType(lambda text: str(dhcpd.parse_range(text)), "FIRST-LAST"),
    "hostname": SettingType(_hostname, "a domain"),
    # dhcpd's leases are 32 bits; less than a minute only makes noise
    "seconds": SettingType(_number(60, 10_000_000, "number of seconds"), "seconds"),
    "port": SettingType(_number(1, 65535, "port"), "a port"),
    "count": SettingType(_number(1, 4096, "count"), "a number"),
    "yesno": SettingType(_yes_no, "yes or no"),
    "text": SettingType(_line, "a line of text"),
}


class Wrong(NamedTuple):
    """What is wrong with a component's setting (without key: with the component)."""

    component: str
    key: str
    reason: str


def check(given: Mapping[str, Mapping[str, str]]) -> tuple[dict[str, dict[str, str]], list[Wrong]]:
    """Settings of all components that are (to be) set up: as they are kept, with defaults; and all that is wrong."""
    kept: dict[str, dict[str, str]] = {}
    wrong: list[Wrong] = []
    for name, settings in given.items():
        component = table().get(name)
        if component is None:
            wrong.append(Wrong(name, "", f"there is no component {names.printable(name)!r}; there are "
                                         f"{', '.join(table())}"))
            continue
        kept[name] = _check_one(component, settings, wrong)
        wrong += [Wrong(name, "", f"{name} needs {needed}, which is neither asked for nor set up")
                  for needed in component.depends if needed not in given]
    troubled = {item.component for item in wrong if item.key}
    if "dhcpd" in kept:
        bad = {item.key for item in wrong if item.component == "dhcpd"}
        wrong += [Wrong("dhcpd", key, reason) for key, reason in
                  dhcpd.check({key: value for key, value in kept["dhcpd"].items() if key not in bad})]
    wrong += _check_together(kept, troubled)
    return kept, wrong


def _check_one(component: Component, settings: Mapping[str, str], wrong: list[Wrong]) -> dict[str, str]:
    kept: dict[str, str] = {}
    known = [setting.name for setting in component.settings]
    wrong += [Wrong(component.name, key, f"there is no such setting; there are {', '.join(known)}")
              for key in settings if key not in known]
    for setting in component.settings:
        text = settings.get(setting.name, setting.default).strip()
        if not text and (setting.optional or (setting.name not in settings and not setting.computed)):
            kept[setting.name] = ""
            continue
        if not text:
            wrong.append(Wrong(component.name, setting.name, f"is needed ({TYPES[setting.type].hint}): {setting.help}"))
            continue
        try:
            kept[setting.name] = TYPES[setting.type].parse(text)
        except ValueError as error:
            wrong.append(Wrong(component.name, setting.name, str(error)))
    return kept


def _check_together(kept: Mapping[str, Mapping[str, str]], troubled: set[str]) -> list[Wrong]:
    wrong = []
    if {"dhcpd", "tftpd"} <= set(kept) and not {"dhcpd", "tftpd"} & troubled:
        own, served = kept["dhcpd"]["address"], kept["tftpd"]["address"]
        if own != served:
            wrong.append(Wrong("tftpd", "address", f"{served} is not dhcpd's address {own}: machines are told to load "
                                                   "from there"))
    if {"apache", "node"} <= set(kept) and not {"apache", "node"} & troubled \
            and kept["apache"]["port"] == kept["node"]["port"]:
        wrong.append(Wrong("node", "port", f"{kept['node']['port']} is apache's port already"))
    return wrong


# what is made from settings


#: Where qrmd awaits qrmd-node (qrmd's own default).
NODE_SOCKET = "/run/qrm/node.sock"


class Site(NamedTuple):
    """What files are rendered from: the settings of all components, and what was found on the server."""

    settings: Mapping[str, Mapping[str, str]]
    #: the program of qrm-node.service
    node_program: str = "/usr/bin/qrmd-node"
    #: whether the admin has a file of his own for dhcpd
    local: bool = False
    #: (name, MAC, address) of machines that are known
    hosts: tuple[tuple[str, str, str], ...] = ()

    @property
    def server(self) -> str:
        """The server's address in the netboot network."""
        for name in ("dhcpd", "tftpd"):
            if name in self.settings:
                return self.settings[name]["address"]
        return "127.0.0.1"

    def words(self, name: str) -> dict[str, str]:
        """Words of a component's checks and ports."""
        return {**self.settings[name], "server": self.server}

    def file_text(self, name: str, entry: FileEntry) -> str:
        """The content of a component's file."""
        if entry.template == "dhcpd/qrm.conf.j2":
            return render(entry.template, **dhcpd.words(
                self.settings["dhcpd"], http_port=self.settings.get("apache", {}).get("port", "80"), local=self.local,
                next_server=self.server))
        if entry.template == "dhcpd/qrm-hosts.conf.j2":
            return dhcpd.hosts_text(self.hosts)
        if entry.template == "systemd/qrm-node.service.j2":
            return render(entry.template, program=self.node_program, socket=NODE_SOCKET,
                          listen=f"{self.server}:{self.settings['node']['port']}")
        return render(entry.template, **self.settings[name])

    def checks(self, name: str) -> list[tuple[str, Check]]:
        """What must hold when it works: summary and check."""
        words = self.words(name)
        return [(proof.summary.format(**words), Check(
            argv=tuple(part.format(**words) for part in proof.argv), expect=proof.expect,
            text=proof.text.format(**words), otherwise=proof.otherwise)) for proof in table()[name].checks]

    def ports(self, name: str) -> list[Port]:
        """Where it listens."""
        words = self.words(name)
        return [msgspec.structs.replace(port, port=port.port.format(**words)) for port in table()[name].ports]


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


def distributions() -> list[str]:
    """What can be set up."""
    return sorted({known for component in table().values() for known in component.packages})
