"""The machines that plans run on: a runner each, and the look that tells what they are."""
from __future__ import annotations

import asyncio
import shlex
import socket
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Protocol

import msgspec

from qrm_tui.backends import foreign_hosts, power, shared_roots
from qrm_tui.backends.planning import Probe
from qrm_tui.backends.virtualization import technologies
from qrm_tui.core.environments import HOST_KEY
from qrm_tui.core.errors import Unreachable
from qrm_tui.core.facts import MachineFacts
from qrm_tui.core.farm import Farm
from qrm_tui.core.model import Item, StorageWanted
from qrm_tui.core.partitionings import TECHNOLOGIES
from qrm_tui.core.partitions import HostWanted
from qrm_tui.core.plan import HERE
from qrm_tui.daemon import look
from qrm_tui.runners import ssh
from qrm_tui.runners.base import Completed, Runner
from qrm_tui.runners.console import Source
from qrm_tui.runners.console_command import CommandSource, SolSource
from qrm_tui.runners.hypervisor import Hypervisor
from qrm_tui.runners.local import LocalRunner

#: Before a resource's name: the machine that plans' commands run on is that resource.
RESOURCE = "resource/"
#: Seconds that a machine may take to show that it answers on ssh, and bytes of a line of its greeting.
_ANSWERS, _BANNER = 5.0, 4096


class MakesRunners(Protocol):
    """Real machines, or simulated ones."""

    #: what storage servers must accept
    public_key: str

    def here(self) -> Runner:
        """A runner for the machine that qrmd itself serves from."""

    async def host_key(self, server: StorageWanted) -> str:
        """The key that a new machine shows; empty for this one."""

    def make(self, name: str, server: StorageWanted) -> Runner:
        """A runner for it."""

    async def answers(self, address: str) -> bool:
        """Whether an ssh server answers there."""

    def console(self, item: Item) -> Source | None:
        """Where a resource's console is; None: it has none."""

    def on_resource(self, item: Item, host_key: Callable[[], Awaitable[str]]) -> Runner:
        """A runner for a machine of the rack that runs a VE."""

    def hypervisor(self, item: Item, wanted: HostWanted, runner: Runner) -> Hypervisor:
        """The hypervisor of a machine of the rack, by its runner."""

    def added(self, name: str, wanted: HostWanted) -> Hypervisor:
        """A virtualization host that was added as it is."""


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
        self._key_file, self._sockets = state / "ssh" / "id_ed25519", state / "hosts"
        self.public_key = ssh.make_key(self._key_file)

    def here(self) -> Runner:
        """A runner for the machine that qrmd itself serves from."""
        return LocalRunner(HERE)

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


    def on_resource(self, item: Item, host_key: Callable[[], Awaitable[str]]) -> Runner:
        """A runner for a machine of the rack that runs a VE."""
        return ssh.SshRunner(item.name, item.wanted.address, user="root", port=22, host_key=host_key,
                             key_file=self._key_file)

    def hypervisor(self, item: Item, wanted: HostWanted, runner: Runner) -> Hypervisor:
        """Its libvirtd, over ssh."""
        from qrm_tui.runners.libvirt import LibvirtHypervisor, SshReach  # the binding is for those who have partitions

        assert isinstance(runner, ssh.SshRunner)
        driver = technologies()[TECHNOLOGIES[wanted.partitioning][0]].driver
        return LibvirtHypervisor(item.name, SshReach(runner, driver, self._sockets))

    def added(self, name: str, wanted: HostWanted) -> Hypervisor:
        """A virtualization host that was added as it is: libvirt's client speaks with it, or a libvirtd there does."""
        from qrm_tui.runners.libvirt import LibvirtHypervisor, LocalReach, SshReach
        from qrm_tui.runners.libvirt_line import PasswordReach

        driver = technologies()[wanted.technology].driver
        if wanted.secret:
            return LibvirtHypervisor(name, PasswordReach(foreign_hosts.uri_of(wanted), Path(wanted.secret)),
                                     foreign=True)
        if is_here(wanted.address):
            return LibvirtHypervisor(name, LocalReach(f"{driver}:///system"), foreign=True)
        runner = ssh.SshRunner(name, wanted.address, user=wanted.user, port=wanted.port, host_key=wanted.host_key,
                               key_file=self._key_file)
        return LibvirtHypervisor(name, SshReach(runner, driver, self._sockets), foreign=True, runner=runner)

    async def answers(self, address: str) -> bool:
        """Whether an ssh server answers there: it speaks first (RFC 4253, 4.2), perhaps after lines of its own."""
        try:
            async with asyncio.timeout(_ANSWERS):
                reader, writer = await asyncio.open_connection(address, 22, limit=_BANNER)
                try:
                    while line := await reader.readline():
                        if line.startswith(b"SSH-"):
                            return True
                finally:
                    writer.close()
        except (OSError, ValueError):  # TimeoutError is an OSError; ValueError: a line without end
            return False
        return False


    def console(self, item: Item) -> Source | None:
        """Where a resource's console is; None: it has none."""
        wanted = item.wanted
        if wanted.console == "command":
            return CommandSource(tuple(shlex.split(wanted.console_command)))
        if wanted.console == "ipmi-sol":
            return SolSource(power.sol_argv(wanted.power), power.sol_release_argv(wanted.power))
        return None


