"""The model behind the installer's screens and the answers file."""
from __future__ import annotations

import pytest

from qrm_tui.core import answers
from qrm_tui.core.component_table import table
from qrm_tui.core.setup import BASIC, Draft, Setup
from qrm_tui.core.surroundings import Surroundings, Taken
from qrm_tui.install import defaults
from tests.unit.machines import server


def setup_of(name: str, interface: str = "", **present: dict[str, str]) -> Setup:
    return Setup(defaults.compute(server(name).network, interface, every=True), present)


def test_what_is_computed_is_good_enough_to_accept() -> None:
    setup = setup_of("debian12")
    assert setup.wrong() == []
    assert answers.read(setup.text()) == setup.settings()
    assert setup.names == [name for name, component in table().items() if component.chosen]


def test_choosing_brings_what_is_needed_and_taking_away_what_needs_it() -> None:
    setup = setup_of("debian12")
    assert setup.choose("apache", False) == ["dhcpd", "node"]
    assert setup.choose("nagios", True) == ["apache"]
    assert setup.choose("tftpd", False) == ["apache", "nagios"]
    assert setup.names == ["qrmd", "sshlogin", "nfs", "lvm-mgmt"]


def test_nothing_is_asked_twice_and_pages_are_those_of_what_is_chosen() -> None:
    setup = setup_of("debian12")
    basic = [item.setting.name for item in setup.asked(BASIC)]
    assert basic == ["interface", "address", "subnet", "range", "machines", "router", "dns", "domain"]
    assert setup.pages() == [BASIC, "qrmd", "nfs", "lvm-mgmt", "tftpd", "apache", "dhcpd", "node"]
    setup.choose("dhcpd", False)
    assert [item.setting.name for item in setup.asked(BASIC)] == ["address"]


def test_an_address_is_typed_once_for_all_that_use_it() -> None:
    setup = setup_of("debian12")
    setup.type("dhcpd", "address", "192.168.88.6")
    assert setup.settings()["tftpd"]["address"] == "192.168.88.6"
    assert setup.wrong() == []
    setup.type("dhcpd", "address", "192.168.88.5")
    assert not setup.typed


@pytest.mark.parametrize(("key", "text", "reason"), [
    ("address", "10.0.0.1", "10.0.0.1 is not in subnet 192.168.88.0/24"),
    ("range", "192.168.88.1-192.168.88.20", "the server's own address 192.168.88.5 is in"),
    ("subnet", "nonsense", "'nonsense' is no IPv4 network"),
    ("interface", "", "is needed"),
])
def test_what_is_wrong_is_told_where_it_was_typed(key: str, text: str, reason: str) -> None:
    setup = setup_of("debian12")
    setup.type("dhcpd", key, text)
    assert setup.reasons(setup.asked(BASIC))[key].startswith(reason)


@pytest.mark.parametrize(("groups", "text", "reason"), [
    ({"vol": 40 << 30}, "vol", ""), ({}, "", ""), ({"vol": 1 << 28}, "", ""),
    ({"vol": 1 << 28}, "vol", "vol has only 256M free: an image takes 1G at least"),
    ({"vol": 40 << 30}, "other", "there is no volume group other: there is only vol"),
    ({}, "vol", "there is no volume group vol: there is none; a check offers to make one"),
    ({}, "a/b", "'a/b' is no volume group"),
])
def test_a_volume_group_that_is_too_small_or_not_there_is_told(groups: dict[str, int], text: str, reason: str) -> None:
    setup = setup_of("debian12")
    setup.around = Surroundings(groups=groups)
    setup.type("lvm-mgmt", "group", text)
    assert setup.reasons(setup.asked("lvm-mgmt")).get("group", "").startswith(reason)
    assert bool(setup.wrong()) == bool(reason)


def test_a_group_that_images_lie_in_may_be_full() -> None:
    setup = setup_of("debian12", **{"lvm-mgmt": {"group": "vol"}, "nfs": {}})
    setup.around = Surroundings(groups={"vol": 0})
    assert setup.value("lvm-mgmt", "group") == "vol" and not setup.wrong()


def test_the_volume_group_with_the_most_room_is_suggested() -> None:
    assert setup_of("debian12-group").value("lvm-mgmt", "group") == "vol"
    setup = setup_of("debian12")
    assert setup.value("lvm-mgmt", "group") == ""
    setup.compute_group("made")
    assert setup.settings()["lvm-mgmt"] == {"group": "made"}


