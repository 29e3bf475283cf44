"""How far commands are, from what they really print."""
from __future__ import annotations

import pytest

from qrm_tui.core.time_left import Calm, amount_words, seconds_left, share_done
from qrm_tui.runners.progress import READERS, Report
from tests.unit.test_components import captured


def reports(kind: str, text: str) -> tuple[list[Report], list[str]]:
    """What it tells as it goes, and the lines that are shown."""
    reader, told, shown = READERS[kind](), [], []
    for line in text.splitlines():
        quiet, report = reader.read(line)
        told += [report] if report else []
        shown += [] if quiet else [line]
    return told, shown


def test_apt_tells_bytes_that_it_fetches_and_then_packages() -> None:
    told, shown = reports("apt", captured("apt-get-fetch.txt"))
    assert (told[0].done, told[0].total, told[0].unit) == (0, 12.6e6, "bytes")
    assert told[-1].done == told[-1].total and told[-1].share == 0.5
    assert not any("status:" in line for line in shown)
    assert any(line.startswith("Get:1 ") for line in shown)
    told, _ = reports("apt", captured("apt-get-install.txt"))
    assert [one.share for one in told] == sorted(one.share for one in told)
    assert told[-1] == Report(0.9, 0, 1, "packages", 1)
    assert [one.unit for one in told if one.share < 0.5] == ["bytes"] * 2


@pytest.mark.parametrize(("line", "total"), [
    ("Need to get 1,234 kB of archives.", 1.234e6), ("Need to get 22.5 MB/31.0 MB of archives.", 22.5e6),
    ("Need to get 230 B of archives.", 230)])
def test_apts_sizes_of_any_kind(line: str, total: float) -> None:
    assert reports("apt", line)[0] == [Report(0, 0, total, "bytes")]


def test_nothing_to_fetch_leaves_the_whole_to_the_packages() -> None:
    told, _ = reports("apt", "0 upgraded, 4 newly installed, 0 to remove and 0 not upgraded.\n"
                             "Need to get 0 B/12.0 MB of archives.\npmstatus:x:50.0000:Unpacking x\n")
    assert told == [Report(0.5, 2, 4, "packages", 4)]


def test_a_lying_command_is_never_further_than_the_end() -> None:
    told, _ = reports("apt", "pmstatus:x:999.9:y\npmstatus:x:y\ndlstatus:1:50.0:before it said how much\n")
    assert told == [Report(1.0)]
    assert reports("rsync", "  1,234,567  45%   12.3MB/s    0:00:12\n") == ([Report(0.45)], [])


# time left


def step(kind: str = "run", **more: object) -> dict[str, object]:
    return {"kind": kind, **more}


APT = step(long="apt")


def test_time_left_goes_by_what_is_fetched_then_by_packages_then_by_steps() -> None:
    steps = [step(started=100, ended=100.7, argv=["systemctl"]), APT, *[step("record")] * 20]
    assert seconds_left({"step": 0}, steps, 100) is None, "nobody knows how much there is"
    assert seconds_left({"step": 1}, steps, 101) is None
    fetching = {"done": 0, "total": 100e6, "unit": "bytes", "since": 101, "packages": 10}
    assert seconds_left({"step": 1, "amount": fetching}, steps, 105) is None, "nothing came yet"
    left = seconds_left({"step": 1, "amount": {**fetching, "done": 20e6}}, steps, 111)
    assert left == pytest.approx(40 + 6 + 1, abs=0.5)
    packages = {"done": 5, "total": 10, "unit": "packages", "since": 200, "packages": 10}
    assert seconds_left({"step": 1, "amount": packages}, steps, 220) == pytest.approx(20 + 1, abs=0.5)
    last = [*steps[:2], step("record", started=300), *steps[3:]]
    assert seconds_left({"step": 2}, last, 300) == pytest.approx(1, abs=0.2)


def test_a_machine_that_is_slow_is_believed_to_stay_so() -> None:
    quick = [step(started=0, ended=1)] * 20 + [step()] * 20
    slow = [step(started=0, ended=20)] * 20 + [step()] * 20
    assert seconds_left({"step": 19}, slow, 0) > 10 * seconds_left({"step": 19}, quick, 0)  # type: ignore[operator]


def test_the_bar_goes_with_what_a_step_tells_and_by_what_steps_take() -> None:
    steps = [step(argv=["systemctl"]), APT, *[step("write")] * 50]
    shares = [share_done({"state": "running", "step": 1, "progress": told}, steps) for told in (None, 0.5, 1.0)]
    assert shares[0] < 0.05 and shares[1] == pytest.approx(0.47, abs=0.05) and shares[2] > 0.85
    assert share_done({"state": "running", "step": 1, "steps": 4}, ()) == 0.25, "its steps are not known yet"
    assert share_done({"state": "done", "step": 1}, steps) == 1
    assert share_done({"state": "waiting", "steps": 0}, ()) == 0


def test_what_is_shown_does_not_jump() -> None:
    calm = Calm()
    assert calm.words(None, 0) == ""
    shown = [calm.words(guess, now) for now, guess in enumerate([100, 140, 60, 120, 90, 110, 80, 95])]
    assert shown == ["about 2 min left"] * len(shown)
    assert [calm.words(max(0, 90 - now), 8 + now) for now in (0, 30, 60, 90, 91, 92)][-1] == "some seconds left"
    assert [calm.words(600, 100 + now) for now in range(20)][-1] == "about 10 min left", "it was really wrong"


@pytest.mark.parametrize(("amount", "words"), [
    (None, ""), ({"done": 3 << 20, "total": 12 << 20, "unit": "bytes"}, "3M of 12M fetched"),
    ({"done": 3, "total": 14, "unit": "packages"}, "3 of 14 packages")])
def test_amounts_in_words(amount: dict[str, object] | None, words: str) -> None:
    assert amount_words({"amount": amount}) == words
