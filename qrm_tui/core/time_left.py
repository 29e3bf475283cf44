"""How far a job is, and how long it still takes: what is fetched at the rate seen, packages at theirs, and the other
steps by what such steps typically take, at the pace that this machine showed so far."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qrm_tui.core.units import format_size

#: Seconds that a package takes to be unpacked and set up, before any was seen to.
_PACKAGE = 0.6
#: Seconds that a step takes, by its kind, and by the program where one is run; of a kind that is not here.
_TYPICAL: Mapping[str, float] = {"write": 0.05, "remove": 0.05, "record": 0.05, "tell": 0.5, "wait": 0.3, "run": 0.1}
_PROGRAMS: Mapping[str, float] = {"systemctl": 0.5, "apt-get": 5.0}
_OTHER = 1.0
#: Seconds of a long step: of one that tells how far it is, and of one that does not.
_TELLING, _LONG = 30.0, 8.0
#: Seconds of typical steps that are believed in beside those that were seen.
_BELIEF = 1.0
#: Seconds after which a rate is one.
_SEEN = 2.0


def seconds_left(job: Mapping[str, Any], steps: Sequence[Mapping[str, Any]], now: float) -> float | None:
    """Of a job that runs, from its row and its steps as they are; None: it cannot be told (yet)."""
    at = min(int(job.get("step") or 0), len(steps) - 1)
    if at < 0 or any(step.get("long") == "apt" for step in steps[at + 1:]):
        return None  # how much is fetched, and how fast, nobody knows before it begins
    pace = _pace(steps[:at])
    later = pace * sum(map(_typical, steps[at + 1:]))
    if steps[at].get("long") == "apt":
        packages = _packages_left(job.get("amount"), now)
        return None if packages is None else packages + later
    return max(0.0, pace * _typical(steps[at]) - (now - (steps[at].get("started") or now))) + later


def share_done(job: Mapping[str, Any], steps: Sequence[Mapping[str, Any]]) -> float:
    """How much of a job is done, from 0 to 1: each step counts by what it typically takes, and the one that runs as far
    as it tells. Without its steps, all count the same."""
    if job["state"] == "done":
        return 1.0
    at, within = int(job.get("step") or 0), float(job.get("progress") or 0)
    weights = [_typical(step) for step in steps] or [1.0] * int(job.get("steps") or 0)
    if at >= len(weights):
        return float(bool(weights))
    return min(1.0, (sum(weights[:at]) + within * weights[at]) / sum(weights))


def _typical(step: Mapping[str, Any]) -> float:
    program = _PROGRAMS.get(next(iter(step.get("argv") or ()), ""))
    if program is not None:
        return program
    if step.get("long"):
        return _LONG if step["long"] is True else _TELLING
    return _TYPICAL.get(str(step.get("kind")), _OTHER)


def _pace(done: Sequence[Mapping[str, Any]]) -> float:
    """How many times as long as typical ones this machine's steps take."""
    seen = [step for step in done if step.get("started") is not None and step.get("ended") and not step.get("long")]
    took = sum(step["ended"] - step["started"] for step in seen)
    return float((_BELIEF + took) / (_BELIEF + sum(map(_typical, seen))))


def _packages_left(amount: Mapping[str, Any] | None, now: float) -> float | None:
    if not amount or not amount["total"]:
        return None
    done, total, ran = amount["done"], amount["total"], now - amount["since"]
    seen = ran >= _SEEN and done > 0
    if amount["unit"] == "bytes":
        return (total - done) * ran / done + amount["packages"] * _PACKAGE if seen else None
    return float((total - done) * (ran / done if seen and done >= total / 20 else _PACKAGE))


def amount_words(job: Mapping[str, Any]) -> str:
    """How much the running step has done, in real units; empty where it counts in none."""
    amount = job.get("amount")
    if not amount:
        return ""
    if amount["unit"] == "bytes":
        return f"{format_size(amount['done'])} of {format_size(amount['total'])} fetched"
    return f"{amount['done']:.0f} of {amount['total']:.0f} {amount['unit']}"


class Calm:
    """A time left that one can look at: it goes down, and up only when it was really wrong."""

    #: how far a new guess moves the end
    _TRUST = 0.25

    def __init__(self) -> None:
        self._end: float | None = None
        self._shown = 0.0

    def words(self, left: float | None, now: float) -> str:
        """`about 4 min left`, from a guess in seconds."""
        if left is None:
            self._end, self._shown = None, 0
            return ""
        self._end = now + left if self._end is None else self._end + (now + left - self._end) * self._TRUST
        rest = max(0.0, self._end - now)
        if not self._shown or _rounded(rest) < self._shown or rest > self._shown * 1.3 + 5:
            self._shown = _rounded(rest)
        if self._shown <= 10:
            return "some seconds left"
        return f"about {self._shown:.0f} s left" if self._shown < 60 else f"about {self._shown / 60:.3g} min left"


def _rounded(seconds: float) -> float:
    """Up to the next step: 10 s below a minute, half a minute below five, a minute above."""
    step = 10 if seconds <= 50 else 30 if seconds <= 300 else 60
    return -(-seconds // step) * step
