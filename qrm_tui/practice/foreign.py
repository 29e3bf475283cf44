"""A simulated virtualization host that was there before: libvirt's own simulated driver, with domains of others."""
from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from pathlib import Path

from qrm_tui.runners.libvirt import LibvirtHypervisor, LocalReach

_HOST = """<node><cpu><mhz>2400</mhz><model>x86_64</model><active>8</active><nodes>1</nodes><sockets>1</sockets>
<cores>8</cores><threads>1</threads></cpu><memory>33554432</memory>{domains}</node>"""
_DOMAIN = """<domain type="test"><name>{name}</name><uuid>{id}</uuid><memory>1048576</memory><vcpu>1</vcpu>
<os><type>hvm</type></os></domain>"""


class PracticeForeign(LibvirtHypervisor):
    """It outlives every qrmd that speaks with it."""

    def __init__(self, name: str, domains: Iterable[str], place: Path) -> None:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(_HOST.format(domains="".join(
            _DOMAIN.format(name=domain, id=uuid.uuid5(uuid.NAMESPACE_OID, f"{name} {domain}")) for domain in domains)))
        super().__init__(name, LocalReach(f"test://{place}"), foreign=True)
        #: called after each effect; what it raises ends the caller there
        self.half: Callable[[str], None] | None = None

    async def close(self) -> None:
        """It is asked for again by the next server."""

    async def end(self) -> None:
        """The end of the practice farm."""
        await super().close()

    def _half(self, what: str) -> None:
        if self.half is not None:
            self.half(f"{self.name}: {what}")

    async def start(self, uuid: str, *, paused: bool = False) -> None:
        await super().start(uuid, paused=paused)
        self._half("start")

    async def shutdown(self, uuid: str) -> None:
        await super().shutdown(uuid)
        self._half("shut down")

    async def destroy(self, uuid: str) -> None:
        await super().destroy(uuid)
        self._half("stop")
