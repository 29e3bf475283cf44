"""The looks: which terminal gets which, and that every widget under the Linux look keeps to its glyphs and colours."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from rich.color import ColorType
from rich.segment import Segment
from rich.style import Style
from textual.app import App, ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.pilot import Pilot
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import (
    Button,
    Checkbox,
    Collapsible,
    DataTable,
    Footer,
    Header,
    Input,
    Label,
    ListItem,
    ListView,
    Log,
    Markdown,
    OptionList,
    ProgressBar,
    RadioButton,
    RadioSet,
    Rule,
    Select,
    SelectionList,
    Static,
    Switch,
    TabbedContent,
    TabPane,
    Tabs,
    TextArea,
    Tree,
)
from textual.widgets.option_list import Option

from qrm_tui.styles.console_colours import console_style
from qrm_tui.styles.glyphs import SAFE
from qrm_tui.styles.themes import BASIC, DARK, LINUX, LOOKS, MONO, Look, apply_glyphs, dress
from qrm_tui.widgets.columns import Column
from qrm_tui.widgets.rows import ListSource
from qrm_tui.widgets.table import VirtualTable

STATES = {"active": "good", "booting": "warning", "error": "bad", "off": "muted"}


def table() -> ComposeResult:
    rows = [{"name": f"node-{n}", "state": list(STATES)[n % 4], "memory": n} for n in range(60)]
    columns = (
        Column("name", "Name", 10, flexible=True),
        Column("state", "State", 8, style=lambda row: STATES[row["state"]]),
        Column("memory", "Memory", 8, justify="right"),
    )
    source = ListSource("name", rows)
    source.sort("name")
    yield VirtualTable(columns, source)
    yield VirtualTable(columns, ListSource("name"), placeholder="no images yet: press a to add one")


def fields() -> ComposeResult:
    yield Label("Name", classes="field-label")
    yield Input("node-1", placeholder="a name")
    yield Input(placeholder="an address")
    yield Input("wrong", classes="-invalid")
    yield Select([("lvm-nfs", 1), ("lvm-iscsi", 2)], prompt="Storage")
    yield Select([("lvm-nfs", 1), ("lvm-iscsi", 2)], value=1, allow_blank=False)
    yield Input("off", disabled=True)


def choices() -> ComposeResult:
    with Horizontal(classes="row"):
        yield Checkbox("on", value=True)
        yield Checkbox("off")
        yield Switch(value=True)
        yield Switch()
    with RadioSet():
        yield RadioButton("one", value=True)
        yield RadioButton("two")
    with Horizontal(classes="row"):
        for variant in ("default", "primary", "success", "warning", "error"):
            yield Button(variant, variant=variant)  # type: ignore[arg-type]
        yield Button("no", disabled=True)
    yield SelectionList(("a", "a", True), ("b", "b", False), ("c", "c", True))


def lists() -> ComposeResult:
    with Horizontal():
        yield OptionList("one", None, Option("two", disabled=True), "three with a name too long for its column " * 3)
        yield ListView(ListItem(Label("one")), ListItem(Label("two")))
        tree: Tree[None] = Tree("farm")
        rack = tree.root.add("rack 1", expand=True)
        rack.add_leaf("node-1")
        rack.add("more").add_leaf("hidden")
        tree.root.add_leaf("node-3")
        tree.root.expand()
        yield tree


def text() -> ComposeResult:
    yield TextArea("first = 1\nsecond\n", show_line_numbers=True, placeholder="a script")
    yield TextArea("read only", read_only=True)
    yield Log()


def frames() -> ComposeResult:
    with TabbedContent():
        with TabPane("Disks"):
            yield Checkbox("raid")
        with TabPane("Network"):
            yield Static("none")
    with Collapsible(title="More", collapsed=False):
        yield Static("inside")
    yield Collapsible(Static("hidden"), title="Closed")
    yield Rule()
    yield Rule(line_style="heavy")
    bar = ProgressBar(total=100)
    bar.advance(37)
    yield bar
    full = ProgressBar(total=1, show_eta=False)
    full.advance(1)
    yield full
    yield ProgressBar()
    for border in ("round", "heavy", "double", "tall", "outer", "wide", "panel"):
        label = Static("edge", classes="edge")
        label.styles.border = (border, "ansi_white")  # type: ignore[assignment]
        yield label


def prose() -> ComposeResult:
    yield Markdown(
        "# Help\n## Keys\n- one\n  - two\n    - three\n\n**bold** and *slanted* `code`\n\n"
        "> said\n\n|a|b|\n|-|-|\n|1|2|\n"
    )
    rows: DataTable[str] = DataTable(cursor_type="row")
    rows.add_columns("name", "state")
    rows.add_row("node-1", "active")
    rows.add_row("node-2", "error")
    yield rows


PAGES: dict[str, Callable[[], ComposeResult]] = {
    page.__name__: page for page in (table, fields, choices, lists, text, frames, prose)
}


class Gallery(App[None]):
    """One page of widgets."""

    TITLE = "openQRM with a very long title that must be cut where the line ends, whatever the terminal is, and further"
    CSS = """
    .row { height: auto; }
    .edge { height: 3; }
    TextArea, Log { height: 5; }
    Tree, OptionList, ListView { width: 1fr; }
    """
    BINDINGS = [("f1", "help", "Help"), ("backspace", "back", "Back"), ("up", "up", "Up")]  # noqa: RUF012

    def __init__(self, page: Callable[[], ComposeResult], look: Look) -> None:
        super().__init__(css_path=list(look.css))
        self.page, self.look = page, look
        dress(self, look)

    def compose(self) -> ComposeResult:
        yield Header(show_clock=True)
        with Vertical():
            yield from self.page()
        yield Footer()

    def on_mount(self) -> None:
        for log in self.query(Log):
            log.write_line("booted")


class Dialog(ModalScreen[None]):
    """A question."""

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -danger"):
            yield Label("Remove image base?")
            yield Input()
            with Horizontal(classes="buttons"):
                yield Button("No")
                yield Button("Remove", variant="error")


def segments(app: App[Any]) -> Iterator[tuple[int, Segment]]:
    """All that is on screen, with its line."""
    with app._context():
        strips = app.screen._compositor.render_strips()
    for y, strip in enumerate(strips):
        for segment in strip:
            yield y, segment


def faults(app: App[Any], where: str) -> set[str]:
    """What breaks the rules of the Linux console, or of a serial line."""
    found = set()
    safe = {glyph for glyph in SAFE if glyph.isascii()} if isinstance(app, Gallery) and app.look.ascii else SAFE
    for y, segment in segments(app):
        style, place = segment.style, f"{where} line {y}: {segment.text.strip()!r}"
        found |= {f"{place}: glyph {glyph!r} U+{ord(glyph):04X}" for glyph in set(segment.text) - safe}
        if style is None:
            continue
        for kind, colour, limit in (("text", style.color, 16), ("background", style.bgcolor, 8)):
            if colour is None or colour.type is ColorType.DEFAULT:
                continue
            if colour.type is not ColorType.STANDARD or colour.number is None or colour.number >= limit:
                found.add(f"{place}: {kind} {colour}")
        if style.dim or style.bold or style.italic or style.blink:
            found.add(f"{place}: {style}")
        numbers = [
            None if colour is None or colour.number is None else colour.number
            for colour in (style.color, style.bgcolor)
        ]
        # brightness is lost with a font of 512 glyphs
        if (
            segment.text.strip()
            and None not in numbers
            and len({number % 8 for number in numbers if number is not None}) == 1
        ):
            found.add(f"{place}: invisible, {style}")
    return found


@pytest.fixture
def console() -> Iterator[None]:
    """The glyphs of the Linux look, and Textual's own afterwards."""
    undo = apply_glyphs(LINUX)
    yield
    undo()


