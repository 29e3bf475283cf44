"""A virtualization host through libvirt."""
from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import libvirt

from qrm_tui.backends.domains import BadXml, Domain, parse_domain
from qrm_tui.backends.virtualization import refusal, require, technologies
from qrm_tui.core.errors import GuardRefused, StepFailed
from qrm_tui.core.partitions import DomainEvent, HostSeen
from qrm_tui.runners.base import Runner
from qrm_tui.runners.console import Source
from qrm_tui.runners.hypervisor import OnEvent
from qrm_tui.runners.libvirt_line import SHORT, Line, LocalReach, Reach, SshReach, is_lost
from qrm_tui.runners.libvirt_look import Look

__all__ = ["LibvirtHypervisor", "LocalReach", "SshReach"]

#: Seconds for a start: kernel and initrd are read, memory is taken, and a host may be at it with many.
STARTS = 300.0
_RUNS = (libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_BLOCKED)
_WAYS = {"": 0, "initctl": libvirt.VIR_DOMAIN_SHUTDOWN_INITCTL, "signal": libvirt.VIR_DOMAIN_SHUTDOWN_SIGNAL}
_LIVE, _CONFIG = libvirt.VIR_DOMAIN_AFFECT_LIVE, libvirt.VIR_DOMAIN_AFFECT_CONFIG


def _find(connection: libvirt.virConnect, uuid: str) -> libvirt.virDomain | None:
    try:
        return connection.lookupByUUIDString(uuid)
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
            raise
        return None


def _definition(domain: libvirt.virDomain) -> Domain | None:
    try:
        return parse_domain(domain.XMLDesc())
    except BadXml:
        return None


def _make_so(is_so: Callable[[], bool], act: Callable[[], object]) -> None:
    """What is so already, or has become so meanwhile, is success."""
    if is_so():
        return
    try:
        act()
    except libvirt.libvirtError as error:
        if is_lost(error) or not is_so():
            raise


def _state(domain: libvirt.virDomain) -> int:
    return int(domain.state()[0])


