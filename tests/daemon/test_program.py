"""The real programs: qrmd in a process of its own with a practice farm, and qrm against it, as people use them."""
from __future__ import annotations

import grp
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from qrm_tui.core.operations.declarations import Role
from qrm_tui.daemon.main import groups_of, log_in_of, main
from qrm_tui.daemon.peer import GROUPS
from qrm_tui.daemon.sessions import LogInSettings

BIN = Path(sys.executable).parent
#: A group that Debian always has, and an account that is nobody's.
GROUP, NOBODY = "games", 65534


class Program:
    """qrmd on a practice farm."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.socket = folder, folder / "qrmd.sock"
        (folder / "settings.toml").write_text(f'[groups]\n{GROUP} = "viewer"\n')
        self.process: subprocess.Popen[str] | None = None

    def argv(self, *more: str) -> list[str]:
        return [str(BIN / "qrmd"), "--practice", "small", "--socket", str(self.socket), "--state",
                str(self.folder / "state"), "--settings", str(self.folder / "settings.toml"), *more]

    def start(self) -> None:
        """Until it answers."""
        # it tells systemd when it is ready; here we are systemd
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        path = str(self.folder / "notify")
        Path(path).unlink(missing_ok=True)
        notify.bind(path)
        notify.settimeout(60)
        self.process = subprocess.Popen(self.argv(), env={**os.environ, "NOTIFY_SOCKET": path},
                                        stderr=subprocess.PIPE, text=True)
        assert notify.recv(100) == b"READY=1"
        notify.close()

    def stop(self) -> int:
        assert self.process
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def qrm(self, *words: str) -> subprocess.CompletedProcess[str]:
        argv = [str(BIN / "qrm"), "--connect", str(self.socket), *words]
        return subprocess.run(argv, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, check=False)

    def as_another(self, groups: tuple[int, ...], request: str) -> str:
        """The answer to a raw request of another account, by the system's own Python, which anybody may run."""
        code = ("import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); "
                "s.sendall(sys.argv[2].encode()); print(b''.join(iter(lambda: s.recv(65536), b'')).decode())")
        return subprocess.run(["/usr/bin/python3", "-I", "-c", code, str(self.socket), request], capture_output=True,
                              text=True, timeout=60, check=True, user=NOBODY, group=NOBODY, extra_groups=groups,
                              cwd="/").stdout

    def json(self, *words: str) -> Any:
        done = self.qrm(*words, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def program() -> Iterator[Program]:
    # another account reaches the socket too, so pytest's own folders do not do
    folder = Path(tempfile.mkdtemp(prefix="qrm-test-"))
    folder.chmod(0o755)
    made = Program(folder)
    made.start()
    yield made
    ended = made.stop()
    left = made.socket.exists()
    shutil.rmtree(folder)
    assert (ended, left) == (0, False)


def test_fields_that_scripts_read(program: Program) -> None:
    image = program.json("image", "show", "customer1")
    assert {"name", "storage", "path", "size", "used", "origin", "fill", "full_at", "used_by"} <= set(image)
    assert (image["origin"], image["path"], image["state"]) == ("webserver", "/vol/customer1", "in use")
    storage = program.json("storage", "list")[0]
    assert {"name", "type", "address", "env", "size", "free", "state"} <= set(storage)
    job = program.json("job", "list", "--limit", "1")[0]
    assert {"id", "operation", "object", "state", "step", "steps", "progress", "who", "reason", "started", "ended",
            "error"} <= set(job)


def test_a_clone_from_plan_to_end(program: Program) -> None:
    plan = program.json("image", "clone", "webserver", "neu", "--plan")
    assert {"machine", "kind", "summary", "undo", "done_already"} <= set(plan["steps"][0])
    assert program.qrm("image", "show", "neu").returncode == 3
    job = program.json("image", "clone", "webserver", "neu", "--hostname", "neu", "--reason", "a new customer")
    assert (job["state"], job["reason"]) == ("done", "a new customer")
    assert program.json("image", "show", "neu")["state"] == "ready"
    refused = program.qrm("image", "remove", "neu")
    assert refused.returncode == 3 and "--yes" in refused.stderr
    assert program.qrm("image", "remove", "neu", "--yes").returncode == 0
    entry = program.json("journal", "list", "--limit", "1")[0]
    assert (entry["operation"], entry["object"], entry["outcome"]) == ("image.remove", "image/neu", "done")
    assert program.qrm("journal", "verify").returncode == 0


@pytest.mark.parametrize(("words", "code"), [
    (("image", "list"), 0), (("image", "explode"), 2), (("image", "add", "../x", "--size", "1G"), 2),
    (("image", "remove", "webserver", "--yes"), 3), (("image", "list", "--filter", "nofield=1"), 2),
    (("image", "add", "x", "--storage", "lvm-nfs", "--size", "900T"), 3),
])
def test_exit_codes(program: Program, words: tuple[str, ...], code: int) -> None:
    done = program.qrm(*words)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert bool(done.stderr) == bool(code)


def test_the_kernel_says_who_it_is(program: Program) -> None:
    if os.getuid() != 0:
        return  # only root can become another
    viewer = (grp.getgrnam(GROUP).gr_gid,)
    hello = "GET /v1/hello HTTP/1.1\r\nHost: q\r\nConnection: close\r\n\r\n"
    assert '"role":"viewer"' in program.as_another(viewer, hello)
    assert '"role":"nobody"' in program.as_another((), hello)
    body = '{"operation": "image.clone", "arguments": {"source": "webserver", "name": "x"}}'
    change = f"POST /v1/plan HTTP/1.1\r\nHost: q\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    refused = program.as_another(viewer, change)
    assert refused.startswith("HTTP/1.1 403") and "you are viewer" in refused


def test_every_practice_machine_has_a_console(program: Program) -> None:
    rows = program.json("console", "list")
    assert {"name", "source", "state", "since", "size", "watchers", "typist"} <= set(rows[0])
    assert {row["name"] for row in rows} == {row["name"] for row in program.json("resource", "list")}
    assert {(row["source"], row["state"]) for row in rows} == {("practice", "connected"), ("libvirt", "connected")}
    log = program.qrm("console", "log", rows[0]["name"])
    assert log.returncode == 0 and "Linux version" in log.stdout and "\x1b" not in log.stdout
    assert program.qrm("console", "log", rows[0]["name"], "--lines", "1").stdout in log.stdout
    assert program.qrm("console", "log", "nothing").returncode == 3


def test_a_second_server_does_not_take_the_socket(program: Program) -> None:
    done = subprocess.run(program.argv(), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0 and "another qrmd listens there" in done.stderr
    assert program.qrm("farm", "status").returncode == 0


def test_a_dead_servers_socket_is_taken_over(tmp_path: Path) -> None:
    program = Program(tmp_path)
    program.start()
    assert program.process
    program.process.kill()
    program.process.wait(30)
    assert program.socket.exists()
    assert program.qrm("farm", "status").returncode == 4
    program.start()
    assert program.qrm("farm", "status").returncode == 0
    assert program.stop() == 0


@pytest.mark.parametrize(("text", "word"), [
    ("name = [", "settings.toml"), ("colour = 1", "no setting 'colour'"), ('[groups]\nx = "king"', "no role"),
    ("log_in = 5", "is a table"), ("[log_in]\nidle = 0", "whole number of minutes"),
    ("[log_in]\nlock = true", "0: never"), ("[log_in]\ncolour = 1", "no 'colour'"), ("[log_in]\nallowed = 1", "true"),
])
def test_wrong_settings_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, word: str) -> None:
    """By the program in this process: that it starts in one of its own, others show."""
    program = Program(tmp_path)
    (tmp_path / "settings.toml").write_text(text)
    monkeypatch.setattr(sys, "argv", program.argv())
    with pytest.raises(SystemExit) as ended:
        main()
    assert word in str(ended.value)


def test_settings_name_groups_besides_the_usual_ones() -> None:
    assert groups_of({}) == GROUPS
    given = {"groups": {"support": "viewer", "qrm-operator": "nobody"}}
    assert groups_of(given) == GROUPS | {"support": Role.viewer, "qrm-operator": Role.nobody}


def test_settings_tell_how_users_log_in_in_minutes() -> None:
    assert log_in_of({}) == LogInSettings()
    given = log_in_of({"log_in": {"allowed": False, "idle": 5, "longest": 60, "lock": 0}})
    assert given == LogInSettings(allowed=False, idle=300, longest=3600, lock=0)
