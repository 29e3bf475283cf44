"""What apt and dpkg say, in one line for people. tests/services/test_apt_faults.py has the same from the real ones."""
from __future__ import annotations

import json
from pathlib import Path

import pytest

from qrm_tui.backends.apt_words import complaint, held, parse_candidates

FIXTURES = Path(__file__).parent.parent / "fixtures"


def said(name: str) -> str:
    captured = json.loads((FIXTURES / f"{name}.json").read_text())
    return str(captured["stdout"] + captured["stderr"])


def test_who_has_the_lock() -> None:
    assert held(said("apt-get-install-locked")) == "python (process 10261) is at it: it holds /var/lib/dpkg/lock"
    # in another process namespace nobody knows who it is
    assert held("E: Could not get lock /var/lib/dpkg/lock - open (11: Resource temporarily unavailable)\n") == \
        "somebody is at it, and holds /var/lib/dpkg/lock"
    # dpkg 1.21 and 1.22
    assert held("dpkg: error: dpkg frontend lock was locked by another process with pid 6749\nNote: removing") == \
        "somebody (process 6749) is at it: it holds dpkg's frontend lock"
    assert held("dpkg: error: dpkg database lock was locked by /usr/bin/dpkg process with pid 6749\n") == \
        "dpkg (process 6749) is at it: it holds dpkg's database lock"
    assert held(said("apt-get-install-refused")) == ""


@pytest.mark.parametrize(("name", "words"), [
    ("unmet-3", "needs-none cannot be installed: Depends: nosuch (>= 2) but it is not installable"),
    ("unmet", "needs-none cannot be installed: Depends: nosuch (>= 2) but it is not installable"),
    ("removes", "one would have to go, which qrm does not do: see to that first (apt-get install shows it)"),
    ("refused", "http://127.0.0.1:39281/./two_1_all.deb cannot be fetched: Could not connect to 127.0.0.1:39281 "
                "(127.0.0.1). - connect (111: Connection refused): what came is kept, and when this is asked for "
                "again, the rest is fetched"),
])
def test_what_went_wrong(name: str, words: str) -> None:
    assert complaint(said(f"apt-get-install-{name}")) == words


@pytest.mark.parametrize(("text", "words"), [
    ("E: Unable to locate package a\nE: Package 'b' has no installation candidate\n",
     "the package sources of this machine have no a, b: look at /etc/apt/sources.list and /etc/apt/sources.list.d, and "
     "ask again"),
    ("E: The package a needs to be reinstalled, but I can't find an archive for it.\n",
     "The package a needs to be reinstalled, but I can't find an archive for it."),
    ("dpkg: error processing package lib (--purge):\n package is in a very bad inconsistent state; you should\n"
     " reinstall it before attempting its removal\npmerror:lib:0.0000:package is in a very bad\n",
     "lib cannot be removed: package is in a very bad inconsistent state; you should reinstall it before attempting "
     "its removal"),
    ("all is well\n", ""), ("", ""),
])
def test_other_words(text: str, words: str) -> None:
    assert complaint(text) == words


def test_of_many_that_cannot_be_fetched_some_are_named() -> None:
    told = complaint("".join(f"E: Failed to fetch http://m/{number}.deb  404  Not Found\n" for number in range(9)))
    assert told.startswith("http://m/0.deb cannot be fetched: 404  Not Found; http://m/1.deb cannot")
    assert "; and 6 more: what came is kept" in told


def test_what_the_sources_have_is_known_where_there_are_lists() -> None:
    names = ("one", "two", "nosuch", "other")
    assert parse_candidates(said("apt-cache-policy"), names) == {
        "one": True, "two": True, "nosuch": False, "other": False}
    assert parse_candidates(said("apt-cache-policy-no-lists"), names) == {}
