"""Fixes of what checks find, on recorded machines: their plans, that they run, and what is refused."""
from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio

from qrm_tui.backends import firewalls
from qrm_tui.core.component_table import table
from qrm_tui.core.errors import BadInput, Refused
from qrm_tui.core.operations.declarations import Role
from qrm_tui.core.plan import HERE, Plan, Run, WriteFile, argv_of
from qrm_tui.daemon.practice import PracticeMachines
from qrm_tui.daemon.server import Qrmd
from qrm_tui.practice.farms import recorded_farm
from tests.daemon.world import ADMIN, NEVER
from tests.unit.machines import FOLDER

Machine = Callable[..., Awaitable[Qrmd]]


@pytest_asyncio.fixture
async def machine(tmp_path: Path) -> AsyncIterator[Machine]:
    """A server on a recorded machine, by its name, from which packages were taken away."""
    async with AsyncExitStack() as stack:
        async def on(name: str, *gone: str) -> Qrmd:
            farm = recorded_farm(FOLDER / f"{name}.json", tmp_path / name, pace=0)
            for package in gone:
                del farm.server.host.software.packages[package]
            (tmp_path / f"{name}-state").mkdir()
            qrmd = Qrmd(tmp_path / f"{name}-state", PracticeMachines(farm), name=name, practice=True, look_every=NEVER)
            await qrmd.start()
            stack.push_async_callback(qrmd.stop)
            return qrmd

        yield on


async def plan(qrmd: Qrmd, operation: str, **arguments: object) -> Plan:
    return await qrmd.plan(operation, arguments, Role.administrator)


async def run(qrmd: Qrmd, made: Plan) -> str:
    outcome = await qrmd.run(made.id, ADMIN, Role.administrator)
    record = await qrmd.jobs.wait(outcome["job"]["id"])
    return record.state if record.state == "done" else f"{record.state}: {record.error}"


def written(made: Plan) -> dict[str, str]:
    return {step.path: step.content for step in made.steps if isinstance(step, WriteFile)}


def commands(made: Plan) -> list[str]:
    return [" ".join(argv_of(step) or []) for step in made.steps if isinstance(step, Run)]


async def test_a_lent_address_stays_by_ifupdown(machine: Machine) -> None:
    qrmd = await machine("debian12-lent-address")
    made = await plan(qrmd, "install.fix", name="address")
    text = written(made)["/etc/network/interfaces"]
    assert "iface eth0 inet static\n    address 192.168.88.143/24\n    gateway 192.168.88.1\n" in text
    assert "iface lo inet loopback" in text
    assert "inet dhcp" not in text
    assert commands(made)[0].endswith("qrm eth0 192.168.88.143/24")
    assert await run(qrmd, made) == "done"


async def test_a_lent_address_stays_by_netplan(machine: Machine) -> None:
    qrmd = await machine("ubuntu24-ufw")
    made = await plan(qrmd, "install.fix", name="address")
    (path, text), = written(made).items()
    assert path > "/etc/netplan/50-cloud-init.yaml", "read after the file that asks for an address"
    assert "dhcp4: false\n      addresses: [192.168.88.143/24]" in text
    assert commands(made) == ["netplan apply"]
    assert await run(qrmd, made) == "done"


async def test_what_fixes_set_is_told_when_all_is_taken_away(machine: Machine) -> None:
    qrmd = await machine("debian12-lent-address")
    assert "fixes" not in str((await plan(qrmd, "install.uninstall")).afterwards)
    for arguments in ({"name": "address"}, {"name": "group"}):
        assert await run(qrmd, await plan(qrmd, "install.fix", **arguments)) == "done"
    told = (await plan(qrmd, "install.uninstall")).afterwards
    assert told[0].startswith("what fixes of checks set stays")
    assert told[1] == "    the interface has its address for good (job 1)"
    assert told[2].startswith("    the volume group vol: vgremove takes it away, with all that lies in it (job 2)")
    answers = (await qrmd.installing.answers(""))["answers"]
    assert await run(qrmd, await plan(qrmd, "install.run", answers=answers, fix=["names"])) == "done"
    told = (await plan(qrmd, "install.uninstall")).afterwards
    assert told[1] == "    eth0 has 192.168.88.143 for good (job 1)"
    assert "/etc/hosts" not in str(told), "that fix had nothing to do"


async def test_network_manager_is_told_by_the_connections_id(machine: Machine) -> None:
    made = await plan(await machine("rocky9"), "install.fix", name="address")
    assert commands(made)[0].startswith("nmcli connection modify uuid 5fb06bd0-0bb0-7ffb-45f1-d6edd65f3e03 ipv4.method "
                                        "manual ipv4.addresses 192.168.88.5/24 ipv4.gateway 192.168.88.1")


async def test_ufw_gets_rules_for_that_interface_alone(machine: Machine) -> None:
    qrmd = await machine("ubuntu24-ufw")
    made = await plan(qrmd, "install.fix", name="firewall")
    assert "ufw allow in on eth0 to any port 69 proto udp comment qrm" in commands(made)
    assert all(line.startswith("ufw allow in on eth0 ") for line in commands(made))
    assert await run(qrmd, made) == "done"


async def test_firewalld_gets_ports_now_and_for_good(machine: Machine) -> None:
    qrmd = await machine("debian12-firewalld")
    made = await plan(qrmd, "install.fix", name="firewall")
    assert {"firewall-cmd --zone=public --add-port=69/udp",
            "firewall-cmd --permanent --zone=public --add-port=69/udp"} <= set(commands(made))
    assert await run(qrmd, made) == "done"


