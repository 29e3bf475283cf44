"""Components: their table, what files are made of, and parsers of what the server says."""
from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from qrm_tui.backends import dhcpd, probing, server_facts
from qrm_tui.backends.components import Site
from qrm_tui.core import settings as kinds
from qrm_tui.core.component_table import distribution, distributions, table
from qrm_tui.core.errors import StepFailed
from qrm_tui.core.facts import Listener
from qrm_tui.core.netboot import NEEDED

FIXTURES = Path(__file__).parent.parent / "fixtures"
SETTINGS = {
    "tftpd": {"address": "10.77.0.1"}, "apache": {}, "node": {},
    "dhcpd": {"interface": "br0", "address": "10.77.0.1", "subnet": "10.77.0.0/24", "range": "10.77.0.100-10.77.0.199",
              "machines": "10.77.0.10-10.77.0.99"},
}


def captured(name: str) -> str:
    return (FIXTURES / name).read_text()


def site(**changes: dict[str, str]) -> Site:
    kept, wrong = kinds.check({name: settings | changes.get(name, {}) for name, settings in SETTINGS.items()})
    assert wrong == []
    return Site(kept)


def text_of(name: str, path: str, **changes: dict[str, str]) -> str:
    entry = next(entry for entry in table()[name].files if entry.path == path)
    return site(**changes).file_text(name, entry)


# the table


def test_every_component_can_be_set_up_on_the_same_distributions() -> None:
    assert set(NEEDED) < set(table())
    assert distributions() == ["debian-12", "debian-13", "ubuntu-24.04"]
    for component in table().values():
        assert set(component.packages) == (set() if component.lacking else set(distributions()))
        assert set(component.depends) < set(table())
        # one that others need comes first
        assert all(list(table()).index(needed) < list(table()).index(component.name) for needed in component.depends)


def test_each_setting_has_a_type_a_word_of_help_and_a_default_that_is_right() -> None:
    for component in table().values():
        for setting in component.settings:
            assert setting.help
            if setting.default:
                assert kinds.TYPES[setting.type].parse(setting.default) == setting.default


def test_no_two_files_are_at_one_place() -> None:
    paths = [entry.path for component in table().values() for entry in component.files]
    assert len(set(paths)) == len(paths)


# what is made of settings


def test_the_switch_for_machines_that_do_not_boot_from_the_network() -> None:
    strict, open_to_all = (text_of("dhcpd", dhcpd.CONFIGURATION, dhcpd={"non_pxe": word}) for word in ("no", "yes"))
    assert re.search(r"pool \{\s+allow members of \"pxe\";\s+range 10.77.0.100 10.77.0.199;\s+\}", strict)
    assert "allow members" not in open_to_all
    assert "\nauthoritative;" in open_to_all
    assert "\nnot authoritative;" in strict


def test_bios_machines_load_over_http_unless_their_firmware_is_too_old() -> None:
    http, tftp = (text_of("dhcpd", dhcpd.CONFIGURATION, dhcpd={"bios_http": word}) for word in ("yes", "no"))
    assert 'filename "lpxelinux.0"' in http
    assert 'option path-prefix "http://10.77.0.1/qrm/boot/";' in http
    assert all("option reboot-time 30;" in text and ", d2, d3);" in text for text in (http, tftp))
    assert 'filename "pxelinux.0"' in tftp
    assert "path-prefix \"" not in tftp


def test_what_is_empty_is_left_out() -> None:
    bare = text_of("dhcpd", dhcpd.CONFIGURATION)
    assert not re.search("option (routers|domain-name)", bare)
    full = text_of("dhcpd", dhcpd.CONFIGURATION, dhcpd={
        "router": "10.77.0.254", "dns": "9.9.9.9 8.8.8.8", "domain": "lab"})
    for line in ("option routers 10.77.0.254;", "option domain-name-servers 9.9.9.9, 8.8.8.8;",
                 'option domain-name "lab";'):
        assert line in full


def test_files_follow_the_settings_of_other_components() -> None:
    assert '"http://10.77.0.1:8080/qrm/boot/ipxe/boot.ipxe"' in text_of("dhcpd", dhcpd.CONFIGURATION,
                                                                        apache={"port": "8080"})
    assert "\nListen 8080\n" in text_of("apache", "/etc/apache2/conf-enabled/qrm-boot.conf", apache={"port": "8080"})
    assert "Listen" not in text_of("apache", "/etc/apache2/conf-enabled/qrm-boot.conf")
    assert "--listen 10.77.0.1:8641 " in text_of("node", "/etc/systemd/system/qrm-node.service", node={"port": "8641"})


def test_the_admins_own_file_is_read_where_there_is_one() -> None:
    entry = next(entry for entry in table()["dhcpd"].files if entry.path == dhcpd.CONFIGURATION)
    assert dhcpd.LOCAL not in site().file_text("dhcpd", entry).partition("\n")[2]
    assert f'include "{dhcpd.LOCAL}";' in site()._replace(local=True).file_text("dhcpd", entry)


def test_fixed_addresses_for_the_next_start() -> None:
    text = dhcpd.hosts_text([("r2", "52:54:00:00:00:02", "10.77.0.11"), ("r1", "52:54:00:00:00:01", "10.77.0.10")])
    assert text.splitlines()[1:] == [
        "host r1 { hardware ethernet 52:54:00:00:00:01; fixed-address 10.77.0.10; }",
        "host r2 { hardware ethernet 52:54:00:00:00:02; fixed-address 10.77.0.11; }"]


