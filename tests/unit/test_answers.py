"""The answers file: what it takes, all that is wrong at once with its lines, and the defaults for a machine."""
from __future__ import annotations

import json
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from qrm_tui.backends import server_facts
from qrm_tui.backends.server_facts import Resolver, Route
from qrm_tui.core import address_ranges, answers
from qrm_tui.core.component_table import table
from qrm_tui.core.errors import BadInput, Refused
from qrm_tui.install import defaults

FIXTURES = Path(__file__).parent.parent / "fixtures"
GOOD = """\
[tftpd]
address = "10.77.0.1"
[apache]
port = 8080
[dhcpd]
interface = "br0"
address = "10.77.0.1"
subnet = "10.77.0.0/24"
range = "10.77.0.100-10.77.0.199"
machines = "10.77.0.10-10.77.0.99"
dns = ["10.77.0.1", "9.9.9.9"]
non_pxe = true
[node]
"""


def faults(text: str, present: dict[str, dict[str, str]] | None = None) -> list[str]:
    with pytest.raises(BadInput) as refused:
        answers.read(text, present)
    return list(refused.value.reasons)


def test_settings_with_their_defaults() -> None:
    settings = answers.read(GOOD)
    assert settings["apache"] == {"port": "8080"}
    assert settings["node"] == {"port": "8640"}
    assert settings["tftpd"]["options"] == "console=tty0 console=ttyS0,115200"
    quoted = answers.read(GOOD.replace("[tftpd]", "[tftpd]\noptions = 'dyndbg=\"file a.c +p\" a#b'"))
    assert quoted["tftpd"]["options"] == 'dyndbg="file a.c +p" a#b'
    assert (settings["dhcpd"]["dns"], settings["dhcpd"]["non_pxe"]) == ("10.77.0.1,9.9.9.9", "yes")
    assert (settings["dhcpd"]["lease"], settings["dhcpd"]["router"]) == ("43200", "")


def test_everything_that_is_wrong_is_told_at_once_with_its_line() -> None:
    text = GOOD.replace("port = 8080", "port = 80800\ncolour = 'red'").replace('.100-10', '.50-10')
    text = text.replace('"10.77.0.0/24"', "1.5").replace("[node]", "[node\n[nosuch]\n[nfs]\nthreads = ")
    told = faults(text)
    assert [int(line.split(":")[0].removeprefix("line ")) for line in told] == [4, 5, 9, 11, 14, 15, 17]
    assert told[0] == "line 4: apache: port: '80800' is no port: 1 to 65535"
    assert told[1] == "line 5: apache: colour: there is no such setting; there is only port"
    assert told[2] == "line 9: dhcpd: subnet: a text is wanted, not a number with a point"
    assert "have addresses in common" in told[3]
    assert told[4] == "line 14: this table's name has no end: ] is missing"
    assert "there is no component 'nosuch'" in told[5]
    assert told[6] == "line 17: this is no value: a text stands in quotes"


