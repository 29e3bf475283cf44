"""Passwords sealed with argon2, which is slow and wide on purpose: here alone, and one at a time."""
from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING

from qrm_tui.core.passwords import same_form

if TYPE_CHECKING:
    from argon2 import PasswordHasher


#: FIRST_PASSWORD, sealed ahead: everybody knows it, and a server's first start need not wait for it.
FIRST_SEALED = "$argon2id$v=19$m=65536,t=3,p=4$jWLr6UakRqNAxy/ZESE4Fw$" \
    "EkCSNGYkBn5dSLwXQGc//dKYg15rXAr6I44MgZQW2eE"


class Passwords:
    """Seals passwords and holds others against them; each takes 64 MiB and a tenth of a second (RFC 9106, 4.)."""

    def __init__(self, **cost: int) -> None:
        """`cost`: argon2's own words for it, where it is not to be the usual one."""
        self._turn, self._cost = asyncio.Lock(), cost
        self._hasher: PasswordHasher | None = None
        self._decoy = ""

    async def seal(self, password: str) -> str:
        """The password as argon2 writes it, with a salt of its own."""
        async with self._turn:
            return await asyncio.to_thread(self._seal, password)

    async def fits(self, sealed: str, password: str) -> bool:
        """Whether it is that password. `sealed` empty, of a user that there is not: no, and it takes as long."""
        async with self._turn:
            return await asyncio.to_thread(self._fits, sealed, password)

    def _ready(self) -> PasswordHasher:
        if self._hasher is None:
            from argon2 import PasswordHasher  # only where somebody logs in

            self._hasher = PasswordHasher(**self._cost)
            self._decoy = self._hasher.hash(secrets.token_hex(16))
        return self._hasher

    def _seal(self, password: str) -> str:
        return self._ready().hash(same_form(password))

    def _fits(self, sealed: str, password: str) -> bool:
        hasher = self._ready()
        from argon2.exceptions import Argon2Error, InvalidHashError

        try:
            return hasher.verify(sealed or self._decoy, same_form(password)) and bool(sealed)
        except (Argon2Error, InvalidHashError):
            return False
