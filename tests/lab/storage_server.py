"""A real storage server: Debian with systemd, LVM, NFS and ssh in user-mode-linux on the lab's bridge."""

from __future__ import annotations

from dataclasses import dataclass

from tests.lab.image import Image
from tests.lab.namespace import Namespace
from tests.lab.uml import DATA_DEVICE, LabError, UmlMachine

__all__ = ["DATA_DEVICE", "LabError", "StorageServer", "ThinPool"]


@dataclass(frozen=True)
class ThinPool:
    """A thin pool in the volume group."""

    name: str = "pool"
    size: str = "1g"
    """As lvcreate -L takes it."""


class StorageServer(UmlMachine):
    """A machine whose data disk is a volume group.

    Several run side by side: `number` 0 has the address 10.77.0.2, 1 has 10.77.0.3 and so on. All share the host key.
    """

    def __init__(
        self,
        namespace: Namespace,
        image: Image,
        *,
        number: int = 0,
        data_gb: int = 8,
        memory_mb: int = 512,
        volume_group: str | None = "vol",
        thin_pool: ThinPool | None = None,
    ) -> None:
        name, address = f"store{number + 1}", f"10.77.0.{number + 2}"
        super().__init__(namespace, image, name=name, address=address, data_gb=data_gb, memory_mb=memory_mb)
        self._volume_group = volume_group
        self._thin_pool = thin_pool

    def start(self) -> None:
        """Makes the disks and the tap, boots, makes the volume group. Raises LabError."""
        super().start()
        if self._volume_group is not None:
            self.ssh("vgcreate", "--quiet", "--yes", self._volume_group, DATA_DEVICE)
            if self._thin_pool is not None:
                pool = f"{self._volume_group}/{self._thin_pool.name}"
                self.ssh("lvcreate", "--quiet", "--yes", "--type", "thin-pool", "-L", self._thin_pool.size, "-n", pool)
