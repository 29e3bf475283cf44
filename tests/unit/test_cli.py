"""The command line against a canned server: usage, help, and what reading verbs print."""
from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from qrm_tui.cli import verbs
from qrm_tui.cli.command_line import take_apart
from qrm_tui.core.operations.registry import OPERATIONS
from tests.unit.command import Command, Result
from tests.unit.fake_qrmd import FARM, IMAGE, FakeQrmd

# the server's setup


def test_an_answers_file_is_data_as_it_is(qrm: Command, fake: FakeQrmd) -> None:
    fake.answers["GET /v1/install/answers"] = {"answers": '# a\n[dhcpd]\ninterface = "eth1"\n'}
    assert qrm("install", "answers", "--interface", "eth1").out == '# a\n[dhcpd]\ninterface = "eth1"\n'
    assert fake.calls[-1][2] == {"interface": "eth1"}
    assert json.loads(qrm("install", "answers", "--json").out)["answers"].startswith("# a\n")


def test_the_state_of_every_component_and_why(qrm: Command, fake: FakeQrmd) -> None:
    rows = [{"name": "tftpd", "state": "ok", "since": 1.0, "services": {"tftpd-hpa.service": "active"},
             "why": "all is well", "next": ""},
            {"name": "dhcpd", "state": "error", "since": 1.0, "services": {"isc-dhcp-server.service": ""},
             "why": "isc-dhcp-server.service is not there", "next": "qrm component restart dhcpd"}]
    fake.answers["GET /v1/list/component"] = {"rows": rows, "total": 2, "revision": 1}
    for row in rows:
        fake.answers[f"GET /v1/show/component/{row['name']}"] = row
    result = qrm("component", "status")
    assert result.code == 1
    assert "isc-dhcp-server.service not there" in result.out
    assert [row["name"] for row in json.loads(qrm("component", "status", "--json").out)] == ["tftpd", "dhcpd"]
    assert qrm("component", "status", "tftpd").code == 0
    fake.answers["GET /v1/list/component"] = {"rows": [], "total": 0, "revision": 1}
    nothing = qrm("component", "status")
    assert (nothing.code, nothing.out) == (0, "")
    assert "qrm install answers" in nothing.err


# usage: exit code 2, without a server

@pytest.mark.parametrize(("line", "words"), [
    ("", "qrm NOUN VERB"),
    ("imge list", "'imge'; did you mean image?"),
    ("image lst", "'lst'; did you mean list?"),
    ("image", "image: say what to do: list"),
    ("--size 5G image add x", "NOUN and VERB come before"),
    ("image list --jsn", "no option --jsn"),
    ("image clone a b --hostnam x", "did you mean --hostname?"),
    ("image clone a b c", "'c' is one name too many"),
    ("image clone a", "name: is needed"),
    ("image add x --size 12Q", "size: '12Q' is not a size"),
    ("image add x --fs zfs", "not one of ext4, ext3, xfs"),
    ("image add x --size", "--size wants a value: --size SIZE"),
    ("image add x --size --fs ext4", "--size wants a value"),
    ("image add x --size 1G --size 2G", "--size is given twice"),
    ("image add x --env A=1 --env A=2", "A is given twice"),
    ("image add x --env A", "'A' is not KEY=VALUE"),
    ("image add ../x", "is no name"),
    ("image add -- --x", "is no name"),
    ("image list --limit 0", "limit: '0' is no count"),
    ("image list --offset -1", "offset: '-1' is no whole number"),
    ("image list --filter (a", "a parenthesis is not closed"),
    ("image list --json --plain", "take one of them"),
    ("image list --json=1", "--json takes no value"),
    ("image list --reason", "--reason wants a value"),
    ("image list --reason --json", "--reason wants a value"),
    ("image list --connect=", "--connect: is empty"),
    ("image list --connect /a --connect /b", "--connect is given twice"),
    ("image list --connect demo", "ssh://demo"),
    ("job show x", "name: 'x' is no count"),
    ("job log 1 --from x", "from: 'x' is no whole number"),
    ("farm status now", "one name too many"),
])
def test_bad_usage(qrm: Command, line: str, words: str) -> None:
    result = qrm(*line.split())
    assert (result.code, result.out) == (2, "")
    assert words in result.err
    assert all(row.startswith("qrm: ") for row in result.err.splitlines())


