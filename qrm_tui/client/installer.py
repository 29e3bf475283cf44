"""The installer's own qrmd on this machine: started without changing it, outliving every line, handed over at the end.

It is a transient unit (systemd-run(1)) at the usual socket and with the usual folder, so that its journal and jobs are
the server's own from the first step on. qrmd.service conflicts with it: starting that one ends it, and takes its jobs
up.
"""
from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from qrm_tui.core.errors import Refused, StepFailed

UNIT, SERVICE = "qrm-installer.service", "qrmd.service"
#: As the unit of qrmd has them (templates/systemd/qrmd.service.j2).
_PROPERTIES = ("Type=notify", "Restart=on-failure", "RestartSec=1", "RuntimeDirectory=qrm",
               "RuntimeDirectoryMode=0755", "RuntimeDirectoryPreserve=yes", "StateDirectory=qrm",
               "StateDirectoryMode=0700", "LogsDirectory=qrm", "ConfigurationDirectory=qrm", "TimeoutStopSec=15")
#: Seconds that systemd may take; qrmd says when it is ready.
_PATIENCE = 60


def trouble() -> str:
    """Why no server can be installed from here; empty: it can."""
    if os.geteuid() != 0:
        return "to install a server here, be root: sudo qrm-tui"
    if not Path("/run/systemd/system").is_dir() or shutil.which("systemd-run") is None:
        return "a server needs systemd, which does not run here"
    return ""


def program() -> str:
    """qrmd, which is installed beside what runs now."""
    return str(Path(sys.executable).with_name("qrmd"))


def start() -> None:
    """The installer's qrmd runs, now or already; Refused, StepFailed."""
    if why := trouble():
        raise Refused(why)
    if _is_active(UNIT) or _is_active(SERVICE):
        return
    words = [word for setting in _PROPERTIES for word in ("--property", setting)]
    _systemd("systemd-run", "--quiet", "--collect", "--unit", UNIT, "--description", "qrm: sets up the server", *words,
             program(), "--installer")


def hand_over() -> bool:
    """qrmd.service takes over from the installer's qrmd, where that runs here; whether it did. StepFailed."""
    if trouble() or not _is_active(UNIT):
        return False
    _systemd("systemctl", "start", SERVICE)
    return True


def _is_active(unit: str) -> bool:
    return subprocess.run(["systemctl", "is-active", "--quiet", unit], check=False, timeout=_PATIENCE).returncode == 0


def _systemd(*argv: str) -> None:
    done = subprocess.run(argv, check=False, timeout=_PATIENCE, capture_output=True, text=True)
    if done.returncode != 0:
        raise StepFailed(f"{argv[0]}: {(done.stderr or done.stdout).strip() or done.returncode}; "
                         f"journalctl --unit {UNIT} says more")
