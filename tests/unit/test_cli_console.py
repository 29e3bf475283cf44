"""`qrm console list|log|attach` against a canned server."""
from __future__ import annotations

import base64
import json
import os
import pty
import signal
import subprocess
import termios
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from qrm_tui.core.console_wire import GAP, STATUS, frame, output_frame
from qrm_tui.core.units import format_time
from tests.unit.command import PROGRAM, Command, read_until
from tests.unit.fake_qrmd import FakeQrmd, until_gone

AT = 1_790_000_000
ROW = {"name": "r1", "source": "ipmi-sol", "state": "connected", "reason": "", "since": AT, "size": 5 << 20,
       "watchers": 2, "typist": {"who": "root", "session": "s9"}}
STREAM = "GET /v1/consoles/r1/stream"


def status(**said: Any) -> bytes:
    return frame(STATUS, json.dumps({"session": "s1", "typist": None, "watchers": 1, "state": "connected", "reason": "",
                                     "marks": [], **said}).encode())


def gap(offset: int, why: str = "qrmd was not running") -> bytes:
    return frame(GAP, json.dumps({"offset": offset, "from": AT, "to": AT + 60, "why": why}).encode())


def streams(*frames: bytes, hangs: bool = False) -> Callable[[Request], Response]:
    def answer(request: Request) -> Response:
        async def said() -> AsyncIterator[bytes]:
            for one in frames:
                yield one
            if hangs:
                await until_gone(request)

        return StreamingResponse(said())

    return answer


def test_the_list(qrm: Command, fake: FakeQrmd) -> None:
    fake.answers["GET /v1/consoles"] = {"consoles": [ROW]}
    assert qrm("console", "list").out.splitlines()[1].split()[:3] == ["r1", "connected", "ipmi-sol"]
    assert qrm("console", "list", "--plain").out.startswith("r1\tipmi-sol\tconnected\t2026-09-21T")
    assert json.loads(qrm("console", "list", "--json").out)[0]["typist"] == {"who": "root", "session": "s9"}
    raised = {"event": "Kernel panic", "event_severity": "alert", "event_at": AT, "event_stands": True,
              "event_count": 3, "event_text": "Kernel panic - not syncing"}
    fake.answers["GET /v1/consoles"] = {"consoles": [ROW | raised, ROW | raised | {"event_stands": False}]}
    _, stands, over = qrm("console", "list").out.splitlines()
    assert "ALERT Kernel panic" in stands and "ALERT" not in over and "Kernel panic" in over
    assert qrm("console", "list", "--plain").out.splitlines()[0].split("\t")[8:11] == ["Kernel panic", "alert", "yes"]
    fake.answers["GET /v1/consoles"] = {"consoles": []}
    nothing = qrm("console", "list")
    assert nothing.code == 0 and "qrm resource edit NAME --console" in nothing.err


def test_the_log_is_harmless_text(qrm: Command, fake: FakeQrmd) -> None:
    fake.answers[STREAM] = streams(status(), output_frame(0, AT * 1_000_000, b"\x1b[31mpanic\x1b[0m\r\nlog"), gap(10),
                                   output_frame(10, AT * 1_000_000, b"in\x1b]0;x\x07:"))
    result = qrm("console", "log", "r1")
    assert (result.code, result.out) == (0, "panic\nlogin:\n")
    assert "qrmd was not running" in result.err and "2026-09-21T" in result.err
    assert fake.calls[-1][2] == {"from": "0", "follow": "0"}
    first, second, third = map(json.loads, qrm("console", "log", "r1", "--json").out.splitlines())
    assert (first["text"], second["gap"], third["text"]) == ("panic", "qrmd was not running", "login:")
    when = f"{format_time(AT)} "
    assert qrm("console", "log", "r1", "--times").out == f"{when}panic\n{when}login:\n"
    qrm("console", "log", "r1", "--lines", "5", "--since", "2026-11-22T10:00:00Z", "--follow")
    assert fake.calls[-1][2] == {"lines": "5", "since": "1795341600.0", "follow": "1"}


def test_the_log_as_it_came(fake: FakeQrmd) -> None:
    fake.answers[STREAM] = streams(status(), output_frame(0, 0, b"\x1b[31mred\xff\r\n"))
    done = subprocess.run([*PROGRAM, "console", "log", "r1", "--raw"], capture_output=True, timeout=60, check=True)
    assert done.stdout == b"\x1b[31mred\xff\r\n"


@pytest.mark.parametrize(("words", "said"), [
    (("log", "r1", "--since", "soon"), "since: 'soon' is no time"),
    (("log", "r1", "--raw", "--times"), "times: the bytes as they came"),
    (("attach", "r1"), "console attach wants a terminal"),
    (("log",), "name: is needed"), (("log", "r1", "--lines", "x"), "lines: 'x' is no count"),
])
def test_bad_usage(qrm: Command, words: tuple[str, ...], said: str) -> None:
    result = qrm("console", *words)
    assert result.code == 2 and said in result.err