def test_every_trouble_of_a_call_is_told_at_once(qrm: Command) -> None:
    result = qrm("image", "add", "x", "--size", "no", "--fs", "zfs")
    assert result.code == 2
    assert len(result.err.splitlines()) == 2


def test_control_characters_of_the_command_line_are_escaped(qrm: Command) -> None:
    for line in (["\x1b[2J"], ["image", "\x1b[2J"], ["image", "list", "--\x1b[2J"], ["image", "show", "\x1b[2J"],
                 ["image", "list", "--reason", "\x1b[2J"], ["image", "list", "--connect", "\x1b[2J"]):
        result = qrm(*line)
        assert result.code == 2
        assert "\x1b" not in result.err


# help

def test_help_names_every_noun_and_verb(qrm: Command) -> None:
    result = qrm("--help")
    assert result.code == 0
    assert result.err == ""
    words = result.out.replace(",", " ").split()
    for noun in verbs.nouns():
        assert noun in words
        for name in verbs.verbs_of(noun):
            assert name in words
    assert qrm("-h").out == result.out


def test_every_operation_is_a_verb() -> None:
    bound = {verb.operation.name for noun in verbs.nouns() for verb in verbs.verbs_of(noun).values() if verb.operation}
    assert bound == set(OPERATIONS)


@pytest.mark.parametrize("noun", verbs.nouns())
def test_help_of_every_verb(qrm: Command, noun: str) -> None:
    assert qrm(noun, "--help").code == 0
    for name, verb in verbs.verbs_of(noun).items():
        result = qrm(noun, name, "-h")
        assert result.code == 0
        assert verb.example in result.out
        for argument in verb.arguments:
            assert argument.option in result.out or argument.positional


def test_help_tells_types_units_and_defaults(qrm: Command) -> None:
    text = " ".join(qrm("image", "add", "--help").out.split())
    assert "--size SIZE" in text
    assert "5000M" in text
    assert "default ext4" in text
    assert "ext4, ext3, xfs" in text
    assert "default 20%" in qrm("image", "clone", "--help").out
    assert "wants --yes" in " ".join(qrm("image", "remove", "--help").out.split())


@pytest.mark.parametrize("noun", verbs.nouns())
def test_every_example_is_understood(noun: str) -> None:
    for verb in verbs.verbs_of(noun).values():
        words = verb.example.split("qrm ", 1)[1].split()
        if noun == "practice":
            continue
        assert words[:2] == [noun, verb.name]
        take_apart(words[2:], verb.arguments)


def test_version(qrm: Command) -> None:
    result = qrm("--version")
    assert result.code == 0
    assert result.out.startswith("qrm 0.")


def test_help_loads_next_to_nothing() -> None:
    script = ("import sys; from qrm_tui.cli.main import run; run(['--help']); run(['image', 'add', '-h']);"
              "print(*sys.modules, file=sys.stderr)")
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stderr.split()
    assert not {"asyncio", "msgspec", "h11", "http", "json", "argparse", "difflib", "textual", "sqlmodel"} & set(loaded)


def test_a_call_loads_neither_textual_nor_sqlmodel(fake: FakeQrmd) -> None:
    script = ("import sys; from qrm_tui.cli.main import run; run(['image', 'list']);"
              "print(*sys.modules, file=sys.stderr)")
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stderr.split()
    assert not {"textual", "sqlmodel", "asyncssh", "libvirt", "jinja2"} & set(loaded)


# common options

@pytest.mark.parametrize("line", [
    "--json image list", "image --json list", "image list --json", "--connect {} image list --json",
    "image list --connect={} --json",
])
def test_common_options_stand_anywhere(qrm: Command, fake: FakeQrmd, monkeypatch: pytest.MonkeyPatch,
                                       line: str) -> None:
    if "{}" in line:
        monkeypatch.setenv("QRM_CONNECT", "/nowhere/s")
    result = qrm(*line.format(fake.path).split())
    assert result.code == 0
    assert json.loads(result.out)[0]["name"] == "webserver"


# reading

def test_list_as_json_has_bytes_and_rfc3339(qrm: Command, fake: FakeQrmd) -> None:
    row, = json.loads(qrm("image", "list", "--json").out)
    assert row["size"] == 5000 << 20
    assert row["since"] == "2026-09-21T14:13:20Z"
    assert row["used"] is None
    assert row["used_by"] == ["10.0.0.7", "10.0.0.8"]


