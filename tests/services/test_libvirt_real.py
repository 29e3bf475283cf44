"""qrmd's layer under partitions against a real libvirtd with QEMU."""
from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from qrm_tui.core.errors import GuardRefused, Refused, StepFailed, Unreachable
from qrm_tui.runners import libvirt_line
from tests.lab.guard import in_network_namespace
from tests.lab.libvirtd import Libvirtd
from tests.lab.tiny_guest import UP, tiny_guest
from tests.services.libvirt_room import FIRMWARE, PATIENCE, recorded, room, wish
from tests.services.ssh_line import ssh_line

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("libvirt")]
UP_BYTES = UP.encode()
#: What the kernel says to SysRq h (drivers/tty/sysrq.c).
SYSRQ = b"sysrq: HELP"


async def test_a_guest_is_recorded_from_its_first_byte_to_its_last(libvirtd: Libvirtd, tmp_path: Path) -> None:
    guest = tiny_guest()
    one = wish(1, kernel=str(guest.kernel), initrd=str(guest.initrd), cmdline="console=ttyS0,115200 panic=-1 quiet")
    async with room(libvirtd.uri, tmp_path) as farm, recorded(farm, one) as console:
        await farm.define(one)
        for _ in range(2):  # what is so already is success
            await farm.host.start(one.uuid, paused=True)
        assert (await farm.seen(one)).state == "paused"
        await console.until_state("connected")
        assert console.end == 0
        await farm.host.resume(one.uuid)
        await console.until_said(UP_BYTES)
        # a serial terminal is reset by the firmware before anything else
        assert console.said().startswith(b"\x1bc") and console.said().index(FIRMWARE) < 64
        await console.type(b"say hello\n")
        await console.until_said(b"said hello")
        seen = await farm.seen(one)
        assert (seen.state, seen.resource, seen.nics[0].target) == ("running", "r-1", "q-p1") and seen.cpu_time > 0

        await farm.host.suspend(one.uuid)
        assert (await farm.seen(one)).state == "paused"
        end = console.end
        await console.type(b"say later\n")
        await farm.host.resume(one.uuid)
        await console.until_said(b"said later", since=end)

        assert console.means == ["break", "sysrq"]
        await console.send_sysrq("h")
        await console.until_said(SYSRQ)
        end = console.end
        await console.send_break()
        await console.type(b"hsay typed\n")  # the kernel's letter, and what a program reads
        await console.until_said(b"said typed", since=end)
        assert SYSRQ in console.said(end)
        end = console.end
        await console.type(b"say \x0f\n")
        await console.until_said(b"said \x0f", since=end)

        await farm.host.set_memory(one.uuid, 160 << 20)  # its balloon obeys
        await farm.until_seen(one, lambda found: found.memory == 160 << 20)
        await farm.host.set_cpus(one.uuid, 2)
        assert (await farm.seen(one)).cpus == 2

        await console.type(b"flood 100000\n")
        await console.until_said(b"flood is over")
        numbers = console.said().partition(b"1\r\n2\r\n")[2].partition(b"flood is over")[0].split()
        assert numbers == [b"%d" % number for number in range(3, 100_001)]

        end = console.end
        await farm.host.reset(one.uuid)
        await console.until_said(UP_BYTES, since=end)
        end = console.end
        await console.type(b"reboot\n")  # of itself: the same line goes on
        await console.until_said(UP_BYTES, since=end)
        assert console.console.state == "connected"
        await console.type(b"off\n")
        await farm.until_seen(one, lambda found: found.state == "off")
        await console.until_state("waiting")
        with pytest.raises(Refused, match="not connected"):
            await console.type(b"say x\n")
        end = console.end
        await farm.host.start(one.uuid, paused=True)
        await console.until_state("connected")
        await farm.host.resume(one.uuid)
        await console.until_said(UP_BYTES, since=end)
        assert console.said(end).startswith(b"\x1bc")
        found = await farm.seen(one)
        assert (found.cpus, found.memory_most) == (2, 256 << 20)


async def test_a_libvirtd_that_is_killed_comes_back_and_its_guests_went_on(libvirtd: Libvirtd, tmp_path: Path) -> None:
    guest = tiny_guest()
    one = wish(2, kernel=str(guest.kernel), initrd=str(guest.initrd), cmdline="console=ttyS0,115200 quiet")
    async with room(libvirtd.uri, tmp_path) as farm, recorded(farm, one) as console:
        await farm.define(one)
        await farm.host.start(one.uuid, paused=True)
        await console.until_state("connected")
        await farm.host.resume(one.uuid)
        await console.until_said(UP_BYTES)
        libvirtd.kill()
        await farm.until_told("line-lost")
        with pytest.raises(Unreachable):
            await farm.host.look()
        await console.until_state("waiting")
        libvirtd.start()
        await farm.until_told("line-back")
        await console.until_state("connected")
        assert (await farm.seen(one)).state == "running"
        await console.type(b"say again\n")
        await console.until_said(b"said again")
        await farm.host.shutdown(one.uuid)  # nobody listens to the button there; asking is no error
        await farm.host.destroy(one.uuid)
        await farm.until_told("stopped", one.uuid)


