"""One look at a host and all its domains, cheap for hundreds.

Definitions are read once and again after an event; what changes is asked of all at once where the driver can, else of
each that runs: one short question. Runs in a thread of the host.
"""
from __future__ import annotations

import libvirt

from qrm_tui.backends.domains import BadXml, Domain, parse_domain
from qrm_tui.backends.virtualization import technologies
from qrm_tui.core.names import printable
from qrm_tui.core.partitions import DomainSeen, DomainState, HostSeen

_STATS = (libvirt.VIR_DOMAIN_STATS_STATE | libvirt.VIR_DOMAIN_STATS_CPU_TOTAL | libvirt.VIR_DOMAIN_STATS_BALLOON
          | libvirt.VIR_DOMAIN_STATS_VCPU)
#: Xen's own domain, the host itself.
_DOM0 = "00000000-0000-0000-0000-000000000000"
#: Looks after which a definition is read again though no event told of a change.
_FRESH = 30


def domain_state(state: int, reason: int) -> DomainState:
    """Of virDomainState and its reason (libvirt-domain.h): what goes off by a crash counts as crashed until its next
    start, or until libvirtd is restarted and has forgotten why."""
    if state in (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PMSUSPENDED):
        return "paused"
    if state == libvirt.VIR_DOMAIN_CRASHED or (state, reason) == (libvirt.VIR_DOMAIN_SHUTOFF,
                                                                  libvirt.VIR_DOMAIN_SHUTOFF_CRASHED):
        return "crashed"
    return "off" if state in (libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_NOSTATE) else "running"


def version(number: int) -> str:
    """libvirt's 1,000,000 * major + 1,000 * minor + release."""
    return f"{number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}"


class _Known:
    def __init__(self, number: int, domain: Domain, state: DomainState) -> None:
        self.number, self.domain, self.state, self.looks = number, domain, state, 0


def _available(connection: libvirt.virConnect) -> int:
    """Bytes that a host running Linux has, what its page cache keeps for files included."""
    values = connection.getMemoryStats(libvirt.VIR_NODE_MEMORY_STATS_ALL_CELLS)
    return sum(values.get(word, 0) for word in ("free", "buffers", "cached")) << 10


class Look:
    """Looks at one host, and what it remembers of it."""

    def __init__(self) -> None:
        self._known: dict[str, _Known] = {}
        self._stale: set[str] = set()

    def forget(self, uuid: str) -> None:
        """Something befell it; empty: all."""
        self._stale.update((uuid,) if uuid else tuple(self._known))

    def __call__(self, connection: libvirt.virConnect, technology: str) -> HostSeen:
        while self._stale:
            self._known.pop(self._stale.pop(), None)
        info = connection.getInfo()
        memory = info[1] << 20
        domains = self._domains(connection, technology)
        promised = sum(domain.memory for domain in domains if domain.state in ("running", "paused"))
        free = memory - promised
        known = technologies().get(technology)
        if known is not None and known.free_memory == "free":
            free = connection.getFreeMemory()
        elif known is not None and known.free_memory == "available":
            free = min(free, _available(connection))
        return HostSeen(
            technology=technology, libvirt=version(connection.getLibVersion()),
            hypervisor=f"{connection.getType()} {version(connection.getVersion())}", cpus=info[2], mhz=info[3],
            memory=memory, memory_free=max(0, free), domains=domains)

    def _domains(self, connection: libvirt.virConnect, technology: str) -> tuple[DomainSeen, ...]:
        handles = {handle.UUIDString(): handle for handle in connection.listAllDomains()}
        handles.pop(_DOM0, None)
        transient = {handle.UUIDString() for handle in connection.listAllDomains(
            libvirt.VIR_CONNECT_LIST_DOMAINS_TRANSIENT)}
        stats: dict[str, dict[str, int]] = {}
        if technology in technologies() and technologies()[technology].all_statistics:
            stats = {handle.UUIDString(): values for handle, values in connection.getAllDomainStats(
                _STATS, libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT)}
        for uuid in self._known.keys() - handles.keys():
            del self._known[uuid]
        seen = []
        for uuid, handle in handles.items():
            try:
                seen.append(self._seen(uuid, handle, stats.get(uuid), uuid not in transient))
            except libvirt.libvirtError as error:
                if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:  # it went while we looked
                    raise
        return tuple(sorted(seen, key=lambda domain: domain.name))

    def _seen(self, uuid: str, handle: libvirt.virDomain, values: dict[str, int] | None,
              persistent: bool) -> DomainSeen:
        known = self._know(uuid, handle)
        domain, state, cpus, memory, time = known.domain, known.state, known.domain.cpus, known.domain.memory, 0
        if handle.ID() >= 0:
            if values is None:
                number, _, kib, cpus, time = handle.info()
                state, memory = domain_state(number, 0), kib << 10
            else:
                state = domain_state(values.get("state.state", 0), values.get("state.reason", 0))
                memory = values["balloon.current"] << 10 if "balloon.current" in values else memory
                cpus, time = values.get("vcpu.current", cpus), values.get("cpu.time", 0)
        return DomainSeen(uuid=uuid, name=domain.name, state=state, cpus=cpus, memory=memory,
                          memory_most=domain.memory_most, cpu_time=time / 1e9, resource=domain.resource,
                          nics=domain.nics, persistent=persistent)

    def _know(self, uuid: str, handle: libvirt.virDomain) -> _Known:
        known = self._known.get(uuid)
        if known is None or known.number != handle.ID() or known.looks >= _FRESH:
            try:
                domain = parse_domain(handle.XMLDesc())
            except BadXml:
                domain = Domain(name=printable(handle.name()), uuid=uuid)
            state: DomainState = "running" if handle.ID() >= 0 else domain_state(*handle.state()[:2])
            known = self._known[uuid] = _Known(handle.ID(), domain, state)
        known.looks += 1
        return known
