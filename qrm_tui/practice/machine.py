"""A simulated machine: a runner that answers what our planners, probes and undo ask, from a state of its own."""
from __future__ import annotations

import asyncio
import errno
import hashlib
import json
import os
import stat
import time
from base64 import b64encode
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from qrm_tui.core.errors import StepFailed, Unreachable
from qrm_tui.core.facts import File
from qrm_tui.practice import commands, units
from qrm_tui.practice.effects import Effects
from qrm_tui.practice.exports import exportfs
from qrm_tui.practice.faults import Faults
from qrm_tui.practice.host import Host, Seed
from qrm_tui.practice.named import Named
from qrm_tui.practice.volumes import SimulatedGroup
from qrm_tui.runners import tree
from qrm_tui.runners.base import SHORT, Completed, OnLine, Runner, beside

#: What is remembered of the commands that were run.
_HISTORY = 1000
#: A file's block: what an edit inside an image takes of a snapshot's room.
_BLOCK = 4096
#: How often one looks whether a command under a name printed something.
_LOOK = 0.2


class SimulatedMachine(Runner):
    """One storage server of a practice farm. Its state outlives every qrmd that talks to it."""

    def __init__(self, name: str, address: str, folder: Path, group: SimulatedGroup, *, delay: float = 0,
                 pace: float = 0, clock: Callable[[], float] = time.monotonic,
                 seeds: Mapping[str, Seed] | None = None) -> None:
        self.name, self.address = name, address
        self.host = Host(name, folder, group, clock, seeds)
        self.faults = Faults()
        #: seconds that each command and each file takes, and how long commands take by life's own pace (1.0)
        self.delay, self.pace = delay, pace
        #: called between two effects of a command and after the last; what it raises ends the caller there
        self.half: Callable[[str], None] | None = None
        self.on = True
        #: commands under a name, by it: running and ended ones
        self.named: dict[str, Named] = {}
        self._followers: list[OnLine] = []
        #: what was run lately, the last one at the end
        self.history: deque[tuple[str, ...]] = deque(maxlen=_HISTORY)

    @property
    def folder(self) -> Path:
        """The root of the machine."""
        return self.host.root.folder

    @property
    def host_key(self) -> str:
        """The ssh host key that it would show; nobody has its private half."""
        body = b"".join(len(part).to_bytes(4, "big") + part for part in
                        (b"ssh-ed25519", hashlib.sha256(self.address.encode()).digest()))
        return f"ssh-ed25519 {b64encode(body).decode()}"

    # power

    def power_off(self) -> None:
        """The plug is pulled: commands end where they are, mounts and all in memory is gone."""
        if self.on:
            self.on = False
            for command in self.named.values():
                command.stop()
            self.named.clear()
            self.host.down()

    def power_on(self) -> None:
        """It starts: enabled units are mounted, exports are told to the kernel."""
        if not self.on:
            self.on = True
            units.boot(self.host)
            for _ in exportfs(self.host, ("exportfs", "-r")):
                pass

    def reboot(self) -> None:
        self.power_off()
        self.power_on()

    # its journal

    def say(self, program: str, text: str) -> None:
        """A program writes a line into the journal: those who follow it hear it."""
        if self.on:
            line = json.dumps({"SYSLOG_IDENTIFIER": program, "MESSAGE": text})
            for follower in self._followers:
                follower("out", line)

    async def _follow(self, on_line: OnLine) -> Completed:
        self._followers.append(on_line)
        try:
            while self.on and not self.faults.unreachable:  # noqa: ASYNC110 faults are put in without a word
                await asyncio.sleep(_LOOK)
        finally:
            self._followers.remove(on_line)
        raise Unreachable(f"{self.address} does not answer any more")

    # the runner

    async def run(self, argv: Sequence[str], *, input: str = "", seconds: float = SHORT,
                  on_line: OnLine | None = None) -> Completed:
        words = tuple(argv)
        late = await self._reach(seconds)
        if words[:2] == ("journalctl", "--follow") and on_line:
            return await self._follow(on_line)
        done = self._failing(words) or self._finish(commands.start(self.host, words))
        self.history.append(words)
        self._lose(words[0])
        if late:
            raise StepFailed(f"{words[0]} on {self.name} did not end within {seconds:.0f} s")
        if on_line:
            for stream, text in (("out", done.out), ("err", done.err)):
                for line in filter(None, text.splitlines()):
                    on_line(stream, line)
        return done

    async def run_named(self, unit: str, argv: Sequence[str], on_line: OnLine) -> Completed:
        words = tuple(argv)
        await self._reach(0)
        command = self.named.get(unit)
        if command is None:
            command = self.named[unit] = Named(unit, words, None, self.host.clock())
            begun = self._failing(words) or commands.start(self.host, words)
            self.history.append(words)
            if isinstance(begun, Completed):
                command.end(begun)
            else:
                command.effects = begun
        told = 0
        while True:
            command.advance(self.host.clock(), self.pace, self.half)
            for line in command.lines[told:]:
                on_line("out", line)
            told = len(command.lines)
            self._lose(words[0])
            if command.status is not None:
                return Completed(command.status, "".join(f"{line}\n" for line in command.lines), "")
            await asyncio.sleep(min(_LOOK, max(0.0, command.due - self.host.clock())))
            self._check_line()
            if self.named.get(unit) is not command:
                raise StepFailed(f"{words[0]} on {self.name} was ended from outside, or the machine was restarted")

    async def end_named(self, unit: str) -> None:
        await self._reach()
        command = self.named.pop(unit, None)
        if command:
            command.stop()

    async def read_file(self, path: str) -> File | None:
        await self._reach()
        place = self.host.root.here(path)
        if not place.exists():
            return None
        if place.is_dir():
            raise StepFailed(f"{path} on {self.name} cannot be read: cat: {path}: Is a directory")
        return File(content=place.read_bytes().decode(errors="replace"), mode=stat.S_IMODE(place.stat().st_mode))

    async def write_file(self, path: str, content: str, mode: int, checker: Sequence[str]) -> None:
        await self._reach()
        new = beside(path)
        place = self.host.root.here(path)
        if self.faults.disk_full:
            raise StepFailed(f"{path} on {self.name} cannot be written: cat: write error: No space left on device")
        if place.is_dir():
            raise StepFailed(f"{path} on {self.name} cannot be written: mv: cannot overwrite directory '{path}'")
        self.host.root.write(new, content, mode)
        self._half(f"write {path}: written beside")
        if checker:
            words = [part.replace("{file}", new) for part in checker]
            done = self._failing(words) or self._finish(commands.start(self.host, words))
            if done.status != 0:
                self._drop(new)
                raise StepFailed(f"{checker[0]} on {self.name} does not take the new {path}: {done.complaint()}")
        self.host.root.here(new).rename(place)
        self._half(f"write {path}: in its place")
        self._drop(new)
        self._lose("write")

    def _drop(self, new: str) -> None:
        place = self.host.root.here(new, follow=False)
        place.unlink(missing_ok=True)
        if not any(place.parent.iterdir()):
            place.parent.rmdir()

    async def remove_file(self, path: str) -> None:
        await self._reach()
        place = self.host.root.here(path, follow=False)
        if place.is_dir() and not place.is_symlink():
            raise StepFailed(f"{path} on {self.name} cannot be removed: rm: cannot remove '{path}': Is a directory")
        there = place.exists() or place.is_symlink()
        place.unlink(missing_ok=True)
        if there:
            self._half(f"remove {path}: gone")
        new = beside(path)
        if self.host.root.here(new).parent.is_dir():
            self._drop(new)
        self._lose("rm")

    async def edit_tree(self, root: str, edits: Sequence[dict[str, Any]]) -> list[str]:
        await self._reach()
        middle = len(edits) // 2
        changed = self._edit(root, edits[:middle])
        self._half(f"edit {root}: half of the edits")
        changed += self._edit(root, edits[middle:])
        self._half(f"edit {root}: all edits")
        self._lose("edit")
        return changed

    def _edit(self, root: str, edits: Sequence[dict[str, Any]]) -> list[str]:
        try:
            if self.faults.disk_full:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), root)
            place = os.fspath(self.host.root.here(root))
            changed: list[str] = tree.edit(place, edits)  # type: ignore[no-untyped-call]  # is for any Python
        except OSError as error:
            where = root if error.filename is None or str(error.filename).startswith(os.fspath(self.folder)) \
                else error.filename
            raise StepFailed(f"{root} on {self.name} cannot be edited: {where}: {error.strerror}") from None
        self.host.wrote(root, _BLOCK * len(changed))
        return changed

    # what all of them share

    async def _reach(self, seconds: float = SHORT) -> bool:
        """Come to the machine; whether that took more than `seconds` (0: no limit)."""
        self._check_line()
        takes = self.delay + self.faults.slow
        late = bool(seconds) and takes > seconds
        await asyncio.sleep(min(takes, seconds) if late else takes)
        self._check_line()
        self.host.advance()
        if self.pace:
            for command in self.named.values():
                command.advance(self.host.clock(), self.pace, None)
        return late

    def _check_line(self) -> None:
        if self.faults.unreachable or not self.on:
            raise Unreachable(f"{self.address} does not answer: no answer within 10 s")

    def _half(self, what: str) -> None:
        if self.half:
            self.half(what)

    def _finish(self, begun: Completed | Effects) -> Completed:
        """Run a command to its end at once."""
        if isinstance(begun, Completed):
            return begun
        while True:
            try:
                point = next(begun)
            except StopIteration as stop:
                done: Completed = stop.value
                return done
            if point.what:
                self._half(point.what)

    def _failing(self, argv: Sequence[str]) -> Completed | None:
        for entry in self.faults.fail:
            if entry[0] == argv[0]:
                self.faults.fail.remove(entry)
                return Completed(1, "", f"{argv[0]}: {entry[1]}\n")
        return None

    def _lose(self, command: str) -> None:
        for entry in self.faults.lose:
            if entry in ("", command):
                self.faults.lose.remove(entry)
                raise Unreachable(f"{self.address} went away in the middle of {command}")
