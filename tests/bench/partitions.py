"""500 partitions polled, on one host and on ten: share of a core and the loop's longest hold, beside bare calls.

    .venv/bin/python tests/bench/partitions.py [PARTITIONS] [SECONDS]

Hosts are libvirt's simulated driver, which as Xen's has no question for all domains: one short question for each that
runs. Bare calls are the same questions of the same driver at the same pace, from a thread, with answers thrown away;
the driver lives in this process, and of a real host that part is the host's own. A hold is processor time of the loop's
thread between two turns of a task that sleeps 2 ms, so that other programs on the machine do not count. Budget: a tenth
of a core, no hold over 50 ms.
"""
from __future__ import annotations

import asyncio
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import libvirt

from qrm_tui.core.environments import VeWanted
from qrm_tui.core.farm import Farm
from qrm_tui.core.model import Item
from qrm_tui.core.partitions import PartitionWanted
from qrm_tui.core.resources import ResourceSeen, ResourceWanted
from qrm_tui.core.rows import row_of
from qrm_tui.daemon.hosts import PAUSE, Hosts
from qrm_tui.runners.base import Completed
from qrm_tui.runners.libvirt import LibvirtHypervisor, LocalReach

PARTITIONS, SECONDS = 500, 30.0
TICK = 0.002
_NODE = "<node><cpu><mhz>2600</mhz><active>64</active><nodes>1</nodes><sockets>1</sockets><cores>64</cores>" \
        "<threads>1</threads></cpu><memory>1073741824</memory>{domains}</node>"
_DOMAIN = "<domain type='test'><name>{name}</name><uuid>{id}</uuid><memory>262144</memory><vcpu>1</vcpu>" \
          "<os><type>hvm</type></os><devices><interface type='network'><mac address='{mac}'/>" \
          "<source network='default'/></interface></devices></domain>"


class Found(NamedTuple):
    """Shares of a core, and the longest hold of the loop in ms."""

    share: float
    hold: float


class Rules:
    """A host whose filters are as they were."""

    async def run(self, argv: Sequence[str], **options: Any) -> Completed:
        """The same answer each time."""
        return Completed(0, "rules", "")

    async def ask(self, questions: Sequence[Sequence[str]]) -> list[Completed]:
        """Each holds."""
        return [Completed(0, "", "") for _ in questions]


class Machines:
    """Hypervisors of resources, and little else."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def hypervisor(self, item: Item, wanted: object) -> LibvirtHypervisor:
        return LibvirtHypervisor(item.name, LocalReach(f"test://{self._folder / item.name}.xml"))

    def runner(self, name: str) -> Rules:
        """Its commands."""
        return Rules()


class Rack:
    """Told of resources that are off."""

    def show_and_keep(self, name: str, **changes: Any) -> None:
        """Nobody looks."""


def build(folder: Path, hosts: int, partitions: int) -> tuple[Farm, list[Path]]:
    """A farm whose hosts run their partitions, and the files that their drivers read."""
    farm, files = Farm(), []
    ve = Item(kind="ve", name="hosts", wanted=VeWanted(id="ve", boot_image="xen", image="xen_host", partitioning="xen"))
    farm.put(ve)
    for host in range(hosts):
        name = f"r{host}"
        farm.put(Item(kind="resource", name=name, wanted=ResourceWanted(id=name, mac=f"52:54:00:00:00:{host:02x}",
                                                                        ve="hosts"),
                      seen=ResourceSeen(runs="ve", stage="system", heard=farm.clock() + 3600, boot="b")))
        domains = ""
        for number in range(host, partitions, hosts):
            wanted = PartitionWanted(
                id=str(uuid.uuid5(uuid.NAMESPACE_OID, str(number))), host=name, technology="xen-pv", memory=256 << 20,
                mac=f"00:16:3e:00:{number >> 8:02x}:{number & 255:02x}", target=f"q{number}", power="on")
            farm.put(Item(kind="resource", name=f"{name}-{number}", wanted=ResourceWanted(
                id=wanted.id, mac=wanted.mac, kind="partition", technology="xen", host=name,
                address=f"10.0.{number >> 8}.{number & 255}")))
            farm.put(Item(kind="partition", name=f"{name}-{number}", wanted=wanted))
            domains += _DOMAIN.format(name=f"{name}-{number}", id=wanted.id, mac=wanted.mac)
        files.append(folder / f"{name}.xml")
        files[-1].write_text(_NODE.format(domains=domains))
    return farm, files


async def measure(seconds: float, ready: Callable[[], Awaitable[object]]) -> Found:
    """From when `ready` returns: first the share, with nothing else at work, then the holds."""
    await ready()
    begun, used = time.perf_counter(), time.process_time()
    await asyncio.sleep(seconds)
    share = (time.process_time() - used) / (time.perf_counter() - begun)
    begun, longest, before = time.perf_counter(), 0.0, time.thread_time()
    while time.perf_counter() - begun < seconds:
        await asyncio.sleep(TICK)
        longest, before = max(longest, time.thread_time() - before), time.thread_time()
    return Found(share, longest * 1000)


async def polled(folder: Path, hosts: int, partitions: int, seconds: float) -> Found:
    """By qrmd, which makes a row of each change, as for somebody who watches."""
    farm, _ = build(folder, hosts, partitions)
    farm.listen(lambda kind, name, item: row_of(item, farm) if item is not None else None)

    async def recorded(name: str) -> None:
        return

    watching = Hosts(farm, Machines(folder), Rack(), recorded, recorded)  # type: ignore[arg-type]
    watching.start()

    async def ready() -> None:
        while not all(item.state == "running" for item in farm.all("partition")):
            await asyncio.sleep(0.05)

    try:
        return await measure(seconds, ready)
    finally:
        await watching.stop()


async def bare(files: Iterable[Path], seconds: float) -> Found:
    """The same questions."""
    ends = threading.Event()

    def ask() -> None:
        lines = [libvirt.open(f"test://{file}") for file in files]
        while not ends.is_set():
            for line in lines:
                for domain in line.listAllDomains():
                    domain.UUIDString(), domain.ID(), domain.info()
            ends.wait(PAUSE)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    try:
        return await measure(seconds, lambda: asyncio.sleep(1))
    finally:
        ends.set()
        thread.join()


def main(partitions: int, seconds: float) -> None:
    """Print figures; nothing is asserted."""
    print(f"{partitions} partitions, a look every {PAUSE:.0f} s")
    for hosts in (1, 10):
        with tempfile.TemporaryDirectory(prefix="qrm-bench-") as name:
            seen = asyncio.run(polled(Path(name), hosts, partitions, seconds))
            asked = asyncio.run(bare(sorted(Path(name).glob("*.xml")), seconds))
        print(f"{hosts:3d} host{'s' if hosts > 1 else ' '}  qrmd {seen.share:.4f} of a core, bare calls "
              f"{asked.share:.4f}: {seen.share / asked.share:.1f} times; longest hold {seen.hold:.1f} ms, bare "
              f"{asked.hold:.1f} ms: {seen.hold / asked.hold:.1f} times")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else PARTITIONS, float(sys.argv[2]) if len(sys.argv) > 2 else SECONDS)
