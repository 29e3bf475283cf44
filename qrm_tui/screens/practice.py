"""A practice farm of this app's own, or a recorded machine: a server that ends with the app, however the app ends."""

from __future__ import annotations

from qrm_tui.client.own_server import OwnServer


class Practice(OwnServer):
    """Starts at once and is not waited for: the app connects as soon as it answers."""

    def __init__(self, farm: str = "small", *, machine: str = "", pace: float = 1) -> None:
        """A farm by name, or the recorded machine of a file, at that pace (qrmd's --pace). OSError where it cannot be
        started."""
        super().__init__(("--machine", machine, "--pace", str(pace)) if machine else ("--practice", farm))