async def test_a_console_waits_for_its_partition(libvirtd: Libvirtd, tmp_path: Path) -> None:
    one = wish(3)
    async with room(libvirtd.uri, tmp_path) as farm, recorded(farm, one) as console:
        await console.until_state("waiting", "no domain")
        await farm.define(one)
        for _ in range(2):
            end = console.end
            await farm.host.start(one.uuid, paused=True)
            await console.until_state("connected")
            await farm.host.resume(one.uuid)
            await console.until_said(FIRMWARE, since=end)
            assert console.said(end).startswith(b"\x1bc")
            await farm.host.destroy(one.uuid)
            await console.until_state("waiting")


async def test_what_is_killed_on_its_host_has_crashed(libvirtd: Libvirtd, tmp_path: Path) -> None:
    one = wish(4)
    async with room(libvirtd.uri, tmp_path) as farm:
        await farm.define(one)
        await farm.host.start(one.uuid, paused=True)
        os.kill(libvirtd.process_of(one.name), signal.SIGKILL)
        await farm.until_told("crashed", one.uuid)
        assert (await farm.seen(one)).state == "crashed"
        await farm.host.start(one.uuid, paused=True)
        assert (await farm.seen(one)).state == "paused"


async def test_what_somebody_made_by_hand_is_shown_and_never_touched(libvirtd: Libvirtd, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs.xml"
    theirs.write_text("<domain type='qemu'><name>theirs</name><memory unit='MiB'>64</memory><os>"
                      "<type arch='x86_64'>hvm</type></os></domain>")
    async with room(libvirtd.uri, tmp_path) as farm:
        await farm.host.look()
        libvirtd.virsh("define", str(theirs))
        try:
            (found,) = (await farm.host.look()).domains
            assert (found.name, found.state, found.resource) == ("theirs", "off", "")
            for call in (farm.host.start, farm.host.destroy, farm.host.undefine):
                with pytest.raises(GuardRefused, match="theirs on host1 is none of ours"):
                    await call(found.uuid)
            with pytest.raises(StepFailed, match="already exists"):
                await farm.define(wish(5, name="theirs"))
            assert libvirtd.virsh("list", "--all", "--name").split() == ["theirs"]
        finally:
            libvirtd.virsh("undefine", "theirs")


async def test_a_start_that_cannot_be_tells_why_in_libvirts_words(libvirtd: Libvirtd, tmp_path: Path) -> None:
    async with room(libvirtd.uri, tmp_path) as farm:
        for number, more, why in ((6, {"bridge": "nobridge"}, "nobridge"), (7, {"kernel": "/none"}, "/none"),
                                  (8, {"disk": "/dev/none"}, "/dev/none")):
            one = wish(number, **more)
            await farm.define(one)
            with pytest.raises(StepFailed, match=f"libvirt on host1 does not start {one.uuid}: .*{why}"):
                await farm.host.start(one.uuid)
            assert (await farm.seen(one)).state in ("off", "crashed")


async def test_a_libvirtd_that_hangs_is_unreachable_and_comes_back(
    libvirtd: Libvirtd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(libvirt_line, "KEEPALIVE", 1)
    monkeypatch.setattr(libvirt_line, "KEEPALIVE_COUNT", 1)
    async with room(libvirtd.uri, tmp_path) as farm:
        await farm.until_told("line-back")
        libvirtd.freeze()
        try:
            with pytest.raises(Unreachable, match="keepalive"):
                await farm.host.look()
            await farm.until_told("line-lost")
        finally:
            libvirtd.thaw()
        await farm.until_told("line-back")
        await farm.host.look()


OWNER = """
import asyncio, sys
from tests.lab.libvirtd import Libvirtd
from tests.lab.namespace import Namespace
from tests.services.libvirt_room import room, wish
async def main(namespace):
    libvirtd = Libvirtd(namespace)
    libvirtd.start()
    async with room(libvirtd.uri, namespace.scratch) as farm:
        await farm.define(wish(1))
        await farm.host.start(wish(1).uuid, paused=True)
        print(namespace.keeper, libvirtd.process_of("p1"), flush=True)
        sys.stdin.read()
with Namespace() as namespace:
    asyncio.run(main(namespace))
"""


def test_killing_the_tests_leaves_no_domain() -> None:
    owner = subprocess.Popen([sys.executable, "-c", OWNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                             env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])})
    try:
        assert owner.stdout
        keeper, qemu = owner.stdout.readline().split()
        network = str(Path(f"/proc/{keeper}/ns/net").readlink())
        there = in_network_namespace(network)
        assert int(qemu) in there
        held = [os.pidfd_open(pid) for pid in there]
        owner.kill()
        for descriptor in held:
            assert select.select([descriptor], [], [], PATIENCE)[0]
            os.close(descriptor)
    finally:
        owner.kill()
        owner.communicate()
    assert in_network_namespace(network) == []


async def test_over_ssh_and_a_line_that_is_cut(libvirtd: Libvirtd, tmp_path: Path) -> None:
    one = wish(9)
    async with (ssh_line(tmp_path, libvirtd.socket) as line, room(line.reach, tmp_path) as farm,
                recorded(farm, one) as console):
        await farm.define(one)
        await farm.host.start(one.uuid, paused=True)
        await console.until_state("connected")
        assert (tmp_path / "run").stat().st_mode & 0o777 == 0o700
        line.cut()
        await farm.until_told("line-lost")
        await farm.until_told("line-back")
        await console.until_state("connected")
        await farm.host.resume(one.uuid)
        await console.until_said(FIRMWARE)
