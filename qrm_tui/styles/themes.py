"""The looks of the app: their colours, style sheets and glyphs; choosing.py says which one a terminal gets.

undo = apply_glyphs(look)                       # before the App is built
class OurApp(App):
    def __init__(self):
        super().__init__(css_path=list(look.css))
        dress(self, look)                       # theme, colours or none, no animations
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rich.terminal_theme import TerminalTheme
from textual.theme import BUILTIN_THEMES, Theme

if TYPE_CHECKING:
    from textual.app import App

_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Look:
    """How the app appears. `css` are style sheets, the later ones winning; `theme` is a name that Textual knows.

    `safe_glyphs`: only what the Linux console's fonts have; `ascii`: not even these. `colours`: False for NO_COLOR and
    terminals without. `few_bytes`: for serial lines, see few_bytes.py.
    """

    name: Literal["dark", "linux", "mono", "basic"]
    theme: str
    css: tuple[Path, ...]
    safe_glyphs: bool
    colours: bool
    ascii: bool = False
    few_bytes: bool = False


DARK = Look("dark", "qrm-dark", (_HERE / "app.tcss",), safe_glyphs=False, colours=True)
LINUX = Look("linux", "qrm-linux", (_HERE / "app.tcss", _HERE / "linux.tcss"), safe_glyphs=True, colours=True)
MONO = Look("mono", "qrm-linux", (_HERE / "app.tcss", _HERE / "linux.tcss"), safe_glyphs=True, colours=False)
BASIC = replace(MONO, name="basic", ascii=True, few_bytes=True)
LOOKS: dict[str, Look] = {look.name: look for look in (DARK, LINUX, MONO, BASIC)}


def apply_glyphs(look: Look) -> Callable[[], None]:
    """Give this process the glyphs of a look, before its App is built; returns the function that undoes it."""
    from qrm_tui.styles.glyphs import replace_glyphs

    return replace_glyphs(look.safe_glyphs)


def dress(app: App[Any], look: Look) -> None:
    """Give an app, in its __init__ after super().__init__, the theme and the colours of a look, and no animations.

    Textual chooses the filter for NO_COLOR before it knows our theme, and then sends greys instead of no colour.
    """
    from textual.filter import LineFilter, Monochrome, NoColor

    app.theme = look.theme
    app.ansi_theme_dark = _CONSOLE_COLOURS
    app.animation_level = "none"  # over ssh a sliding list costs a hundred frames and tells nothing
    app.no_color = not look.colours
    filters: list[LineFilter] = [each for each in app._filters if not isinstance(each, Monochrome | NoColor)]
    if look.safe_glyphs:
        from qrm_tui.styles.console_colours import ConsoleColours, NoColours, OnlyAscii

        filters.append(ConsoleColours() if look.colours else NoColours())
        if look.ascii:
            filters.append(OnlyAscii())
    app._filters = filters


#: The sixteen colours of machines' consoles where the terminal's own are not used; the blues can be read on dark.
_CONSOLE_COLOURS = TerminalTheme(
    (20, 23, 27), (207, 212, 218),
    [(0, 0, 0), (205, 49, 49), (13, 188, 121), (229, 229, 16), (36, 114, 200), (188, 63, 188), (17, 168, 205),
     (229, 229, 229)],
    [(102, 102, 102), (241, 76, 76), (35, 209, 139), (245, 245, 67), (59, 142, 234), (214, 112, 214), (41, 184, 219),
     (255, 255, 255)],
)

_DARK_THEME = Theme(
    name="qrm-dark",
    dark=True,
    primary="#5b8fa8",
    secondary="#6f7f95",
    accent="#c8a66b",
    foreground="#cfd4da",
    background="#14171b",
    surface="#191d22",
    panel="#232930",
    success="#7fae7a",
    warning="#d3ab62",
    error="#d57a70",
    variables={
        "block-cursor-background": "#2d566b",
        "block-cursor-foreground": "#f2f5f7",
        "block-cursor-text-style": "none",
        "block-cursor-blurred-background": "#232930",
        "border": "#5b8fa8",
        "border-blurred": "#3a434d",
        "button-focus-text-style": "reverse",
        "footer-background": "#191d22",
        "footer-key-foreground": "#c8a66b",
        "scrollbar": "#3a434d",
        "scrollbar-hover": "#4b5763",
        "scrollbar-active": "#5b8fa8",
        "scrollbar-background": "#191d22",
        "scrollbar-background-hover": "#191d22",
        "scrollbar-background-active": "#191d22",
        "scrollbar-corner-color": "#191d22",
    },
)

# Eight backgrounds, sixteen foregrounds; blue and bright black are not read as text, nothing is dim and nothing blended
_LINUX_GROUPS = {
    "ansi_white": """
        foreground text text-muted text-disabled foreground-muted footer-foreground footer-description-foreground
        button-foreground button-color-foreground link-color-hover border-blurred scrollbar scrollbar-hover
        scrollbar-active markdown-h5-color markdown-h6-color block-cursor-blurred-foreground ansi-foreground
        input-cursor-background""",
    "ansi_black": """
        background background-muted surface boost primary-background secondary-background link-background
        block-hover-background footer-key-background ansi-background
        markdown-h1-background markdown-h2-background markdown-h3-background markdown-h4-background
        markdown-h5-background markdown-h6-background
        block-cursor-foreground input-cursor-foreground input-selection-foreground screen-selection-foreground""",
    "ansi_blue": """
        panel panel-lighten-1 panel-lighten-2 panel-lighten-3 panel-darken-1 panel-darken-2 panel-darken-3
        footer-background footer-item-background footer-description-background block-cursor-blurred-background
        scrollbar-background scrollbar-background-hover scrollbar-background-active scrollbar-corner-color
        link-background-hover""",
    "ansi_cyan": """
        primary-muted secondary-muted text-primary text-secondary markdown-h3-color markdown-h4-color
        block-cursor-background input-selection-background screen-selection-background""",
    "ansi_bright_cyan": "border link-color markdown-h2-color",
    "ansi_bright_white": "markdown-h1-color",
    "ansi_bright_yellow": "accent-muted text-accent footer-key-foreground warning-muted text-warning",
    "ansi_bright_green": "success-muted text-success",
    "ansi_bright_red": "error-muted text-error",
    "none": """
        block-cursor-text-style button-focus-text-style input-cursor-text-style
        markdown-h1-text-style markdown-h2-text-style markdown-h4-text-style""",
}
_LINUX_THEME = Theme(
    name="qrm-linux",
    ansi=True,
    dark=True,
    primary="ansi_cyan",
    secondary="ansi_cyan",
    accent="ansi_bright_yellow",
    success="ansi_bright_green",
    warning="ansi_bright_yellow",
    error="ansi_bright_red",
    foreground="ansi_white",
    background="ansi_black",
    variables={name: value for value, names in _LINUX_GROUPS.items() for name in names.split()},
)

# An app sets its theme in __init__, before it could register one
BUILTIN_THEMES.update({theme.name: theme for theme in (_DARK_THEME, _LINUX_THEME)})
