"""How long one machine's boot change takes among 10,000, how many files it touches, and all of them anew."""
from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec

from qrm_tui.backends import boot, dhcpd
from qrm_tui.core.components import ComponentSeen, ComponentWanted
from qrm_tui.core.model import Item
from qrm_tui.core.resources import ResourceSeen, ResourceWanted
from qrm_tui.daemon.server import Qrmd
from qrm_tui.runners.local import LocalRunner

MACHINES, RUNS = 10_000, 20


class Moved(LocalRunner):
    """This machine, with the boot root in a folder of ours; every command is a real process."""

    def __init__(self, folder: Path) -> None:
        super().__init__("here")
        self._folder = str(folder)

    def _here(self, path: str) -> str:
        return self._folder + path

    async def edit_tree(self, root: str, edits: Any) -> list[str]:
        return await super().edit_tree(self._here(root), edits)

    async def run(self, argv: Any, **more: Any) -> Any:
        return await super().run([self._here(word) if word.startswith("/srv/") else word for word in argv], **more)

    async def read_file(self, path: str) -> Any:
        return await super().read_file(self._here(path))

    async def write_file(self, path: str, content: str, mode: int, checker: Any) -> None:
        Path(self._here(path)).parent.mkdir(parents=True, exist_ok=True)
        await super().write_file(self._here(path), content, mode, checker)


class Here:
    """No other machines."""

    public_key = ""

    def __init__(self, folder: Path) -> None:
        self._runner = Moved(folder)

    def here(self) -> LocalRunner:
        return self._runner


class Stopwatch:
    """Seconds by the clock, and of processor time in this process and its children."""

    def __init__(self) -> None:
        self._at, self._used = time.perf_counter(), sum(os.times()[:4])

    def __str__(self) -> str:
        return f"{self.wall:7.2f} s  ({self.processor:.2f} s of processor time)"

    @property
    def wall(self) -> float:
        return time.perf_counter() - self._at

    @property
    def processor(self) -> float:
        return sum(os.times()[:4]) - self._used


def _touched(folder: Path, since: float) -> int:
    return sum(path.stat().st_mtime > since for path in folder.rglob("*") if path.is_file())


async def _measure(folder: Path) -> None:
    (folder / "state").mkdir()
    qrmd = Qrmd(folder / "state", Here(folder), practice=True)  # type: ignore[arg-type]
    dhcpd.omapi_argv = lambda *words: ("true",)  # the bench has no dhcpd
    await qrmd.store.open()
    farm, root = qrmd.farm, folder / boot.ROOT.lstrip("/")
    for number in range(MACHINES):
        mac = f"52:54:00:{number >> 16:02x}:{number >> 8 & 255:02x}:{number & 255:02x}"
        farm.put(Item(kind="resource", name=f"r{number}", created=1, seen=ResourceSeen(nonce=f"{number:032x}"),
                      wanted=ResourceWanted(id=f"id-{number}", mac=mac)))
    for name, settings in (("dhcpd", {"address": "10.0.0.1"}), ("tftpd", {}), ("apache", {}), ("node", {})):
        farm.put(Item(kind="component", name=name, created=1, wanted=ComponentWanted(settings=settings),
                      seen=ComponentSeen()))
    watch = Stopwatch()
    qrmd.upkeep.start()
    await qrmd.upkeep.settle()
    told, files = str(watch), sum(path.is_file() for path in root.rglob("*"))
    print(f"all {MACHINES} machines anew    {told}, {files} files")

    watch = Stopwatch()
    qrmd.upkeep._set_up()
    await qrmd.upkeep.settle()
    print(f"all compared, none changed  {watch}")

    times, since, watch = [], time.time(), Stopwatch()
    for run in range(RUNS):
        item = farm.get("resource", f"r{run * 17 + 20}")
        one = Stopwatch()
        farm.put(msgspec.structs.replace(item, seen=msgspec.structs.replace(item.seen, nonce=f"{run:031x}f")))
        await qrmd.upkeep.settle()
        times.append(one.wall * 1000)
    used = watch.processor * 1000 / RUNS
    touched = _touched(root, since)
    print(f"one machine's change        {sorted(times)[RUNS // 2]:7.2f} ms ({used:.2f} ms of processor time; worst of "
          f"{RUNS}: {max(times):.2f} ms), {touched / RUNS:.1f} files")
    await qrmd.upkeep.stop()
    qrmd.store.close()


def main() -> None:
    """Print seconds, milliseconds and files."""
    folder = Path(tempfile.mkdtemp(prefix="qrm-bench-"))
    try:
        asyncio.run(_measure(folder))
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
