"""One machine or two that are asked the same, and what is compared of their answers."""
from __future__ import annotations

import asyncio
import re
import shlex
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from qrm_tui.backends import lvm, mounts, nfs, probing
from qrm_tui.backends.lvm_nfs_checks import image_files
from qrm_tui.backends.planning import Call, Draft
from qrm_tui.core.errors import StepFailed
from qrm_tui.core.facts import File, MachineFacts, Reading, Volume
from qrm_tui.core.farm import Farm
from qrm_tui.core.model import Item, StorageWanted, convert_wanted
from qrm_tui.core.operations.arguments import check_arguments
from qrm_tui.core.operations.registry import find
from qrm_tui.core.plan import Record, Run, Step
from qrm_tui.practice.machine import SimulatedMachine
from qrm_tui.runners import steps as running
from qrm_tui.runners.base import SHORT, Completed, OnLine, Runner
from qrm_tui.runners.command import CommandRunner
from tests.lab.storage_server import StorageServer

#: All that these tests make is called so; nothing else on the real server is looked at.
PREFIX = "same-"
#: Bytes of a snapshot's room, or of a thin volume, that may differ: after a mount, ext4 clears its inode tables in the
#: background (1/64 of the file system), and into a snapshot's room if there is one by then.
FILL = 8 << 20
#: Sizes of file systems that statvfs tells, as a share; the simulation draws a line through a few measured ones.
SHOWN = 0.07
#: Bytes in use that may differ: inode tables and the log of xfs are not simulated.
USED = 8 << 20


class RealMachine(CommandRunner):
    """The lab's storage server, over its own ssh: this process is outside of the lab's network."""

    def __init__(self, name: str, server: StorageServer) -> None:
        self.name, self.server = name, server

    async def run(self, argv: Sequence[str], *, input: str = "", seconds: float = SHORT,
                  on_line: OnLine | None = None) -> Completed:
        done = await asyncio.to_thread(self.server.ssh, *argv, input=input, check=False)
        if on_line:
            for stream, text in (("out", done.stdout), ("err", done.stderr)):
                for line in filter(None, text.replace("\r", "\n").split("\n")):
                    on_line(stream, line)
        return Completed(done.returncode, done.stdout, done.stderr)


_MARK = "=== same facts"
#: Answers the commands on its standard input, then tells modes and contents of the files that are its arguments.
_LOOK = (f"while IFS= read -r line; do eval \"$line\" 2>/dev/null; echo '{_MARK}'; done; "
         f"stat -c '%a %n' -- \"$@\" 2>/dev/null; echo '{_MARK}'; head -v -n 1000 -- \"$@\" 2>/dev/null; :")


async def _ask(runner: Runner, argvs: Sequence[Sequence[str]], paths: Sequence[str]) -> tuple[
        list[str], dict[str, File | None]]:
    """What commands print, and files; of the real machine in one go, since each log-in and program takes its time."""
    if not isinstance(runner, RealMachine):
        return [(await runner.run(argv)).out for argv in argvs], {path: await runner.read_file(path) for path in paths}
    script = "".join(f"{shlex.join(argv)}\n" for argv in argvs)
    done = await runner.run(("sh", "-c", _LOOK, "look", *(paths or ["/dev/null"])), input=script)
    *answers, modes, contents = done.out.split(f"{_MARK}\n")
    found: dict[str, File | None] = dict.fromkeys(paths)
    parts = re.split(r"^==> (.*) <==\n", contents, flags=re.MULTILINE)[1:]
    texts = dict(zip(parts[::2], parts[1::2], strict=True))
    last = list(texts)[-1:]
    for line in modes.splitlines():
        mode, path = line.split(" ", 1)
        if path in found:
            # head puts an empty line between two files
            text = texts[path] if path in last else texts[path].removesuffix("\n")
            found[path] = File(content=text, mode=int(mode, 8))
    return answers, found


