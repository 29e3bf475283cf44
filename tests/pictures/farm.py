"""The app on a farm that stands still, for pictures: `python -m tests.pictures.farm` and the app's own options."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence

from qrm_tui import app
from qrm_tui.core.console_wire import STATUS, frame, output_frame
from qrm_tui.screens.application import QrmApp
from tests.screens.fake_client import NOW, FakeClient, Row, hosted, practice_farm
from tests.screens.test_console_pictures import BOOT
from tests.screens.test_wall_pictures import PANIC

MACHINES = ("r1", "r2", "r4", "r5", "r6", "r7")


class StillFarm(FakeClient):
    """Some machines have consoles, which said what they say and are silent now."""

    def __init__(self, where: str = "/run/qrm/qrmd.sock") -> None:
        rows = practice_farm()
        for kind, more in hosted().items():
            known = {row["name"] for row in rows.get(kind, ())}
            rows[kind] = [*rows.get(kind, ()), *(row for row in more if row["name"] not in known)]
        super().__init__(where, rows=rows)
        self.rows["resource"]["r4"] |= {"event": "Kernel panic", "event_severity": "alert", "event_at": NOW - 200,
                                        "event_text": "Kernel panic - not syncing: VFS: Unable to mount root fs",
                                        "event_count": 1, "event_stands": True}
        self.logs["14"] = [{"n": n, "at": NOW, "step": 2, "stream": "out", "text": f"mke2fs: block group {n} written"}
                           for n in range(30)]

    async def pieces(self, parts: Sequence[str], query: Mapping[str, object]) -> AsyncGenerator[bytes, None]:
        name = parts[2]
        yield frame(STATUS, json.dumps({"session": f"s-{name}", "typist": None, "watchers": 2, "state": "connected",
                                        "reason": "", "marks": [], "means": ["break", "sysrq"]}).encode())
        data = (PANIC if name == "r4" else BOOT.replace("r1 ", f"{name} ")).encode()
        yield output_frame(0, round((NOW - 3) * 1e6), data)
        await asyncio.Event().wait()

    async def ask(self, method: str, parts: Sequence[str], *, body: Mapping[str, object] | None = None) -> Row:
        return {"consoles": [{"name": name, "source": "ipmi-sol", "state": "connected"} for name in MACHINES]}


class StillApp(QrmApp):
    """Its clock stands, too."""

    def __init__(self, where: str, **options: object) -> None:
        super().__init__(where, **{**options, "connect": StillFarm, "clock": lambda: NOW})  # type: ignore[arg-type]


if __name__ == "__main__":
    import qrm_tui.screens.application

    qrm_tui.screens.application.QrmApp = StillApp  # type: ignore[misc]
    sys.exit(app.main())
