"""A practice farm's qrmd as a process, for what measures or shows the program from outside."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]


@contextmanager
def practice_server(farm: str) -> Iterator[Path]:
    """The socket that it listens on."""
    with tempfile.TemporaryDirectory(prefix="qrm-bench-") as folder:
        socket = Path(folder) / "qrmd.sock"
        server = subprocess.Popen(
            [sys.executable, "-m", "qrm_tui.daemon.main", "--practice", farm, "--socket", str(socket), "--state",
             str(Path(folder) / "state"), "--with-parent"], cwd=ROOT, stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while not socket.exists():
                if server.poll() is not None:
                    raise SystemExit(f"the practice server ended with status {server.returncode}")
                time.sleep(0.05)
            yield socket
        finally:
            server.terminate()
            server.wait()
