"""How far a command is, read from the lines that it prints as it goes: a share, and real units where it tells them."""
from __future__ import annotations

import re
from typing import NamedTuple, Protocol


class Report(NamedTuple):
    """How far it is: `share` of the whole, from 0 to 1; `done` of `total` of what it does now, counted in `unit`."""

    share: float
    done: float = 0
    total: float = 0
    #: `bytes` that are fetched, `packages` that are unpacked and set up, or empty
    unit: str = ""
    #: of packages: how many there are in all, whatever it does now
    packages: float = 0


class Reader(Protocol):
    """Reads a command's lines, one after the other from its start."""

    def read(self, text: str) -> tuple[bool, Report | None]:
        """Whether the line says nothing but how far it is, and that, if it is known."""


class Rsync:
    """rsync(1) with --info=progress2."""

    def read(self, text: str) -> tuple[bool, Report | None]:
        match = re.search(r"\s([0-9]{1,3})%\s", text)
        return bool(match), Report(int(match[1]) / 100) if match else None


class Apt:
    """apt-get(8) with APT::Status-Fd on standard output (apt's README.progress-reporting)."""

    #: what it says before: apt-pkg's SizeToStr counts in thousands
    _FETCH = re.compile(r"Need to get ([0-9.,]+) ([kMGT]?)B(?:/[0-9.,]+ [kMGT]?B)? of archives")
    _COUNT = re.compile(r"([0-9]+) upgraded, ([0-9]+) newly installed, (?:([0-9]+) reinstalled, )?")
    _STATUS = re.compile(r"(dlstatus|pmstatus|media-change):[^:]*(?::([0-9]{1,3}(?:\.[0-9]+)?):)?")
    #: of the whole, what fetching counts as where anything is fetched
    _FETCHING = 0.5

    def __init__(self) -> None:
        self._bytes = self._packages = 0.0

    def read(self, text: str) -> tuple[bool, Report | None]:
        if match := self._FETCH.match(text):
            self._bytes = float(match[1].replace(",", "")) * 1000 ** " kMGT".index(match[2] or " ")
            return False, self._fetched(0)
        if match := self._COUNT.match(text):
            self._packages = sum(int(number or 0) for number in match.groups())
            return False, None
        match = self._STATUS.match(text)
        if match is None:
            return False, None
        if not match[2]:
            return True, None
        share = min(1.0, float(match[2]) / 100)
        return True, self._fetched(share) if match[1] == "dlstatus" else self._set_up(share)

    def _fetched(self, share: float) -> Report | None:
        # apt tells of it before it has said how much that is
        return Report(share * self._FETCHING, share * self._bytes, self._bytes, "bytes", self._packages) \
            if self._bytes else None

    def _set_up(self, share: float) -> Report:
        begun = self._FETCHING if self._bytes else 0
        return Report(begun + share * (1 - begun), int(share * self._packages), self._packages,
                      "packages" if self._packages else "", self._packages)


#: By the name in a plan's step.
READERS: dict[str, type[Reader]] = {"rsync": Rsync, "apt": Apt}
