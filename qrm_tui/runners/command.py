"""What a runner can do with nothing but commands: files, trees and named commands, the same here and over ssh."""
from __future__ import annotations

import abc
import json
import re
import uuid
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import Any

from qrm_tui.core.errors import StepFailed
from qrm_tui.core.facts import File
from qrm_tui.core.places import templates_folder
from qrm_tui.runners.base import Completed, OnLine, Runner, beside

_READ = 'test -e "$1" || exit 44; stat -c %a -- "$1" && cat -- "$1"'
# PATH NEW: what a write that was ended in the middle leaves beside
_DROP = 'rm -f -- "$2"; rmdir -- "${2%/*}" 2>/dev/null || :'
# PATH NEW MODE CHECKER...: one script, since each start of a program and each round trip counts on a slow line
_WRITE = ('set -e; umask 022; mkdir -p -- "${2%/*}"; cat >"$2"; chmod "$3" "$2"; sync "$2"; '
          'checked() { shift 3; [ $# = 0 ] || "$@" >&2 </dev/null; }; '
          'checked "$@" || { ' + _DROP + '; exit 45; }; '
          'mv -f -- "$2" "$1"; rmdir -- "${2%/*}" 2>/dev/null || :; sync "${1%/*}/"')
_REMOVE = 'rm -f -- "$1" || exit; ' + _DROP
# MARK (COUNT COMMAND...)...: runs each command and says where its answer ends, and with which status
_ASK = ('mark=$1; shift; while [ $# -gt 0 ]; do n=$1; shift; ('
        'i=0; while [ $i -lt $n ]; do set -- "$@" "$1"; shift; i=$((i + 1)); done; shift $(($# - n)); exec "$@"'
        ') </dev/null; printf "\\n%s %s\\n" "$mark" $?; printf "\\n%s 0\\n" "$mark" >&2; shift $n; done')
_NOT_THERE, _NOT_TAKEN = 44, 45
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

    async def ask(self, questions: Sequence[Sequence[str]]) -> list[Completed]:
        # one script: each command over ssh costs a round trip and the start of a shell there
        mark = uuid.uuid4().hex
        done = await self._shell(_ASK, mark, *(word for argv in questions for word in (str(len(argv)), *argv)))
        # text and status by turns; after the last status nothing follows
        out, err = (re.split(rf"\n{mark} (\d+)\n", text) for text in (done.out, done.err))
        if len(out) != 2 * len(questions) + 1 or len(err) != len(out):
            raise StepFailed(f"{self.name} did not answer all that it was asked: {done.complaint()}")
        return [Completed(int(status), said, told)
                for said, status, told in zip(out[:-1:2], out[1::2], err[:-1:2], strict=True)]

    async def read_file(self, path: str) -> File | None:
        done = await self._shell(_READ, path)
        if done.status == _NOT_THERE:
            return None
        if done.status != 0:
            raise StepFailed(f"{path} on {self.name} cannot be read: {done.complaint()}")
        mode, _, content = done.out.partition("\n")
        return File(content=content, mode=int(mode, 8))

    async def write_file(self, path: str, content: str, mode: int, checker: Sequence[str]) -> None:
        new = beside(path)
        done = await self._shell(_WRITE, path, new, f"{mode:o}", *(part.replace("{file}", new) for part in checker),
                                 input=content)
        if checker and done.status == _NOT_TAKEN:
            raise StepFailed(f"{checker[0]} on {self.name} does not take the new {path}: {done.complaint()}")
        if done.status != 0:
            await self._shell(_DROP, path, new)
            raise StepFailed(f"{path} on {self.name} cannot be written: {done.complaint()}")

    async def remove_file(self, path: str) -> None:
        done = await self._shell(_REMOVE, path, beside(path))
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
