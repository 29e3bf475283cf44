"""`practice start|stop`: a simulated farm in the background, with its folder under the user's run-time directory."""
from __future__ import annotations

import asyncio
import fcntl
import json
import os
import select
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from qrm_tui.cli.output import emit_json
from qrm_tui.cli.session import Session
from qrm_tui.cli.terminal import emit, talk
from qrm_tui.cli.verbs import Verb
from qrm_tui.client.connection import Client
from qrm_tui.client.where import parse_where
from qrm_tui.core.errors import NoServer, QrmError, Refused

#: The server that plays the farm; `--practice FARM --socket PATH --state FOLDER` follow.
COMMAND = (sys.executable, "-m", "qrm_tui.daemon.main")
#: Seconds for it to answer, and to end.
_START, _STOP = 30.0, 10.0
_BEAT = 0.02
#: Farms that this process has started and leaves running; Popen complains of those that are dropped.
_left: list[subprocess.Popen[bytes]] = []


def start(session: Session, verb: Verb, given: dict[str, Any]) -> int:
    """Start a farm, or find the one that runs; the last line on stdout is WHERE."""
    farm = given["farm"]
    with _home() as home:
        folder = home / farm
        record = _running(folder)
        if record is not None:
            talk(f"practice farm {farm} is running already")
        else:
            record = _spawn(farm, folder, given["nodes"] or 0)
            talk(f"practice farm {farm} is running; `qrm practice stop --farm {farm}` ends it")
    if session.options.json:
        emit_json(record)
    else:
        emit(record["where"])
    return 0


def stop(session: Session, verb: Verb, given: dict[str, Any]) -> int:
    """End a farm and remove its folder; one that does not run is no trouble."""
    farm = given["farm"]
    with _home() as home:
        folder = home / farm
        record = _running(folder)
        if record is None:
            talk(f"no practice farm {farm} is running")
        else:
            _end(record["pid"])
            talk(f"practice farm {farm} is gone")
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def where_of(farm: str) -> str:
    """WHERE of a farm that runs in the background; Refused if it does not."""
    with _home() as home:
        record = _running(home / farm)
    if record is None:
        raise Refused(f"no practice farm {farm} is running: qrm practice start --farm {farm}")
    return str(record["where"])


@contextmanager
def _home() -> Iterator[Path]:
    """The folder of this user's practice farms, held by one command at a time; Refused if it is not ours alone."""
    own = os.environ.get("XDG_RUNTIME_DIR", "")
    home = Path(own) / "qrm-practice" if own and Path(own).is_dir() else Path(f"/tmp/qrm-practice-{os.getuid()}")
    home.mkdir(mode=0o700, exist_ok=True)
    about = home.lstat()
    if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.getuid() or about.st_mode & 0o077:
        raise Refused(f"{home} is not a folder of yours alone (mode 0700): look who made it, and remove it")
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield home


def _spawn(farm: str, folder: Path, nodes: int) -> dict[str, Any]:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    where, log = str(folder / "qrmd.sock"), folder / "qrmd.log"
    parse_where(where)   # a path too long for a socket is told before anything runs
    source = str(Path(__file__).parents[2])   # where this package is, installed or not
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, (source, os.environ.get("PYTHONPATH"))))}
    with log.open("wb") as output:
        more = ["--nodes", str(nodes)] if nodes else []
        process = subprocess.Popen([*COMMAND, "--practice", farm, "--socket", where, "--state", str(folder / "state"),
                                    *more], stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                   cwd=folder, env=environment, start_new_session=True)
    try:
        record = {"farm": farm, "where": where, "pid": process.pid, "started": _started(process.pid)}
        (folder / "process.json").write_text(json.dumps(record))
        asyncio.run(_until_it_answers(farm, where, process, log))
    except BaseException:
        process.kill()
        process.wait()
        raise
    _left.append(process)
    return record


async def _until_it_answers(farm: str, where: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START
    while True:
        try:
            async with Client(where, patience=_START) as client:
                await client.hello()
            return
        except NoServer:
            if process.poll() is not None:
                raise QrmError(f"practice farm {farm} ended at once: {_last_words(log)}") from None
            if time.monotonic() > deadline:
                raise QrmError(f"practice farm {farm} does not answer after {_START:.0f} s: "
                               f"{_last_words(log)}") from None
        await asyncio.sleep(_BEAT)


def _last_words(log: Path) -> str:
    said = log.read_text(errors="replace").strip().splitlines() or ["it said nothing"]
    return f"{said[-1]} (all that it said is in {log})"


def _running(folder: Path) -> dict[str, Any] | None:
    """What is noted of a farm's process if that very process is alive."""
    try:
        record = json.loads((folder / "process.json").read_text())
        alive = _started(record["pid"]) == record["started"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return record if alive else None


def _started(pid: int) -> int:
    """When a process began, in clock ticks since boot: field 22 of proc_pid_stat(5). OSError if there is none."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    if fields[0] in "ZX":
        raise ProcessLookupError(f"{pid} has ended")
    return int(fields[19])


def _end(pid: int) -> None:
    """SIGTERM, and SIGKILL if that is not heeded; returns when the process is gone."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        for signum in (signal.SIGTERM, signal.SIGKILL):
            signal.pidfd_send_signal(handle, signum)
            if select.select([handle], [], [], _STOP)[0]:
                return
    except ProcessLookupError:
        return
    finally:
        os.close(handle)
