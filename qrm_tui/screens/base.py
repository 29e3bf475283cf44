"""What all screens share: the line on top, the keys below, what they know of the farm, how they tell of trouble."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar, cast

from textual.binding import Binding, BindingType
from textual.message import Message
from textual.screen import ModalScreen, Screen

from qrm_tui.core.errors import QrmError
from qrm_tui.screens.live import Live

if TYPE_CHECKING:
    from qrm_tui.screens.application import QrmApp

Result = TypeVar("Result")
#: Headed lists of what is on the left (a key, a word) and what it means.
Sections = list[tuple[str, list[tuple[str, str]]]]


class Answer(Message):
    """What a worker of a screen brings to it; dropped where the screen has gone meanwhile."""


class FarmScreen(Screen[Result], Generic[Result], inherit_bindings=False):
    """A screen on a farm. It does not scroll as a whole, so that the arrows are free for its parts."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "app.focus_next", "next", show=False, id="screen.next", tooltip="To the screen's next part"),
        Binding("shift+tab", "app.focus_previous", "previous", show=False, id="screen.previous"),
        Binding("ctrl+c", "screen.copy_text", "copy what is selected", show=False),
    ]

    AUTO_FOCUS = ""
    _stop: Callable[[], None] | None = None

    @property
    def qrm(self) -> QrmApp:
        """The app, as what it is."""
        return cast("QrmApp", self.app)

    @property
    def live(self) -> Live:
        return self.qrm.live

    @property
    def takes_keys(self) -> bool:
        """Whether every key is somebody else's now: a machine's, on its console."""
        return False

    @property
    def guards(self) -> bool:
        """Whether it asks for a password, and nothing is opened over it."""
        return False

    @property
    def gone(self) -> bool:
        """Whether it was left; its parts may be gone already."""
        return not self.app.is_running or self not in self.app.screen_stack

    async def _on_message(self, message: Message) -> None:
        if not (isinstance(message, Answer) and self.gone):
            await super()._on_message(message)

    def on_mount(self) -> None:
        self._stop = self.live.listen(lambda what: None if self.gone else self.farm_changed(what))
        self.set_interval(1, lambda: None if self.gone else self.tick())

    def on_unmount(self) -> None:
        if self._stop:
            self._stop()

    def farm_changed(self, what: frozenset[str]) -> None:
        """Something of the farm is another: kinds, "line", "hello", "farm", "journal"."""

    def tick(self) -> None:
        """A second has passed."""

    def help_sections(self) -> Sections:
        """What this screen's help says beside its keys."""
        return []

    def tell(self, error: QrmError) -> None:
        """Say what went wrong, each reason on a line of its own."""
        self.app.notify("\n".join(error.reasons), severity="error", timeout=10, markup=False)


class FarmWindow(ModalScreen[Result], FarmScreen[Result]):
    """A window over another screen."""