@pytest.mark.parametrize(("old", "new", "words"), [
    ('"10.77.0.100-10.77.0.199"', '"10.78.0.100-10.78.0.199"', "line 9: dhcpd: range: 10.78.0.100 is not in"),
    ('"10.77.0.100-10.77.0.199"', '"10.77.0.100-10.77.0.255"', "line 9: dhcpd: range: 10.77.0.255 is the subnet's"),
    ('"10.77.0.100-10.77.0.199"', '"10.77.0.199-10.77.0.100"', "line 9: dhcpd: range: '10.77.0.199-10.77.0.100': its"),
    ('"10.77.0.10-10.77.0.99"', '"10.77.0.1-10.77.0.99"', "line 10: dhcpd: machines: the server's own address"),
    ('"10.77.0.0/24"', '"10.77.0.1/24"', "line 8: dhcpd: subnet: '10.77.0.1/24' is an address in a network"),
    ('"10.77.0.0/24"', '"10.77.0.0/30"', "line 8: dhcpd: subnet: '10.77.0.0/30': a network for machines has a prefix"),
    ("non_pxe = true", 'router = "10.77.0.20"', "line 10: dhcpd: machines: the router's address 10.77.0.20 is in"),
    ("non_pxe = true", 'lease = "1h"', "line 12: dhcpd: lease: '1h' is no number of seconds"),
    ("non_pxe = true", 'domain = "a b"', "line 12: dhcpd: domain: 'a b' is no domain"),
    ('interface = "br0"', 'interface = "br0; rm"', "line 6: dhcpd: interface: 'br0; rm' is no network interface"),
    ('interface = "br0"\n', "", "line 5: dhcpd: interface: is needed: the network interface that machines boot from"),
    ('[tftpd]\naddress = "10.77.0.1"', '[tftpd]\naddress = "10.77.0.2"', "line 2: tftpd: address: 10.77.0.2 is not"),
    ('[tftpd]', "[tftpd]\noptions = 'a \"b'", 'line 2: tftpd: options: a quote (") is not closed: all that machines'),
    ('[tftpd]', "[tftpd]\nhypervisor = 'a || b'", "line 2: tftpd: hypervisor: '||' is no option: a boot loader takes"),
    ('[tftpd]', "[tftpd]\noptions = 'quiet #b'", "line 2: tftpd: options: '#b' is no option: a boot loader takes"),
    ("port = 8080", "port = 8640", "line 13: node: port: 8640 is apache's port already"),
    ("[apache]\nport = 8080\n", "", "line 3: dhcpd needs apache, which is neither asked for nor set up"),
    ('address = "10.77.0.1"\nsubnet', 'address = "fe80::1"\nsubnet', "line 7: dhcpd: address: 'fe80::1' is no IPv4"),
    ("non_pxe = true", 'options = "a\\nb"', "line 12: dhcpd: options: there is no such setting"),
    ("non_pxe = true", "options = [1]", "line 12: dhcpd: options: there is no such setting"),
    ('interface = "br0"', "interface = 5", "line 6: dhcpd: interface: a text is wanted, not a number"),
    ("non_pxe = true", "domain = true", "line 12: dhcpd: domain: a text is wanted, not true or false"),
    ("non_pxe = true", "non_pxe = 1", "line 12: dhcpd: non_pxe: true or false is wanted, not a number"),
    ("port = 8080", "port = true", "line 4: apache: port: a whole number is wanted, not true or false"),
    ("port = 8080", "port = [80]", "line 4: apache: port: a whole number is wanted, not a list"),
    ('dns = ["10.77.0.1", "9.9.9.9"]', "dns = [9]", "line 11: dhcpd: dns: a list of texts is wanted, not a list of"),
])
def test_a_slip_is_told_in_its_line(old: str, new: str, words: str) -> None:
    assert old in GOOD
    assert any(line.startswith(words) for line in faults(GOOD.replace(old, new))), faults(GOOD.replace(old, new))


@pytest.mark.parametrize("text", ["", "# nothing\n", "x = 1\n", "[" * 3000, f"[apache]\nport = {'9' * 5000}\n",
                                  "[apache]\nport = 1979-05-27\n", "[[apache]]\n", "[apache.port]\n", "\0",
                                  "a.b.c = 1\n"])
def test_nonsense_is_refused_in_words(text: str) -> None:
    assert all(line.startswith(("line ", "answers: ")) for line in faults(text))


def test_a_table_that_is_written_as_a_list_is_told() -> None:
    assert faults("[[apache]]\nport = 80\n") == ["answers: [[apache]] stands there: its settings are in one table, "
                                                "[apache]"]


def test_what_follows_a_line_without_an_end_is_read_as_it_is_meant() -> None:
    text = GOOD.replace("[apache]", "[apache").replace('"10.77.0.0/24"', '"10.77.0.0/24').replace("8080", "'x'")
    assert faults(text) == ["line 3: this table's name has no end: ] is missing",
                            "line 4: apache: port: 'x' is no port: 1 to 65535",
                            "line 8: the text that begins here has no end: a quote is missing"]


def test_what_stands_there_twice_is_told_with_both_lines_and_hides_nothing_else() -> None:
    text = GOOD.replace("port = 8080", "port = 8080\nport = 80") + "port = 'x'\n[tftpd]\naddress = '10.77.0.9'\n"
    assert faults(text) == ["line 5: this stands in the file already, in line 4",
                            "line 15: node: port: 'x' is no port: 1 to 65535",
                            "line 16: this table stands in the file already, in line 1: what is in it belongs there"]


@pytest.mark.parametrize("text", [GOOD.replace("\n", "\r\n"), "\ufeff" + GOOD])
def test_files_of_other_systems_editors_are_read_as_they_are(text: str) -> None:
    assert answers.read(text) == answers.read(GOOD)
    assert faults(text.replace("8080", "808080", 1)) == ["line 4: apache: port: '808080' is no port: 1 to 65535"]


@pytest.mark.parametrize(("text", "words"), [
    ("".join(f"x{number} = 1\n" for number in range(50_000)), "line 33: apache: x19: there is no such setting"),
    ("".join(f"[x{number}\n" for number in range(50_000)), "line 33: this table's name has no end: ] is missing"),
], ids=["settings", "tables"])
def test_of_a_huge_file_the_first_faults_are_told(text: str, words: str) -> None:
    told = faults(GOOD[:GOOD.index("[dhcpd]")] + "\n" * 9 + text)
    assert len(told) == 21
    assert any(line.startswith(words) for line in told)
    assert told[-1].startswith("answers: and ")


