"""Verbs that change something: plan, question, run, the job followed, what is printed and the exit code."""
from __future__ import annotations

import json
import os
import pty
import subprocess

import pytest
from starlette.responses import Response

from tests.unit.command import PROGRAM, Command, Result, read_until
from tests.unit.fake_qrmd import PLAN, STORAGE, FakeQrmd, delta, job


def test_plan_changes_nothing(qrm: Command, fake: FakeQrmd) -> None:
    result = qrm("image", "clone", "webserver", "customer1", "--plan", "--reason", "a customer")
    assert result.code == 0
    assert "$ lvcreate -s -n customer1 'vol/web server'" in result.out
    assert "+/vol/customer1 10.0.0.7" in " ".join(result.out.split(" " * 6)).replace("    ", " ")
    assert "[done already]" in result.out
    assert result.out.index("point of no return") < result.out.index("note it")
    assert "the group is nearly full" in result.out
    assert [(method, path) for method, path, _, _ in fake.calls] == [("POST", "/v1/plan")]
    assert fake.asked("POST /v1/plan") == [{"operation": "image.clone", "reason": "a customer",
                                            "arguments": {"source": "webserver", "name": "customer1"}}]


def test_plan_as_json_and_plain(qrm: Command, fake: FakeQrmd) -> None:
    plan = json.loads(qrm("image", "clone", "webserver", "customer1", "--plan", "--json").out)
    assert plan == PLAN
    lines = qrm("image", "clone", "webserver", "customer1", "--plan", "--plain").out.splitlines()
    assert lines[0].split("\t") == ["lvm-nfs", "run", "make the snapshot", "lvremove vol/customer1", "yes"]


def test_arguments_are_sent_as_typed(qrm: Command, fake: FakeQrmd) -> None:
    qrm("image", "add", "x", "--size=5000M", "--env", "A=1", "--env", "B=x=y", "--plan")
    qrm("image", "allow", "x", "10.0.0.1", "10.0.0.2", "--plan")
    sent = [call["arguments"] for call in fake.asked("POST /v1/plan")]
    assert sent == [{"name": "x", "size": "5000M", "env": {"A": "1", "B": "x=y"}},
                    {"name": "x", "address": ["10.0.0.1", "10.0.0.2"]}]


def test_a_job_is_followed_until_it_is_done(qrm: Command, fake: FakeQrmd) -> None:
    fake.events = [delta(step=0, progress=0.5), {"event": "alive", "revision": 8},
                   delta(id=13, name="13", state="failed"), delta(step=1, doing="export it"), delta(state="done")]
    result = qrm("image", "clone", "webserver", "customer1", "--reason", "why not")
    assert result.code == 0
    assert result.out == ""
    lines = result.err.splitlines()
    assert lines == ["warning: the group is nearly full", "job 12: image.clone image/customer1",
                     "[1/2] make the snapshot", "[2/2] export it", "job 12 done"]
    assert fake.asked("POST /v1/run") == [{"plan": "p1", "reason": "why not"}]
    assert fake.asked("GET /v1/watch") == [{"kinds": "job", "since": "7"}]


def test_what_no_job_can_do_is_told_when_it_is_done(qrm: Command, fake: FakeQrmd) -> None:
    fake.answers["POST /v1/plan"] = {**PLAN, "afterwards": ["it goes with:", "    rm -r /opt/qrm"]}
    fake.events = [delta(state="done")]
    said = qrm("image", "clone", "webserver", "customer1").err
    assert said.endswith("job 12 done\nit goes with:\n    rm -r /opt/qrm\n")
    fake.events = [delta(state="failed")]
    fake.answers["GET /v1/show/job/12"] = job(state="failed", error="no room")
    assert "rm -r" not in qrm("image", "clone", "webserver", "customer1").err


def test_where_nothing_is_to_be_done_that_is_said(qrm: Command, fake: FakeQrmd) -> None:
    fake.answers["POST /v1/plan"] = {**PLAN, "steps": [], "warnings": [], "notes": ["all is so: nothing is to be done"]}
    fake.events = [delta(state="done")]
    assert qrm("image", "clone", "webserver", "customer1").err.startswith("all is so: nothing is to be done\n")
    assert qrm("component", "uninstall", "nagios").code == 0  # and there is nothing to be confirmed


def test_a_finished_job_is_printed_as_json_and_plain(qrm: Command, fake: FakeQrmd) -> None:
    fake.events = [delta(state="done")]
    row = json.loads(qrm("image", "clone", "webserver", "customer1", "--json").out)
    assert (row["id"], row["state"], row["ended"]) == (12, "done", "2026-09-21T14:13:29Z")
    plain = qrm("image", "clone", "webserver", "customer1", "--plain").out
    assert plain.split("\t")[:4] == ["12", "image.clone", "image/customer1", "done"]


def test_a_snapshot_that_comes_instead_of_deltas_will_do(qrm: Command, fake: FakeQrmd) -> None:
    fake.events = [{"event": "snapshot", "kind": "job", "first": True, "last": True, "revision": 9,
                    "rows": [job(id=11, name="11", state="failed"), job(state="done")]}]
    assert qrm("image", "clone", "webserver", "customer1").code == 0


@pytest.mark.parametrize(("state", "words"), [("undone", "failed, and what it did was taken back: no room"),
                                              ("failed", "failed: no room; mend it")])
