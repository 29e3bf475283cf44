"""What a runner can do with nothing but commands: files, trees and named commands, the same here and over ssh."""
from __future__ import annotations

import abc
import json
import posixpath
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import Any

from qrm_tui.core.errors import StepFailed
from qrm_tui.core.facts import File
from qrm_tui.core.places import templates_folder
from qrm_tui.runners.base import Completed, OnLine, Runner

_READ = 'test -e "$1" || exit 44; stat -c %a -- "$1" && cat -- "$1"'
# the new file lies under its own name in a folder beside, since checkers go by names, and takes its place by a rename
_PREPARE = ('set -e; umask 022; d=$(dirname -- "$1"); n=$d/.qrm-new; mkdir -p -- "$n"; f=$n/$(basename -- "$1"); '
            'cat >"$f"; chmod "$2" "$f"; sync "$f"')
_PLACE = ('set -e; d=$(dirname -- "$1"); n=$d/.qrm-new; mv -f -- "$n/$(basename -- "$1")" "$1"; '
          'rmdir "$n" 2>/dev/null || :; sync "$d"')
_DROP = ('d=$(dirname -- "$1"); rm -f -- "$d/.qrm-new/$(basename -- "$1")"; '
         'rmdir "$d/.qrm-new" 2>/dev/null || :')
_REMOVE = 'rm -f -- "$1" || exit; ' + _DROP
_NOT_THERE = 44
_ENDED_FROM_OUTSIDE = 125


@cache
def _tree_source() -> str:
    return resources.files("qrm_tui.runners").joinpath("tree.py").read_text()


@cache
def _named_source() -> str:
    return (templates_folder() / "named-command.sh").read_text()


class CommandRunner(Runner, abc.ABC):
    """A machine that runs commands; everything else is made from that."""

    async def _shell(self, script: str, *arguments: str, input: str = "") -> Completed:
        """One of the fixed scripts above; arguments are never part of it."""
        return await self.run(("sh", "-c", script, "qrm", *arguments), input=input)

    async def read_file(self, path: str) -> File | None:
        done = await self._shell(_READ, path)
        if done.status == _NOT_THERE:
            return None
        if done.status != 0:
            raise StepFailed(f"{path} on {self.name} cannot be read: {done.complaint()}")
        mode, _, content = done.out.partition("\n")
        return File(content=content, mode=int(mode, 8))

    async def write_file(self, path: str, content: str, mode: int, checker: Sequence[str]) -> None:
        done = await self._shell(_PREPARE, path, f"{mode:o}", input=content)
        if done.status == 0 and checker:
            new = posixpath.join(posixpath.dirname(path), ".qrm-new", posixpath.basename(path))
            done = await self.run([part.replace("{file}", new) for part in checker])
            if done.status != 0:
                await self._shell(_DROP, path)
                raise StepFailed(f"{checker[0]} on {self.name} does not take the new {path}: {done.complaint()}")
        if done.status == 0:
            done = await self._shell(_PLACE, path)
        if done.status != 0:
            complaint = done.complaint()
            await self._shell(_DROP, path)
            raise StepFailed(f"{path} on {self.name} cannot be written: {complaint}")

    async def remove_file(self, path: str) -> None:
        done = await self._shell(_REMOVE, path)
        if done.status != 0:
            raise StepFailed(f"{path} on {self.name} cannot be removed: {done.complaint()}")

    async def edit_tree(self, root: str, edits: Sequence[dict[str, Any]]) -> list[str]:
        script = f"{_tree_source()}\nmain({root!r}, {json.dumps(list(edits))!r})\n"
        done = await self.run(("python3", "-I", "-"), input=script)
        if done.status != 0:
            raise StepFailed(f"{root} on {self.name} cannot be edited: {done.complaint()}")
        changed: list[str] = json.loads(done.out)
        return changed

    async def run_named(self, unit: str, argv: Sequence[str], on_line: OnLine) -> Completed:
        done = await self.run(("sh", "-c", _named_source(), "qrm", "run", unit, *argv), seconds=0, on_line=on_line)
        if done.status == _ENDED_FROM_OUTSIDE:
            raise StepFailed(f"{argv[0]} on {self.name} was ended from outside, or the machine was restarted")
        return done

    async def end_named(self, unit: str) -> None:
        await self.run(("sh", "-c", _named_source(), "qrm", "end", unit))
