"""What a console's first line says, and the file that its text goes into."""

from __future__ import annotations

import os
from pathlib import Path

from qrm_tui.client.console import Status
from qrm_tui.widgets.columns import safe
from qrm_tui.widgets.page import PageLine, line, width_of

#: What goes first where it is narrow.
_SPARED = ("named", "source", "watchers")


def title(width: int, name: str, source: str, status: Status | str | None, *, typing: bool, named: str, rings: bool,
          back: int, stands: str = "") -> PageLine:
    """Name, source, state, watchers and typist; `named` is what the machine calls itself, `back` how many lines before
    the end one looks at. `status` is a word where the line is lost, None before it is known. `stands`: why
    nothing there hears what is typed."""
    parts = {"name": name, "stands": stands.upper(), "source": source}
    if isinstance(status, Status):
        parts["state"] = status.state + (f" ({status.reason})" if status.reason else "")
        parts["watchers"] = f"{status.watchers} watch" if status.watchers != 1 else "1 watches"
        parts["typist"] = _typist(status, typing)
    else:
        parts["state"] = status or "connecting"
    parts["named"] = f'"{named}"' if named else ""
    right = (" BELL " if rings else "") + (f" {back} lines back " if back else "")
    room = max(0, width - len(right))
    for spared in ("", *_SPARED):
        parts.pop(spared, None)
        text = safe(" " + "  ".join(part for part in parts.values() if part))
        if width_of(line(text)) <= room:
            break
    while width_of(line(text)) > room:
        text = text[:-2] + "~"
    shown = (text + " " * (room - width_of(line(text))), "")
    return line(shown, (right, "reverse")) if right else line(shown)


def _typist(status: Status, typing: bool) -> str:
    if status.typist is None:
        return "you may type" if typing else "nobody types"
    if status.typist.session == status.session:
        return "you type" if typing else "you may type"
    return f"{status.typist.who} types"


def write_private(path: Path, text: str) -> None:
    """A new file that is the user's alone: consoles show secrets. OSError where there is one of that name."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
