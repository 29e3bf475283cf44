"""Checks of recorded machines: what each finds, what it means, and which have a fix."""
from __future__ import annotations

import json

import msgspec
import pytest

from qrm_tui.backends import static_address
from qrm_tui.core.facts import Answered, File
from qrm_tui.install import checks
from qrm_tui.install.checks import CHECKS, Told, check_all, table
from qrm_tui.install.fixes import FIXES
from qrm_tui.install.server import Server
from tests.unit.machines import NAMES, recorded, server

#: Of each machine, the checks that find something, and whether they have a fix.
TROUBLES = {
    "debian12": {"group": True},
    "debian12-dnsmasq": {"ports": False, "group": True},
    "debian12-firewalld": {"firewall": True, "group": True},
    "debian12-four-cards": {"group": True},
    "debian12-group": {},
    "debian12-installed": {"firewall": True, "group": True},
    "debian12-lent-address": {"address": True, "group": True},
    "debian12-nftables": {"firewall": True, "group": True},
    "debian12-other-dhcp": {"dhcp": False, "group": True},
    "debian13": {"group": True},
    "debian13-small": {"group": False, "memory": False, "room": False, "clock": True},
    "rocky9": {"distribution": False, "address": True, "confinement": False, "group": True, "names": True},
    "ubuntu24-ufw": {"address": True, "firewall": True, "group": True},
}


def told(name: str, check: str, **changes: object) -> Told:
    """What a check says of a recorded machine that was changed."""
    facts = msgspec.structs.replace(recorded(name), **{
        key: {**getattr(recorded(name), key), **value} for key, value in changes.items()  # type: ignore[dict-item]
        if key in ("asked", "files")})
    return CHECKS[check](Server(facts, str(changes.get("interface", ""))))


@pytest.mark.parametrize("name", NAMES)
def test_what_is_found_on_each_machine(name: str) -> None:
    found = {one.name: bool(one.told.fix) for one in check_all(server(name)) if one.told.state != "ok"}
    assert found == TROUBLES[name]


def test_each_check_stands_in_the_table_and_says_what_it_is_about() -> None:
    assert list(table()) == list(CHECKS)
    assert set(FIXES) < set(CHECKS)
    assert all(set(about) == {"title", "looks", "means"} and all(about.values()) for about in table().values())


@pytest.mark.parametrize("name", NAMES)
def test_who_finds_something_says_what_to_do(name: str) -> None:
    for one in check_all(server(name)):
        assert one.told.found
        assert one.told.state in ("ok", "unknown") or one.told.advice or one.told.fix
        assert not one.told.fix or one.name in FIXES


def test_of_a_machine_that_says_nothing_nothing_is_known() -> None:
    states = {one.name: one.told.state for one in check_all(Server(recorded("debian12").__class__()))}
    assert set(states.values()) <= {"unknown", "error", "warning", "ok"}
    assert {name for name, state in states.items() if state == "ok"} <= {"confinement", "former"}


def test_words_that_help() -> None:
    assert told("debian12-dnsmasq", "ports").found == "67/udp (dhcpd) is dnsmasq's"
    assert "Red Hat's family" in told("rocky9", "distribution").found
    assert "nothing was changed" in told("rocky9", "distribution").advice
    assert told("ubuntu24-ufw", "firewall").found.startswith("ufw drops 2049/tcp, ")
    assert told("ubuntu24-ufw", "address").fix == "netplan gives eth0 the same address 192.168.88.143/24 for good"
    assert told("debian12-lent-address", "address").found.endswith("by ifupdown (/etc/network/interfaces)")
    assert told("debian12-other-dhcp", "dhcp").found.startswith("192.168.88.1 offers addresses on eth0")
    assert told("debian12-nftables", "firewall").found.startswith("nftables, by the table inet filter, drops ")


def test_the_interface_that_is_asked_for() -> None:
    assert told("debian12-four-cards", "address", interface="eth1").found == "eth1 has 10.20.0.1/24, for good"
    assert told("debian12-four-cards", "address", interface="eth3").state == "error"
    assert told("debian12-four-cards", "address", interface="eth9").found.startswith("there is no interface eth9")


def answered(out: object) -> Answered:
    return Answered(out=out if isinstance(out, str) else json.dumps(out))