@given(some.text(alphabet='[]"=.\n#abcdhp1-/ ', max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        answers.read(text)
    except BadInput as error:
        assert error.reasons


def test_what_is_set_up_already_need_not_be_said_again() -> None:
    present = answers.read(GOOD)
    assert answers.read("[node]\nport = 9000\n", present) == {"node": {"port": "9000"}}
    assert faults("[node]\nport = 8080\n", present) == ["line 2: node: port: 8080 is apache's port already"]


# defaults


def network(**changes: object) -> defaults.Network:
    known = defaults.Network(
        server_facts.parse_addresses((FIXTURES / "ip-address.json").read_text()),
        server_facts.parse_default_route((FIXTURES / "ip-route.json").read_text()), Resolver(("9.9.9.9",), "lab"))
    return known._replace(**changes)  # type: ignore[arg-type]


def test_a_complete_file_with_defaults_for_this_machine() -> None:
    settings = defaults.compute(network())
    text = answers.write(settings)
    assert answers.read(text) == settings
    assert "# [nagios]: watches machines and their services" in text
    assert "# [webmin]" not in text
    assert list(settings) == [name for name, component in table().items() if component.chosen]
    assert settings["dhcpd"] | {"lease": ""} == {
        "interface": "br0", "address": "10.77.0.1", "subnet": "10.77.0.0/24", "range": "10.77.0.100-10.77.0.199",
        "machines": "10.77.0.10-10.77.0.99", "router": "10.77.0.254", "dns": "9.9.9.9", "domain": "lab", "lease": "",
        "non_pxe": "no", "bios_http": "yes"}
    for component in table().values():
        for setting in component.settings:
            assert setting.help in text


@pytest.mark.parametrize(("changes", "interface", "words"), [
    ({"route": None}, "", "no default route"),
    ({}, "eth9", "there is no network interface eth9"),
    ({"interfaces": {"eth1": ()}}, "eth1", "eth1 has no IPv4 address"),
    ({"interfaces": {"eth1": ("10.0.0.1/31",)}}, "eth1", "a prefix of 8 to 29"),
])
def test_defaults_that_cannot_be_computed(changes: dict[str, object], interface: str, words: str) -> None:
    with pytest.raises(Refused, match=words):
        defaults.compute(network(**changes), interface)


@given(some.integers(8, 29), some.data())
def test_ranges_fit_any_network_and_any_place_of_the_server(prefix: int, data: some.DataObject) -> None:
    subnet = IPv4Network((int(IPv4Address("10.0.0.0")), prefix))
    taken = [subnet.network_address + data.draw(some.integers(1, subnet.num_addresses - 2)) for _ in range(2)]
    try:
        known, pool = defaults.ranges(subnet, taken)
    except Refused:
        assert subnet.num_addresses <= 8  # three machines and two addresses that are taken
        return
    assert address_ranges.check({"subnet": str(subnet), "address": str(taken[0]), "router": str(taken[1]),
                                 "range": str(pool), "machines": str(known)}) == []


def test_name_servers_that_others_can_ask() -> None:
    stub = server_facts.parse_resolver("nameserver 127.0.0.53\noptions edns0\nsearch a.example b.example\n")
    assert stub == Resolver((), "a.example")
    assert server_facts.parse_resolver("nameserver 10.0.0.1\nnameserver fe80::1\nnameserver x\ndomain lab.\n") == \
        Resolver(("10.0.0.1",), "lab")


def test_the_default_route_with_the_lowest_metric() -> None:
    rows = [{"dst": "default", "gateway": "10.0.0.1", "dev": "eth0", "metric": 200},
            {"dst": "default", "gateway": "10.1.0.1", "dev": "wlan0", "metric": 100},
            {"dst": "10.0.0.0/24", "dev": "x"}]
    assert server_facts.parse_default_route(json.dumps(rows)) == Route("wlan0", "10.1.0.1")
    assert server_facts.parse_default_route("[]") is None


# the schema


def test_the_schema_has_every_setting_and_no_more() -> None:
    schema = answers.schema()
    assert {name: set(part["properties"]) for name, part in schema["properties"].items()} == {
        name: {setting.name for setting in component.settings} for name, component in table().items()}
    assert schema["additionalProperties"] is False
    assert schema["properties"]["dhcpd"]["required"] == ["interface", "address", "subnet", "range", "machines"]


def test_no_setting_is_a_secret() -> None:
    for component in table().values():
        assert not [setting.name for setting in component.settings  # the name of a file that holds one is none
                    if setting.type != "file" and any(word in setting.name for word in ("password", "secret", "token"))]
