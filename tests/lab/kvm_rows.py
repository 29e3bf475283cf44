"""The rows of a virtualization host that runs its partitions with KVM, or with QEMU alone."""

from __future__ import annotations

import time

from tests.lab.netboot_farm import BOOT_SECONDS
from tests.lab.partition_rows import HOSTS, Scenario
from tests.services.command_line import until

NESTED_SECONDS = 1800.0
"""Until a kernel counts as hung in a machine that is emulated in an emulated one."""


class KvmScenario(Scenario):
    """A machine that becomes such a host, one partition, and back."""

    ROOT = "kvm_host"

    def run(self) -> None:
        """All rows."""
        for step in (
            self.install, self.idle_boot_image, self.switch_on, self.roots, self.idle_machine, self.start_host,
            self.slice, self.idle_partition, self.remove_partition, self.stop_host, self.remove,
        ):  # fmt: skip
            step()

    def start_host(self) -> None:
        with self._rows.row("H15", "a VE with Partitioning KVM on the boot-image of everybody"):
            self._line.qrm_json("ve", "create", HOSTS, "--boot-image", "idle", "--image", self.ROOT, "--partitioning",
                                "kvm")  # fmt: skip
        self._boot_host("it boots Linux, its root over NFS, and libvirt answers from there")

    def slice(self) -> None:
        with self._rows.row("H19", "a partition, recorded from its firmware's first word") as row:
            self._line.do("partition", "create", "--host", self._host, "--cpus", "1", "--memory", "256M")
            (name,) = self._farm.all("partition")
            self._farm.await_state("partition", name, "running")

            def said() -> str:
                return next((line for line in self._line.qrm("console", "log", name).stdout.splitlines()
                             if "iPXE" in line or "SeaBIOS" in line), "")

            row.proof(f"{name}: {until('its firmware speaks', said, BOOT_SECONDS)}")

    def idle_partition(self) -> None:
        with self._rows.row("H21", "it netboots by its firmware, and is an idle resource in maintenance") as row:
            began = time.monotonic()
            (name,) = self._farm.all("partition")
            fields = until(f"{name} is idle", lambda: self._state("resource", name, "idle"), NESTED_SECONDS)
            told = tuple(fields[key] for key in ("kind", "host", "maintenance"))
            assert told == ("partition", self._host, True), fields
            row.proof(f"{name} {fields['address']}, {fields['technology']} ({self._farm.stages(name, began)})")

    def remove_partition(self) -> None:
        with self._rows.row("H19", "the partition is removed, its domain with it"):
            (name,) = self._farm.all("partition")
            self._farm.done(("partition", "remove", name))
            assert self._farm.all("partition") == {}
            assert self._farm.all("host")[self._host]["foreign"] == []
