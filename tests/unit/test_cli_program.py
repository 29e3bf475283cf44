"""`qrm` as a program: signals, pipes, terminals; and the practice farms that it starts."""
from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from qrm_tui.cli import practice, table
from tests.unit.command import PROGRAM, Command, read_until
from tests.unit.fake_qrmd import IMAGE, FakeQrmd, delta, job


def test_ctrl_c_leaves_the_job_running(fake: FakeQrmd) -> None:
    process = subprocess.Popen([*PROGRAM, "image", "clone", "webserver", "customer1"], stderr=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    assert fake.watched.wait(20)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "job 12 goes on without you" in err
    assert "`qrm job wait 12`" in err
    assert "Traceback" not in err
    assert out == ""
    assert [path for method, path, _, _ in fake.calls if method == "POST"] == ["/v1/plan", "/v1/run"]


@pytest.mark.parametrize("line", [["--help"], ["image", "list"], ["image", "list", "--json"], ["job", "log", "12"]])
def test_a_reader_that_went_away_is_no_trouble(fake: FakeQrmd, line: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    process = subprocess.run([*PROGRAM, *line], stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (process.returncode, process.stderr) == (0, b"")


def test_a_failed_job_stays_failed_when_nobody_reads(fake: FakeQrmd) -> None:
    fake.events = [delta(state="failed")]
    fake.answers["GET /v1/show/job/12"] = job(state="failed", error="no room")
    reading, writing = os.pipe()
    os.close(reading)
    process = subprocess.run([*PROGRAM, "image", "clone", "a", "b", "--json"], stdout=writing, stderr=subprocess.PIPE,
                             check=False)
    os.close(writing)
    assert process.returncode == 1


def test_a_full_disk_is_told(fake: FakeQrmd) -> None:
    with Path("/dev/full").open("w") as full:
        process = subprocess.run([*PROGRAM, "image", "list"], stdout=full, stderr=subprocess.PIPE, text=True,
                                 check=False)
    assert process.returncode == 1
    assert process.stderr == "qrm: the answer cannot be written to stdout: No space left on device\n"


def test_a_closed_stdout_is_no_trouble(fake: FakeQrmd) -> None:
    process = subprocess.run(["sh", "-c", 'exec "$@" >&-', "sh", *PROGRAM, "image", "list"], stderr=subprocess.PIPE,
                             check=False)
    assert (process.returncode, process.stderr) == (0, b"")


def test_a_terminal_without_utf8_gets_escapes(fake: FakeQrmd) -> None:
    fake.answers["GET /v1/show/image/webserver"] = {**IMAGE, "hostname": "bücher", "why": "", "next": ""}
    process = subprocess.run([*PROGRAM, "image", "show", "webserver", "--plain"], capture_output=True, check=False,
                             env=os.environ | {"PYTHONIOENCODING": "ascii"})
    assert process.returncode == 0
    assert b"b\\xfccher" in process.stdout


@pytest.mark.parametrize("columns", [20, 40, 80, 200])
def test_tables_fit_the_terminal(fake: FakeQrmd, columns: int) -> None:
    fake.answers["GET /v1/list/image"] = {"rows": [{**IMAGE, "used_by": [f"10.0.0.{n}" for n in range(20)]}] * 3,
                                          "total": 3, "revision": 7}
    ours, theirs = pty.openpty()
    process = subprocess.Popen([*PROGRAM, "image", "list"], stdout=theirs, stderr=subprocess.PIPE,
                               env=os.environ | {"TERM": "linux", "COLUMNS": str(columns), "NO_COLOR": "1"})
    os.close(theirs)
    lines = read_until(ours, b"\0never").decode().splitlines()
    assert process.wait(20) == 0
    assert len(lines) == 4
    assert max(map(len, lines)) <= columns
    assert all(line.startswith("webserver") for line in lines[1:])
    os.close(ours)
    assert process.stderr is not None
    process.stderr.close()


def test_a_wide_letter_takes_two_cells() -> None:
    lines = table.table(["NAME", "X"], [["漢字", "1"], ["abc", "2"]], 0)
    assert [table.cells(line.rpartition(" ")[0]) for line in lines] == [5, 5, 5]
    assert table.cells(table.cut("漢字漢字漢字", 7)) <= 7


# practice

@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The canned server takes the real one's place; farms lie in the test's own folder."""
    monkeypatch.setattr(practice, "COMMAND", (sys.executable, "-m", "tests.unit.fake_qrmd"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path


def test_practice_starts_answers_and_stops(qrm: Command, stand_in: Path) -> None:
    started = qrm("practice", "start")
    assert started.code == 0, started.err
    where = started.out.splitlines()[-1]
    pid = json.loads(qrm("practice", "start", "--json").out)["pid"]
    try:
        assert qrm("farm", "status", "--connect", where).code == 0
        assert "running already" in qrm("practice", "start").err
        assert os.getsid(pid) == pid   # a session of its own: no ctrl+c reaches it
    finally:
        stopped = qrm("practice", "stop")
    assert stopped.code == 0
    assert qrm("farm", "status", "--connect", where).code == 4
    assert [path.name for path in (stand_in / "qrm-practice").iterdir()] == ["lock"]
    assert "no practice farm" in qrm("practice", "stop").err


def test_two_farms_run_side_by_side(qrm: Command, stand_in: Path) -> None:
    places = {qrm("practice", "start", "--farm", name).out for name in ("one", "two")}
    assert len(places) == 2
    qrm("practice", "stop", "--farm", "one")
    assert qrm("farm", "status", "--connect", max(places).strip()).code == 0
    qrm("practice", "stop", "--farm", "two")


def test_a_farm_that_does_not_start_says_why(qrm: Command, stand_in: Path) -> None:
    result = qrm("practice", "start", "--farm", "broken")
    assert (result.code, result.out) == (1, "")
    assert "there is no practice farm 'broken'" in result.err
    assert len(result.err.splitlines()) == 1


def test_another_s_process_is_never_ended(qrm: Command, stand_in: Path) -> None:
    folder = stand_in / "qrm-practice" / "default"
    folder.mkdir(parents=True)
    folder.parent.chmod(0o700)
    with subprocess.Popen(["sleep", "60"]) as other:   # it got the number of a farm that has crashed
        (folder / "process.json").write_text(json.dumps({"pid": other.pid, "started": 1, "where": "/x"}))
        assert "no practice farm" in qrm("practice", "stop").err
        assert other.poll() is None
        other.kill()


def test_a_folder_that_others_may_write_is_refused(qrm: Command, stand_in: Path) -> None:
    (stand_in / "qrm-practice").mkdir()
    (stand_in / "qrm-practice").chmod(0o777)
    result = qrm("practice", "start")
    assert result.code == 3
    assert "0700" in result.err
