"""Clones of a 1, a 10 and a 40 GB image on the real storage server, through qrm and qrmd, beside the bare commands.

Bare: `lvcreate -s`, a new UUID, mount, exportfs, each over the shared ssh line, as an admin would do it. Copy: `cp -a`
of the content and `sync`, from a cold cache. All images hold the same files, 20,000 small ones and some large, so only
the size of volume and file system differs. Figures are of user-mode-linux, where starting a program costs 20 to 40
times what it costs on metal: read ratios and trends.
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
FILL = """
import os, random, sys
bytes_of, root = random.Random(1).randbytes, sys.argv[1]
os.makedirs(f"{root}/etc")
open(f"{root}/etc/hostname", "w").write("golden\\n")
for at in range(200):
    os.makedirs(f"{root}/data/{at}")
    for name in range(100):
        open(f"{root}/data/{at}/{name}", "wb").write(bytes_of(2048))
for at in range(6):
    open(f"{root}/data/large{at}", "wb").write(bytes_of(32 << 20))
os.sync()
"""
COPY = "mkdir $0/copy; echo 3 >/proc/sys/vm/drop_caches; cp -a $0/data $0/copy/; sync"


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
    farm.do("image", "add", golden, "--storage", "s1", "--size", size)
    server.ssh("python3", "-", f"/vol/{golden}", input=FILL)
    ours, bare = [], []
    for at in range(RUNS):
        ours.append(_timed(lambda at=at: farm.do("image", "clone", golden, f"c{size}-{at}", "--reserve", "5%")))
        farm.do("image", "remove", f"c{size}-{at}")
        bare.append(_timed(lambda at=at: _bare(server, golden, f"b{size}-{at}")))
        _bare_gone(server, f"b{size}-{at}")
    copy = _timed(lambda: server.ssh("sh", "-c", COPY, f"/vol/{golden}"))
    farm.do("image", "remove", golden)
    return statistics.median(ours), statistics.median(bare), copy


def main() -> None:
    """Print seconds and ratios."""
    with Namespace() as namespace:
        server = StorageServer(namespace, image(), data_gb=60)
        server.start()
        farm = RealFarm(namespace, server, "bench")
        farm.start()
        try:
            farm.qrm_json("storage", "add", "s1", "--address", server.address, "--env", "SERVER_VOL=vol")
            first = 0.0
            print(f"{'image':>6} {'qrm clone':>10} {'bare':>8} {'ratio':>6} {'to 1G':>6} {'cp -a':>8}")
            for size in SIZES:
                ours, bare, copy = _measure(server, farm, size)
                first = first or ours
                print(f"{size:>6} {ours:9.1f}s {bare:7.1f}s {ours / bare:6.1f} {ours / first:6.2f} {copy:7.1f}s",
                      flush=True)
        finally:
            farm.stop()
            server.stop()


if __name__ == "__main__":
    main()