async def each_focus(app: App[Any], pilot: Pilot[Any]) -> list[Widget]:
    """Every widget that can have the focus."""
    await pilot.pause()
    return [widget for widget in app.screen.focus_chain if widget.is_on_screen]


@pytest.mark.usefixtures("console")
@pytest.mark.parametrize("look", [LINUX, MONO, BASIC], ids=lambda look: look.name)
@pytest.mark.parametrize("page", PAGES)
async def test_only_safe_glyphs_and_sixteen_colours(page: str, look: Look) -> None:
    app = Gallery(PAGES[page], look)
    async with app.run_test(size=(80, 30), tooltips=True, notifications=True) as pilot:
        found = faults(app, "nothing focused")
        for widget in await each_focus(app, pilot):
            widget.focus()
            await pilot.pause()
            found |= faults(app, f"focus on {widget!r}")
            await pilot.hover(widget)
            found |= faults(app, f"mouse on {widget!r}")
            if isinstance(widget, Select | OptionList | RadioSet | Tree | Tabs):
                await pilot.press("down", "enter", "down")
                found |= faults(app, f"in {widget!r}")
                await pilot.press("escape")
        assert not found


@pytest.mark.usefixtures("console")
@pytest.mark.parametrize("look", [LINUX, MONO], ids=lambda look: look.name)
async def test_overlays_keep_to_the_rules(look: Look) -> None:
    app = Gallery(PAGES["table"], look)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.press("ctrl+p")
        await pilot.press("t")
        await app.workers.wait_for_complete()
        await pilot.pause()
        found = faults(app, "palette")
        await pilot.press("escape")
        app.action_show_help_panel()
        await pilot.pause()
        found |= faults(app, "keys")
        app.action_hide_help_panel()
        await app.push_screen(Dialog())
        for severity in ("information", "warning", "error"):
            app.notify("node-1 is gone", title="Lost", severity=severity)  # type: ignore[arg-type]
        await pilot.pause()
        found |= faults(app, "dialog and toasts")
        assert len(list(app.screen.query("Toast"))) == 3
        assert not found


