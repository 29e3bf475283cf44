"""A virtualization host: what it can be asked to do, whether it is a real one or simulated."""
from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from qrm_tui.core.partitions import DomainEvent, HostSeen
from qrm_tui.runners.console import Source

#: Called on the event loop of whoever listens.
OnEvent = Callable[[DomainEvent], None]


class Hypervisor(Protocol):
    """One host. Every call raises Unreachable where its libvirtd does not answer, and StepFailed with its words where
    it says no. What is so already is success, so each may be called again. Domains go by UUID; one without our tag is
    refused (GuardRefused), whatever is asked of it, except by `look`."""

    #: as messages call it
    name: str
    #: what its partitions are; empty until it was reached once
    technology: str

    async def look(self) -> HostSeen:
        """The host and all its domains, ours and foreign."""

    async def define(self, xml: str) -> None:
        """Make a domain, or change its definition; what runs takes the new one at its next start."""

    async def undefine(self, uuid: str) -> None:
        """Its definition goes; StepFailed while it runs."""

    async def start(self, uuid: str, *, paused: bool = False) -> None:
        """It runs, or stands paused before its first instruction. One that runs already goes on running."""

    async def resume(self, uuid: str) -> None:
        """What is paused runs; StepFailed if it is off."""

    async def suspend(self, uuid: str) -> None:
        """What runs is paused; StepFailed if it is off."""

    async def shutdown(self, uuid: str) -> None:
        """It is asked to go down in order. That it is off is seen later."""

    async def destroy(self, uuid: str) -> None:
        """It is off, as by a pulled plug."""

    async def reset(self, uuid: str) -> None:
        """It boots anew in place, its console goes on; Refused where the technology has none: destroy and start."""

    async def set_memory(self, uuid: str, size: int) -> None:
        """Bytes, now (its balloon takes a while) and at its next start; no more than it was defined with."""

    async def set_cpus(self, uuid: str, count: int) -> None:
        """CPUs, now and at its next start; no more than it was defined with."""

    async def set_schedule(self, uuid: str, parameters: Mapping[str, int]) -> None:
        """As `virtualization.schedule` has them; StepFailed where that is possible only while it runs."""

    async def autostart(self, uuid: str, on: bool) -> None:
        """Whether it starts with its host."""

    def console(self, uuid: str) -> Source | None:
        """A domain's console; None where the technology has none."""

    def listen(self, on_event: OnEvent) -> Callable[[], None]:
        """Be called with what befalls domains and the line from now on; what it returns ends that."""

    async def start_line(self) -> None:
        """Keep the line to the host from now on; it is opened again by itself when it was lost."""

    async def close(self) -> None:
        """Let go of it, within seconds, whatever the host does."""
