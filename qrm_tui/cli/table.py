"""Text tables fitted to a terminal's width."""
from __future__ import annotations

from collections.abc import Sequence

#: A column is not squeezed below this many cells; before that, columns on the right are left out.
_LEAST = 8
_GAP = 2


def cells(text: str) -> int:
    """Cells of a terminal that printable text takes."""
    if text.isascii():
        return len(text)
    import unicodedata  # its table is large, and most names are ASCII

    return sum(0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1
               for letter in text)


def cut(text: str, room: int) -> str:
    """At most `room` cells of it, with `..` where something is missing."""
    if cells(text) <= room:
        return text
    kept = ""
    for letter in text:
        if cells(kept + letter) > room - 2:
            break
        kept += letter
    return (kept + "..")[:room]


def fit(titles: Sequence[str], rows: Sequence[Sequence[str]], room: int) -> tuple[list[int], list[int]]:
    """Which columns are shown and how wide each; the first one is squeezed last. `room` 0: as wide as it gets."""
    shown = list(range(len(titles)))
    widths = [max([cells(title), *(cells(row[index]) for row in rows)]) for index, title in enumerate(titles)]
    least = [min(width, max(_LEAST, cells(title))) for width, title in zip(widths, titles, strict=True)]
    if not room:
        return shown, widths
    while len(shown) > 1 and widths[0] + sum(least[index] for index in shown[1:]) + _GAP * (len(shown) - 1) > room:
        shown.pop()
    over = sum(widths[index] for index in shown) + _GAP * (len(shown) - 1) - room
    while over > 0 and any(widths[index] > least[index] for index in shown[1:]):
        widest = max((index for index in shown[1:] if widths[index] > least[index]), key=lambda index: widths[index])
        widths[widest] -= 1
        over -= 1
    widths[0] = max(1, widths[0] - max(0, over))
    return shown, widths


def table(titles: Sequence[str], rows: Sequence[Sequence[str]], room: int) -> list[str]:
    """Lines of a table, its titles first; cells must be harmless text already."""
    shown, widths = fit(titles, rows, room)
    lines = []
    for row in (titles, *rows):
        parts = [cut(row[index], widths[index]) for index in shown]
        padded = [part + " " * (widths[index] - cells(part)) for part, index in zip(parts, shown, strict=True)]
        lines.append((" " * _GAP).join(padded).rstrip())
    return lines
