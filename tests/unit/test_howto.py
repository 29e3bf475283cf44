"""The how-to's commands, typed as it types them, end in the same operations as `qrm`."""
from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from qrm_tui.cli import howto
from tests.unit.command import Result, in_process
from tests.unit.fake_qrmd import HELLO, IMAGE, JOB, PLAN, STORAGE, FakeQrmd

Command = Callable[[str], Result]


@pytest.fixture
def fake(fake: FakeQrmd) -> FakeQrmd:
    fake.events = [{"event": "delta", "revision": 8, "changed": {"job": [{**JOB, "state": "done"}]}}]
    return fake


@pytest.fixture
def lvm(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    return _command("qrm-lvm-manage-images", howto.run_lvm_manage_images, capsys, monkeypatch)


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    return _command("qrm-cli", howto.run_qrm_cli, capsys, monkeypatch)


def _command(program: str, run: Callable[[Sequence[str]], int], capsys: pytest.CaptureFixture[str],
             monkeypatch: pytest.MonkeyPatch) -> Command:
    call = in_process(program, run, capsys, monkeypatch)
    return lambda line: call(*line.split())


def planned(fake: FakeQrmd) -> list[tuple[str, dict[str, Any]]]:
    return [(asked["operation"], asked["arguments"]) for asked in fake.asked("POST /v1/plan")]


def test_add_as_the_howto_types_it(fake: FakeQrmd, lvm: Command) -> None:
    code, out, err = lvm("add xen_host -v vol -m 5000")
    assert (code, out) == (0, "")
    assert "job 12 done" in err
    assert planned(fake) == [("image.add", {"name": "xen_host", "storage": "lvm-nfs", "size": "5000M"})]


@pytest.mark.parametrize("line", ["add xen_host -vvol -m5000", "add -m 5000 -v vol xen_host -i 192.168.88.179",
                                  "add xen_host --volume-group vol --megabytes=5000"])
def test_add_in_other_spellings(fake: FakeQrmd, lvm: Command, line: str) -> None:
    assert lvm(line)[0] == 0
    assert planned(fake) == [("image.add", {"name": "xen_host", "storage": "lvm-nfs", "size": "5000M"})]


def test_snap_is_a_clone(fake: FakeQrmd, lvm: Command) -> None:
    assert lvm("snap webserver -v vol -s customer1")[0] == 0
    assert lvm("snap webserver -v vol -s customer1 -m 600 --plan")[0] == 0
    assert planned(fake) == [("image.clone", {"source": "webserver", "name": "customer1"}),
                             ("image.clone", {"source": "webserver", "name": "customer1", "reserve": "12%"})]


def test_remove_asks_as_qrm_does(fake: FakeQrmd, lvm: Command) -> None:
    fake.answers["POST /v1/plan"] = {**PLAN, "operation": "image.remove", "destructive": True}
    code, _, err = lvm("remove webserver -v vol")
    assert code == 3
    assert "--yes" in err
    assert lvm("remove webserver -v vol --yes")[0] == 0
    assert planned(fake)[-1] == ("image.remove", {"name": "webserver"})


def test_list(fake: FakeQrmd, lvm: Command) -> None:
    code, out, _ = lvm("list -v vol --json")
    assert code == 0
    assert json.loads(out)[0]["name"] == "webserver"
    assert lvm("list webserver -v vol")[0] == 0
    assert [query["filter"] for query in fake.asked("GET /v1/list/image")] == [
        "storage=lvm-nfs", "storage=lvm-nfs (name=webserver or origin=webserver)"]


def test_a_volume_group_that_no_server_has(fake: FakeQrmd, lvm: Command) -> None:
    code, _, err = lvm("add xen_host -v other -m 5000")
    assert code == 3
    assert "no storage server has the volume group other" in err
    assert lvm("add xen_host -v vol -m 5000 -i 10.0.0.1")[0] == 3
    assert planned(fake) == []


def test_a_volume_group_on_two_servers(fake: FakeQrmd, lvm: Command) -> None:
    other = {**STORAGE, "name": "second", "address": "10.0.0.2", "env": {}}
    fake.answers["GET /v1/list/storage"] = {"rows": [STORAGE, other], "total": 2, "revision": 7}
    code, _, err = lvm("add xen_host -v vol -m 5000")
    assert code == 3
    assert "-i ADDRESS" in err
    assert lvm("add xen_host -v vol -m 5000 -i 10.0.0.2")[0] == 0
    assert planned(fake)[0][1]["storage"] == "second"


def test_an_image_on_another_server_is_not_touched(fake: FakeQrmd, lvm: Command) -> None:
    fake.answers["GET /v1/show/image/webserver"] = {**IMAGE, "storage": "second"}
    assert lvm("remove webserver -v vol --yes")[0] == 3
    assert lvm("snap webserver -v vol -s x")[0] == 3
    assert planned(fake) == []


@pytest.mark.parametrize(("line", "word"), [
    ("", "add, remove, snap or list"), ("ad x -v vol", "did you mean add?"),
    ("add x -v vol", "-m (megabytes): is needed"),
    ("add x -m 5", "-v (volume-group): is needed"), ("add -v vol -m 5", "image: is needed"),
    ("add x -v vol -m 5G", "is no count"), ("add x -v ../.. -m 5", "volume-group"), ("add x -v vol -m", "-m wants"),
    ("snap x -v vol", "-s (snapshot): is needed"), ("add x y -v vol -m 5", "too many"), ("add x -v vol -m 5 -z", "-z"),
    ("add x -v vol -m 5 -i 1.2.3.400", "address"), ("add _x -v vol -m 5", "image"),
])
def test_bad_usage_of_lvm_manage_images(lvm: Command, line: str, word: str) -> None:
    code, out, err = lvm(line)
    assert (code, out) == (2, "")
    assert word in err
    assert all(row.startswith("qrm-lvm-manage-images: ") for row in err.splitlines())


def test_filesystem_add_as_the_howto_types_it(fake: FakeQrmd, cli: Command) -> None:
    code, _, err = cli("-u qrm -p qrm filesystem add -n webserver -s lvm-nfs -i /vol/webserver -a Any")
    assert code == 0
    assert "warning: a password on the command line" in err
    assert planned(fake) == [("image.add", {"name": "webserver", "storage": "lvm-nfs",
                                            "register_only": "/vol/webserver"})]
    assert "qrm" not in json.dumps([body for _, _, _, body in fake.calls]).replace("qrmd", "")


@pytest.mark.parametrize(("must_change", "code", "asked"), [(False, 0, ["image.add"]), (True, 3, [])])
def test_an_account_without_a_role_logs_in_for_this_command(fake: FakeQrmd, cli: Command, must_change: bool, code: int,
                                                            asked: list[str]) -> None:
    fake.answers["GET /v1/hello"] = {**HELLO, "role": "nobody", "log_in": True}
    fake.answers["POST /v1/login"] = {"token": "t", "user": "anna", "role": "operator", "must_change": must_change}
    fake.answers["POST /v1/logout"] = {}
    result = cli("-u anna -p secret filesystem add -n webserver -s lvm-nfs -i /vol/webserver -a Any")
    assert result.code == code and ("qrm login anna" in result.err) is must_change
    assert fake.asked("POST /v1/login") == [{"name": "anna", "password": "secret"}]
    assert [operation for operation, _ in planned(fake)] == asked and fake.asked("POST /v1/logout")


def test_filesystem_add_without_a_password_does_not_warn(fake: FakeQrmd, cli: Command) -> None:
    code, out, err = cli("filesystem add -n webserver -s lvm-nfs -i /vol/webserver --no-wait")
    assert (code, out) == (0, "12\n")
    assert "password" not in err


@pytest.mark.parametrize(("line", "word"), [
    ("filesystem remove -n x -s s -i /x", "filesystem add"), ("", "filesystem add"),
    ("filesystem add -n x -s s -i x", "no absolute path"), ("filesystem add -n x -s s", "-i (path): is needed"),
    ("filesystem add -n x -s s -i /x -a sparc", "not one of Any"), ("filesystem add -p -n x", "-p wants a value"),
])
def test_bad_usage_of_qrm_cli(cli: Command, line: str, word: str) -> None:
    code, out, err = cli(line)
    assert (code, out) == (2, "")
    assert word in err


def test_no_server(lvm: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QRM_CONNECT", "/nowhere/s")
    assert lvm("list -v vol")[0] == 4


def test_help(lvm: Command, cli: Command) -> None:
    text = lvm("-h")[1]
    for word in ("add IMAGE -v NAME -m NUMBER", "snap IMAGE -v NAME -s NAME [-m NUMBER]", "--yes"):
        assert word in text
    assert "filesystem add" in cli("--help")[1]


def test_the_commands_are_entry_points(fake: FakeQrmd) -> None:
    for function, line in (("lvm_manage_images", ["list", "-v", "vol", "--plain"]), ("qrm_cli", ["-h"])):
        process = subprocess.run([sys.executable, "-c", f"from qrm_tui.cli.howto import {function} as f; f()", *line],
                                 capture_output=True, text=True, check=False)
        assert process.returncode == 0, process.stderr
        assert process.stdout