def test_another_interface_computes_anew_what_nobody_typed() -> None:
    setup = setup_of("debian12-four-cards")
    setup.type("dhcpd", "domain", "rack7")
    setup.compute(defaults.compute(server("debian12-four-cards").network, "eth1", every=True))
    assert setup.settings()["dhcpd"]["subnet"] == "10.20.0.0/24"
    assert setup.settings()["dhcpd"]["domain"] == "rack7"


def test_what_is_set_up_already_stands_before_what_is_computed() -> None:
    setup = setup_of("debian12", apache={"port": "8080"}, mysql={})
    assert setup.value("apache", "port") == "8080"
    assert setup.names == ["tftpd", "apache", "mysql"]


def test_what_is_set_up_and_left_out_is_switched_off_and_what_was_off_has_its_settings() -> None:
    known = {name: dict(settings) for name, settings in setup_of("debian12").settings().items()}
    known["apache"]["port"] = "8080"
    setup = setup_of("debian12", **known)
    assert setup.off == []
    assert setup.choose("dhcpd", False) == ["node"]
    assert setup.off == ["dhcpd", "node"]
    apache = {"apache": known.pop("apache")}
    setup = Setup(defaults.compute(server("debian12").network, "", every=True), known, apache)
    assert "apache" in setup.chosen, "what is on needs it"
    assert setup.settings()["apache"]["port"] == "8080"


@pytest.mark.parametrize(("name", "wanted", "reason"), [
    ("qrmd", False, "qrmd is the server itself"), ("webmin", True, "webmin: Debian and Ubuntu have no package"),
    ("nagios", True, ""), ("dhcpd", False, "")])
def test_what_cannot_be_chosen_or_left_out_says_why(name: str, wanted: bool, reason: str) -> None:
    said = setup_of("debian12").refusal(name, wanted)
    assert said.startswith(reason) and bool(said) == bool(reason)


def test_a_draft_brings_back_every_choice_and_passes_over_what_is_not_known() -> None:
    setup = setup_of("debian12")
    setup.fixes = {"clock"}
    setup.choose("nagios", True)
    setup.type("dhcpd", "address", "192.168.88.6")
    setup.type("qrmd", "database", "mariadb://qrm:secret@db/qrm")  # what is no database may hold a password
    draft = setup.draft(["clock", "names"])
    assert "qrmd" not in draft.typed
    setup.type("qrmd", "database", "sqlite")
    assert draft.declined == ["names"]
    other = setup_of("debian12")
    other.fixes = {"clock", "names"}
    other.take_up(draft)
    assert (other.settings(), other.fixes) == (setup.settings(), setup.fixes)
    other.take_up(Draft(chosen=["qrmd", "gone"], typed={"gone": {"x": "1"}, "dhcpd": {"gone": "1"}}))
    assert other.names == ["qrmd"]
    assert not any(key == "gone" for settings in other.settings().values() for key in settings)


AROUND = Surroundings({"eth0": ["192.168.88.5/24"], "eth1": []}, [
    Taken("tcp", "22", ("sshd",)), Taken("tcp", "80", ("apache2",)), Taken("udp", "67", ("dnsmasq",))])


@pytest.mark.parametrize(("typed", "wrong"), [
    ({}, {"": "67/udp is dnsmasq's now: stop that, or leave dhcpd out"}),
    ({"apache.port": "22"}, {"port": "22/tcp is sshd's now: stop that, or take another port"}),
    ({"apache.port": "8640"}, {"port": "8640 is node's port already"}),
    ({"dhcpd.address": "192.168.88.6"}, {"address": "eth0 has 192.168.88.5/24: take that, or give it this one first"}),
    ({"dhcpd.subnet": "192.168.0.0/16"}, {"subnet": "eth0 has 192.168.88.5/24: its network is 192.168.88.0/24"}),
    ({"dhcpd.interface": "eth7"}, {"interface": "there is no eth7; there are eth0, eth1"}),
    ({"dhcpd.interface": "eth1"}, {"address": "eth1 has no address"}),
])
def test_what_this_machine_does_not_allow_is_told_as_it_is_typed(typed: dict[str, str], wrong: dict[str, str]) -> None:
    setup = setup_of("debian12")
    setup.around = AROUND
    for place, text in typed.items():
        setup.type(*place.split("."), text)
    said = {one.key: one.reason for one in reversed(setup.wrong())}
    assert {key: said.get(key, "")[:len(words)] for key, words in wrong.items()} == wrong
    setup.choose("tftpd", False)
    assert setup.wrong() == [], "without these nothing is in the way"
