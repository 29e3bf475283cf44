"""The partitions lab: a machine netboots into Xen and is sliced, and a slice runs a customer's system.

Run as `python -m tests.lab.partitions`; exit code 0 when all rows hold.
"""

from __future__ import annotations

from tests.lab.acceleration import EMULATED, acceleration
from tests.lab.golden import golden
from tests.lab.host_roots import dom0, qemu_host
from tests.lab.kvm_rows import KvmScenario
from tests.lab.machine import Hardware
from tests.lab.netboot_farm import NetbootFarm
from tests.lab.partition_rows import KINDS, Scenario
from tests.lab.rows import Rows
from tests.lab.server_image import server_image
from tests.lab.whole_server import asked, go, lacks

HOST = Hardware("bios", cpus=2, memory_mb=3072, vendor="Lab Xen", serial="LAB-X-1", processor="Nehalem")
SECOND = Hardware("bios", cpus=1, memory_mb=1536, vendor="Lab Xen", serial="LAB-X-2", processor="Nehalem")
"""Joins when the first one rests: there are few processors to emulate them on."""

KVM_HOST = Hardware("uefi", cpus=2, memory_mb=2048, vendor="Lab KVM", serial="LAB-K-1")


def main() -> int:
    words = asked("A machine that boots Xen, is sliced, and runs a customer's system in a slice.",
                  kvm="a host of KVM or, where that is not to be had, of QEMU alone, and one slice")  # fmt: skip
    if lacks():
        return 1

    def through(rows: Rows, farm: NetbootFarm) -> None:
        (KvmScenario if words.kvm else Scenario)(rows, farm).run()

    server = server_image()
    if words.kvm:
        accel = acceleration(server.machine_kernel)
        return go(server, [golden(), qemu_host()], {0x40: KVM_HOST}, accel, KINDS, through, keep=words.keep)

    # Xen under KVM wants a processor that it can have nested: emulated, it runs anywhere
    return go(server, [golden(), dom0()], {0x40: HOST, 0x41: SECOND}, EMULATED, KINDS, through,
              keep=words.keep)  # fmt: skip


if __name__ == "__main__":
    raise SystemExit(main())
