"""A DHCP server on the lab's bridge: busybox's, as good as any for a few addresses."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.lab.namespace import BRIDGE, BRIDGE_ADDRESS, Namespace


@contextmanager
def udhcpd(namespace: Namespace, folder: Path, first: str, known: Mapping[str, str]) -> Iterator[None]:
    """It lends addresses from `first` to .60, and knows the addresses of some MACs."""
    settings = folder / "udhcpd.conf"
    leases = "".join(f"static_lease {mac} {address}\n" for mac, address in known.items())
    settings.write_text(f"start {first}\nend 10.77.0.60\ninterface {BRIDGE}\nlease_file {folder}/leases\n"
                        f"pidfile {folder}/pid\noption subnet 255.255.255.0\noption router {BRIDGE_ADDRESS}\n{leases}")
    (folder / "leases").touch()
    process = namespace.popen(["busybox", "udhcpd", "-f", str(settings)], stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.kill()
        process.wait()