def test_a_job_that_fails_is_exit_code_1(qrm: Command, fake: FakeQrmd, state: str, words: str) -> None:
    fake.events = [delta(state="undoing", doing="remove the volume"), delta(state=state)]
    fake.answers["GET /v1/show/job/12"] = job(state=state, error="no room", next="" if state == "undone" else "mend it")
    result = qrm("image", "clone", "webserver", "customer1", "--json")
    assert result.code == 1
    assert json.loads(result.out)["error"] == "no room"
    assert words in result.err
    assert "[1/2] undoing: remove the volume" in result.err
    assert "  | Logical volume created" in result.err


def test_no_wait_prints_the_number(qrm: Command, fake: FakeQrmd) -> None:
    assert qrm("image", "clone", "webserver", "customer1", "--no-wait").out == "12\n"
    assert json.loads(qrm("image", "clone", "webserver", "customer1", "--no-wait", "--json").out)["id"] == 12
    assert fake.asked("GET /v1/watch") == []


def test_a_line_lost_while_following(qrm: Command, fake: FakeQrmd) -> None:
    for how in ("break", "end"):
        fake.after_events = how
        result = qrm("image", "clone", "webserver", "customer1")
        assert result.code == 4
        assert "`qrm job wait 12`" in result.err


def test_job_wait(qrm: Command, fake: FakeQrmd) -> None:
    assert qrm("job", "wait", "12").code == 0
    assert fake.asked("GET /v1/watch") == []
    answers = iter([job(), job(state="failed", error="no room")])
    fake.answers["GET /v1/show/job/12"] = lambda request: Response(json.dumps(next(answers)))
    fake.events = [delta(state="failed")]
    assert qrm("job", "wait", "12").code == 1


def test_a_record_operation_tells_what_changed(qrm: Command, fake: FakeQrmd) -> None:
    fake.answers["POST /v1/plan"] = {**PLAN, "operation": "storage.add", "sort": "record", "warnings": []}
    fake.answers["POST /v1/run"] = {"changed": [{"object": "storage", "kind": "storage", "added": True, **STORAGE}],
                                   "removed": [["image", "old"]]}
    line = ("storage", "add", "lvm-nfs", "--address", "192.168.88.179", "--env", "SERVER_VOL=vol")
    rows = json.loads(qrm(*line, "--json").out)
    assert [(row["kind"], row["name"]) for row in rows] == [("storage", "lvm-nfs"), ("image", "old")]
    assert rows[0]["since"] == "2026-09-21T14:13:20Z"
    assert qrm(*line) == Result(0, "", "storage lvm-nfs is added: ok\nimage old is removed\n")
    assert qrm(*line, "--plain").out == "storage\tlvm-nfs\tchanged\nimage\told\tremoved\n"
    assert qrm(*line, "--no-wait").code == 0


def test_a_partition_that_is_changed_as_a_resource_is_told_as_one(qrm: Command, fake: FakeQrmd) -> None:
    fake.answers["POST /v1/plan"] = {**PLAN, "operation": "resource.maintenance", "sort": "record", "warnings": []}
    fake.answers["POST /v1/run"] = {"removed": [], "changed": [
        {"object": "resource", "added": False, "kind": "partition", "name": "r7-1", "state": "idle"}]}
    line = ("resource", "maintenance", "r7-1", "--off")
    assert qrm(*line).err == "resource r7-1 is changed: idle\n"
    assert qrm(*line, "--plain").out == "resource\tr7-1\tchanged\n"


# destructive

@pytest.fixture
def destructive(fake: FakeQrmd) -> FakeQrmd:
    fake.answers["POST /v1/plan"] = {**PLAN, "operation": "image.remove", "destructive": True}
    fake.events = [delta(state="done")]
    return fake


def test_destructive_without_a_terminal_wants_yes(qrm: Command, destructive: FakeQrmd) -> None:
    result = qrm("image", "remove", "customer1")
    assert result.code == 3
    assert "image.remove image/customer1 (remove an image" in result.err and "--yes" in result.err
    assert destructive.asked("POST /v1/run") == []
    assert qrm("image", "remove", "customer1", "--yes").code == 0
    assert len(destructive.asked("POST /v1/run")) == 1
    assert qrm("image", "remove", "customer1", "--plan").code == 0


def test_what_is_declared_destructive_is_asked_for_whatever_the_server_says(qrm: Command, fake: FakeQrmd) -> None:
    assert qrm("image", "remove", "customer1").code == 3
    assert fake.asked("POST /v1/run") == []


@pytest.mark.parametrize(("typed", "code"), [(b"customer1\n", 0), (b"yes\n", 3), (b"\x04", 3), (b"\x03", 130)])
def test_destructive_on_a_terminal_asks_for_the_name(destructive: FakeQrmd, typed: bytes, code: int) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen([*PROGRAM, "image", "remove", "customer1"], stdin=theirs, stdout=subprocess.PIPE,
                               stderr=theirs, env=os.environ | {"TERM": "vt100"},
                               preexec_fn=lambda: _own_terminal(theirs))
    os.close(theirs)
    shown = read_until(ours, b"leave all as it is")
    assert b"$ lvcreate" in shown
    assert b"/etc/exports.d/customer1.exports" in shown
    os.write(ours, typed)
    told = read_until(ours, b"\0never")
    assert process.wait(20) == code
    assert (len(destructive.asked("POST /v1/run")) == 1) == (code == 0)
    assert b"Traceback" not in told
    os.close(ours)
    assert process.stdout is not None
    process.stdout.close()


def _own_terminal(terminal: int) -> None:
    """Make it the child's controlling terminal, so that ctrl+c becomes a signal."""
    import fcntl
    import termios

    os.setsid()
    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
