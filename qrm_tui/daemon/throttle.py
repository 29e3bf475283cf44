"""Wrong passwords slow down whoever tries them, and lock out nobody.

Two brakes. An *account* of this machine that tried wrong ones waits longer and longer before its next attempt is
looked at. A *user* whose password was tried wrong, by whichever accounts, is answered later by some seconds: somebody
who tries from many accounts is held, and the user still gets in, at once from an account where they logged in before.
"""
from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass

#: Wrong attempts that cost nothing: people mistype.
FREE = 3
#: Seconds that an account waits at most, and that a user is answered later at most.
LONGEST_WAIT, LONGEST_PAUSE = 60.0, 8.0
#: Seconds after the last wrong attempt until all is forgotten.
FORGOTTEN = 900.0
#: Accounts, users and pairs of them that are remembered: the oldest go first.
REMEMBERED = 4096


@dataclass(slots=True)
class _Tries:
    wrong: int = 0
    at: float = 0.0


class Throttle:
    """What was tried wrong lately. `steady` measures seconds."""

    def __init__(self, steady: Callable[[], float]) -> None:
        self._steady = steady
        self._tries: OrderedDict[Hashable, _Tries] = OrderedDict()
        #: pairs of user and account that have logged in
        self._known: OrderedDict[tuple[str, int], None] = OrderedDict()

    def wait_of(self, account: int) -> float:
        """Seconds until this account may try again; 0: now."""
        tries = self._recent(account)
        return max(0.0, tries.at + _growing(tries.wrong, LONGEST_WAIT) - self._steady()) if tries else 0.0

    def pause_for(self, user: str, account: int) -> float:
        """Seconds that this user is answered later."""
        tries = self._recent(user)
        return _growing(tries.wrong, LONGEST_PAUSE) if tries and (user, account) not in self._known else 0.0

    def wrong(self, user: str, account: int) -> int:
        """A wrong password; how many this account has tried lately."""
        for key in (account, user, (user, account)):
            tries = self._recent(key) or _Tries()
            tries.wrong, tries.at = tries.wrong + 1, self._steady()
            self._tries[key] = tries
            self._tries.move_to_end(key)
        while len(self._tries) > REMEMBERED:
            self._tries.popitem(last=False)
        return self._tries[account].wrong

    def right(self, user: str, account: int) -> int:
        """The right one: what this account tried wrong of this user is forgiven, and no more than that, lest somebody
        with a password of their own clears the way to others'. How many that were."""
        self._known[(user, account)] = None
        self._known.move_to_end((user, account))
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        pair = self._tries.pop((user, account), None)
        if pair is None:
            return 0
        for key in (account, user):
            if key in self._tries:
                self._tries[key].wrong = max(0, self._tries[key].wrong - pair.wrong)
        return pair.wrong

    def _recent(self, key: Hashable) -> _Tries | None:
        tries = self._tries.get(key)
        if tries is not None and self._steady() - tries.at > FORGOTTEN:
            del self._tries[key]
            return None
        return tries


def _growing(wrong: int, longest: float) -> float:
    """Seconds after so many wrong attempts: 1, 2, 4 ..."""
    return 0.0 if wrong < FREE else min(longest, 2.0 ** min(wrong - FREE, 10))
