"""Users who log in by name and password: what is kept of each. Accounts known by their groups are not among them."""
from __future__ import annotations

from typing import Literal

import msgspec

from qrm_tui.core.operations.declarations import Role

#: own: its user chose it. given: an administrator did, and it is changed at the next log-in. known: everybody knows it.
Whose = Literal["own", "given", "known"]


class UserWanted(msgspec.Struct, frozen=True, kw_only=True):
    """A user as it was made."""

    role: str
    #: as argon2 writes it (PHC string format); never shown
    password: str
    whose: Whose = "given"

    @property
    def rank(self) -> Role:
        """The role as it is compared."""
        return Role[self.role]


class UserSeen(msgspec.Struct, frozen=True, kw_only=True):
    """When a user logged in last, and from where: terminal and account."""

    last_in: float | None = None
    last_from: str = ""