async def test_nftables_asks_our_rules_first_and_its_own_file_reads_them(machine: Machine) -> None:
    qrmd = await machine("debian12-nftables")
    made = await plan(qrmd, "install.fix", name="firewall")
    files = written(made)
    assert "insert rule inet filter input jump qrm" in files[firewalls.RULES]
    assert files[firewalls.NFTABLES].endswith(f'include "{firewalls.RULES}"\n')
    assert "policy drop" in files[firewalls.NFTABLES]
    assert commands(made) == ["nft --file /etc/qrm/firewall.nft"]
    assert await run(qrmd, made) == "done"


async def test_a_volume_group_is_made_of_what_is_free_after_its_name_was_typed(machine: Machine) -> None:
    qrmd = await machine("debian12")
    made = await plan(qrmd, "install.fix", name="group")
    assert (made.destructive, made.confirm) == (True, "vol")
    assert commands(made) == ["pvcreate --yes -- /dev/sdb", "vgcreate --yes -- vol /dev/sdb"]
    first = made.steps[0]
    assert isinstance(first, Run)
    assert first.guards[0].argv == ("blkid", "-p", "--", "/dev/sdb")
    assert await run(qrmd, made) == "done"
    for arguments in ({"disk": ["/dev/sda"]}, {"group": "snapshot1"}):
        with pytest.raises(BadInput):
            await plan(qrmd, "install.fix", name="group", **arguments)


async def test_where_there_is_no_lvm_a_volume_group_begins_with_it(machine: Machine) -> None:
    qrmd = await machine("debian12", "lvm2")
    made = await plan(qrmd, "install.fix", name="group")
    assert [command.split()[-1] for command in commands(made)] == \
        ["update", "lvm2", "/dev/sdb", "/dev/sdb"]
    assert await run(qrmd, made) == "done"


async def test_the_clock_is_set_by_what_debian_has(machine: Machine) -> None:
    qrmd = await machine("debian13-small")
    made = await plan(qrmd, "install.fix", name="clock")
    assert commands(made)[-2:] == ["systemctl enable -- systemd-timesyncd.service",
                                   "systemctl restart -- systemd-timesyncd.service"]
    assert await run(qrmd, made) == "done"


async def test_what_is_well_has_nothing_to_do_and_what_has_no_fix_is_refused(machine: Machine) -> None:
    qrmd = await machine("debian12-group")
    assert (await plan(qrmd, "install.fix", name="group")).steps == ()
    small = await machine("debian13-small")
    with pytest.raises(Refused, match="no disk is free: /dev/sda"):
        await plan(small, "install.fix", name="group")


async def test_fixes_come_before_an_installation_in_one_job(machine: Machine) -> None:
    qrmd = await machine("debian12-nftables")
    answers = (await qrmd.installing.answers(""))["answers"]
    made = await plan(qrmd, "install.run", answers=answers, fix=["firewall"])
    assert next(iter(written(made))) == firewalls.RULES
    assert await run(qrmd, made) == "done"
    assert qrmd.farm.get("component", "dhcpd").wanted.settings["address"] == "192.168.88.5"
    assert all(step.machine == HERE for step in made.steps)


async def test_apts_lists_are_fetched_once_in_a_job(machine: Machine) -> None:
    qrmd = await machine("debian13-small")
    answers = (await qrmd.installing.answers(""))["answers"]
    made = await plan(qrmd, "install.run", answers=answers, fix=["clock"])
    assert commands(made).count("apt-get --yes update") == 1
    assert len([step for step in made.steps if step.summary.startswith("install ")]) == 2
    assert await run(qrmd, made) == "done"


async def test_every_component_that_there_is_can_be_added_later(machine: Machine) -> None:
    qrmd = await machine("debian12")
    assert await run(qrmd, await plan(qrmd, "install.run", answers=(await qrmd.installing.answers(""))["answers"])) == \
        "done"
    more = "".join(f"[{name}]\n" for name, component in table().items()
                   if not component.chosen and not component.lacking)
    made = await plan(qrmd, "install.run", answers=more)
    assert await run(qrmd, made) == "done"
    await qrmd.watchers.look(HERE)
    assert {item.state for item in qrmd.farm.all("component")} == {"ok"}
    with pytest.raises(Refused, match="webmin: Debian and Ubuntu have no package of it"):
        await plan(qrmd, "install.run", answers="[webmin]\n")


@pytest.mark.parametrize("name", ["debian12", "debian13", "ubuntu24-ufw", "debian12-four-cards"])
async def test_a_recorded_machine_is_set_up_with_its_defaults(machine: Machine, name: str) -> None:
    qrmd = await machine(name)
    made = await plan(qrmd, "install.run", answers=(await qrmd.installing.answers(""))["answers"])
    assert await run(qrmd, made) == "done"
    again = await plan(qrmd, "install.run", answers=(await qrmd.installing.answers(""))["answers"])
    assert again.steps == ()


async def test_a_hosts_file_that_is_no_text_is_told_and_never_rewritten(machine: Machine) -> None:
    qrmd = await machine("rocky9")
    runner = qrmd.machines.runner(HERE)
    hosts = runner.host.root.here("/etc/hosts")  # type: ignore[attr-defined]
    for content in (b"127.0.0.1 localhost h\xf6st\n", b"\x7fELF\0\0", b"# x\n" * (80 << 10)):
        hosts.write_bytes(content)
        with pytest.raises(Refused, match=r"no text|more than 256 KiB"):
            await plan(qrmd, "install.fix", name="names")
        assert hosts.read_bytes() == content
    foreign = b"# a\x1b[2J\r\n\n\n::1\t" + b"x" * 9000 + b"\n"
    hosts.write_bytes(foreign)
    assert await run(qrmd, await plan(qrmd, "install.fix", name="names")) == "done"
    assert hosts.read_bytes().startswith(foreign + b"# begin qrm\n")
