"""The real programs: qrmd and qrmd-node in processes of their own, killed and started again while machines speak."""
from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.daemon.rackroom import MAC, lines_of, new_boot

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0


def _run(*words: str | Path, notify: Path | None = None) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **({"NOTIFY_SOCKET": str(notify)} if notify else {})}
    return subprocess.Popen([sys.executable, "-m", *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True, cwd=ROOT, env=environment)


class Programs:
    """A qrmd with nothing in it, and a qrmd-node."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.qrmd: subprocess.Popen[str] | None = None
        self.node: subprocess.Popen[str] | None = None
        self.port = 0

    def start_qrmd(self) -> None:
        """Until it is ready, as systemd would be told."""
        notify = self.folder / "notify"
        notify.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready:
            ready.bind(str(notify))
            ready.settimeout(PATIENCE)
            self.qrmd = _run("qrm_tui.daemon.main", "--socket", self.folder / "q.sock", "--state",
                             self.folder / "state", "--log", self.folder / "log", "--settings", self.folder / "none",
                             notify=notify)
            assert ready.recv(100) == b"READY=1"

    def start_node(self) -> None:
        self.node = _run("qrm_tui.node.main", "--listen", f"127.0.0.1:{self.port}", "--socket",
                         self.folder / "node.sock")
        assert self.node.stdout
        self.port = int(self.node.stdout.readline().rpartition(":")[2])

    def post(self, path: str, token: str = "", **said: Any) -> tuple[int, str]:
        """Status and text; status 0: nobody listens."""
        asked = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", msgspec.json.encode(said),
                                       {"Authorization": f"Bearer {token}"} if token else {})
        try:
            with urllib.request.urlopen(asked, timeout=PATIENCE) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except (urllib.error.URLError, ConnectionError):
            return 0, ""

    def insist(self, path: str, status: int, token: str = "", **said: Any) -> str:
        """Asked until the answer has this status, as an agent asks."""
        ends = time.monotonic() + PATIENCE
        while time.monotonic() < ends:
            found, text = self.post(path, token, **said)
            if found == status:
                return text
            assert found in (0, 503), text
            time.sleep(0.05)
        raise AssertionError(f"{path} was never answered with {status}")

    def stop(self) -> list[int]:
        codes = []
        for process in (self.node, self.qrmd):
            if process and process.poll() is None:
                process.terminate()
                codes.append(process.wait(PATIENCE))
        return codes


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[Programs]:
    made = Programs(tmp_path)
    yield made
    for process in (made.node, made.qrmd):
        with contextlib.suppress(AttributeError, ProcessLookupError):
            process.kill()  # type: ignore[union-attr]
            process.wait(PATIENCE)  # type: ignore[union-attr]


def test_qrmd_is_killed_while_machines_speak(programs: Programs) -> None:
    programs.start_node()  # in either order
    assert programs.post("/v1/enlist", mac=MAC, boot=new_boot())[0] == 503
    programs.start_qrmd()
    boot = new_boot()
    token = lines_of(programs.insist("/v1/enlist", 200, mac=MAC, boot=boot))["token"]
    assert programs.post("/v1/beat", token, boot=boot) == (200, "beat 10\norder stay\n")
    assert programs.qrmd
    programs.qrmd.send_signal(signal.SIGKILL)
    programs.qrmd.wait(PATIENCE)
    assert programs.post("/v1/beat", token, boot=boot) == (200, "beat 10\norder stay\n")
    programs.insist("/v1/enlist", 503, mac="52:54:00:77:00:21", boot=new_boot())
    programs.start_qrmd()
    # it is known by the token that it has, and one more is enlisted
    told = lines_of(programs.insist("/v1/enlist", 200, mac="52:54:00:77:00:21", boot=new_boot()))
    assert told["name"] == "r2"
    assert programs.post("/v1/beat", token, boot=boot) == (200, "beat 10\norder stay\n")
    assert programs.post("/v1/beat", "0" * 64, boot=boot)[0] == 401
    # nobody wrote its boot files: it boots anew, and is not locked out
    assert lines_of(programs.post("/v1/enlist", mac=MAC, boot=new_boot())[1])["name"] == "r1"
    # the other one is killed as well: its table comes back from qrmd
    assert programs.node
    programs.node.kill()
    programs.node.wait(PATIENCE)
    programs.start_node()
    boot = new_boot()
    token = lines_of(programs.insist("/v1/enlist", 200, mac=MAC, boot=boot))["token"]
    assert programs.post("/v1/beat", token, boot=boot)[0] == 200
    assert programs.stop() == [0, 0]
    assert not (programs.folder / "node.sock").exists()
    log = (programs.folder / "log").read_text()
    assert "enlists as r2" in log and token not in log and "Traceback" not in log


def test_its_unit(tmp_path: Path) -> None:
    done = _run("qrm_tui.node.main", "--listen", "192.168.88.1:8640", "--print-unit")
    unit, errors = done.communicate(timeout=PATIENCE)
    assert done.returncode == 0, errors
    for line in ("DynamicUser=yes", "NoNewPrivileges=yes", "Type=notify", "CapabilityBoundingSet="):
        assert line in unit.splitlines()
    assert "--listen 192.168.88.1:8640 --socket /run/qrm/node.sock" in unit


@pytest.mark.parametrize(("listen", "word"), [
    ("8640", "an address and a port"), ("127.0.0.1:99999", "an address and a port"), ("192.0.2.1:8640", "192.0.2.1"),
    ("nonsense.invalid:1", "nonsense.invalid"),
])
def test_wrong_addresses_are_told(listen: str, word: str) -> None:
    done = _run("qrm_tui.node.main", "--listen", listen)
    _, errors = done.communicate(timeout=PATIENCE)
    assert done.returncode != 0 and word in errors and "Traceback" not in errors


def test_a_second_one_does_not_take_the_port(programs: Programs) -> None:
    programs.start_node()
    done = _run("qrm_tui.node.main", "--listen", f"127.0.0.1:{programs.port}")
    _, errors = done.communicate(timeout=PATIENCE)
    assert done.returncode != 0 and "in use" in errors


def test_it_tells_systemd_and_ends_when_told(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready:
        ready.bind(str(tmp_path / "notify"))
        ready.settimeout(PATIENCE)
        node = _run("qrm_tui.node.main", "--listen", "127.0.0.1:0", "--socket", tmp_path / "none.sock",
                    notify=tmp_path / "notify")
        assert ready.recv(100) == b"READY=1"
    node.send_signal(signal.SIGTERM)
    assert node.wait(PATIENCE) == 0