async def look(runner: Runner, names: Sequence[str]) -> MachineFacts:
    """Facts of a machine, with the files of these images."""
    places = [f"/vol/{name}" for name in names]
    paths_argv = probing.paths_argv(places)
    (volumes, group, mounted, exported, paths), files = await _ask(
        runner, (lvm.volumes_argv("vol"), lvm.group_argv("vol"), mounts.LIST_ARGV, nfs.LIST_ARGV, paths_argv),
        [path for name in names for path in image_files(f"/vol/{name}", name)])
    return probing.facts(volumes=volumes, group=group, mounted=mounted, exports=exported, files=files,
                         paths=probing.parse_paths(paths, places), versions={}, troubles=())


def _volume(volume: Volume) -> Any:
    return (volume.name, volume.size, volume.attributes, sorted(volume.tags), volume.origin, volume.origin_size,
            volume.pool, volume.open, volume.data is None, volume.metadata is None)


def normal(facts: MachineFacts, free_at_first: int) -> dict[str, Any]:
    """What must be the same: without UUIDs and shares, and free space as what was taken of it."""
    assert facts.group is not None
    return {
        "volumes": [_volume(volume) for name, volume in sorted(facts.volumes.items()) if name.startswith(PREFIX)],
        "taken": free_at_first - facts.group.free,
        "mounts": sorted((mount.target, mount.source, mount.filesystem, _options(mount.options))
                         for mount in facts.mounts.values() if PREFIX in mount.target),
        "exports": {path: clients for path, clients in facts.exports.items() if PREFIX in path},
        "files": facts.files,
        "paths": facts.paths,
    }


def _options(options: Sequence[str]) -> tuple[str, ...]:
    # stripe is the thin pool's chunk, which lvm2 chooses by the pool's size; the other, how ext4 looks for room
    return tuple(option for option in options if not option.startswith(("stripe=", "mb_optimize_scan=")))


def assert_near(one: MachineFacts, other: MachineFacts) -> None:
    """What can only be about the same."""
    for name, volume in one.volumes.items():
        if name.startswith(PREFIX) and volume.data is not None:
            twin = other.volumes[name].data
            assert twin is not None and abs(volume.data - twin) * volume.size <= FILL, (name, volume.data, twin)
    for target, mount in one.mounts.items():
        if PREFIX in target:
            twin_mount = other.mounts[target]
            assert abs(mount.size - twin_mount.size) <= SHOWN * mount.size, (mount, twin_mount)
            assert abs(mount.used - twin_mount.used) <= USED, (mount, twin_mount)


def plain(text: str) -> str:
    """A complaint without what differs between any two machines: free extents, process numbers, times."""
    text = re.sub(r"\(\d+ extents\)|only \d+ available", "(N extents)", text)
    return re.sub(r"\b[0-9]{3,}\b", "N", text)


def _identity(name: str) -> Callable[[str], str]:
    return lambda purpose: str(uuid.uuid5(uuid.NAMESPACE_URL, f"{name}/{purpose}"))


@dataclass
class Twin:
    """One machine with the farm that plans for it."""

    runner: Runner
    farm: Farm = field(default_factory=lambda: Farm(lambda: 1000.0))
    names: list[str] = field(default_factory=list)
    free: int = 0
    facts: MachineFacts | None = None

    async def start(self, pool: str) -> None:
        env = {"SERVER_VOL": "vol", **({"THIN_POOL": pool} if pool else {})}
        wanted = StorageWanted(type="lvm-nfs", address="10.77.0.2", env=env)
        self.farm.put(Item(kind="storage", name="store", wanted=wanted, created=1))
        await self.look()
        assert self.facts and self.facts.group
        self.free = self.facts.group.free

    async def look(self) -> dict[str, Any]:
        self.facts = await look(self.runner, self.names)
        return normal(self.facts, self.free)

    def draw(self, plan: Callable[[Call], Draft], operation: str, arguments: Mapping[str, Any]) -> Draft:
        """The plan, from the facts as they were seen last."""
        assert self.facts
        parsed = check_arguments(find(operation).arguments, dict(arguments))
        return plan(Call(parsed, Reading(self.farm, {"store": self.facts}), _identity(str(arguments["name"]))))

    async def perform(self, step: Step) -> str:
        """A step; what it complained of."""
        if isinstance(step, Record):
            for change in step.changes:
                if change.wanted is None:
                    self.farm.delete(change.kind, change.name)
                else:
                    self.farm.put(Item(kind=change.kind, name=change.name, created=1,
                                       wanted=convert_wanted(change.kind, change.wanted)))
            return ""
        stage = self._stage()
        try:
            await running.perform(step, stage)
        except StepFailed as error:
            return plain(str(error))
        finally:
            if isinstance(step, Run) and step.long:
                await self.runner.end_named(stage.unit)
        return ""


    async def take_back(self, step: Step) -> None:
        """Undo a step."""
        if not isinstance(step, Record):
            await running.undo(step, self._stage())

    def _stage(self) -> running.Stage:
        return running.Stage(self.runner, f"qrm-same-{uuid.uuid4().hex[:8]}", lambda runner, argv: runner.run(argv),
                             lambda stream, text: None, lambda share: None)


