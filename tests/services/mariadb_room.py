"""A real MariaDB of the tests' own, on a socket; and a line to it that is cut at a commit."""
from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pymysql
import pytest

from qrm_tui.core import database
from tests.lab.fixtures import SYSTEM_PATH

#: Program → its Debian package; these bring no service.
PROGRAMS = {"mariadbd": "mariadb-server-core", "mariadb-install-db": "mariadb-server-core",
            "mariadb": "mariadb-client-core"}
_PATIENCE = 60.0
_PATH = f"{os.environ.get('PATH', os.defpath)}:{SYSTEM_PATH}"
# what the kernel has outlives a kill -9, and no test takes the power away
_UNSAFE = ("--innodb-flush-method=nosync", "--debug-no-sync")
# since 11.4 it offers TLS by itself, and Line could not read what is asked
_OPTIONS = ("--no-defaults", "--skip-networking", "--skip-name-resolve", "--skip-ssl", "--innodb-buffer-pool-size=16M",
            "--innodb-log-file-size=8M", "--performance-schema=OFF", *_UNSAFE)
#: COM_QUERY, after length and number of a packet (mariadb.com/kb/en/com_query).
_QUERY = b"\x03"


class MariaDb:
    """One server. Whoever runs the tests is its root, by the socket."""

    def __init__(self, folder: Path) -> None:
        if lacking := [package for program, package in PROGRAMS.items() if shutil.which(program, path=_PATH) is None]:
            pytest.fail(f"MariaDB is needed: apt-get install {' '.join(sorted(set(lacking)))}", pytrace=False)
        self.data, self.socket, self.log = folder / "data", folder / "s", folder / "log"
        self.user = getpass.getuser()
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = count(1)
        self._as = ["--user=root"] if self.user == "root" else []
        subprocess.run(
            ["mariadb-install-db", "--no-defaults", f"--datadir={self.data}", "--skip-test-db", "--force",
             "--innodb-log-file-size=8M", *_UNSAFE, "--auth-root-authentication-method=socket",
             f"--auth-root-socket-user={self.user}", *self._as],
            env={**os.environ, "PATH": _PATH}, check=True, stdout=subprocess.DEVNULL, timeout=_PATIENCE)

    def start(self, *options: str) -> None:
        """Until it answers; it ends with the thread that started it, too."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "mariadbd", *_OPTIONS, f"--datadir={self.data}",
                 f"--socket={self.socket}", f"--pid-file={self.data / 'pid'}", *self._as, *options],
                env={**os.environ, "PATH": _PATH}, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True)
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                return self.execute("select 1")
            except pymysql.err.OperationalError:
                assert self._process.poll() is None and time.monotonic() < deadline, self.log.read_text()[-2000:]
                time.sleep(0.02)

    def kill(self) -> None:
        """kill -9, as when power fails."""
        if self._process:
            self.signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def signal(self, number: signal.Signals) -> None:
        if self._process:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    def execute(self, *statements: str) -> None:
        with contextlib.closing(self.connect()) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            connection.commit()

    def rows(self, statement: str) -> list[Any]:
        with contextlib.closing(self.connect()) as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall())

    def connect(self) -> pymysql.Connection[Any]:
        return pymysql.connect(user=self.user, unix_socket=str(self.socket))

    def place(self, name: str, user: str = "", at: Path | None = None) -> str:
        """As people write it."""
        return f"mariadb://{user or self.user}@localhost/{name}?unix_socket={at or self.socket}"

    @contextlib.contextmanager
    def empty_database(self) -> Iterator[str]:
        """The name of one, made as the installer makes it."""
        name = f"farm{next(self._numbers)}"
        self.execute(database.CREATE.format(name=name))
        yield name
        self.execute(f"drop database {name}")


class Line(threading.Thread):
    """A socket that leads to the server's. `cut`: at the next commit, "before" it gets there, or "after" it was done,
    with the answer lost; `at_cut` is run right then."""

    def __init__(self, server: MariaDb, at: Path) -> None:
        super().__init__(daemon=True)
        self.at, self._server = at, server
        self.cut, self._loses = "", False
        self.at_cut: Callable[[], None] = lambda: None
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(at))
        self._listener.listen()
        self.start()

    def run(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            there = socket.socket(socket.AF_UNIX)
            try:
                there.connect(str(self._server.socket))
            except OSError:
                client.close()
                continue
            for way in ((client, there, True), (there, client, False)):
                threading.Thread(target=self._carry, args=way, daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket, asks: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                if self._is_cut(data, asks):
                    self.at_cut()
                    break
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _is_cut(self, data: bytes, asks: bool) -> bool:
        if asks and data[4:5] == _QUERY and data.endswith(b"COMMIT"):
            cut, self.cut = self.cut, ""
            self._loses = cut == "after"
            return cut == "before"
        loses, self._loses = self._loses and not asks, self._loses and asks
        return loses

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture(scope="session")
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDb]:
    """One for all tests; put those that ask for it into the `xdist_group` "mariadb"."""
    server = MariaDb(tmp_path_factory.mktemp("mariadb"))
    server.start()
    yield server
    server.kill()
