"""The installer's own qrmd: a transient unit as qrmd's own is, and the hand-over; systemd is a script here."""
from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from qrm_tui.backends.components import qrmd_unit
from qrm_tui.client import installer
from qrm_tui.core.data_place import USUAL
from qrm_tui.core.errors import Refused, StepFailed

_SCRIPT = """#!/bin/sh
echo "$(basename "$0") $*" >>"{notes}"
case "$*" in
    is-active*) grep -qxF "$3" "{active}" ;;
    *) [ ! -e "{broken}" ] || {{ echo "Failed to start" >&2; exit 1; }} ;;
esac
"""


class Systemd:
    """What was asked of it."""

    def __init__(self, folder: Path) -> None:
        self._notes, self._active, self.broken = folder / "notes", folder / "active", folder / "broken"
        self._active.touch()
        for name in ("systemctl", "systemd-run"):
            path = folder / name
            path.write_text(_SCRIPT.format(notes=self._notes, active=self._active, broken=self.broken))
            path.chmod(0o755)

    def runs(self, unit: str) -> None:
        self._active.write_text(f"{unit}\n")

    @property
    def told(self) -> list[str]:
        return [line for line in self._notes.read_text().splitlines() if "is-active" not in line]


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Systemd:
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(installer, "trouble", lambda: "")
    return Systemd(tmp_path)


def test_it_is_a_unit_as_qrmds_own(systemd: Systemd) -> None:
    installer.start()
    (call,) = systemd.told
    assert "--unit qrm-installer.service" in call
    assert call.endswith(f"{installer.program()} --installer")
    service = qrmd_unit(installer.program(), USUAL)
    own = {line for line in re.findall(r"^\w+=.*$", service.partition("[Service]")[2].partition("[Install]")[0], re.M)
           if not line.startswith("ExecStart=")}
    assert own == set(re.findall(r"--property (\S+)", call))
    assert "Conflicts=qrm-installer.service" in service


@pytest.mark.parametrize("unit", [installer.UNIT, installer.SERVICE])
def test_one_that_runs_is_used(systemd: Systemd, unit: str) -> None:
    systemd.runs(unit)
    installer.start()
    assert systemd.told == []


def test_what_systemd_says_is_told(systemd: Systemd) -> None:
    systemd.broken.touch()
    with pytest.raises(StepFailed, match="systemd-run: Failed to start; journalctl"):
        installer.start()


def test_the_service_takes_over_from_it_and_from_nothing_else(systemd: Systemd) -> None:
    assert installer.hand_over() is False
    systemd.runs(installer.UNIT)
    assert installer.hand_over() is True
    assert systemd.told == ["systemctl start qrmd.service"]


def test_who_is_not_root_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(Refused, match="be root"):
        installer.start()
