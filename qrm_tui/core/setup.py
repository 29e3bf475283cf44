"""How a server shall be set up, while somebody makes up their mind: components, settings, fixes. Screens show it, the
answers file holds it.

What was typed stands over what is set up already, and that over what was computed; settings that components share by
name (the server's address) are one.
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from qrm_tui.core import answers, settings
from qrm_tui.core.component_table import Setting, needed, table
from qrm_tui.core.database import wrong_with
from qrm_tui.core.settings import Settings, Wrong
from qrm_tui.core.surroundings import Surroundings, unfit

#: The page of what is computed for the machine, and shared.
BASIC = "basic"


class Asked(NamedTuple):
    """A setting on a page: of this component, or shared by several."""

    component: str
    setting: Setting


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """Choices that were made and not carried out yet, for whoever opens the installer next. No secret is among them."""

    chosen: list[str] = []
    #: component → setting → what was typed
    typed: dict[str, dict[str, str]] = {}
    #: checks whose fix was offered, and not wanted
    declined: list[str] = []


class Setup:
    """Choices and typed texts; they stay, whatever page one looks at."""

    def __init__(self, computed: Settings, present: Settings | None = None, off: Settings | None = None) -> None:
        """`computed`: defaults of all components for this machine; `present`: of those that are set up already, and
        on; `off`: of those that were set up, and are switched off."""
        self._computed, self._present, self._off = computed, present or {}, off or {}
        self._typed: dict[tuple[str, str], str] = {}
        self.chosen = set(needed(self._present or [name for name, component in table().items() if component.chosen]))
        #: names of checks whose fix is wanted
        self.fixes: set[str] = set()
        #: the machine, where it was looked at
        self.around = Surroundings()

    def compute(self, computed: Settings) -> None:
        """Other defaults, since machines boot from another interface; what was typed stays."""
        self._computed = computed

    # components

    def compute_group(self, group: str) -> None:
        """Another default for the volume group, since one was made meanwhile."""
        self._computed.setdefault("lvm-mgmt", {})["group"] = group

    def choose(self, name: str, wanted: bool) -> list[str]:
        """Choose a component or not; the answer are the others that come along, or go with it."""
        before = set(self.chosen)
        if wanted:
            self.chosen |= set(needed([name]))
        else:
            self.chosen -= {other for other in self.chosen if name in needed([other])}
        return [other for other in table() if other in self.chosen ^ before and other != name]

    def refusal(self, name: str, wanted: bool) -> str:
        """Why a component cannot be chosen, or not be left out; empty: it can."""
        if wanted:
            return next((f"{other}: {table()[other].lacking}" for other in needed([name]) if table()[other].lacking),
                        "")
        keeper = next((other for other, component in table().items() if component.itself and name in needed([other])),
                      "")
        if keeper:
            return f"{keeper} is the server itself, and stays" if keeper == name else f"{keeper} needs it, and stays"
        return ""

    @property
    def off(self) -> list[str]:
        """Components that are set up and on, and shall be switched off."""
        return [name for name in table() if name in self._present and name not in self.chosen]

    @property
    def names(self) -> list[str]:
        """Chosen components, in the table's order."""
        return [name for name in table() if name in self.chosen]

    # settings

    def pages(self) -> list[str]:
        """Pages that have something to ask."""
        return [page for page in (BASIC, *self.names) if self.asked(page)]

    def asked(self, page: str) -> list[Asked]:
        """What a page asks: the basic one what was computed for several, each once; a component's the rest."""
        if page != BASIC:
            return [Asked(page, setting) for setting in table()[page].settings if setting.alone or not setting.computed]
        found: dict[str, Asked] = {}
        for name in sorted(self.names, key=lambda name: name != "dhcpd"):  # it has the most
            for setting in table()[name].settings:
                if setting.computed and not setting.alone:
                    found.setdefault(setting.name, Asked(name, setting))
        return list(found.values())

    def page_of(self, component: str, key: str) -> str:
        """The page that asks for a setting."""
        return component if any(asked.setting.name == key for asked in self.asked(component)) else BASIC

    def value(self, component: str, key: str) -> str:
        """What stands there now."""
        for source in (self._typed.get((component, key)), self._present.get(component, {}).get(key),
                       self._off.get(component, {}).get(key)):
            if source is not None:
                return source
        return self._computed.get(component, {}).get(key, "")

    def type(self, component: str, key: str, text: str) -> None:
        """Somebody types; a shared setting is typed for all. As it was before, it is not typed any more."""
        setting = table()[component].setting(key)
        shared = [name for name, other in table().items()
                  if setting and setting.computed and (same := other.setting(key)) and same.computed] or [component]
        for name in shared:
            self._typed.pop((name, key), None)
            if self.value(name, key) != text:
                self._typed[name, key] = text

    @property
    def typed(self) -> bool:
        """Whether anything was typed."""
        return bool(self._typed)

    def settings(self) -> Settings:
        """Of the chosen components, as they stand."""
        return {name: {setting.name: self.value(name, setting.name) for setting in table()[name].settings}
                for name in self.names}

    def wrong(self) -> list[Wrong]:
        """All that is wrong, with the settings or with them on this machine."""
        kept, wrong = settings.check(self.settings())
        troubled = {one.component for one in wrong}
        new = unfit({name: one for name, one in kept.items() if name not in troubled}, self.around)
        # a group in which images lie already may be full
        group = self._present.get("lvm-mgmt", {}).get("group", "")
        return wrong + [one for one in new if one.key != "group" or kept["lvm-mgmt"]["group"] != group]

    def reasons(self, items: Iterable[Asked]) -> Mapping[str, str]:
        """By setting's name, why what stands on a page is not possible."""
        of = {(item.component, item.setting.name): item.setting.name for item in items}
        found: dict[str, str] = {}
        for one in self.wrong():
            key = of.get((one.component, one.key))
            if key:
                found.setdefault(key, one.reason)
        return found

    def text(self) -> str:
        """The answers file."""
        kept, wrong = settings.check(self.settings())
        assert not wrong
        return answers.write(kept)

    # a draft

    def draft(self, offered: Iterable[str]) -> Draft:
        """What was chosen so far; `offered`: checks that offer a fix."""
        typed: dict[str, dict[str, str]] = {}
        for (component, key), text in self._typed.items():
            setting = table()[component].setting(key)
            if setting and setting.type == "database" and wrong_with(text):
                continue  # people type passwords there
            typed.setdefault(component, {})[key] = text
        return Draft(chosen=self.names, typed=typed, declined=sorted(set(offered) - self.fixes))

    def take_up(self, draft: Draft) -> None:
        """Choices as they were; what another version knew, and this one does not, is passed over."""
        self.chosen = set(needed(name for name in draft.chosen if name in table()))
        self.fixes -= set(draft.declined)
        for component, texts in draft.typed.items():
            for key, text in texts.items():
                if component in table() and table()[component].setting(key) and text.isprintable():
                    self.type(component, key, text)
