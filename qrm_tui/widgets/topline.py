"""The line on top of every screen: which farm, who, what runs, what needs attention, and PRACTICE."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from qrm_tui.widgets.page import Page, PageLine, Span, line, width_of

if TYPE_CHECKING:
    from qrm_tui.screens.live import Live


class TopLine(Page, inherit_bindings=False):
    """One line, from what the app knows."""

    DEFAULT_CSS = """
    TopLine { height: 1; background: $primary; color: $background; }
    TopLine:nocolor { text-style: reverse; }
    """

    def __init__(self, live: Live) -> None:
        super().__init__()
        self._live = live
        self._stop: Callable[[], None] | None = None

    def on_mount(self) -> None:
        self._stop = self._live.listen(lambda what: self.rebuild())

    def on_unmount(self) -> None:
        if self._stop:
            self._stop()

    def build(self, width: int) -> list[PageLine]:
        live, hello = self._live, self._live.hello
        right: list[Span] = []
        if live.states["job"]["running"] or live.states["job"]["waiting"] or live.states["job"]["undoing"]:
            running = live.states["job"]["running"] + live.states["job"]["undoing"]
            waiting = live.states["job"]["waiting"]
            right.append((f"jobs {running}" + (f"+{waiting} waiting" if waiting else "") + "  ", ""))
        if live.alerts:
            right.append((f"alerts {len(live.alerts)}  ", ""))
        if live.line == "lost":
            right.append((" NO LINE ", "reverse"))
        if live.read_only:
            right.append((" READ-ONLY ", ""))
        if hello.get("practice"):
            right.append((" PRACTICE ", "reverse"))
        rights = width_of(line(*right))
        return [_between(_left(hello, width - rights - 1, live.where), line(*right), width)]


def _left(hello: dict[str, object], room: int, where: str) -> PageLine:
    if not hello:
        return line((" openQRM ", ""), where)
    farm, server = str(hello.get("farm", "")), str(hello.get("server", ""))
    user, role = str(hello.get("user", "")), str(hello.get("role", ""))
    choices = (
        line((f" {farm}", ""), f"  on {server}  {user}, {role}"),
        line((f" {farm}", ""), f"  {user}, {role}"),
        line((f" {farm}", ""), f"  {role}"),
        line((f" {farm}", "")),
    )
    return next((choice for choice in choices if width_of(choice) <= room), choices[-1])


def _between(left: PageLine, right: PageLine, width: int) -> PageLine:
    room = max(0, width - width_of(right))
    if width_of(left) > room:
        cut = "".join(text for text, _ in left)[:room]
        left = ((cut, ""),)
    return (*left, (" " * (room - width_of(left)), ""), *right)
