"""Help for what is in front of one: its keys, its operations and the filter language, made from the declarations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen

from qrm_tui.core.operations.declarations import Role
from qrm_tui.core.operations.registry import offered_on
from qrm_tui.screens.base import FarmScreen, Sections
from qrm_tui.screens.live import Live
from qrm_tui.screens.operate import key_text
from qrm_tui.widgets.keys import Keys
from qrm_tui.widgets.page import EMPTY, Page, PageLine, line, wrap
from qrm_tui.widgets.topline import TopLine


def operation_sections(kind: str, live: Live) -> Sections:
    """The operations on a kind with their keys and examples, and who may."""
    rows: list[tuple[str, str]] = []
    for operation in offered_on(kind):
        who = "" if live.may(operation) else f" (wants {Role(operation.role).name})"
        rows.append((key_text(operation.key or ""), f"{operation.kind} {operation.verb}: {operation.summary}{who}"))
        rows.append(("", f"  {operation.example}"))
    return [("Operations", rows)] if rows else []


def filter_sections(rows: Mapping[str, Mapping[str, Any]]) -> Sections:
    """The filter language, as its own module describes it, and the fields there are."""
    from qrm_tui.core import filters

    text = [("", part.removeprefix("    ")) for part in (filters.__doc__ or "").splitlines()[2:]]
    fields = sorted(next(iter(rows.values()), {}))
    return [("Filter (/)", [*text, *([("", "fields: " + " ".join(fields))] if fields else [])])]


def key_section(screen: Screen[Any]) -> Sections:
    """The keys that do something on this screen now."""
    rows: dict[str, tuple[str, str]] = {}
    for _, binding, enabled, tooltip in screen.active_bindings.values():
        if not enabled or not binding.id or not (binding.description or tooltip):
            continue
        key = screen.app.get_key_display(binding) if binding.key_display else binding.key
        said = ": ".join(part for part in (binding.description, tooltip) if part)
        keys = rows.get(binding.action, ("", ""))[0]
        rows[binding.action] = (f"{keys} {key}".strip() if len(keys) < 10 and key not in keys.split() else keys, said)
    return [("Keys here", list(rows.values()))]


class Help(FarmScreen[None]):
    """A page to scroll."""

    DEFAULT_CSS = """
    Help { layout: vertical; }
    Help > #help { height: 1fr; }
    """
    AUTO_FOCUS = "*"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark", "leave", "back", key_display="esc", id="help.leave"),
    ]

    def __init__(self, sections: Sections) -> None:
        super().__init__()
        self._sections = sections

    @classmethod
    def of(cls, screen: Screen[Any]) -> Help:
        """The help for a screen as it is now."""
        more = screen.help_sections() if isinstance(screen, FarmScreen) else []
        return cls([*key_section(screen), *more])

    def compose(self) -> ComposeResult:
        yield TopLine(self.live)
        yield _HelpPage(self._sections)
        yield Keys()

    def action_leave(self) -> None:
        self.dismiss(None)


class _HelpPage(Page):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("pagedown,space", "page_down", "page down", key_display="space"),
    ]

    def __init__(self, sections: Sections) -> None:
        super().__init__(id="help", can_focus=True)
        self._sections = sections

    def build(self, width: int) -> list[PageLine]:
        lines: list[PageLine] = []
        for title, rows in self._sections:
            lines += [EMPTY, line((f" {title}", "title"))]
            size = max((len(left) for left, _ in rows), default=0)
            lines += _rows(rows, size, width)
        return lines


def _rows(rows: Iterable[tuple[str, str]], size: int, width: int) -> Iterable[PageLine]:
    for left, right in rows:
        parts = wrap(right, width - 1, first=" " * (size + 4))
        yield ((f"  {left:<{size}}  ", "key"), *parts[0][1:])
        yield from parts[1:]
