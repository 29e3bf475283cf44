"""Everything that can be refused or go wrong, as one small family that API, CLI and screen tell alike."""
from __future__ import annotations

from collections.abc import Sequence


class QrmError(Exception):
    """A trouble that a person reads: each reason names the thing, what is wrong, and what to do."""

    #: word used in JSON
    code = "error"
    #: HTTP status of the answer that carries it
    status = 500
    #: exit code of `qrm` (see the README's table)
    exit_code = 1

    def __init__(self, *reasons: str) -> None:
        self.reasons: tuple[str, ...] = reasons or (self.code,)
        super().__init__("; ".join(self.reasons))


class BadInput(QrmError):
    """An argument is not of its type, or is missing."""

    code, status, exit_code = "bad_input", 400, 2


class Refused(QrmError):
    """A check says no; nothing was changed."""

    code, status, exit_code = "refused", 409, 3


class NotFound(Refused):
    """No object of that name."""

    code, status = "not_found", 404


class NotPermitted(Refused):
    """The role of the one who asks does not reach."""

    code, status = "not_permitted", 403


class NotLoggedIn(NotPermitted):
    """There is no session, or it has ended."""

    code, status = "not_logged_in", 401


class Stale(Refused):
    """What the plan relied on is no longer so."""

    code, status = "stale", 409


class StepFailed(QrmError):
    """A step ran and did not do what it should."""

    code = "failed"


class GuardRefused(StepFailed):
    """What must hold right before a step does not: the step has not begun."""


class Busy(StepFailed):
    """Somebody else has what the step needs, and will let go of it: it can be tried again."""


class Unreachable(QrmError):
    """A machine does not answer; whether the last step had its effect is not known."""

    code, status, exit_code = "unreachable", 503, 3


class NoServer(QrmError):
    """No qrmd listens where one was looked for."""

    code, status, exit_code = "no_server", 503, 4


class Broken(QrmError):
    """qrmd itself is in trouble (a full disk, a lost database)."""

    code = "broken"


_BY_CODE = {cls.code: cls for cls in (QrmError, BadInput, Refused, NotFound, NotPermitted, NotLoggedIn, Stale,
                                      StepFailed, Unreachable, NoServer, Broken)}


def from_code(code: str, reasons: Sequence[str]) -> QrmError:
    """The error that a server told, as the same class here."""
    return _BY_CODE.get(code, QrmError)(*reasons)
