"""Small trees that play installed systems (data/practice/trees.toml)."""
from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from qrm_tui.core.places import data_folder


@cache
def _trees() -> dict[str, Any]:
    with (data_folder() / "practice" / "trees.toml").open("rb") as file:
        return tomllib.load(file)


def names() -> list[str]:
    """The trees that there are."""
    return list(_trees())


def plant(tree: str, place: Path, hostname: str) -> None:
    """Put a tree into a folder; `{hostname}` in a text is filled in."""
    hostname = hostname.replace("_", "-")
    for entry in _trees()[tree]["entry"]:
        path = place / entry["path"].replace("{hostname}", hostname).lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        if "link" in entry:
            path.symlink_to(entry["link"])
        elif "text" in entry:
            path.write_text(entry["text"].replace("{hostname}", hostname))
            path.chmod(entry.get("mode", 0o644))
        else:
            path.mkdir(exist_ok=True, mode=entry.get("mode", 0o755))
