"""Consoles: 200 recorded, then 50 watchers on one of them, each beside a bare program that does no more than it must.

    .venv/bin/python tests/bench/consoles.py [CONSOLES] [WATCHERS] [SECONDS]

Every console is a real program on a real terminal (`cat` of a named pipe that this file fills). The bare program reads
the same terminals, appends what comes to files, and hands one console's bytes on to whoever connects. Shown: processor
time of qrmd and of the bare one in shares of a core, and their ratio. Budget: all of it in one core.
"""
from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
CONSOLES, WATCHERS, SECONDS = 200, 50, 6.0
#: Lines a second of each console, and bytes a second of the one that is watched: a machine that boots, verbosely.
LINES, FLOOD = 5, 200_000
LINE = b"[   12.345678] audit: type=1400 audit(1700000000.123:5): apparmor=\"STATUS\" operation\r\n"


def fifo(folder: Path, number: int) -> Path:
    return folder / f"fifo-{number}"


# the two programs that are compared

async def serve(folder: Path, count: int) -> None:
    """qrmd, with nothing but machines with consoles."""
    import uvicorn

    from qrm_tui.core.model import Item
    from qrm_tui.core.operations.declarations import Role
    from qrm_tui.core.resources import ResourceWanted
    from qrm_tui.daemon import peer
    from qrm_tui.daemon.api import Api
    from qrm_tui.daemon.machines import RealMachines
    from qrm_tui.daemon.server import Qrmd
    from qrm_tui.db.store import Write

    qrmd = Qrmd(folder / "state", RealMachines(folder / "state"))
    await qrmd.start()
    await qrmd.records.bring([Item(kind="resource", name=f"r{number}", wanted=ResourceWanted(
        id=str(number), mac=f"52:54:00:00:{number >> 8:02x}:{number & 255:02x}", console="command",
        console_command=f"cat {fifo(folder, number)}")) for number in range(count)], Write())
    listener = peer.open_socket(folder / "socket")
    app = Api(qrmd, lambda asking: Role.administrator).app()
    server = uvicorn.Server(uvicorn.Config(app, http=peer.protocol_for(peer.role_of), lifespan="off", log_config=None,
                                           access_log=False, ws="none", timeout_graceful_shutdown=1))
    await server.serve(sockets=[listener])
    await qrmd.stop()


async def bare(folder: Path, count: int) -> None:
    """Read, append, hand on."""
    from qrm_tui.runners.console_command import open_pty

    writers: list[asyncio.StreamWriter] = []
    files = [os.open(folder / f"bare-{number}", os.O_WRONLY | os.O_CREAT | os.O_APPEND) for number in range(count)]

    def received(number: int, data: bytes) -> None:
        os.write(files[number], data)
        if not number:
            for writer in writers:
                writer.write(data)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)

    lines = [open_pty(["cat", str(fifo(folder, number))], lambda data, at=number: received(at, data), lambda why: None)
             for number in range(count)]
    await asyncio.start_unix_server(connected, str(folder / "socket"))
    await asyncio.sleep(3600)
    del lines


async def watch(folder: Path, count: int) -> None:
    """So many watchers; prints how many bytes each got when its input ends."""
    counts = [0] * count

    async def one(number: int) -> None:
        reader, writer = await asyncio.open_unix_connection(str(folder / "socket"), limit=1 << 20)
        writer.write(b"GET /v1/consoles/r0/stream?lines=0 HTTP/1.1\r\nHost: q\r\n\r\n")
        while data := await reader.read(1 << 18):
            counts[number] += len(data)

    tasks = [asyncio.create_task(one(number)) for number in range(count)]
    await asyncio.to_thread(sys.stdin.read)
    for task in tasks:
        task.cancel()
    print(min(counts), max(counts))


# measuring

def processor(pid: int) -> float:
    """Seconds of processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def program(mode: str, folder: Path, count: int) -> Iterator[tuple[int, list[int]]]:
    """One of the two, with every pipe open; its pid and the pipes."""
    process = subprocess.Popen([sys.executable, __file__, mode, str(folder), str(count)], env={
        **os.environ, "PYTHONPATH": str(ROOT)})
    pipes = [os.open(fifo(folder, number), os.O_WRONLY) for number in range(count)]
    while not (folder / "socket").exists():
        time.sleep(0.05)
    try:
        yield process.pid, pipes
    finally:
        for pipe in pipes:
            os.close(pipe)
        process.terminate()
        process.wait(60)
        (folder / "socket").unlink(missing_ok=True)


def feed(pid: int, pipes: list[int], seconds: float, flood: int) -> float:
    """Fill the pipes at their pace; the share of a core that the program took."""
    begun, used, sent = time.monotonic(), processor(pid), 0
    turn = 0
    while (now := time.monotonic()) - begun < seconds:
        for pipe in pipes[turn % 10::10]:  # a tenth of them at a time: machines do not speak in step
            os.write(pipe, LINE)
        while sent < flood * (now - begun):
            sent += os.write(pipes[0], LINE * 10)
        turn += 1
        time.sleep(max(0.0, begun + turn / (10 * LINES) - time.monotonic()))
    return (processor(pid) - used) / (time.monotonic() - begun)


def measure(mode: str, folder: Path, count: int, watchers: int, seconds: float) -> dict[str, Any]:
    with program(mode, folder, count) as (pid, pipes):
        time.sleep(1)
        shares: dict[str, Any] = {"recorded": feed(pid, pipes, seconds, 0)}
        shares["flood"] = feed(pid, pipes, seconds, FLOOD)
        watching = subprocess.Popen([sys.executable, __file__, "watch", str(folder), str(watchers)],
                                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        time.sleep(2)
        shares["watched"] = feed(pid, pipes, seconds, FLOOD)
        time.sleep(1)
        shares["got"] = watching.communicate()[0].split()
        status = Path(f"/proc/{pid}/status").read_text()
        shares["resident"] = int(status.partition("VmRSS:")[2].split()[0]) >> 10
    return shares


def main() -> None:
    given = [float(text) for text in sys.argv[1:]]
    count, watchers, seconds = [*given, *(CONSOLES, WATCHERS, SECONDS)[len(given):]]
    count, watchers = int(count), int(watchers)
    with tempfile.TemporaryDirectory(prefix="qrm-bench-") as name:
        folder = Path(name)
        (folder / "state").mkdir()
        for number in range(count):
            os.mkfifo(fifo(folder, number))
        plain, ours = (measure(mode, folder, count, watchers, seconds) for mode in ("bare", "serve"))
    print(f"{count} consoles with {LINES} lines a second each; one of them with {FLOOD // 1000} kB/s")
    for what, words in (("recorded", "recorded"), ("flood", "and one of them in full flow"),
                        ("watched", f"and {watchers} watchers on that one")):
        print(f"  {words:32} qrmd {ours[what]:6.1%} of a core, bare {plain[what]:6.1%}: "
              f"{ours[what] / max(plain[what], 0.001):.1f} times")
    print(f"  bytes that the slowest and the fastest watcher got: {ours['got']}; qrmd resident {ours['resident']} MB")


if __name__ == "__main__":
    modes = {"serve": serve, "bare": bare, "watch": watch}
    if sys.argv[1:2] and sys.argv[1] in modes:
        asyncio.run(modes[sys.argv[1]](Path(sys.argv[2]), int(sys.argv[3])))
    else:
        main()
