"""Settings of components: what each must be, and whether they fit together."""
from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from ipaddress import IPv4Address
from typing import NamedTuple

from qrm_tui.core import address_ranges, data_place, names
from qrm_tui.core.component_table import Component, Setting, table

Settings = dict[str, dict[str, str]]
"""Component → setting → value, as it is kept."""


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


#: Words that iPXE ends a command at (its src/core/exec.c), and that mboot.c32 ends a file's words at.
_NO_OPTIONS = ("||", "&&", ";", "---")


def _options(text: str) -> str:
    """Words of a command line that loaders hand on, and behind which more follow."""
    line = _line(text)
    if line.count('"') % 2:  # linux, lib/cmdline.c: only this one groups words, and nothing escapes it
        raise ValueError('a quote (") is not closed: all that machines are told behind it would be part of that option')
    for word in line.split():
        if word in _NO_OPTIONS or word.startswith("#") or "${" in word:
            raise ValueError(f"{word!r} is no option: a boot loader takes it for a word of its own")
    return line


def _hostname(text: str) -> str:
    try:
        return names.check_hostname(text)
    except ValueError:
        raise ValueError(f"{names.printable(text)!r} is no domain, as in example.net: labels of letters, digits and "
                         "'-', 63 at most each, with points between") from None


class SettingType(NamedTuple):
    """What a setting must be; `parse` gives it as it is kept, or raises ValueError with the reason."""

    parse: Callable[[str], str]
    hint: str


TYPES: Mapping[str, SettingType] = {
    "interface": SettingType(_interface, "a network interface"),
    "ip": SettingType(_ip, "an IPv4 address"),
    "ips": SettingType(_ips, "IPv4 addresses with commas between"),
    "network": SettingType(lambda text: str(address_ranges.parse_network(text)), "ADDRESS/PREFIX"),
    "range": SettingType(lambda text: str(address_ranges.parse_range(text)), "FIRST-LAST"),
    "group": SettingType(lambda text: names.check_volume_name(text, "volume group"), "a volume group"),
    "hostname": SettingType(_hostname, "a domain"),
    # dhcpd's leases are 32 bits; less than a minute only makes noise
    "seconds": SettingType(_number(60, 10_000_000, "number of seconds"), "seconds"),
    "port": SettingType(_number(1, 65535, "port"), "a port"),
    "count": SettingType(_number(1, 4096, "count"), "a number"),
    "yesno": SettingType(_yes_no, "yes or no"),
    "folder": SettingType(data_place.check_data_folder, "a folder of this server"),
    "file": SettingType(data_place.check_plain_path, "a file of this server"),
    "database": SettingType(data_place.check_database, "one of sqlite, mariadb, mariadb://USER@HOST[:PORT]/NAME"),
    "options": SettingType(_options, "options"),
}


def about(setting: Setting) -> str:
    """A setting's help, with what it must be where that does not say so."""
    hint = TYPES[setting.type].hint
    return setting.help if hint.removeprefix("a ") in setting.help else f"{setting.help} ({hint})"


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
                  address_ranges.check({key: value for key, value in kept["dhcpd"].items() if key not in bad})]
    wrong += _check_together(kept, troubled)
    return kept, wrong


def _check_one(component: Component, settings: Mapping[str, str], wrong: list[Wrong]) -> dict[str, str]:
    kept: dict[str, str] = {}
    known = [setting.name for setting in component.settings]
    wrong += [Wrong(component.name, key, f"there is no such setting; {names.there_are(known)}")
              for key in settings if key not in known]
    for setting in component.settings:
        text = settings.get(setting.name, setting.default).strip()
        if not text and (setting.optional or (setting.name not in settings and not setting.computed)):
            kept[setting.name] = ""
            continue
        if not text:
            wrong.append(Wrong(component.name, setting.name, f"is needed: {about(setting)}"))
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
    if "qrmd" in kept and "qrmd" not in troubled and "mysql" not in kept and kept["qrmd"]["database"] == "mariadb":
        wrong.append(Wrong("qrmd", "database", "mariadb is a server on this machine: choose the component mysql, too"))
    ports = [(name, port.port, (port.protocol, port.port.format(**settings))) for name, settings in kept.items()
             if name not in troubled for port in table()[name].ports]
    for name, template, port in ports:
        wrong += [Wrong(name, template.strip("{}"), f"{port[1]} is {other}'s port already")
                  for other, _, same in ports if same == port and other != name and template.startswith("{")]
    return wrong