def test_a_machine_without_a_console(qrm: Command, fake: FakeQrmd) -> None:
    fake.refuse(STREAM, "not_found", "r1 has no console that is known here", status=404)
    result = qrm("console", "log", "r1")
    assert (result.code, result.err) == (3, "qrm: r1 has no console that is known here\n")


class Attached:
    """`qrm console attach r1` on a terminal."""

    def __init__(self) -> None:
        self.master, slave = pty.openpty()
        self.before = termios.tcgetattr(slave)
        self.slave = slave
        self.process = subprocess.Popen([*PROGRAM, "console", "attach", "r1"], stdin=slave, stdout=slave, stderr=slave,
                                        start_new_session=True)

    def shows(self, word: bytes) -> bytes:
        return read_until(self.master, word)

    def types(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def ends(self) -> int:
        code = self.process.wait(30)
        assert termios.tcgetattr(self.slave)[:4] == self.before[:4]
        return code


@pytest.fixture
def attached(fake: FakeQrmd) -> Iterator[Attached]:
    fake.answers[STREAM] = streams(status(), output_frame(0, 0, b"old\r\nr1 login: \x1b]0;evil\x07"), gap(10),
                                   hangs=True)
    for verb in ("input", "take", "break", "size"):
        fake.answers[f"POST /v1/consoles/r1/{verb}"] = {}
    made = Attached()
    yield made
    made.process.kill()
    made.process.wait()
    os.close(made.master)
    os.close(made.slave)


def typed(fake: FakeQrmd) -> bytes:
    return b"".join(base64.b64decode(body["data"]) for body in fake.asked("POST /v1/consoles/r1/input"))


def test_on_a_terminal_keys_go_to_the_machine_and_ctrl_bracket_is_ours(fake: FakeQrmd, attached: Attached) -> None:
    shown = attached.shows(b"qrmd was not running")
    assert b"ctrl+] leaves" in shown and b"r1 login: " in shown and b"evil" not in shown
    attached.types(b"root\r\x03\x1dt\x1db\x1drs\x1d\x1dq\x1dr%")
    attached.shows(b"'%' is no letter of SysRq")
    attached.types(b"\x1dq")
    assert attached.ends() == 0
    assert typed(fake) == b"root\r\x03\x1dq"
    assert len(fake.asked("POST /v1/consoles/r1/take")) == 1
    assert [body.get("letter") for body in fake.asked("POST /v1/consoles/r1/break")] == [None, "s"]
    assert {body["session"] for body in fake.asked("POST /v1/consoles/r1/input")} == {"s1"}


def test_who_takes_over_is_told_that_they_type(fake: FakeQrmd) -> None:
    taken = status(typist={"who": "root", "session": "s1", "where": ""})
    fake.answers[STREAM] = streams(status(typist={"who": "bert", "session": "s9", "where": ""}), taken,
                                   output_frame(0, 0, b"r1 login: "), hangs=True)
    fake.answers["POST /v1/consoles/r1/take"] = {}
    attached = Attached()
    shown = attached.shows(b"login: ")
    assert b"[connected; bert types]" in shown and b"[connected]" not in shown
    attached.types(b"\x1dt")
    attached.shows(b"[you type now]")
    attached.types(b"\x1d")
    assert attached.ends() == 0
    os.close(attached.master)
    os.close(attached.slave)


def test_ctrl_bracket_alone_leaves(fake: FakeQrmd, attached: Attached) -> None:
    attached.shows(b"login: ")
    attached.types(b"\x1d")
    assert attached.ends() == 0


def test_keys_that_have_scrolled_away_are_told_again(fake: FakeQrmd) -> None:
    fake.answers[STREAM] = streams(status(), output_frame(0, 0, b"line\r\n" * 40 + b"r1 login: "), hangs=True)
    attached = Attached()
    assert b"ctrl+] leaves" in attached.shows(b"login: ")
    attached.shows(b"ctrl+] leaves")
    attached.types(b"\x1d")
    assert attached.ends() == 0
    os.close(attached.master)
    os.close(attached.slave)


def test_what_is_refused_is_a_line(fake: FakeQrmd, attached: Attached) -> None:
    attached.shows(b"not running")
    fake.refuse("POST /v1/consoles/r1/input", "refused", "operator7 types on the console of r1: take over first")
    attached.types(b"x")
    assert b"operator7 types" in attached.shows(b"(ctrl+] t)]")
    attached.process.send_signal(signal.SIGTERM)
    assert attached.ends() == 0


def test_a_server_that_refuses_leaves_the_terminal_as_it_was(fake: FakeQrmd) -> None:
    fake.refuse(STREAM, "not_found", "there is no resource 'r1'", status=404)
    attached = Attached()
    assert b"there is no resource 'r1'" in attached.shows(b"'r1'")
    assert attached.ends() == 3
    os.close(attached.master)
    os.close(attached.slave)