# distributions


@pytest.mark.parametrize(("text", "key", "called"), [
    ('PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\nVERSION_ID="12"\n', "debian-12",
     "Debian GNU/Linux 12 (bookworm)"),
    ('NAME="Rocky Linux"\nID="rocky"\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.5"\n', "rocky-9.5", "Rocky Linux"),
    ("ID=debian\n# VERSION_ID=12\nNAME='Debian'\n", "debian", "Debian"),
    ("", "linux", "an unknown system"),
])
def test_a_distribution_is_recognized(text: str, key: str, called: str) -> None:
    assert distribution(text) == (key, called)


# what the server says


def test_listening_sockets() -> None:
    found = server_facts.parse_listeners(captured("ss-listening.txt"))
    assert found == (
        Listener(protocol="udp", address="0.0.0.0", interface="", port=67, processes=("dhcpd",)),
        Listener(protocol="udp", address="10.77.0.1", interface="", port=69, processes=("in.tftpd",)),
        Listener(protocol="tcp", address="0.0.0.0", interface="", port=7911, processes=("dhcpd",)),
        Listener(protocol="tcp", address="*", interface="", port=80, processes=("apache2",)))
    bound = server_facts.parse_listeners("udp UNCONN 0 0 0.0.0.0%virbr0:67 0.0.0.0:*\n"
                                         "tcp LISTEN 0 9 [::1]:631 [::]:*\nx\n")
    assert [(one.address, one.interface, one.processes) for one in bound] == [
        ("0.0.0.0", "virbr0", ()), ("[::1]", "", ())]


def test_addresses_and_digests() -> None:
    found = server_facts.parse_addresses(captured("ip-address.json"))
    assert found["br0"] == ("10.77.0.1/24",)
    with pytest.raises(StepFailed, match="nothing that can be read"):
        server_facts.parse_addresses("Device not found")
    paths = ("/srv/qrm/boot/pxelinux.0", "/etc/none", "/srv/qrm/boot/qrm-probe.txt")
    digests = server_facts.parse_digests(captured("sha256sum.txt"), paths)
    assert [len(digests[path]) for path in paths] == [64, 0, 64]


def test_packages_that_are_there_and_not() -> None:
    found = probing.parse_packages(json.loads(captured("dpkg-query-status.json"))["stdout"], ("tftpd-hpa", "no-such"))
    assert found == {"tftpd-hpa": "5.2+20150808-1.4", "no-such": ""}


def test_states_of_units_under_the_names_that_were_asked_for() -> None:
    text = ("Id=nfs-server.service\nLoadState=loaded\nActiveState=active\nUnitFileState=enabled\n\n"
            "Id=none.service\nLoadState=not-found\nActiveState=inactive\nUnitFileState=\n")
    names = ("nfs-kernel-server.service", "none.service")
    assert probing.parse_units(text, names) == {"nfs-kernel-server.service": "active", "none.service": ""}
    assert probing.parse_enabled(text, names) == {"nfs-kernel-server.service": "enabled", "none.service": ""}


# dhcpd's log


def test_another_servers_offer_is_recognized() -> None:
    found = [request for line in captured("dhcpd-log.txt").splitlines()
             if (request := dhcpd.foreign_server(line, "10.77.0.1"))]
    assert found == [dhcpd.Request("10.77.0.101", "10.77.0.9", "52:54:00:77:09:02", "br0")]


@pytest.mark.parametrize(("line", "server"), [
    ("DHCPREQUEST for 10.0.0.5 (10.0.0.9) from 52:54:00:00:00:01 (web) via eth0: unknown lease 10.0.0.5.", "10.0.0.9"),
    ("DHCPREQUEST for 10.0.0.5 from 52:54:00:00:00:01 via eth0", ""),
    ("DHCPREQUEST for 10.0.0.5 (10.0.0.9) from 52:54:00:00:00:01 via eth0: wrong network.", "10.0.0.9"),
])
def test_requests_in_all_their_spellings(line: str, server: str) -> None:
    request = dhcpd.parse_request(line)
    assert request is not None
    assert (request.server, request.interface) == (server, "eth0")


@pytest.mark.parametrize("line", ["", "DHCPREQUEST for", "DHCPREQUEST for x (y) from z via eth0",
                                  "DHCPACK on 10.0.0.5"])
def test_other_lines_are_none(line: str) -> None:
    assert dhcpd.parse_request(line) is None


def test_the_key_is_in_no_argument() -> None:
    argv = dhcpd.omapi_argv("add", "r1", "52:54:00:00:00:01", "10.77.0.10")
    assert argv[-4:] == ("add", "r1", "52:54:00:00:00:01", "10.77.0.10")
    assert dhcpd.omapi_argv("remove", "r1", "52:54:00:00:00:01")[-1] == ""


def test_what_apt_would_fetch() -> None:
    found = probing.parse_downloads(captured("apt-get-print-uris.txt"))
    assert (found["curl"], found["tftpd-hpa"], found["libwrap0"]) == (315764, 41872, 54936)
    assert probing.parse_downloads("E: Unable to locate package x\n'half a line\n") == {}
