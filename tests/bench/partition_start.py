"""Start of a partition beside bare `virsh start`: `.venv/bin/python tests/bench/partition_start.py [RUNS]`, as root.

A real libvirtd with QEMU, in a network namespace of the lab; the same domain each time, in turns: `virsh start`, the
step that does it here (started paused, its console recorded, its share of the CPUs set, resumed, looked at), and the
whole job of `qrm partition start`, planned, checked and written down. The host's commands, which load the filter, are
answered by a simulated machine, at once. Told are medians in ms, and ratios to virsh.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # a checkout need not be installed

from qrm_tui.core.operations.declarations import Role
from qrm_tui.daemon.records import Author
from qrm_tui.runners.libvirt import LocalReach
from tests.lab.fixtures import requirements
from tests.lab.libvirtd import PROGRAMS, Libvirtd
from tests.lab.namespace import Namespace
from tests.services.hosts_room import HOST, HostsRoom, hosts_room
from tests.services.libvirt_room import wish

RUNS = 10


async def measure(libvirtd: Libvirtd, folder: Path, runs: int) -> dict[str, list[float]]:
    """Milliseconds of each start."""
    one = wish(1)
    took: dict[str, list[float]] = {}
    async with hosts_room(folder, LocalReach(libvirtd.uri)) as farm:
        await farm.add(one)
        hypervisor = farm.qrmd.hosts.hypervisor_of(HOST)
        assert hypervisor is not None

        async def bare() -> None:
            await asyncio.to_thread(libvirtd.virsh, "start", one.name)

        async def step() -> None:
            await farm.ask(one, "start")

        async def job() -> None:
            await _job(farm, one.name)

        async def again() -> None:
            await farm.until_state(one.name, "running")
            await hypervisor.destroy(one.uuid)
            await farm.until(lambda: farm.qrmd.farm.get("partition", one.name).state != "running")

        starts: dict[str, Callable[[], Awaitable[None]]] = {
            "virsh start": bare, "the step": step, "qrm partition start": job}
        for start in (job, bare, step):  # the first of each finds cold caches, and that of the job loads the filter
            await start()
            await again()
        for _ in range(runs):
            for name, start in starts.items():
                begun = time.perf_counter()
                await start()
                took.setdefault(name, []).append((time.perf_counter() - begun) * 1000)
                await again()
    return took


async def _job(farm: HostsRoom, name: str) -> None:
    plan = await farm.qrmd.plan("partition.start", {"name": name}, Role.administrator)
    outcome = await farm.qrmd.run(plan.id, Author("bench"), Role.administrator)
    record = await farm.qrmd.jobs.wait(outcome["job"]["id"])
    assert record.state == "done", record.error


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    if lacking := requirements(PROGRAMS):
        print("not measured: the lab's libvirt needs " + "; ".join(lacking))
        return
    with Namespace() as namespace, tempfile.TemporaryDirectory(prefix="qrm-bench-") as folder:
        libvirtd = Libvirtd(namespace)
        libvirtd.start()
        try:
            took = asyncio.run(measure(libvirtd, Path(folder), runs))
        finally:
            libvirtd.end()
    bare = statistics.median(took["virsh start"])
    for name, times in took.items():
        print(f"{name:22}{statistics.median(times):8.0f} ms, {min(times):.0f} to {max(times):.0f}"
              f"{statistics.median(times) / bare:8.2f} times")


if __name__ == "__main__":
    main()
