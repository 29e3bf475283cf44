"""A server of one's own in a private folder: a practice farm, a recorded machine, or a look at this very machine.

It ends with us, however we end.
"""
from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

#: Seconds that the server gets to end before it is killed.
_PATIENCE = 5


class OwnServer:
    """Starts the server at once and does not wait for it: it answers in a moment at `where`."""

    def __init__(self, options: Sequence[str] = ()) -> None:
        """`options`: of qrmd, as `--practice small`. OSError where it cannot be started."""
        self.folder = Path(tempfile.mkdtemp(prefix="qrm-"))
        self.where = str(self.folder / "qrmd.sock")
        # its standard input is the line by which it learns that we are gone, also when we are killed
        with (self.folder / "qrmd.log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "qrm_tui.daemon.main", *options, "--socket", self.where,
                 "--state", str(self.folder / "state"), "--with-parent"],
                stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True)

    @property
    def trouble(self) -> str:
        """Why it has ended by itself; empty while it runs."""
        status = self._process.poll()
        if status is None:
            return ""
        lines = (self.folder / "qrmd.log").read_text(errors="replace").strip().splitlines()
        return f"the server ended with status {status}" + (f": {lines[-1].removeprefix('qrmd: ')}" if lines else "")

    def stop(self) -> None:
        """End it and remove its folder."""
        if self._process.stdin:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        self._process.terminate()
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
