"""qrmd's resident memory: bare, and with a farm of 5,000 images, in a process of its own on a practice farm."""
from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from qrm_tui.client.connection import Client
from qrm_tui.core.errors import NoServer

BIN = Path(sys.executable).parent
DEADLINE = 600.0


def _resident(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


async def _wait(socket: Path) -> int:
    """Images there, once the server answers."""
    client = Client(str(socket))
    until = time.monotonic() + DEADLINE
    while time.monotonic() < until:
        try:
            return int((await client.list("image", limit=1))["total"])
        except NoServer:
            await asyncio.sleep(0.2)
    raise SystemExit("qrmd did not answer")


def measure(farm: str) -> tuple[int, float, float]:
    """Images, MiB resident, seconds until it answered."""
    with tempfile.TemporaryDirectory() as folder:
        socket, started = Path(folder) / "s", time.monotonic()
        server = subprocess.Popen([BIN / "qrmd", "--practice", farm, "--socket", socket, "--state",
                                   Path(folder) / "state", "--with-parent"])
        try:
            images = asyncio.run(_wait(socket))
            return images, _resident(server.pid), time.monotonic() - started
        finally:
            server.terminate()
            server.wait()


def main() -> None:
    """Print MiB; budget: 200 at 10,000 objects. The simulated machines are in it: they live in the same process."""
    bare = measure("small")
    large = measure(sys.argv[1] if len(sys.argv) > 1 else "big-4x1000")
    print(f"{bare[0]:6d} images  {bare[1]:6.0f} MiB resident  ({bare[2]:.1f} s to fill and answer)")
    print(f"{large[0]:6d} images  {large[1]:6.0f} MiB resident  ({large[2]:.1f} s to fill and answer)")
    each = (large[1] - bare[1]) / max(1, large[0] - bare[0]) * 1024
    print(f"per image     {each:6.1f} KiB, jobs and machines included")


if __name__ == "__main__":
    main()
