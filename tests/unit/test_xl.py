"""Domains that Xen's own tool shows."""
from __future__ import annotations

from pathlib import Path

import pytest

from qrm_tui.backends.xl import parse_list

LISTED = (Path(__file__).parent.parent / "fixtures/xl-list.txt").read_text()


def test_all_but_the_hosts_own_system_are_told() -> None:
    ours, theirs = parse_list(LISTED)
    assert (ours.name, ours.uuid, ours.state) == ("r1-1", "1c712333-3d3e-468a-87d4-59055cd020e3", "running")
    assert (theirs.name, theirs.state, theirs.memory, theirs.cpus) == ("theirs", "paused", 128 << 20, 1)
    assert not theirs.persistent and not theirs.resource


@pytest.mark.parametrize(("flags", "states"), [
    ("---sc-", ["crashed"]), ("---s--", ["off"]), ("r-----", ["running"]), ("--p---", ["paused"]), ("---s-d", []),
    ("--psrd", []),
])
def test_states(flags: str, states: list[str]) -> None:
    """Shut down with a reason, dying (xl list's own letters)."""
    assert [domain.state for domain in parse_list(LISTED) if domain.name == "theirs"] == ["paused"]
    changed = LISTED.replace("--p---", flags)
    assert [domain.state for domain in parse_list(changed) if domain.name == "theirs"] == states


@pytest.mark.parametrize("text", ["", "xl: command not found\n", "Name  ID\ntheirs 1 2\n", "\0" * 99])
def test_what_is_no_list_has_none(text: str) -> None:
    assert parse_list(text) == ()


def test_names_are_taken_as_they_are() -> None:
    (named,) = parse_list(LISTED.replace("theirs  ", "my db 7 "))[1:]
    assert named.name == "my db 7"
