"""A console end to end beside tmux, in one run: `.venv/bin/python tests/bench/tmux.py [FILE ...]`.

The same bytes (of files, or the streams of `terminal.py` but the shell's) go through tmux, from `cat` in a pane to a
client on a terminal of 80x24, and through all of ours: `cat` of a pipe on a terminal, qrmd's recorder and its log, the
socket, the app's console screen with its paints encoded as a real driver would. Told are MB/s
from the first byte to the last one on the screen, processor seconds for each MB, and ratios; tmux and qrmd skip frames,
and neither skips bytes.
"""

from __future__ import annotations

import asyncio
import os
import pty
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[2]))  # a checkout need not be installed

from qrm_tui.client.connection import Client
from qrm_tui.screens.application import QrmApp
from qrm_tui.screens.console import ConsoleScreen
from qrm_tui.styles import themes
from tests.bench.consoles import fifo, processor, program
from tests.unit.terminals import boot, coloured, editing, monitor, paging, repainting, screen

SIZE, BYTES, RUNS = (80, 24), 4_000_000, 3
STREAMS = {"a boot": boot, "many colours": coloured, "repainting": repainting, "moving about": paging,
           "a monitor": monitor, "vim": editing}
END = "the end of it"


class Found(NamedTuple):
    """Seconds from the first byte to the last one shown, and of the processor."""

    seconds: float
    processor: float


def tmux(path: Path) -> Found:
    """Through a pane and a client that is read."""
    words = ["tmux", "-L", f"qrm-bench-{os.getpid()}", "-f", "/dev/null"]
    shown = f"cat {path}; printf '\\r\\n{END}'; exec cat"
    pid, terminal = pty.fork()
    if not pid:
        os.environ.update(TERM="xterm-256color", LC_ALL="C.UTF-8")
        os.execvp(words[0], [*words, "new-session", "-x", str(SIZE[0]), "-y", str(SIZE[1]), shown])
    begun, got = time.perf_counter(), b""
    while END.encode() not in got:
        got = got[-100:] + os.read(terminal, 1 << 16)
    took = time.perf_counter() - begun
    server = int(subprocess.run([*words, "display-message", "-p", "#{pid}"], capture_output=True, check=True).stdout)
    used = processor(server) + processor(pid)
    subprocess.run([*words, "kill-server"], check=True)
    os.close(terminal)
    os.waitpid(pid, 0)
    return Found(took, used)


class Bench(QrmApp):
    """The app, its paints encoded and dropped."""

    def _display(self, screen: Any, renderable: Any) -> None:
        if hasattr(renderable, "render_segments"):
            renderable.render_segments(self.console).encode()


async def shown(folder: Path, server: int, pipe: int, data: bytes) -> Found:
    """Through the recorder, the log, the socket, and the console's screen."""
    app = Bench(str(folder / "socket"), connect=Client, look=themes.DARK)
    async with app.run_test(size=SIZE) as pilot:
        while "r0" not in app.live.rows["resource"]:
            await pilot.pause()
        app.open_console("r0")
        while not (isinstance(app.screen, ConsoleScreen) and app.screen.status):
            await pilot.pause()
        console = app.screen
        begun, used = time.perf_counter(), time.process_time() + processor(server)
        writer = threading.Thread(target=_write, args=(pipe, data + f"\r\n{END}\r\n".encode()))
        writer.start()
        while not any(END in row for row in screen(console.terminal.emulator)):  # type: ignore[arg-type]
            await asyncio.sleep(0.01)
        found = Found(time.perf_counter() - begun, time.process_time() + processor(server) - used)
        writer.join()
        app.exit()
    return found


def _write(pipe: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(pipe, view):]


def ours(data: bytes) -> Found:
    """With a server of its own."""
    with tempfile.TemporaryDirectory(prefix="qrm-bench-") as name:
        folder = Path(name)
        (folder / "state").mkdir()
        os.mkfifo(fifo(folder, 0))
        with program("serve", folder, 1) as (pid, pipes):
            return asyncio.run(shown(folder, pid, pipes[0], data))


def main() -> None:
    if not shutil.which("tmux"):
        print("not measured: there is no tmux here")
        return
    streams = ({path: Path(path).read_bytes() for path in sys.argv[1:]}
               or {name: stream(BYTES) for name, stream in STREAMS.items()})
    print(f"{'at 80x24':20}{'tmux':>8}{'ours':>8}{'ratio':>7}   {'tmux':>8}{'ours':>8}{'ratio':>7}\n"
          f"{'':20}{'MB/s':>8}{'MB/s':>8}{'':7}   {'ms/MB':>8}{'ms/MB':>8}")
    for name, data in streams.items():
        with tempfile.NamedTemporaryFile() as file:
            file.write(data)
            file.flush()
            runs = [(tmux(Path(file.name)), ours(data)) for _ in range(RUNS)]
        size = len(data) / 1e6
        (their_time, our_time), (their_use, our_use) = (
            [statistics.median(run[which][at] for run in runs) for which in (0, 1)] for at in (0, 1))
        print(f"{Path(name).name:20}{size / their_time:8.2f}{size / our_time:8.2f}{their_time / our_time:7.2f}   "
              f"{their_use / size * 1000:8.1f}{our_use / size * 1000:8.1f}{our_use / max(their_use, 0.01):7.1f}")


if __name__ == "__main__":
    main()
