"""The keys that do something here and now, on the last line; the least important go first where it is narrow."""

from __future__ import annotations

from textual.screen import Screen

from qrm_tui.widgets.page import Page, PageLine, Span, width_of

#: Always shown: whoever knows only this key finds the others.
_HELP = "help"
#: What most people came for, and what is known on every screen and comes after what is special here.
_EARLY = ("run", "go on", "to the farm", "confirm", "do it")
_LATE = ("why", "to it", "mark", "filter", "back", "command", "quit")


class Keys(Page, inherit_bindings=False):
    """Made from the screen's active bindings: what is shown here works, and what does not work is not shown."""

    DEFAULT_CSS = """
    Keys { height: 1; background: $panel; color: $foreground; }
    """

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, self._bindings_changed)
        self.call_after_refresh(self.rebuild)

    def _bindings_changed(self, screen: Screen[object]) -> None:
        if self.is_attached:
            self.rebuild()

    def shown(self) -> list[tuple[str, str]]:
        """Keys and their words, the most important first."""
        found: dict[str, str] = {}
        for _, binding, enabled, _ in self.screen.active_bindings.values():
            if binding.show and enabled and binding.description:
                found.setdefault(binding.description, self.app.get_key_display(binding))
        early = [(found.pop(word), word) for word in _EARLY if word in found]
        late = [(found.pop(word), word) for word in _LATE if word in found]
        return [*early, *((key, word) for word, key in found.items()), *late]

    def build(self, width: int) -> list[PageLine]:
        items = self.shown()
        last = [item for item in items if item[1] == _HELP]
        spans: tuple[Span, ...] = ()
        room = width - sum(len(key) + len(word) + 3 for key, word in last)
        for key, word in items:
            item: tuple[Span, ...] = ((f" {key}", "key"), (f" {word} ", ""))
            if word == _HELP or width_of(spans) + width_of(item) > room:
                continue
            spans += item
        for key, word in last:
            spans += ((f" {key}", "key"), (f" {word}", ""))
        return [spans]
