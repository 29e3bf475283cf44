"""The netboot services for real: set up by the product's own plan, asked as machines do, changed while they run."""
from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from qrm_tui.backends import dhcpd
from qrm_tui.core import answers
from qrm_tui.core.address_ranges import parse_range
from qrm_tui.core.errors import Refused, StepFailed
from qrm_tui.core.plan import HERE, WriteFile
from qrm_tui.daemon.look import look_at_network
from qrm_tui.install import defaults, planner
from tests.lab.namespace import BRIDGE, BRIDGE_ADDRESS, Namespace
from tests.lab.services_root import Services
from tests.services.netboot_server import ANSWERS, Server

pytestmark = pytest.mark.xdist_group("netboot")
BIOS = {"vendor": "PXEClient:Arch:00000:UNDI:002001", "arch": 0}
UEFI = {"vendor": "PXEClient:Arch:00007:UNDI:003016", "arch": 7}
MAC = "52:54:00:77:00:20"
CLIENT = Path(__file__).parents[1] / "lab/dhcp_client.py"


class Machine:
    """Cards on the lab's bridge that ask for addresses."""

    def __init__(self, namespace: Namespace) -> None:
        for words in (("link", "add", "card", "type", "veth", "peer", "name", "plug"), ("link", "set", "card", "up"),
                      ("link", "set", "plug", "master", BRIDGE, "up")):
            namespace.run(["ip", *words], check=True)
        self._process = namespace.popen([sys.executable, "-I", str(CLIENT), "card"], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)

    async def ask(self, mac: str = MAC, **words: Any) -> dict[str, Any] | None:
        """The lease that it gets; None: nobody answers in time."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps({"mac": mac, **words}) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] | None = json.loads(await asyncio.to_thread(self._process.stdout.readline))
        return answer

    def close(self) -> None:
        self._process.terminate()
        self._process.wait()


@pytest.fixture(scope="module")
def services(lab_namespace: Namespace) -> Iterator[Services]:
    made = Services(lab_namespace)
    yield made
    made.close()


@pytest.fixture(scope="module")
def machine(lab_namespace: Namespace) -> Iterator[Machine]:
    made = Machine(lab_namespace)
    yield made
    made.close()


@pytest_asyncio.fixture
async def server(services: Services) -> AsyncIterator[Server]:
    """Set up as ANSWERS say, whatever it was before."""
    made = Server(services)
    await made.do(planner.plan_run, answers=ANSWERS)
    yield made


async def test_it_is_set_up_and_then_nothing_is_left_to_do(server: Server, services: Services) -> None:
    again = await server.plan(planner.plan_run, answers=ANSWERS)
    assert again.steps == []
    for name in ("tftpd", "apache", "dhcpd"):
        found = await server.see(name)
        assert (found.troubles, found.changed) == ((), ())
    assert (services.scratch / "etc/dhcp/qrm-key.conf").stat().st_mode & 0o777 == 0o640
    key = (services.scratch / "etc/dhcp/qrm-key.conf").read_text().split('"')[1]
    assert key not in repr(await server.plan(planner.plan_run, answers=ANSWERS.replace("9.9.9.9", "8.8.8.8")))


async def test_firmware_gets_an_address_and_its_own_file(server: Server, machine: Machine, services: Services) -> None:
    bios = await machine.ask("52:54:00:77:01:01", **BIOS)
    uefi = await machine.ask("52:54:00:77:01:02", **UEFI)
    ipxe = await machine.ask("52:54:00:77:01:02", **UEFI, user_class="iPXE")
    http = await machine.ask("52:54:00:77:01:03", vendor="HTTPClient:Arch:00016:UNDI:003001", arch=16)
    initramfs = await machine.ask("52:54:00:77:01:01", vendor="PXEClient:qrm")
    assert bios and uefi and ipxe and http and initramfs
    assert (bios["file"], bios["next"]) == ("lpxelinux.0", BRIDGE_ADDRESS)
    assert (bios["router"], bios["dns"]) == (BRIDGE_ADDRESS, "9.9.9.9")
    assert uefi["file"] == "snponly.efi"
    assert ipxe["file"] == f"http://{BRIDGE_ADDRESS}/qrm/boot/ipxe/boot.ipxe"
    assert (http["file"], http["vendor"]) == (f"http://{BRIDGE_ADDRESS}/qrm/boot/snponly.efi", "HTTPClient")
    # another client-identifier or class makes no other machine of it
    assert initramfs["address"] == bios["address"]
    assert parse_range("10.77.0.100-10.77.0.199").first <= IPv4Address(bios["address"])
    assert any("qrm pxe 52:54:00:77:01:02 arch 7" in line for line in services.log)
    status, text = await server.fetch(f"tftp://{BRIDGE_ADDRESS}/{bios['file']}")
    assert (status, bool(text)) == (0, True)
    status, _ = await server.fetch(f"tftp://{BRIDGE_ADDRESS}/no-such-file")
    assert status == 68
    status, _ = await server.fetch(f"tftp://{BRIDGE_ADDRESS}/../../../etc/passwd")
    assert status != 0


async def test_who_fetches_what_is_told_to_the_journal(server: Server, services: Services) -> None:
    await server.fetch(f"http://{BRIDGE_ADDRESS}/qrm/boot/snponly.efi")
    await server.fetch(f"tftp://{BRIDGE_ADDRESS}/ldlinux.c32")
    async with asyncio.timeout(20):
        while not (any(f"qrm-http: {BRIDGE_ADDRESS} GET /qrm/boot/snponly.efi 200 " in line for line in services.log)
                   and any("in.tftpd" in line and f"RRQ from {BRIDGE_ADDRESS} filename ldlinux.c32" in line
                           for line in services.log)):
            await asyncio.sleep(0.05)


async def test_other_machines_get_an_address_only_if_the_switch_says_so(
        server: Server, machine: Machine, services: Services) -> None:
    assert await machine.ask("52:54:00:77:02:01", seconds=3) is None
    services.starts.clear()
    await server.do(planner.plan_configure, name="dhcpd", settings={"non_pxe": "yes", "lease": "7200"})
    assert services.starts == ["isc-dhcp-server.service"]
    assert await machine.ask("52:54:00:77:02:01") is not None
    assert await machine.ask("52:54:00:77:02:02", **BIOS) is not None


async def test_a_deployed_system_that_asks_itself_needs_no_switch(
        server: Server, machine: Machine, services: Services) -> None:
    """A VE starts only on machines with an address of their own: theirs is given whoever asks, and nothing restarts."""
    await server.do(planner.plan_configure, name="dhcpd", settings={"non_pxe": "no"})
    services.starts.clear()
    mac, address = "52:54:00:77:03:01", "10.77.0.30"
    assert await machine.ask(mac, seconds=3) is None
    assert (await services.run(dhcpd.omapi_argv("add", "r3", mac, address))).status == 0
    for vendor in ("", "MSFT 5.0", "udhcp 1.35.0"):
        lease = await machine.ask(mac, vendor=vendor)
        assert lease is not None and lease["address"] == address
    assert await machine.ask("52:54:00:77:03:02", seconds=3) is None
    assert services.starts == []
    assert (await services.run(dhcpd.omapi_argv("remove", "r3", mac))).status == 0


async def test_a_fixed_address_is_given_while_dhcpd_runs(server: Server, machine: Machine, services: Services) -> None:
    services.starts.clear()

    async def omapi(*words: str) -> tuple[int, str]:
        done = await services.run(dhcpd.omapi_argv(*words))  # type: ignore[arg-type]
        return done.status, done.err

    async def address() -> str:
        lease = await machine.ask(MAC, **BIOS)
        assert lease
        return str(lease["address"])

    for fixed in ("10.77.0.20", "10.77.0.20", "10.77.0.21"):
        assert await omapi("add", "r1", MAC, fixed) == (0, "")
        assert await address() == fixed
    # the card has another name now
    assert await omapi("add", "r2", MAC, "10.77.0.22") == (0, "")
    assert await address() == "10.77.0.22"
    assert await omapi("remove", "r1", MAC) == (0, "")
    assert await address() == "10.77.0.22"
    for _ in range(2):
        assert await omapi("remove", "r2", MAC) == (0, "")
    assert await address() not in ("10.77.0.20", "10.77.0.21", "10.77.0.22")
    assert services.starts == []
    # for the next start
    await services.write_file(dhcpd.HOSTS, dhcpd.hosts_text([("r1", MAC, "10.77.0.30")]), 0o644, ())
    await server.do(planner.plan_restart, name="dhcpd")
    assert await address() == "10.77.0.30"
    await services.run(("systemctl", "stop", "--", "isc-dhcp-server.service"))
    status, said = await omapi("add", "r1", MAC, "10.77.0.20")
    assert (status, said) == (1, "dhcpd takes no fixed addresses at port 7911: does it run, and with this key?\n")
    assert (await server.see("dhcpd")).troubles == ("isc-dhcp-server.service is inactive",)
    await services.write_file(dhcpd.HOSTS, dhcpd.hosts_text([]), 0o644, ())
    await server.do(planner.plan_run, answers=ANSWERS)


async def test_another_servers_offer_is_seen_in_the_log(server: Server, machine: Machine, services: Services) -> None:
    await machine.ask("52:54:00:77:03:01", **BIOS, server="10.77.0.9", seconds=2)
    async with asyncio.timeout(20):
        while not any(dhcpd.foreign_server(line, BRIDGE_ADDRESS) for line in services.log):
            await asyncio.sleep(0.05)
    found = next(filter(None, (dhcpd.foreign_server(line, BRIDGE_ADDRESS) for line in services.log)))
    assert (found.server, found.mac, found.interface) == ("10.77.0.9", "52:54:00:77:03:01", BRIDGE)


@pytest.mark.parametrize(("path", "text", "words"), [
    (dhcpd.CONFIGURATION, "subnet 10.77.0.0 netmask 255.255.255.0 {\n    rnge 10.77.0.1;\n}\n",
     "/etc/dhcp/qrm.conf line 2: semicolon expected."),
    (dhcpd.CONFIGURATION, 'include "/etc/dhcp/none.conf";\n', "Can't open /etc/dhcp/none.conf: No such file"),
    ("/etc/apache2/conf-enabled/qrm-boot.conf", "Aliass /x /y\n",
     "Syntax error on line 1 of /etc/apache2/conf-enabled/qrm-boot.conf: Invalid command 'Aliass'"),
    ("/etc/systemd/system/tftpd-hpa.service", "[Service]\nExecStart=/usr/sbin/no-such-program\n",
     "/usr/sbin/no-such-program is not executable"),
])
async def test_the_services_own_checkers_refuse_nonsense(server: Server, path: str, text: str, words: str) -> None:
    checker = next(step.checker for step in _all_files(server) if step.path == path)
    with pytest.raises(StepFailed) as refused:
        await server.services.write_file(path, text, 0o644, checker)
    assert words in str(refused.value)
    assert (await server.services.read_file(path)).content != text  # type: ignore[union-attr]


def _all_files(server: Server) -> list[WriteFile]:
    from qrm_tui.backends.components import CHECKERS
    from qrm_tui.core.component_table import table

    return [WriteFile(machine=HERE, summary="", path=entry.path, content="", checker=CHECKERS[entry.checker])
            for component in table().values() for entry in component.files]


async def test_a_file_changed_by_hand_is_told_and_kept_beside(server: Server, services: Services) -> None:
    there = await services.read_file(dhcpd.CONFIGURATION)
    assert there
    await services.write_file(dhcpd.CONFIGURATION, there.content + "# mine\nrubbish {\n", 0o644, ())
    assert (await server.see("dhcpd")).changed == (dhcpd.CONFIGURATION,)
    draft = await server.do(planner.plan_configure, name="dhcpd", settings={"lease": "9000"})
    assert any("changed by somebody" in warning for warning in draft.warnings)
    kept = await services.read_file(dhcpd.CONFIGURATION + ".by-hand")
    assert kept and kept.content.endswith("rubbish {\n")
    assert (await server.see("dhcpd")).changed == ()


async def test_defaults_fit_this_network(services: Services) -> None:
    network = await look_at_network(services)
    with pytest.raises(Refused, match="no default route"):
        defaults.compute(network)
    computed = defaults.compute(network, BRIDGE)
    assert (computed["dhcpd"]["address"], computed["dhcpd"]["subnet"]) == (BRIDGE_ADDRESS, "10.77.0.0/24")
    assert answers.read(answers.write(computed)) == computed
