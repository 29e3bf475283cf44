"""Choices of an installation that is not carried out yet: kept with the server, since an admin's line may drop.

One draft for all admins, as there is one server to be set up. It counts as long as components are set up as they were
when it was made: an installation that ran, or anybody's change, ends it.
"""
from __future__ import annotations

import asyncio
import hashlib
import logging
import os
from pathlib import Path

import msgspec

from qrm_tui.core.farm import Farm
from qrm_tui.core.setup import Draft

_log = logging.getLogger("qrmd")


class _Kept(msgspec.Struct, frozen=True):
    """As it lies in the file."""

    draft: Draft
    at: float
    #: how components were set up then
    over: str


class Drafts:
    """The draft, in a file that only the server's account can read."""

    def __init__(self, farm: Farm, file: Path) -> None:
        self._farm, self._file = farm, file

    def _over(self) -> str:
        """A digest of how components are set up."""
        rows = sorted((item.name, msgspec.json.encode(item.wanted, order="sorted"))
                      for item in self._farm.all("component"))
        return hashlib.sha256(repr(rows).encode()).hexdigest()

    async def keep(self, draft: Draft) -> None:
        """It takes the place of the one before; OSError where the disk takes nothing."""
        kept = _Kept(draft, self._farm.clock(), self._over())
        await asyncio.to_thread(self._write, msgspec.json.encode(kept))

    def _write(self, content: bytes) -> None:
        new = self._file.with_suffix(".new")
        with open(new, "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        new.replace(self._file)

    async def kept(self) -> tuple[Draft, float] | None:
        """The draft and when it was made, if there is one that counts."""
        try:
            content = await asyncio.to_thread(self._file.read_bytes)
            kept = msgspec.json.decode(content, type=_Kept)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError) as error:
            _log.warning("the installer's draft cannot be read, and is passed over: %s", error)
            return None
        return (kept.draft, kept.at) if kept.over == self._over() else None

    async def forget(self) -> None:
        """All is as it is without one."""
        await asyncio.to_thread(self._file.unlink, missing_ok=True)