class Machines:
    """Runners by storage server, made when first needed and anew when its registration changes."""

    def __init__(self, farm: Farm, real: MakesRunners) -> None:
        self._farm = farm
        self._real = real
        self._runners: dict[str, tuple[StorageWanted, Runner]] = {}
        self._on_resources: dict[str, tuple[tuple[str, str], Runner]] = {}
        #: of resources whose console nobody has said: partitions
        self.partition_console: Callable[[Item], Source | None] = lambda item: None
        self._telling: dict[tuple[str, tuple[str, ...]], _Coalesced] = {}
        self._here: Runner | None = None

    @property
    def public_key(self) -> str:
        return self._real.public_key

    def runner(self, name: str) -> Runner:
        """The runner of a registered machine, or of the one that qrmd serves from."""
        if name == HERE:
            self._here = self._here or self._real.here()
            return self._here
        if name.startswith(RESOURCE):
            return self._on_resource(name.removeprefix(RESOURCE))
        wanted: StorageWanted = self._farm.get("storage", name).wanted
        known = self._runners.get(name)
        if known is None or known[0] != wanted:
            known = self._runners[name] = (wanted, self._real.make(name, wanted))
        return known[1]

    def _on_resource(self, name: str) -> Runner:
        item = self._farm.get("resource", name)
        known, is_now = self._on_resources.get(name), (item.wanted.address, item.wanted.ve)
        if known is None or known[0] != is_now:
            known = is_now, self._real.on_resource(item, partial(self._host_key, name))
            self._on_resources[name] = known
        return known[1]

    async def _host_key(self, name: str) -> str:
        """The ssh host key of a machine that runs a VE: its root is here, so nobody in between can show another."""
        item = self._farm.get("resource", name)
        ve = self._farm.find("ve", item.wanted.ve) if item.wanted.ve else None
        image = next((assigned.image for assigned in ve.wanted.assigned if assigned.resource == name), "") if ve else ""
        if not image:
            raise Unreachable(f"{name} runs no VE: nothing is known of its ssh host key")
        wanted = self._farm.get("image", image).wanted
        shared = ve is not None and ve.wanted.same_for_all
        own, common = shared_roots.host_key_files(wanted.path, name)
        for path in (own, common) if shared else (common,):
            file = await self.runner(wanted.storage).read_file(path)
            if file is not None:
                return " ".join(file.content.split()[:2])
        raise Unreachable(f"image {image} has no {HOST_KEY}: its ssh server has not made one yet")

    def hypervisor(self, item: Item, wanted: HostWanted) -> Hypervisor:
        """The hypervisor of a resource that runs a VE with partitioning."""
        return self._real.hypervisor(item, wanted, self._on_resource(item.name))

    async def answers(self, address: str) -> bool:
        """Whether an ssh server answers there."""
        return await self._real.answers(address)

    def console(self, item: Item) -> Source | None:
        """Where a resource's console is; None: it has none."""
        return self._real.console(item) or (self.partition_console(item) if item.wanted.kind == "partition" else None)

    async def close(self) -> None:
        for _, runner in (*self._runners.values(), *self._on_resources.values()):
            await runner.close()

    def added(self, name: str, wanted: HostWanted) -> Hypervisor:
        """A virtualization host that was added as it is."""
        return self._real.added(name, wanted)

    async def _probe_host(self, name: str, wanted: HostWanted) -> MachineFacts:
        """A virtualization host that is to be added, and the ssh host key that it shows."""
        key = "" if wanted.secret else await self._real.host_key(StorageWanted(type="", address=wanted.address,
                                                                               port=wanted.port))
        hypervisor = self._real.added(name, msgspec.structs.replace(wanted, host_key=key))
        try:
            return MachineFacts(host=await hypervisor.look(), host_key=key)
        finally:
            await hypervisor.close()

    async def probe(self, probe: Probe) -> MachineFacts:
        """Look at a machine; Unreachable if it does not answer."""
        if probe.host is not None:
            return await self._probe_host(probe.machine, probe.host)
        if not probe.storage:
            return await look.look_here(self.runner(HERE), probe)
        if probe.server is None:
            wanted: StorageWanted = self._farm.get("storage", probe.machine).wanted
            return await look.look_at_storage(self.runner(probe.machine), wanted, probe, wanted.host_key)
        host_key = await self._real.host_key(probe.server)
        wanted = msgspec.structs.replace(probe.server, host_key=host_key)
        runner = self._real.make(probe.machine, wanted)
        try:
            return await look.look_at_storage(runner, wanted, probe, host_key)
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
