"""When an app is idle: nothing in its loop is to be done.

Textual's own tests measure that by CPU time: two or three naps of 20 ms for each key, and more on a machine that is
busy.
"""
from __future__ import annotations

import asyncio
from typing import Any

import textual.app
import textual.pilot

#: Seconds within which a timer that was set is waited for: a screen is painted 60 times a second, and details follow
#: where the cursor rests.
SOON = 0.1


async def _until_idle(min_sleep: float = 0, max_sleep: float = 1) -> None:
    """Until all messages are handled, and timers that are due in a moment have fired; of what never ends, a second."""
    loop: Any = asyncio.get_running_loop()
    begun = loop.time()
    moment = begun + SOON
    while loop.time() < begun + max_sleep:
        await asyncio.sleep(0)
        if loop._ready:
            continue
        due = min((timer.when() for timer in loop._scheduled if not timer.cancelled()), default=moment)
        if due >= moment:
            return
        await asyncio.sleep(due - loop.time())


textual.app.wait_for_idle = textual.pilot.wait_for_idle = _until_idle  # type: ignore[attr-defined]