@pytest.mark.parametrize(("check", "asked", "state", "words"), [
    ("root", {"user": answered("1000\n")}, "error", "the user with the number 1000"),
    ("root", {"user": Answered(status=127)}, "unknown", "it does not say"),
    ("distribution", {"virtualization": answered("lxc\n")}, "warning", "in a container (lxc)"),
    ("clock", {"clock": answered("NTPSynchronized=no\n"), "units": answered("")}, "warning", "nothing sets the clock"),
    ("clock", {"clock": answered("NTPSynchronized=no\n")}, "warning", "timesyncd.service runs, and has not set"),
    ("clock", {"clock": answered("NTPSynchronized=no\n"),
               "units": answered("chrony.service loaded active running chrony, an NTP client\n")}, "warning",
     "chrony.service runs, and has not set"),
    ("former", {"packages": answered("installed openqrm-server 5.3.10\n")}, "error", "openQRM is installed: openqrm-"),
    ("ports", {"listeners": answered('tcp LISTEN 0 511 127.0.0.1:80 0.0.0.0:* users:(("nginx",pid=1,fd=3))\n')}, "ok",
     "are free"),
    ("ports", {"listeners": answered('tcp LISTEN 0 511 0.0.0.0:80 0.0.0.0:* users:(("nginx",pid=1,fd=3))\n')}, "error",
     "80/tcp (apache) is nginx's"),
    ("ports", {"listeners": answered('tcp LISTEN 0 511 *:80 *:* users:(("apache2",pid=1,fd=3))\n')}, "ok", "own"),
    ("confinement", {"selinux": answered("Permissive\n")}, "ok", "SELinux is permissive"),
])
def test_what_else_is_found(check: str, asked: dict[str, Answered], state: str, words: str) -> None:
    found = told("debian12", check, asked=asked)
    assert (found.state, words in found.found) == (state, True), found


@pytest.mark.parametrize(("text", "state"), [
    ("127.0.0.1 localhost\n127.0.1.1 server1\n", "ok"), ("192.168.88.5 server1\n", "ok"),
    ("127.0.0.1 localhost\n", "warning"), ("10.9.9.9 server1\n", "warning"), ("# 10.9.9.9 server1\n", "warning"),
    ("10.9.9.9\x1b]0;x\x07 server1\n", "warning"), ("\0" * 50, "warning"),
])
def test_its_own_name_in_a_hosts_file_of_any_kind(text: str, state: str) -> None:
    found = told("debian12", "names", files={"/etc/hosts": File(content=text)})
    assert found.state == state
    assert (found.found + found.advice).isprintable()


@pytest.mark.parametrize("hostile", [
    "\x1b[2J\x1b]0;x\x07\x00\r\n", "\ufffd\ufffd = \ufffd\n", "x" * 100_000, "{", "[null, 5, [], {}]", "\n" * 1000,
    "\u202e\u2028\x85\x0b\n", "9" * 5000 + " 9 9 9 9\n"])
def test_whatever_a_machine_says_each_check_tells_it_in_a_line(hostile: str) -> None:
    facts = recorded("debian12")
    for name in facts.asked:
        there = msgspec.structs.replace(facts, asked={**facts.asked, name: Answered(out=hostile)})
        said = [text for one in check_all(Server(there)) for text in (one.told.found, one.told.advice, one.told.fix)]
        assert all(text.isprintable() and len(text) <= 400 for text in said), name
    for path in facts.files:
        there = msgspec.structs.replace(facts, files={**facts.files, path: File(content=hostile)})
        assert all(one.told.found.isprintable() for one in check_all(Server(there))), path


@pytest.mark.parametrize(("before", "kept"), [
    ("127.0.0.1 localhost", "127.0.0.1 localhost\n"), ("\n\n# a\x1b[2J\t\n\n\n", "\n\n# a\x1b[2J\t\n\n\n"),
    ("a\r\nb\r\n", "a\r\nb\r\n"), ("# begin qrm\n127.0.0.1 localhost\n", "# begin qrm\n127.0.0.1 localhost\n"),
    ("# end qrm\n::1 x\n", "# end qrm\n::1 x\n"), ("x " * 50_000 + "\n", "x " * 50_000 + "\n"), ("", ""),
    ("1.1.1.1 a\n# begin qrm\n9.9.9.9 old\n# end qrm\n2.2.2.2 b\n", "1.1.1.1 a\n2.2.2.2 b\n"),
])
def test_a_line_in_hosts_leaves_the_rest_as_it_is_and_is_there_once(before: str, kept: str) -> None:
    made = static_address.with_host(before, "192.168.88.5/24", ["server1"])
    assert made == f"{kept}# begin qrm\n192.168.88.5\tserver1\n# end qrm\n"
    assert static_address.with_host(made, "192.168.88.5/24", ["server1"]) == made


@pytest.mark.parametrize("name", ["a b", "x\n1.2.3.4 evil", "\x1b[2J", "-", "h\xf6st", "x" * 300])
def test_a_name_that_no_machine_can_have_is_not_written_anywhere(name: str) -> None:
    found = told("debian12", "names", asked={"host": Answered(out=f"{name}\n")})
    assert (found.state, found.fix) == ("error", "")


def test_rooms_and_memory_have_a_least() -> None:
    small = {"/proc/meminfo": File(content="MemTotal:         504321 kB\n")}
    assert told("debian12", "memory", files=small).state == "error"
    mounts = answered({"filesystems": [{"target": "/", "size": 4 << 30, "avail": 1 << 30}]})
    assert told("debian12", "room", asked={"mounts": mounts}).state == "error"


def test_rows_are_plain_data() -> None:
    assert all(json.dumps(one.row()) for one in check_all(server("debian12")))
    assert checks.check_all(server("debian12"))[0].row()["means"] == table()["root"]["means"]
