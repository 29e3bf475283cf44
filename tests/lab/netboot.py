"""The netboot lab: one real server, real machines, two customers; prints a line for each row that it proves.

Run as `python -m tests.lab.netboot`; exit code 0 when all rows hold.
"""

from __future__ import annotations

from tests.lab.acceleration import acceleration
from tests.lab.golden import golden
from tests.lab.installed import installed
from tests.lab.machine import Hardware
from tests.lab.netboot_farm import NetbootFarm
from tests.lab.netboot_rows import ANSWERS, Scenario
from tests.lab.rows import Rows
from tests.lab.server_image import server_image
from tests.lab.whole_server import asked, go, lacks

BIOS = Hardware("bios", cpus=1, memory_mb=512, vendor="Lab BIOS", serial="LAB-B-1")
UEFI = Hardware("uefi", cpus=2, memory_mb=1024, vendor="Lab UEFI", serial="LAB-U-2")


def main() -> int:
    words = asked("One server, two machines that netboot, two customers: a line for each row that holds.",
                  bare_boot="measure a start beside the machine's bare boot",
                  shared="have both machines run one root, too")  # fmt: skip
    if lacks():
        return 1
    server = server_image()
    there = installed(server, ANSWERS)

    def through(rows: Rows, farm: NetbootFarm) -> None:
        Scenario(rows, farm, there).run(words.bare_boot, words.shared)

    return go(server, [golden()], {0x20: BIOS, 0x21: UEFI}, acceleration(server.machine_kernel),
              ("resource", "ve", "job"), through, keep=words.keep, there=there)  # fmt: skip


if __name__ == "__main__":
    raise SystemExit(main())
