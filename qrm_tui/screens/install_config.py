"""The installer's settings: a page of what was computed for the machine, and one for each component that has more."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, ClassVar

from textual import on, work
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widget import Widget
from textual.widgets import Input

from qrm_tui.core.component_table import table
from qrm_tui.core.errors import QrmError
from qrm_tui.core.operations.arguments import Argument
from qrm_tui.core.settings import TYPES, about
from qrm_tui.core.setup import BASIC, Asked, Setup
from qrm_tui.screens.base import Answer, Sections
from qrm_tui.screens.install_base import Found, InstallScreen
from qrm_tui.screens.operate import Outcome
from qrm_tui.widgets.chooser import Chooser
from qrm_tui.widgets.field import Field
from qrm_tui.widgets.page import Page, PageLine, wrap


class _Computed(Answer):
    """Defaults for another interface, or why there are none."""

    def __init__(self, answer: dict[str, Any] | None, error: QrmError | None = None) -> None:
        super().__init__()
        self.answer, self.error = answer, error


class SettingField(Field):
    """One setting: checked by the same functions as the answers file."""

    def __init__(self, asked: Asked, choices: Sequence[str], setup: Setup, page: str) -> None:
        setting = asked.setting
        self.asked, self._setup, self._page = asked, setup, page
        self._told = setup.value(asked.component, setting.name)
        super().__init__(Argument(setting.name, "choice" if choices else "text", setting.help,
                                  required=not setting.optional, choices=tuple(choices)), self._told, check=self._judge)

    def take(self, text: str) -> None:
        """What stands here was typed; one that only says itself anew types nothing: other defaults may have come."""
        if text != self._told:
            self._told = text
            self._setup.type(self.asked.component, self.asked.setting.name, text)

    def _judge(self, text: str) -> str:
        self.take(text)
        return self._setup.reasons(self._setup.asked(self._page)).get(self.asked.setting.name, "")

    @property
    def hint(self) -> str:
        text = super().hint if self.argument.choices else TYPES[self.asked.setting.type].hint
        return text[:1].upper() + text[1:]


class _Pages(Chooser):
    """The pages, with the pointer that fields have."""

    def build(self, width: int) -> list[PageLine]:
        (blank, *words), = super().build(width)
        return [((">", "strong") if self.has_focus and blank[0] == " " else blank, *words)]

    def watch_has_focus(self, value: bool) -> None:
        super().watch_has_focus(value)
        self.rebuild()


class InstallConfig(InstallScreen):
    """Every value may be accepted as it is."""

    DEFAULT_CSS = """
    InstallConfig > #fields { height: 1fr; overflow-y: auto; }
    InstallConfig > #hint { height: 1; }
    InstallConfig > #trouble { height: auto; max-height: 3; }
    InstallConfig > Chooser { background: $surface; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "app.focus_next", "next", key_display="tab", id="install.next",
                tooltip="The next field; on the first line left and right go to other pages"),
        Binding("up", "app.focus_previous", show=False, id="install.previous"),
    ]
    place = "Config"

    def __init__(self, found: Found) -> None:
        super().__init__(found)
        self._page = BASIC
        #: keys and messages ask for pages, side by side
        self._showing = asyncio.Lock()

    def parts(self) -> Sequence[Widget]:
        return [_Pages(self.found.setup.pages(), id="pages"), Vertical(id="fields"), Page(id="trouble"),
                Page(id="hint")]

    async def on_mount(self) -> None:
        super().on_mount()
        await self.show(self.found.setup.pages()[0], focus="first")

    async def on_screen_resume(self) -> None:
        """Components may have been chosen otherwise meanwhile."""
        pages = self.query_one("#pages", Chooser)
        self._show_trouble()
        if pages.choices != tuple(self.found.setup.pages()):
            await self._rebuild_pages()

    async def _rebuild_pages(self) -> None:
        former = self.query_one("#pages", Chooser)
        made = _Pages(self.found.setup.pages(), former.value, id="pages")
        await former.remove()
        await self.mount(made, before="#fields")
        await self.show(made.value)

    def on_resize(self) -> None:
        """Where one types stays in view."""
        if self.gone:
            return
        self._show_hint()
        self._show_trouble()
        focused = next((field for field in self.fields if field.has_focus_within), None)
        if focused is not None:
            self.call_after_refresh(focused.scroll_visible, animate=False)

    @property
    def fields(self) -> list[SettingField]:
        return list(self.query(SettingField))

    async def show(self, page: str, focus: str = "") -> None:
        """The fields of a page; `focus`: a setting, or the first one."""
        setup, self._page = self.found.setup, page
        async with self._showing:
            if self._page != page:
                return  # another one was asked for meanwhile
            box = self.query_one("#fields", Vertical)
            await box.remove_children()
            await box.mount(*(SettingField(asked, self._choices(asked), setup, page) for asked in setup.asked(page)))
        wanted = next((field for field in self.fields if focus in ("first", field.argument.name)), None)
        if wanted is not None:
            wanted.editor.focus()
        self._show_hint()
        self._show_trouble()

    def _choices(self, asked: Asked) -> list[str]:
        if asked.setting.type == "yesno":
            return ["no", "yes"]
        if asked.setting.type == "interface":
            with_address = [one["name"] for one in self.found.interfaces if one["addresses"]]
            now = self.found.setup.value(asked.component, asked.setting.name)
            return with_address if now in with_address else []
        return []

    def _show_hint(self) -> None:
        field = next((field for field in self.fields if field.has_focus_within), None)
        text = field.hint if field else "left and right: other pages; what stands there may be accepted as it is"
        self.query_one("#hint", Page).set_lines(wrap(text, self.app.size.width - 2, "muted", " ")[:1])

    def _show_trouble(self) -> None:
        """What stands in the way, and no field here can settle."""
        self.query_one("#trouble", Page).set_lines([
            part for one in self.found.setup.wrong() if not one.key
            for part in wrap(f"{one.reason} (esc goes back)", self.app.size.width - 2, "bad", " ! ")])

    def on_descendant_focus(self) -> None:
        self._show_hint()

    # what is typed

    @on(Chooser.Changed, "#pages")
    async def _paged(self, event: Chooser.Changed) -> None:
        event.stop()
        if event.value != self._page:
            await self.show(event.value)

    @on(Field.Changed)
    def _changed(self, event: Field.Changed) -> None:
        field = event.field
        if not isinstance(field, SettingField):
            return
        field.take(field.text.strip())
        self.keep()
        for other in self.fields:   # what fits together is told at each
            if other is not field:
                other.say()
        self._show_trouble()
        if field.has_focus_within:   # why it is not possible may take more lines than what it is
            self.call_after_refresh(field.scroll_visible, animate=False)
        if field.asked.setting.type == "interface":
            self.compute(field.text)

    @work(group="compute", exclusive=True, exit_on_error=False)
    async def compute(self, interface: str) -> None:
        """Defaults for machines that boot from another interface."""
        try:
            self.post_message(_Computed(await self.qrm.client.install_answers(interface)))
        except QrmError as error:
            self.post_message(_Computed(None, error))

    @on(_Computed)
    async def _computed(self, event: _Computed) -> None:
        if event.error:
            self.tell(event.error)
        elif event.answer:
            self.found.setup.compute(event.answer["computed"])
            await self.show(self._page, focus="interface")

    @on(Input.Submitted)
    async def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        await self.action_go_on()

    # on and back

    async def action_go_on(self) -> None:
        """To the plan, or to the first value that is not possible."""
        wrong = self.found.setup.wrong()
        if not wrong:
            if self.found.outdated:
                self.notify("looking at that interface, some seconds ...", markup=False)
                self.look()
            else:
                self._to_plan()
            return
        first = wrong[0]
        if not table()[first.component].setting(first.key):
            self.notify(first.reason, severity="error", markup=False)
            return
        page = self.found.setup.page_of(first.component, first.key)
        self.query_one("#pages", Chooser).choose(page)
        await self.show(page, focus=first.key)
        for field in self.fields:
            field.insisted = True
            field.say()

    def _to_plan(self) -> None:
        from qrm_tui.screens.install_run import InstallPlan

        if troubles := self.found.troubles:
            self.notify(f"{troubles[0]['title']} stands in the way: {troubles[0]['found']}; the checks (esc) say more",
                        severity="error", markup=False)
            return
        self.app.push_screen(InstallPlan(self.found), self._came_of)

    def looked(self) -> None:
        self._to_plan()

    def _came_of(self, outcome: Outcome | None) -> None:
        if outcome is None:
            return
        if outcome.refused:
            from qrm_tui.screens.message import MessageScreen

            self.app.push_screen(MessageScreen("Not possible so", outcome.refused))
        elif outcome.job is not None:
            from qrm_tui.screens.install_run import InstallJob

            self.app.push_screen(InstallJob(str(outcome.job["name"]), self.found))

    def help_sections(self) -> Sections:
        return [(page, [(asked.setting.name.replace("_", " "), about(asked.setting))
                        for asked in self.found.setup.asked(page)]) for page in self.found.setup.pages()]

