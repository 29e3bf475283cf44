"""`qrm install check|record|answers` without a server: one is there for a moment."""
from __future__ import annotations

import json
from pathlib import Path

import pytest

from qrm_tui import app
from qrm_tui.cli import installing
from qrm_tui.cli.main import guarded, run
from qrm_tui.core.facts import Answered, MachineFacts
from qrm_tui.install.recording import decode, encode
from tests.unit.machines import FOLDER


def qrm(*words: str) -> int:
    return guarded("qrm", run, words)


@pytest.fixture(autouse=True)
def no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QRM_CONNECT", raising=False)


def test_checks_of_a_recorded_machine(capsys: pytest.CaptureFixture[str]) -> None:
    assert qrm("install", "check", "--machine", str(FOLDER / "rocky9.json")) == 1
    out, err = capsys.readouterr()
    assert "WRONG  system: Rocky Linux 9.6 (Blue Onyx): Red Hat's family, which qrm knows and cannot set up" in out
    assert "as in: qrm install fix address" in err
    assert qrm("install", "check", "--machine", str(FOLDER / "debian12.json"), "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert {row["name"]: row["state"] for row in found["checks"]}["group"] == "warning"
    assert (found["system"], found["interface"]) == ("debian-12", "eth0")


def test_a_file_that_is_no_recording_is_told(capsys: pytest.CaptureFixture[str], tmp_path: Path,
                                             monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("machine.json").write_text("{}")
    assert qrm("install", "check", "--machine", "machine.json") == 2
    assert "machine.json is no recorded machine" in capsys.readouterr().err
    assert qrm("install", "check", "--machine", str(FOLDER / "README.md")) == 2
    assert "README.md is no recorded machine: qrm install record makes one" in capsys.readouterr().err
    assert qrm("install", "check", "--machine", "/nosuch") == 2
    assert "/nosuch: No such file or directory" in capsys.readouterr().err


@pytest.mark.parametrize(("file", "words"), [
    ("/nosuch", "/nosuch: No such file or directory"), ("README.md", "README.md is no recorded machine: qrm install"),
    ("/dev/null", "/dev/null is no recorded machine")])
def test_no_screen_that_could_set_up_this_machine_is_opened_instead_of_a_recorded_one(
        file: str, words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FOLDER)
    with pytest.raises(SystemExit):
        app.arguments(["--machine", file])
    assert words in capsys.readouterr().err
    assert app.arguments(["--machine", "debian12.json"]).machine == "debian12.json"


def test_a_recording_is_whole_however_long_a_line_is(capsys: pytest.CaptureFixture[str],
                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    facts = MachineFacts(asked={"nftables": Answered(out="x" * 50_000 + "\x1b[31m\n")})
    monkeypatch.setattr(installing, "_ask", lambda session, ask: {"recording": encode(facts, "long")})
    assert qrm("install", "record", "--what", "long") == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert decode(out) == facts


def test_the_schema_needs_no_server(capsys: pytest.CaptureFixture[str]) -> None:
    assert qrm("install", "answers", "--schema") == 0
    assert "dhcpd" in json.loads(capsys.readouterr().out)["properties"]
