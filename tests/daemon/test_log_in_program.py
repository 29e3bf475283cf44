"""Logging in to the real program: over the socket as an account without a role, and by `qrm` as people type it."""
from __future__ import annotations

import json
import os
import pty
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from qrm_tui.daemon import peer
from tests.daemon.test_program import BIN, NOBODY, Program
from tests.unit.command import read_until

FIRST, OWN, NEXT = "first-of-hers", "correct horse", "battery staple"


@pytest.fixture(scope="module")
def program() -> Iterator[Program]:
    """A practice farm with a user `anna`, an operator with a password of her own."""
    folder = Path(tempfile.mkdtemp(prefix="qrm-test-"))
    folder.chmod(0o755)
    made = Program(folder)
    for name, password in (("first", FIRST), ("own", OWN), ("wrong", "not this one")):
        (folder / name).write_text(password + "\n")
    made.start()
    added = made.qrm("user", "add", "anna", "--role", "operator", "--password-file", str(folder / "first"))
    assert added.returncode == 0, added.stderr
    yield made
    assert made.stop() == 0
    said = (folder / "state/qrm.log").read_text()
    shutil.rmtree(folder)
    assert not any(secret in said for secret in (FIRST, OWN, NEXT, "$argon2"))


def ask(program: Program, method: str, path: str, body: str = "", token: str = "") -> tuple[int, dict[str, object]]:
    """Status and answer to a process of an account without a role."""
    shown = f"Authorization: Bearer {token}\r\n" if token else ""
    text = program.as_another((), f"{method} {path} HTTP/1.1\r\nHost: q\r\nConnection: close\r\n{shown}"
                                  f"Content-Length: {len(body)}\r\n\r\n{body}")
    head, _, answer = text.replace("\r", "").partition("\n\n")
    return int(head.split()[1]), json.loads(answer)


