"""Recorded machines: what is kept of a machine, what is not, and what is refused."""
from __future__ import annotations

import json

import pytest

from qrm_tui.core.errors import BadInput
from qrm_tui.core.facts import Answered, File, MachineFacts
from qrm_tui.install import questions
from qrm_tui.install.recording import decode, encode
from tests.unit.machines import FOLDER, NAMES, recorded


@pytest.mark.parametrize("name", NAMES)
def test_a_recording_holds_what_is_asked_today(name: str) -> None:
    """Read and written again it is the same; a question without an answer would be seen as unknown."""
    facts = recorded(name)
    assert decode(encode(facts, "again")) == facts
    wires = [one for one in facts.asked if one.startswith(f"{questions.OFFERS} ")]
    assert set(questions.commands()) == set(facts.asked) - set(wires)
    assert wires


def test_the_index_tells_of_each() -> None:
    index = (FOLDER / "README.md").read_text()
    assert [name for name in NAMES if f"`{name}.json`" not in index] == []
    assert len(NAMES) >= 10


def test_passwords_are_left_out() -> None:
    text = ('network:\n  wifis:\n    w0:\n      access-points:\n        "home":\n          password: "s3cret"\n'
            "    wpa-psk s3cret\nPrivateKey=s3cret\npsk = s3cret\n# about passwords\n")
    kept = encode(MachineFacts(files={"/etc/netplan/a.yaml": File(content=text)}))
    assert "s3cret" not in kept
    assert "# about passwords" in kept
    assert "password: ***" in kept


@pytest.mark.parametrize("text", [
    "", "{", "[]", "{}", '{"what": "", "answers": [], "files": {}}',
    '{"what": "", "answers": {"user": 1}, "files": {}}',
    '{"what": "", "answers": {"user": {"out": "0"}}, "files": {}}', "[" * 100_000,
    '{"what": "", "answers": {}, "files": {"/etc/hosts": {"text": []}}}',
])
def test_what_is_no_recording_is_refused_in_words(text: str) -> None:
    with pytest.raises(BadInput, match="this is no recorded machine"):
        decode(text)


def test_a_failed_command_is_kept_as_such() -> None:
    facts = MachineFacts(asked={"user": Answered(status=127, err="id: not found\n")})
    assert json.loads(encode(facts))["answers"] == {"user": {"status": 127, "err": ["id: not found"]}}
