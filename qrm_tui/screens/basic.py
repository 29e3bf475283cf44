"""The app on a serial line: what changes is sent with few bytes, seldom by itself, and at once after a key.

Textual composes screens as always. What it would send is noted in a sheet; what is sent is the difference between two
sheets, the second one as late as possible: what was there for a moment only never is.
"""

from __future__ import annotations

import time
from asyncio import TimerHandle, get_running_loop
from typing import TYPE_CHECKING, Any

from textual._compositor import CompositorUpdate

from qrm_tui.screens.application import QrmApp
from qrm_tui.styles.few_bytes import Sheet
from qrm_tui.styles.plain_driver import SerialDriver

if TYPE_CHECKING:
    from rich.console import RenderableType
    from textual.screen import Screen

#: Seconds between two frames: while somebody types (so long a key counts as just typed), and else.
_PROMPT, _ATTENTION, _CALM = 0.05, 4.0, 3.0
#: Seconds until it is asked again whether the line has taken the last frame.
_BUSY = 0.05
#: Bytes that may be on their way to the line when the next frame is made.
_ALMOST_THROUGH = 16


class BasicApp(QrmApp):
    """For the look `basic`."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._sheet = Sheet()
        self._sent_at = float("-inf")
        self._typed_at = time.monotonic()  # to start it is to type, too
        self._next: TimerHandle | None = None

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        driver = self._driver
        if not isinstance(driver, SerialDriver) or not isinstance(renderable, CompositorUpdate) or self._batch_count:
            super()._display(screen, renderable)
            return
        if self._running and not self._closed:
            driver.on_key = self._typed
            if self._sheet.size != self.size:
                self._sheet.resize(*self.size)
            self._sheet.take(renderable)
            self._send_when_due()
        self.post_display_hook()

    def _typed(self) -> None:
        """Called in the driver's thread."""
        self._typed_at = time.monotonic()
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._send_when_due)

    def _send_when_due(self) -> None:
        now = time.monotonic()
        pause = _PROMPT if now - self._typed_at < _ATTENTION else _CALM
        if self._next is not None:
            self._next.cancel()
        self._next = get_running_loop().call_later(max(0.0, self._sent_at + pause - now), self._send)

    def _send(self) -> None:
        self._next = None
        driver = self._driver
        if not isinstance(driver, SerialDriver) or self._closed or not self._running:
            return
        if driver.waiting > _ALMOST_THROUGH:
            self._next = get_running_loop().call_later(_BUSY, self._send)
            return
        changes = self._sheet.changes()
        if changes:
            self._sent_at = time.monotonic()
            driver.write(changes)
            driver.flush()

    def action_redraw(self) -> None:
        self._sheet.forget()
        super().action_redraw()
