"""The machines that plans run on: a runner each, and the look that tells what they are."""
from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

import msgspec

from qrm_tui.backends import lvm, mounts, nfs, probing
from qrm_tui.backends.planning import Probe
from qrm_tui.core.errors import StepFailed
from qrm_tui.core.facts import StorageFacts
from qrm_tui.core.farm import Farm
from qrm_tui.core.model import StorageWanted
from qrm_tui.runners import ssh
from qrm_tui.runners.base import Completed, Runner
from qrm_tui.runners.local import LocalRunner


class MakesRunners(Protocol):
    """Real machines, or simulated ones."""

    #: what storage servers must accept
    public_key: str

    async def host_key(self, server: StorageWanted) -> str:
        """The key that a new machine shows; empty for this one."""

    def make(self, name: str, server: StorageWanted) -> Runner:
        """A runner for it."""


def is_here(address: str) -> bool:
    """Whether an address is one of this machine's own."""
    try:
        found = socket.getaddrinfo(address, None, type=socket.SOCK_DGRAM)
    except OSError:
        return False
    for family, kind, _, _, sockaddr in found:
        with socket.socket(family, kind) as probe:
            try:
                probe.bind((sockaddr[0], 0))
            except OSError:
                return False
    return bool(found)


class RealMachines:
    """Runners for real machines: this one, and others over ssh with qrmd's own key."""

    def __init__(self, state: Path) -> None:
        self._key_file = state / "ssh" / "id_ed25519"
        self.public_key = ssh.make_key(self._key_file)

    async def host_key(self, server: StorageWanted) -> str:
        """The key that a new machine shows; empty for this one."""
        if is_here(server.address):
            return ""
        key = await ssh.fetch_host_key(server.address, server.port)
        return key.export_public_key().decode().strip()

    def make(self, name: str, server: StorageWanted) -> Runner:
        """A runner for it."""
        if is_here(server.address):
            return LocalRunner(name)
        return ssh.SshRunner(name, server.address, user=server.user, port=server.port, host_key=server.host_key,
                             key_file=self._key_file)


class Machines:
    """Runners by storage server, made when first needed and anew when its registration changes."""

    def __init__(self, farm: Farm, real: MakesRunners) -> None:
        self._farm = farm
        self._real = real
        self._runners: dict[str, tuple[StorageWanted, Runner]] = {}
        self._telling: dict[tuple[str, tuple[str, ...]], _Coalesced] = {}

    @property
    def public_key(self) -> str:
        return self._real.public_key

    def runner(self, name: str) -> Runner:
        """The runner of a registered machine."""
        wanted: StorageWanted = self._farm.get("storage", name).wanted
        known = self._runners.get(name)
        if known is None or known[0] != wanted:
            known = self._runners[name] = (wanted, self._real.make(name, wanted))
        return known[1]

    async def close(self) -> None:
        for _, runner in self._runners.values():
            await runner.close()

    async def probe(self, probe: Probe) -> StorageFacts:
        """Look at a machine; Unreachable if it does not answer."""
        if probe.server is None:
            wanted: StorageWanted = self._farm.get("storage", probe.machine).wanted
            return await _look(self.runner(probe.machine), wanted, probe, wanted.host_key)
        host_key = await self._real.host_key(probe.server)
        wanted = msgspec.structs.replace(probe.server, host_key=host_key)
        runner = self._real.make(probe.machine, wanted)
        try:
            return await _look(runner, wanted, probe, host_key)
        finally:
            await runner.close()

    async def tell(self, runner: Runner, argv: tuple[str, ...]) -> Completed:
        """Tell a service; all who ask while one telling waits for its turn share the next."""
        slot = self._telling.setdefault((runner.name, argv), _Coalesced())
        return await slot.call(lambda: runner.run(argv))


class _Coalesced:
    """Calls that begin after they were asked for, and no more of them than needed."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._next: asyncio.Task[Completed] | None = None

    async def call(self, work: Callable[[], Awaitable[Completed]]) -> Completed:
        if self._next is None:
            self._next = asyncio.create_task(self._run(work))
        # shielded: one who gives up must not take it from the others
        return await asyncio.shield(self._next)

    async def _run(self, work: Callable[[], Awaitable[Completed]]) -> Completed:
        async with self._lock:
            self._next = None
            return await work()


async def _look(runner: Runner, wanted: StorageWanted, probe: Probe, host_key: str) -> StorageFacts:
    questions = {
        "volumes": (lvm.volumes_argv(wanted.group), "its volumes cannot be read"),
        "group": (lvm.group_argv(wanted.group), f"volume group {wanted.group}"),
        "mounted": (mounts.LIST_ARGV, "its mounts cannot be read"),
        "exports": (nfs.LIST_ARGV, "its NFS exports cannot be read (is nfs-server running?)"),
    }
    argvs = [argv for argv, _ in questions.values()]
    argvs += [probing.paths_argv(probe.paths)] if probe.paths else []
    argvs += probing.VERSIONS.values() if probe.versions else []
    answers, *files = await asyncio.gather(runner.ask(argvs), *(runner.read_file(path) for path in probe.files))
    rest = iter(answers)
    troubles: list[str] = []
    texts: dict[str, str] = {}
    for (name, (_, complaint)), done in zip(questions.items(), rest, strict=False):
        texts[name] = done.out if done.status == 0 else ""
        if done.status != 0:
            troubles.append(f"{complaint}: {done.complaint()}")
    paths = {}
    if probe.paths:
        done = next(rest)
        if done.status != 0:
            raise StepFailed(f"{runner.name}: {done.complaint()}")
        paths = probing.parse_paths(done.out, probe.paths)
    versions = {what: probing.parse_version(done.out) if done.status == 0 else ""
                for what, done in zip(probing.VERSIONS, rest, strict=False)}
    facts = probing.facts(**texts, files=dict(zip(probe.files, files, strict=True)), paths=paths, versions=versions,
                          troubles=troubles)
    return msgspec.structs.replace(facts, host_key=host_key)