def sign_in(program: Program, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`qrm login`, with a folder for sessions that is the test's own."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    folder = program.folder
    password = "own" if program.json("user", "show", "anna")["password"] == "own" else "first"
    done = program.qrm("login", "anna", "--password-file", str(folder / password), "--new-password-file",
                       str(folder / "own"))
    assert done.returncode == 0, done.stderr


def test_login_whoami_and_logout(program: Program, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    sign_in(program, monkeypatch, tmp_path)
    assert program.json("whoami") == {"user": "anna", "role": "operator", "by": "session"}
    kept = next((tmp_path / "qrm-sessions").iterdir())
    assert kept.stat().st_mode & 0o777 == 0o600
    # what an operator may not, root may not either while it is logged in as one
    refused = program.qrm("user", "role", "anna", "administrator")
    assert refused.returncode == 3 and "you are operator" in refused.stderr
    assert program.qrm("resource", "maintenance", "r1", "--on").returncode == 0
    entry = program.json("journal", "list", "--limit", "1")[0]
    account = program.json("journal", "list", "--filter", "operation=user.log-in", "--limit", "1")[0]["terminal"]
    assert (entry["who"], entry["operation"], account.split()[-2]) == ("anna", "resource.maintenance", "as")
    assert program.qrm("logout").returncode == 0
    assert program.json("whoami")["by"] == "account" and not list((tmp_path / "qrm-sessions").iterdir())


def test_another_terminal_is_not_logged_in(program: Program, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    sign_in(program, monkeypatch, tmp_path)
    argv = [str(BIN / "qrm"), "--connect", str(program.socket), "whoami", "--json"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True, start_new_session=True)
    assert json.loads(done.stdout)["by"] == "account"
    assert program.json("whoami")["by"] == "session"
    assert program.qrm("logout").returncode == 0


def test_a_session_that_has_ended_is_told(program: Program, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    sign_in(program, monkeypatch, tmp_path)
    next((tmp_path / "qrm-sessions").iterdir()).write_text("another")
    for words in (("image", "list"), ("whoami",)):
        done = program.qrm(*words)
        assert done.returncode == 3 and "session has ended" in done.stderr
    assert program.qrm("logout").returncode == 0
    assert program.qrm("image", "list").returncode == 0


def test_sessions_are_kept_in_a_folder_of_ones_own(program: Program, monkeypatch: pytest.MonkeyPatch,
                                                   tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "qrm-sessions").mkdir(mode=0o755)
    password = "own" if program.json("user", "show", "anna")["password"] == "own" else "first"
    done = program.qrm("login", "anna", "--password-file", str(program.folder / password), "--new-password-file",
                       str(program.folder / "own"))
    assert done.returncode == 3 and "yours alone" in done.stderr
    # somebody else's folder keeps nobody from working
    assert program.json("whoami")["by"] == "account" and not list((tmp_path / "qrm-sessions").iterdir())


@pytest.mark.parametrize(("words", "code", "said"), [
    (("login", "anna"), 2, "--password-file"), (("login",), 2, "say who"), (("login", "../x"), 2, "no user's name"),
    (("login", "anna", "--password-file", "/nowhere"), 2, "/nowhere"),
    (("login", "anna", "--password-file", "{folder}/wrong"), 3, "not right"),
    (("user", "add", "bert", "--role", "viewer"), 2, "--password-file"),
    (("user", "add", "bert", "--role", "king", "--password-file", "{folder}/own"), 2, "one of viewer"),
    (("user", "add", "bert", "--role", "viewer", "--password", "secret word"), 2, "no option --password"),
    (("user", "password"), 2, "say whose"),
    (("user", "password", "nobody", "--password-file", "{folder}/own"), 3, "no user 'nobody'"),
    (("user", "remove", "anna"), 3, "--yes"),
])
def test_what_is_wrong_is_told(program: Program, words: tuple[str, ...], code: int, said: str) -> None:
    done = program.qrm(*(word.format(folder=program.folder) for word in words))
    assert (done.returncode, said in done.stderr, "Traceback" in done.stderr) == (code, True, False), done.stderr


def test_a_terminal_is_asked_and_shows_no_password(program: Program, monkeypatch: pytest.MonkeyPatch,
                                                   tmp_path: Path) -> None:
    sign_in(program, monkeypatch, tmp_path)
    assert program.qrm("logout").returncode == 0
    child, terminal = pty.fork()
    if child == 0:
        os.execv(BIN / "qrm", ["qrm", "--connect", str(program.socket), "login", "anna"])
    shown = read_until(terminal, b"password of anna: ")
    os.write(terminal, OWN.encode() + b"\n")
    shown += read_until(terminal, b"operator")
    assert os.waitpid(child, 0)[1] == 0
    os.close(terminal)
    assert OWN.encode() not in shown


def test_a_stranger_logs_in_and_what_it_watches_ends_with_its_session(program: Program) -> None:
    if os.getuid() != 0:
        return  # only root can become another
    password = program.folder / "next"
    password.write_text(NEXT)
    made = program.qrm("user", "add", "carl", "--role", "viewer", "--password-file", str(password))
    assert made.returncode == 0, made.stderr
    assert ask(program, "GET", "/v1/farm")[0] == 401
    status, answer = ask(program, "POST", "/v1/login", json.dumps({"name": "carl", "password": NEXT}))
    token = str(answer["token"])
    assert (status, answer["must_change"], ask(program, "GET", "/v1/farm", token=token)[0]) == (200, True, 401)
    assert ask(program, "POST", "/v1/password", json.dumps({"old": NEXT, "new": OWN}), token)[0] == 200
    assert ask(program, "GET", "/v1/farm", token=token)[0] == 200
    # the token is no good to another account, be it root
    with socket.socket(socket.AF_UNIX) as mine:
        mine.connect(str(program.socket))
        mine.sendall(f"GET /v1/farm HTTP/1.1\r\nHost: q\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
        assert mine.recv(65536).startswith(b"HTTP/1.1 401")
    watching = subprocess.Popen(
        ["/usr/bin/python3", "-I", "-c", "import socket, sys; s = socket.socket(socket.AF_UNIX); "
         "s.connect(sys.argv[1]); s.sendall(sys.argv[2].encode()); print(len(s.recv(100)), flush=True); "
         "print(len(b''.join(iter(lambda: s.recv(65536), b''))))", str(program.socket),
         f"GET /v1/watch?kinds=user HTTP/1.1\r\nHost: q\r\nAuthorization: Bearer {token}\r\n\r\n"],
        stdout=subprocess.PIPE, text=True, user=NOBODY, group=NOBODY, extra_groups=(), cwd="/")
    assert watching.stdout and int(watching.stdout.readline())
    assert program.qrm("user", "remove", "carl", "--yes").returncode == 0
    assert watching.wait(30) == 0
    assert ask(program, "GET", "/v1/farm", token=token)[0] == 401


def test_strangers_do_not_take_all_connections(program: Program) -> None:
    if os.getuid() != 0:
        return  # only root can become another
    code = ("import socket, sys; lines = [socket.socket(socket.AF_UNIX) for _ in range(int(sys.argv[2]))]; "
            "[line.connect(sys.argv[1]) for line in lines]; [line.settimeout(0.5) for line in lines[:-1]]; "
            "print(lines[-1].recv(1))")
    done = subprocess.run(["/usr/bin/python3", "-I", "-c", code, str(program.socket), str(peer.MOST_OF_STRANGER + 1)],
                          capture_output=True, text=True, timeout=60, check=False, user=NOBODY, group=NOBODY,
                          extra_groups=(), cwd="/")
    assert done.stdout == "b''\n" or "ConnectionResetError" in done.stderr, done.stderr
    assert program.qrm("farm", "status").returncode == 0
