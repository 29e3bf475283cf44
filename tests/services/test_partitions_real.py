"""Partitions as qrmd shows them, on a real libvirtd with QEMU, when things go wrong there."""
from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from qrm_tui.core.errors import Unreachable
from qrm_tui.runners.libvirt import LocalReach
from tests.lab.libvirtd import Libvirtd
from tests.lab.tiny_guest import tiny_guest
from tests.services.hosts_room import HOST, hosts_room, said
from tests.services.libvirt_room import FIRMWARE, PATIENCE, wish
from tests.services.ssh_line import ssh_line

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("libvirt")]
#: A kernel that finds no init panics and starts again, at once and for ever.
LOOP = "console=ttyS0,115200 quiet panic=-1 rdinit=/none"


async def test_partitions_of_a_libvirtd_that_died_are_unknown_and_not_crashed(
    libvirtd: Libvirtd, tmp_path: Path
) -> None:
    one, other = wish(1), wish(2)
    async with hosts_room(tmp_path, LocalReach(libvirtd.uri)) as farm:
        for wished in (one, other):
            await farm.add(wished)
        await farm.ask(one, "start")
        await farm.until_state("p1", "running")
        await farm.until_said("p1", FIRMWARE)
        libvirtd.kill()
        await farm.until_state("p1", "unknown")
        await farm.until_state("p2", "unknown")
        assert f"its host {HOST} does not answer" in await farm.why("p1")
        assert farm.qrmd.farm.get("host", HOST).state == "error"
        libvirtd.start()
        await farm.until_state("p1", "running")
        await farm.until_state("p2", "defined")
        await farm.until(lambda: farm.qrmd.farm.get("host", HOST).state == "ok")
        assert farm.states["p1"][-3:] == ["running", "unknown", "running"] and "crashed" not in farm.states["p1"]


async def test_one_that_is_undefined_behind_our_back_and_one_made_by_hand(libvirtd: Libvirtd, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs.xml"
    theirs.write_text("<domain type='qemu'><name>theirs</name><memory unit='MiB'>64</memory><os>"
                      "<type arch='x86_64'>hvm</type></os></domain>")
    one = wish(3)
    async with hosts_room(tmp_path, LocalReach(libvirtd.uri)) as farm:
        await farm.add(one)
        await farm.until_state("p3", "defined")
        libvirtd.virsh("undefine", "p3")
        await farm.until_state("p3", "unknown")
        assert "somebody has undefined it there" in await farm.why("p3")
        assert (await farm.qrmd.show("partition", "p3"))["next"].endswith("or qrm partition remove p3")

        libvirtd.virsh("define", str(theirs))
        try:
            await farm.until(lambda: any(domain.name == "theirs" for domain in
                                         farm.qrmd.farm.get("host", HOST).seen.domains))
            assert (await farm.qrmd.show("host", HOST))["foreign"] == ["theirs"]
            assert farm.qrmd.farm.find("partition", "theirs") is None
        finally:
            libvirtd.virsh("undefine", "theirs")
        await farm.until(lambda: not farm.qrmd.farm.get("host", HOST).seen.domains)


async def test_a_line_that_is_cut_in_the_middle_of_a_start(libvirtd: Libvirtd, tmp_path: Path) -> None:
    one = wish(4)
    async with ssh_line(tmp_path, libvirtd.socket) as line, hosts_room(tmp_path, line.reach) as farm:
        await farm.add(one)
        recorded = farm.qrmd.hosts._recorded

        async def cut(name: str) -> None:
            await recorded(name)
            line.cut()

        farm.qrmd.hosts._recorded = cut
        with pytest.raises(Unreachable):
            await farm.ask(one, "start")
        assert libvirtd.virsh("domstate", "p4").strip() == "paused"
        farm.qrmd.hosts._recorded = recorded
        # the job waits until it answers, and does its step again
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    await farm.ask(one, "start")
                    break
                except Unreachable:
                    await farm.until(lambda: farm.qrmd.farm.get("host", HOST).state == "ok")
        await farm.until_state("p4", "running")
        await farm.until_said("p4", FIRMWARE)
        assert said(farm.console("p4")).index(FIRMWARE) < 64, "recorded from its first byte"
        assert "crashed" not in farm.states["p4"]


async def test_one_that_reboots_in_a_loop_runs_and_is_one_alert(libvirtd: Libvirtd, tmp_path: Path) -> None:
    guest = tiny_guest()
    one = wish(5, kernel=str(guest.kernel), initrd=str(guest.initrd), cmdline=LOOP)
    async with hosts_room(tmp_path, LocalReach(libvirtd.uri)) as farm:
        await farm.add(one)
        await farm.ask(one, "start")

        def event() -> object:
            seen = farm.qrmd.farm.get("resource", "p5").seen
            return seen.event if seen is not None else None

        await farm.until(lambda: (found := event()) is not None and found.count >= 3)  # type: ignore[attr-defined]
        assert said(farm.console("p5")).count(FIRMWARE) >= 3
        states = farm.states["p5"]
        assert states[states.index("running"):] == ["running"], "from the first boot on"
        alerts = [alert for alert in farm.qrmd.status()["alerts"] if alert["name"] == "p5"]
        assert len(alerts) == 1 and "Kernel panic" in alerts[0]["why"] and "times in" in alerts[0]["why"]
        assert farm.console("p5").state == "connected"
