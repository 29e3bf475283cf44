"""Clones of a 1, a 10 and a 40 GB image on the real storage server, through qrm and qrmd, beside the bare commands.

Bare: `lvcreate -s`, a new UUID, mount, exportfs, each over the shared ssh line, as an admin would do it. Copy: `cp -a`
of the same content. All images hold the same files, so only the size of volume and file system differs. Figures are of
user-mode-linux, where starting a program costs 20 to 40 times what it costs on metal: read ratios and trends.
"""
from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from tests.lab.image import image
from tests.lab.namespace import Namespace
from tests.lab.storage_server import StorageServer
from tests.services.farm import RealFarm

SIZES, RUNS = ("1G", "10G", "40G"), 3
CONTENT_MB = 200
FILL = f"mkdir -p /vol/$0/etc /vol/$0/data; echo golden >/vol/$0/etc/hostname; for i in $(seq {CONTENT_MB}); do " \
       "head -c 1048576 /dev/urandom >/vol/$0/data/$i; done; sync"


def _timed(work: Callable[[], object]) -> float:
    start = time.monotonic()
    work()
    return time.monotonic() - start


def _bare(server: StorageServer, source: str, name: str) -> None:
    for argv in (("lvcreate", "-y", "-s", "-L", "200m", "-n", name, f"vol/{source}"),
                 ("tune2fs", "-U", "random", f"/dev/vol/{name}"), ("mkdir", "-p", f"/srv/{name}"),
                 ("mount", f"/dev/vol/{name}", f"/srv/{name}"),
                 ("exportfs", "-o", "rw,no_root_squash,no_subtree_check,mountpoint", f"10.77.0.9:/srv/{name}")):
        server.ssh(*argv)


def _bare_gone(server: StorageServer, name: str) -> None:
    for argv in (("exportfs", "-u", f"10.77.0.9:/srv/{name}"), ("umount", f"/srv/{name}"),
                 ("lvremove", "-y", f"vol/{name}")):
        server.ssh(*argv)


def _measure(server: StorageServer, farm: RealFarm, size: str) -> tuple[float, float, float]:
    golden = f"golden{size}"
    farm.qrm("image", "add", golden, "--storage", "s1", "--size", size)
    server.ssh("sh", "-c", FILL, golden)
    ours, bare = [], []
    for at in range(RUNS):
        ours.append(_timed(lambda at=at: farm.qrm("image", "clone", golden, f"c{size}-{at}", "--reserve", "5%")))
        farm.qrm("image", "remove", f"c{size}-{at}", "--yes")
        bare.append(_timed(lambda at=at: _bare(server, golden, f"b{size}-{at}")))
        _bare_gone(server, f"b{size}-{at}")
    copy = _timed(lambda: server.ssh("sh", "-c", "mkdir /vol/$0/copy; cp -a /vol/$0/data /vol/$0/copy/; sync", golden))
    farm.qrm("image", "remove", golden, "--yes")
    return statistics.median(ours), statistics.median(bare), copy


def main() -> None:
    """Print seconds and ratios."""
    with Namespace() as namespace:
        server = StorageServer(namespace, image(), data_gb=60)
        server.start()
        farm = RealFarm(namespace, server, "bench")
        farm.start()
        try:
            farm.qrm("storage", "add", "s1", "--address", server.address, "--env", "SERVER_VOL=vol")
            first = 0.0
            print(f"{'image':>6} {'qrm clone':>10} {'bare':>8} {'ratio':>6} {'to 1G':>6} {'cp -a':>8}")
            for size in SIZES:
                ours, bare, copy = _measure(server, farm, size)
                first = first or ours
                print(f"{size:>6} {ours:9.1f}s {bare:7.1f}s {ours / bare:6.1f} {ours / first:6.2f} {copy:7.1f}s")
        finally:
            farm.stop()
            server.stop()


if __name__ == "__main__":
    main()
