"""What is taken back with a component: ports of firewalls; and who holds it up."""
from __future__ import annotations

from typing import Any

import pytest

from qrm_tui.backends import firewalls, own_packages
from qrm_tui.backends.firewalls import Chain, Port
from qrm_tui.backends.planning import Draft
from qrm_tui.core.facts import Answered, File, MachineFacts, Reading
from qrm_tui.core.farm import Farm
from qrm_tui.core.model import Item, StorageWanted
from qrm_tui.core.partitions import HostWanted
from qrm_tui.core.plan import HERE, RemoveFile, Run, WriteFile
from qrm_tui.install.closing import close_ports
from qrm_tui.install.uses import find_uses

TFTP, HTTP = Port("udp", 69), Port("tcp", 80)
CHAINS = [Chain("inet", "filter", "input", True)]


def closed(*ports: Port, files: dict[str, str] | None = None, **asked: str) -> Draft:
    """The plan that closes these ports."""
    draft = Draft("component/tftpd")
    there = {path: File(content=text) for path, text in (files or {}).items()}
    close_ports(draft, Reading(Farm(), {HERE: MachineFacts(
        files=there, asked={name: Answered(out=out) for name, out in asked.items()})}), ports)
    return draft


def commands(draft: Draft) -> list[str]:
    return [" ".join(step.argv) for step in draft.steps if isinstance(step, Run)]


def test_where_nothing_was_opened_nothing_is_closed() -> None:
    assert closed(TFTP).steps == []


def test_ufw_loses_our_rules_and_keeps_others() -> None:
    status = ("Status: active\n\n"
              "To                         Action      From\n--                         ------      ----\n"
              "69/udp on eth0             ALLOW IN    Anywhere                   # qrm\n"
              "80/tcp on eth0             ALLOW IN    Anywhere                   # qrm\n"
              "69/udp on eth1             ALLOW IN    Anywhere                   # somebody else's\n"
              "22/tcp                     ALLOW IN    Anywhere\n")
    draft = closed(TFTP, ufw=status)
    assert commands(draft) == ["ufw delete allow in on eth0 to any port 69 proto udp"]
    assert isinstance(draft.steps[0], Run)
    assert draft.steps[0].undo
    assert draft.steps[0].undo.argv == firewalls.ufw_argv(TFTP, "eth0")


def test_firewalld_loses_what_was_noted() -> None:
    noted = {firewalls.OPENED: firewalls.opened_text([("public", TFTP), ("public", HTTP)])}
    draft = closed(TFTP, files=noted, firewalld="running\n")
    assert commands(draft) == ["firewall-cmd --zone=public --remove-port=69/udp",
                               "firewall-cmd --permanent --zone=public --remove-port=69/udp"]
    assert isinstance(draft.steps[-1], WriteFile)
    assert draft.steps[-1].content == "public 80/tcp\n"
    assert isinstance(closed(TFTP, HTTP, files=noted, firewalld="running\n").steps[-1], RemoveFile)
    off = closed(TFTP, files=noted, firewalld="not running\n")
    assert (off.steps, off.warnings) == ([], ["firewalld does not run: what was opened in its zones stays open "
                                              "(69/udp in public)"])


def test_nftables_keeps_ports_of_what_stays() -> None:
    there = {firewalls.RULES: firewalls.nftables_text(CHAINS, [TFTP, HTTP], "eth0"),
             firewalls.NFTABLES: firewalls.with_include("flush ruleset\n")}
    draft = closed(TFTP, files=there)
    assert isinstance(draft.steps[0], WriteFile)
    assert draft.steps[0].content == firewalls.nftables_text(CHAINS, [HTTP], "eth0")
    assert commands(draft) == ["nft --file /etc/qrm/firewall.nft"]
    every = closed(TFTP, HTTP, files=there)
    assert commands(every) == ["nft flush chain inet filter qrm"]
    written = every.steps[1]
    assert isinstance(written, WriteFile)
    assert (written.path, written.content) == (firewalls.NFTABLES, "flush ruleset\n")
    assert isinstance(every.steps[2], RemoveFile)
    assert closed(Port("tcp", 9090), files=there).steps == []


@pytest.mark.parametrize(("item", "name", "words"), [
    (Item(kind="storage", name="s1", wanted=StorageWanted(type="lvm-nfs", address="10.0.0.1", host_key="ssh-ed25519 A"),
          created=0), "sshlogin", "storage servers are reached by ssh (s1): qrm storage remove s1"),
    (Item(kind="host", name="esx1", wanted=HostWanted(partitioning="", ve="", address="10.0.0.2", technology="esx"),
          created=0), "xen", "virtualization hosts are reached by it (esx1): qrm host show esx1"),
])
def test_who_uses_a_component_holds_it_up(item: Any, name: str, words: str) -> None:
    farm = Farm()
    assert find_uses([name], farm, every=False) == ([], [])
    farm.put(item)
    (refused,), _ = find_uses([name], farm, every=False)
    assert refused.startswith(words)
    assert find_uses([name], farm, every=True) == ([], [refused])
    assert find_uses(["cockpit"], farm, every=False) == ([], [])


def test_the_list_of_packages_is_read_as_it_is_written() -> None:
    assert own_packages.parse_installed(own_packages.installed_text({"tftpd-hpa", "curl"})) == {"curl", "tftpd-hpa"}
    assert own_packages.installed_text(()) == ""