def test_list_plain_is_tab_separated(qrm: Command, fake: FakeQrmd) -> None:
    assert qrm("image", "list", "--plain").out == (
        "webserver\tlvm-nfs\t/vol/webserver\t5242880000\t\t\t\t\t10.0.0.7,10.0.0.8\tready\t2026-09-21T14:13:20Z\n")
    assert qrm("storage", "list", "--plain").out.split("\t")[3] == "SERVER_VOL=vol"


def test_list_for_people_has_a_header_and_units(qrm: Command, fake: FakeQrmd) -> None:
    head, row = qrm("image", "list").out.splitlines()
    assert head.split()[:4] == ["NAME", "STATE", "STORAGE", "SIZE"]
    assert "4.9G" in row
    assert "\x1b" not in head


def test_an_empty_list(qrm: Command, fake: FakeQrmd) -> None:
    assert json.loads(qrm("journal", "list", "--json").out) == []
    assert qrm("journal", "list", "--plain").out == ""
    assert len(qrm("journal", "list").out.splitlines()) == 1


def test_list_hands_on_filter_sort_and_page(qrm: Command, fake: FakeQrmd) -> None:
    fake.answers["GET /v1/list/image"] = {"rows": [IMAGE], "total": 41, "revision": 7}
    result = qrm("image", "list", "--filter", "size>5G not web", "--sort=size,-name", "--limit", "1", "--offset", "0")
    assert result.code == 0
    assert fake.asked("GET /v1/list/image") == [{"filter": "size>5G not web", "sort": "size,-name", "limit": "1"}]
    assert result.err == "1 of 41\n"


def test_show(qrm: Command, fake: FakeQrmd) -> None:
    shown = json.loads(qrm("image", "show", "webserver", "--json").out)
    assert (shown["why"], shown["size"]) == ("it is there", 5000 << 20)
    assert "size\t5242880000" in qrm("image", "show", "webserver", "--plain").out.splitlines()
    people = qrm("image", "show", "webserver").out
    assert "4.9G (5242880000)" in people
    assert "(2026-09-21T14:13:20Z)" in people


def test_show_of_a_job_has_its_steps(qrm: Command, fake: FakeQrmd) -> None:
    lines = qrm("job", "show", "12").out.splitlines()
    assert lines[-2].split() == ["1", "done", "lvm-nfs", "make", "the", "snapshot"]
    assert lines[-1].endswith("export it: no room")


def test_why(qrm: Command, fake: FakeQrmd) -> None:
    fake.answers["GET /v1/show/image/webserver"] = {**IMAGE, "state": "error", "why": "not mounted", "next": "mount it"}
    text = qrm("image", "why", "webserver").out.splitlines()
    assert text[0].startswith("image webserver is error since 2026-09-21T14:13:20Z")
    assert text[0].endswith("not mounted")
    assert text[1] == "next: mount it"
    assert json.loads(qrm("image", "why", "webserver", "--json").out) == {
        "kind": "image", "name": "webserver", "state": "error", "since": "2026-09-21T14:13:20Z", "why": "not mounted",
        "next": "mount it"}


def test_farm_status(qrm: Command, fake: FakeQrmd) -> None:
    told = json.loads(qrm("farm", "status", "--json").out)
    assert told["started"] == told["alerts"][0]["since"] == "2026-09-21T14:13:20Z"
    assert told["counts"] == FARM["counts"]
    text = qrm("farm", "status").out
    assert text.startswith("PRACTICE")
    assert "customer9 is error" in text
    assert "512G" in text
    plain = qrm("farm", "status", "--plain").out.splitlines()
    assert "practice\tyes" in plain
    assert "count\timage\tready\t1" in plain
    assert f"capacity\tlvm-nfs\t{1 << 40}\t{1 << 39}" in plain


def test_job_log(qrm: Command, fake: FakeQrmd) -> None:
    fake.log.append({"n": 1, "at": 1_790_000_000.0, "step": 1, "stream": "err", "text": "a\x1b[2J\tb\nc"})
    assert qrm("job", "log", "12").out == "Logical volume created\na\\x1b[2J   b\nc\n"
    entries = [json.loads(line) for line in qrm("job", "log", "12", "--json", "--follow", "--from=1").out.splitlines()]
    assert entries[1]["text"] == "a\x1b[2J\tb\nc"
    assert fake.asked("GET /v1/job/12/log")[-1] == {"follow": "1", "from": "1"}
    assert qrm("job", "log", "12", "--plain").out.splitlines()[0].split("\t")[3] == "out"