@pytest.mark.usefixtures("console")
@pytest.mark.parametrize("page", PAGES)
async def test_focus_is_seen_without_colour(page: str) -> None:
    app = Gallery(PAGES[page], MONO)
    async with app.run_test(size=(80, 30)) as pilot:
        seen: dict[tuple[Any, ...], Widget] = {}
        for widget in await each_focus(app, pilot):
            widget.focus()
            await pilot.pause()
            picture = tuple(
                (y, segment.text, segment.style and (segment.style.reverse, segment.style.underline))
                for y, segment in segments(app)
            )
            assert picture not in seen, f"{widget!r} looks like {seen.get(picture)!r}"
            seen[picture] = widget


async def test_no_color_sends_no_colour() -> None:
    undo = apply_glyphs(MONO)
    app = Gallery(PAGES["table"], MONO)
    async with app.run_test(size=(80, 24)):
        styles = {segment.style for _, segment in segments(app) if segment.style}
        assert all(colour is None or colour.is_default for style in styles for colour in (style.color, style.bgcolor))
        assert any(style.reverse for style in styles), "the cursor"
    undo()


async def test_a_switch_between_looks_leaves_textual_as_it_was() -> None:
    def picture() -> str:
        async def draw() -> str:
            app = Gallery(PAGES["choices"], DARK)
            async with app.run_test(size=(80, 24)):
                return "".join(segment.text for y, segment in segments(app) if y)  # the first line has a clock

        return asyncio.run(draw())

    before = await asyncio.to_thread(picture)
    undo = apply_glyphs(LINUX)
    assert Content("too long").truncate(4, ellipsis=True).plain == "too~"
    undo()
    assert Content("too long").truncate(4, ellipsis=True).plain == "too…"
    assert await asyncio.to_thread(picture) == before


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ("dim #d0d0d0 on #000000", (7, 0)),
        ("bold bright_black on black", (7, 0)),  # invisible with a font of 512 glyphs
        ("white on bright_blue", (7, 4)),
        ("bright_cyan on cyan", (0, 6)),
        ("color(196) on color(17)", (7, 4)),  # dark red on blue with such a font
        ("color(196) on color(16)", (1, 0)),
        ("default on default", (None, None)),
        ("underline red", (1, None)),
    ],
)
def test_the_sieve_sends_what_the_console_can_show(asked: str, sent: tuple[int | None, int | None]) -> None:
    style = console_style(Style.parse(asked))
    assert style.color and (style.color.number, style.bgcolor and style.bgcolor.number) == sent
    assert not (style.bold or style.dim)
    assert bool(style.underline) is asked.startswith("underline")


@pytest.mark.parametrize("look", LOOKS.values(), ids=lambda look: look.name)
async def test_every_look_has_its_theme_and_sheets(look: Look) -> None:
    app = Gallery(PAGES["fields"], look)
    async with app.run_test():
        assert app.theme == look.theme
        assert app.animation_level == "none"
        assert app.no_color is not look.colours