class LibvirtHypervisor:
    """One host (see `hypervisor.Hypervisor`)."""

    def __init__(self, name: str, reach: Reach, *, foreign: bool = False, runner: Runner | None = None) -> None:
        """`foreign`: nothing there is ours, and yet is switched. `runner`: ends with it."""
        self.name, self._foreign, self._runner = name, foreign, runner
        self.line = Line(name, reach)
        self._look, self._looking = Look(), asyncio.Lock()
        self._forgets = self.line.listen(self._befell)

    @property
    def technology(self) -> str:
        return self.line.technology

    def _befell(self, event: DomainEvent) -> None:
        self._look.forget(event.uuid)

    def listen(self, on_event: OnEvent) -> Callable[[], None]:
        return self.line.listen(on_event)

    def console(self, uuid: str) -> Source | None:
        from qrm_tui.runners.libvirt_console import LibvirtSource  # which knows this class

        return None if refusal(self.technology, "console") else LibvirtSource(self, uuid)

    async def start_line(self) -> None:
        await self.line.start()

    async def close(self) -> None:
        await self.line.close()
        if self._runner is not None:
            await self._runner.close()

    async def look(self) -> HostSeen:
        async with self._looking:
            return await self.line.call("tell of its domains", lambda connection: self._look(
                connection, self.line.technology))

    # domains

    async def _own(self, what: str, uuid: str, act: Callable[[libvirt.virDomain], None], *, gone_is_well: bool = False,
                   switches: bool = False, seconds: float = SHORT) -> None:
        """Do something with a domain that is ours; where none are ours, those that are there are switched."""

        def call(connection: libvirt.virConnect) -> None:
            domain = _find(connection, uuid)
            if domain is None:
                if gone_is_well:
                    return
                raise StepFailed(f"{self.name} has no domain {uuid}: it is not defined there")
            if not (switches and (self._foreign or refusal(self.technology, "define"))):
                self._check_own(domain)
            act(domain)

        await self.line.call(what, call, seconds, changes=True)
        self._look.forget(uuid)  # of some changes no event tells

    def _check_own(self, domain: libvirt.virDomain) -> None:
        definition = _definition(domain)
        if definition is None or not definition.resource:
            raise GuardRefused(f"{domain.name()} on {self.name} is none of ours: its definition does not carry our "
                               "tag, and it is never touched")

    async def define(self, xml: str) -> None:
        try:
            wanted = parse_domain(xml)
        except BadXml as error:
            raise StepFailed(f"a definition is not given to libvirt on {self.name}: {error}") from None
        if not wanted.resource:
            raise GuardRefused(f"the definition of {wanted.name} carries no tag")

        def call(connection: libvirt.virConnect) -> None:
            require(self.technology, "define")
            there = _find(connection, wanted.uuid)
            if there is not None:
                self._check_own(there)
            connection.defineXML(xml)

        await self.line.call(f"define {wanted.name}", call, changes=True)
        self._look.forget(wanted.uuid)

    async def undefine(self, uuid: str) -> None:
        flags = libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
        if self.technology in ("kvm", "qemu"):
            flags |= libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM

        def act(domain: libvirt.virDomain) -> None:
            if domain.isActive():
                raise StepFailed(f"{domain.name()} on {self.name} still runs: its definition is needed; stop it first")
            domain.undefineFlags(flags)

        await self._own(f"undefine {uuid}", uuid, act, gone_is_well=True)

    async def start(self, uuid: str, *, paused: bool = False) -> None:
        def act(domain: libvirt.virDomain) -> None:
            known = technologies().get(self.technology)
            at_once = paused and known is not None and known.pauses_at_start
            flags = libvirt.VIR_DOMAIN_START_PAUSED if at_once else 0
            _make_so(lambda: bool(domain.isActive()), lambda: _create(domain, flags, paused and not at_once))

        await self._own(f"start {uuid}", uuid, act, switches=True, seconds=STARTS)

    async def resume(self, uuid: str) -> None:
        await self._own(f"resume {uuid}", uuid,
                        lambda domain: _make_so(lambda: _state(domain) in _RUNS, domain.resume))

    async def suspend(self, uuid: str) -> None:
        def act(domain: libvirt.virDomain) -> None:
            require(self.technology, "pause")
            _make_so(lambda: _state(domain) == libvirt.VIR_DOMAIN_PAUSED, domain.suspend)

        await self._own(f"pause {uuid}", uuid, act)

    async def shutdown(self, uuid: str) -> None:
        def act(domain: libvirt.virDomain) -> None:
            known = technologies().get(self.technology)
            for way in (known.shutdown if known else ()) or ("",):
                _make_so(lambda: _is_off(domain), lambda way=way: domain.shutdownFlags(_WAYS[way]))  # type: ignore[misc]

        await self._own(f"shut down {uuid}", uuid, act, switches=True, gone_is_well=True)

    async def destroy(self, uuid: str) -> None:
        await self._own(f"stop {uuid}", uuid, lambda domain: _make_so(
            lambda: _is_off(domain), domain.destroy), switches=True, gone_is_well=True)

    async def reset(self, uuid: str) -> None:
        def act(domain: libvirt.virDomain) -> None:
            require(self.technology, "reset")
            domain.reset()

        await self._own(f"reset {uuid}", uuid, act)

    async def set_memory(self, uuid: str, size: int) -> None:
        def act(domain: libvirt.virDomain) -> None:
            require(self.technology, "memory")
            for flag in _where(domain):
                domain.setMemoryFlags(size >> 10, flag)

        await self._own(f"set the memory of {uuid}", uuid, act)

    async def set_cpus(self, uuid: str, count: int) -> None:
        def act(domain: libvirt.virDomain) -> None:
            require(self.technology, "cpus")
            for flag in _where(domain):
                domain.setVcpusFlags(count, flag)

        await self._own(f"set the CPUs of {uuid}", uuid, act)

    async def set_schedule(self, uuid: str, parameters: Mapping[str, int]) -> None:
        def act(domain: libvirt.virDomain) -> None:
            require(self.technology, "schedule")
            if self.technology in ("kvm", "qemu"):
                for flag in _where(domain):
                    domain.setSchedulerParametersFlags(dict(parameters), flag)
            elif domain.isActive():
                domain.setSchedulerParameters(dict(parameters))
            else:
                raise StepFailed(f"{domain.name()} on {self.name} does not run: its share of the CPUs is set after "
                                 "each start")

        await self._own(f"set the share of the CPUs of {uuid}", uuid, act)

    async def autostart(self, uuid: str, on: bool) -> None:
        def act(domain: libvirt.virDomain) -> None:
            require(self.technology, "autostart")
            if bool(domain.autostart()) != on:
                domain.setAutostart(int(on))

        await self._own(f"have {uuid} start with its host", uuid, act)


def _create(domain: libvirt.virDomain, flags: int, then_pause: bool) -> None:
    domain.createWithFlags(flags)
    if then_pause:
        domain.suspend()


def _is_off(domain: libvirt.virDomain) -> bool:
    """A domain without a definition is gone when it is off."""
    try:
        return not domain.isActive()
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
            raise
        return True


def _where(domain: libvirt.virDomain) -> list[int]:
    """What a change is for: what runs, and the next start. One after the other: not every driver takes both at once."""
    return [flag for flag, is_there in ((_LIVE, domain.isActive()), (_CONFIG, domain.isPersistent())) if is_there]