class Twins:
    """Machines that are asked the same; after each step all facts must be the same."""

    def __init__(self, twins: list[Twin]) -> None:
        self.twins = twins

    @property
    def facts(self) -> MachineFacts:
        """Those of the first."""
        assert self.twins[0].facts
        return self.twins[0].facts

    async def compare(self) -> None:
        """Look at all of them."""
        seen = [await twin.look() for twin in self.twins]
        for twin, facts in zip(self.twins[1:], seen[1:], strict=True):
            different = {key: (seen[0][key], facts[key]) for key in facts if facts[key] != seen[0][key]}
            assert not different, f"simulated and real: {different}"
            assert twin.facts
            assert_near(self.facts, twin.facts)

    async def operate(self, plan: Callable[[Call], Draft], operation: str, *, look: bool = True,
                      **arguments: Any) -> None:
        """Plan and run an operation on each; its steps must all end well. `look`: after each of them."""
        name = str(arguments["name"])
        for twin in self.twins:
            if name not in twin.names:
                twin.names.append(name)
                await twin.look()
        drafts = [twin.draw(plan, operation, arguments) for twin in self.twins]
        assert len({len(draft.steps) for draft in drafts}) == 1
        for steps in zip(*(draft.steps for draft in drafts), strict=True):
            said = [await twin.perform(step) for twin, step in zip(self.twins, steps, strict=True)]
            assert said == [""] * len(said), steps[0].summary
            if look and not isinstance(steps[0], Record):
                await self.compare()
        await self.compare()

    async def fail(self, make: Callable[[MachineFacts], Step]) -> str:
        """A step that must fail, with the same words everywhere and no effect at all; those words."""
        said, before = [], [normal(twin.facts, twin.free) for twin in self.twins if twin.facts]
        for twin in self.twins:
            assert twin.facts
            said.append(await twin.perform(make(twin.facts)))
        assert said[0] and said == [said[0]] * len(said), f"simulated and real: {said}"
        await self.compare()
        assert [normal(twin.facts, twin.free) for twin in self.twins if twin.facts] == before
        return said[0]

    async def say(self, *argv: str, in_order: bool = True) -> Completed:
        """A command whose status and words must be the same everywhere; its lines also `in_order`."""
        done = [await twin.runner.run(argv) for twin in self.twins]
        words = [(one.status, plain(one.out).splitlines(), plain(one.err)) for one in done]
        if not in_order:
            words = [(status, sorted(lines), told) for status, lines, told in words]
        assert words == [words[0]] * len(words), f"simulated and real: {words}"
        return done[0]

    async def everywhere(self, work: Callable[[Runner], Any]) -> None:
        """Something that is done on each, and not compared."""
        for twin in self.twins:
            await work(twin.runner)


async def fill_snapshot(runner: Runner, name: str) -> None:
    """Write a snapshot full: the simulation has a word for it, the real one is written."""
    if isinstance(runner, SimulatedMachine):
        volume = runner.host.group.volumes[name]
        runner.host.write(volume, volume.size)
    else:
        assert isinstance(runner, RealMachine)
        runner.server.shell(f"dd if=/dev/urandom of=/vol/{name}/full bs=1M count=200 conv=fsync 2>/dev/null || :; "
                            f"for i in $(seq 100); do mountpoint -q /vol/{name} || break; sleep 0.1; done")