def test_journal_verify(qrm: Command, fake: FakeQrmd) -> None:
    assert qrm("journal", "verify").code == 0
    fake.answers["GET /v1/journal/verify"] = {"ok": False, "entries": 3, "trouble": "entry 2 was changed"}
    result = qrm("journal", "verify", "--json")
    assert result.code == 1
    assert json.loads(result.out)["ok"] is False
    assert "entry 2 was changed" in result.err


def test_hostile_text_harms_no_terminal(qrm: Command, fake: FakeQrmd) -> None:
    evil = "\x1b]0;owned\x07\x9b2J\u202eevil\ttab\nline"
    row = {**IMAGE, "name": evil, "storage": evil, "used_by": [evil], evil: evil, "why": evil, "next": evil}
    fake.answers["GET /v1/list/image"] = {"rows": [row], "total": 1, "revision": 7}
    fake.answers["GET /v1/show/image/webserver"] = row
    fake.answers["GET /v1/farm"] = {**FARM, "farm": evil, "alerts": [row | {"kind": evil, "state": evil}]}
    fake.refuse("GET /v1/show/image/other", "refused", evil)
    for line in ("image list", "image list --plain", "image show webserver", "image show webserver --plain",
                 "image why webserver", "farm status", "farm status --plain", "image show other"):
        result = qrm(*line.split())
        for text in (result.out, result.err):
            assert all(letter.isprintable() for letter in text.replace("\n", "").replace("\t", "")), line
    assert len(qrm("image", "list", "--plain").out.splitlines()) == 1
    listed = qrm("image", "list", "--json").out
    assert json.loads(listed)[0]["name"] == evil
    assert listed.isascii()


# exit codes 3, 4, 1

def test_refused_tells_each_reason_on_a_line(qrm: Command, fake: FakeQrmd) -> None:
    fake.refuse("POST /v1/plan", "refused", "webserver is being removed", "the group is full")
    result = qrm("image", "clone", "webserver", "customer1")
    assert result.code == 3
    assert result.out == ""
    assert result.err == "qrm: webserver is being removed\nqrm: the group is full\n"


@pytest.mark.parametrize(("code", "status", "exit_code"), [
    ("not_permitted", 403, 3), ("not_found", 404, 3), ("stale", 409, 3), ("unreachable", 503, 3),
    ("bad_input", 400, 2), ("broken", 500, 1), ("failed", 500, 1),
])
def test_exit_codes_of_errors(qrm: Command, fake: FakeQrmd, code: str, status: int, exit_code: int) -> None:
    fake.refuse("GET /v1/farm", code, "so it is", status=status)
    assert qrm("farm", "status") == Result(exit_code, "", "qrm: so it is\n")


def test_no_server(qrm: Command) -> None:
    result = qrm("image", "list")
    assert (result.code, result.out) == (4, "")
    assert len(result.err.splitlines()) == 1
    assert "/nowhere/qrmd.sock" in result.err


def test_an_unexpected_fault_is_a_line(qrm: Command, fake: FakeQrmd, monkeypatch: pytest.MonkeyPatch) -> None:
    fake.answers["GET /v1/list/image"] = {"total": 1}
    result = qrm("image", "list")
    assert result.code == 1
    assert len(result.err.splitlines()) == 1
    assert "QRM_DEBUG=1" in result.err
    monkeypatch.setenv("QRM_DEBUG", "1")
    assert "Traceback" in qrm("image", "list").err


def _commands_told() -> list[str]:
    """What the product's own words tell people to type, up to the first option, with 1 for what is filled in."""
    texts = [path.read_text() for path in Path(verbs.__file__).parents[1].rglob("*.py")]
    told = {re.sub(r"\{.*?\}", "1", command) for text in texts
            for command in re.findall(r"\bqrm ([a-z-]+ [a-z-]+(?: (?:\{[^{}\"]*\}|on\b|off\b|reset\b))*)", text)}
    return sorted(command for command in told if command.split()[0] in verbs.NOUNS)


@pytest.mark.parametrize("command", _commands_told())
def test_what_people_are_told_to_type_is_understood(command: str) -> None:
    noun, name, *words = command.split()
    verb = verbs.verbs_of(noun)[name]
    given = take_apart(words, verb.arguments)
    assert all(given[argument.name] in argument.choices for argument in verb.arguments
               if argument.choices and argument.name in given)
