"""The command line on machines, VEs, boot-images and components: what scripts rely on, and tables that fit."""
from __future__ import annotations

import json
from typing import Any

import pytest

from qrm_tui.cli.columns import COLUMNS, for_people, for_scripts
from qrm_tui.cli.table import table
from qrm_tui.core.kinds import WORDS
from tests.screens.fake_client import rack
from tests.unit.command import Command
from tests.unit.fake_qrmd import FARM, FakeQrmd

ROWS = rack()


@pytest.fixture
def fake(fake: FakeQrmd) -> FakeQrmd:
    for kind, rows in ROWS.items():
        fake.answers[f"GET /v1/list/{kind}"] = {"rows": rows, "total": len(rows), "revision": 7}
    return fake


#: CLI.md, "Fields that scripts read".
PROMISED = {
    "resource": "name state maintenance kind virtualization host mac address cpus mhz memory ve stage since",
    "ve": "name state boot_image image resources profile since",
}


def test_what_has_parts_has_units_too() -> None:
    assert for_people("profile", {"cpus": 2, "memory": 4 << 30}) == "cpus=2, memory=4G"
    assert for_people("groups", {"local": 200 << 30}) == "local=200G"
    assert for_people("settings", {"domain": "", "port": 80}) == "domain=, port=80"
    assert for_people("mhz", 0) == "-" and for_people("cpus", 0) == "0" and for_scripts("mhz", 0) == "0"
    assert for_scripts("profile", {"cpus": 2, "memory": 4 << 30}) == "cpus=2,memory=4294967296"


@pytest.mark.parametrize("kind", PROMISED)
def test_fields_for_scripts_come_first_and_in_order(qrm: Command, fake: FakeQrmd, kind: str) -> None:
    fields = PROMISED[kind].split()
    assert list(COLUMNS[kind].plain[:len(fields)]) == fields
    first = qrm(kind, "list", "--plain").out.splitlines()[0].split("\t")
    row: dict[str, Any] = ROWS[kind][0]
    assert first[:2] == [row["name"], row["state"]]
    assert set(fields) <= set(json.loads(qrm(kind, "list", "--json").out)[0])


def test_a_machine_for_scripts(qrm: Command, fake: FakeQrmd) -> None:
    line = qrm("resource", "list", "--plain").out.splitlines()[8].split("\t")
    assert line[:8] == ["r9", "booting", "yes", "physical", "", "", "52:54:00:77:00:20", "192.168.88.201"]
    assert line[12] == "dhcp"


@pytest.mark.parametrize("kind", ROWS)
def test_tables_for_people_fit_and_keep_what_matters(qrm: Command, fake: FakeQrmd, monkeypatch: pytest.MonkeyPatch,
                                                     kind: str) -> None:
    monkeypatch.setattr("qrm_tui.cli.output.width", lambda stream: 80)
    lines = qrm(kind, "list").out.splitlines()
    assert all(len(line) <= 80 for line in lines) and len(lines) == len(ROWS[kind]) + 1
    assert all(row["name"] in line and row["state"] in line for row, line in zip(ROWS[kind], lines[1:], strict=True))
    assert "\x1b" not in "".join(lines)


def test_whether_a_machine_is_in_maintenance_is_seen_at_80_columns(qrm: Command, fake: FakeQrmd,
                                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qrm_tui.cli.output.width", lambda stream: 80)
    head, *lines = qrm("resource", "list").out.splitlines()
    place = head.index("MAINT")
    assert [line[place:place + 3].strip() for line in lines[4:7]] == ["yes", "yes", "no"]
    assert {"ADDRESS", "CPUS", "MEMORY", "STAGE"} <= set(head.split())


def test_every_kind_has_columns() -> None:
    assert set(COLUMNS) == {*WORDS, "console"}
    assert table(["A"], [["x" * 300]], 80) == ["A", "x" * 78 + ".."]


def test_farm_status_tells_free_machines(qrm: Command, fake: FakeQrmd) -> None:
    fake.answers["GET /v1/farm"] = {
        **FARM, "counts": {"resource": {"total": 3, "idle": 2, "off": 1}, "boot-image": {"total": 1, "in use": 1}},
        "machines": {"free": 2, "cpus": 8, "memory": 16 << 30, "maintenance": 1}}
    text = qrm("farm", "status").out
    assert "resource        3  2 idle, 1 off" in text
    assert "machines free for VEs: 2, with 8 CPUs and 16G memory; in maintenance: 1" in text
    plain = qrm("farm", "status", "--plain").out.splitlines()
    assert {"machines\tfree\t2", "machines\tmemory\t17179869184", "count\tboot-image\tin use\t1"} <= set(plain)


def test_flags_that_exclude_each_other_are_bad_usage(qrm: Command, fake: FakeQrmd) -> None:
    result = qrm("resource", "maintenance", "r1", "--on", "--off")
    assert result.code == 2 and "off: it cannot be given together with on" in result.err
