"""What machines that share one root do not share, as the initramfs reads it (templates/initramfs/private).

A line each: DO|WHEN|PATH, then of `write` CONTENT|MODE, of `set` KEY|SEPARATOR|VALUE. New lines are \\n, tabs \\t.
"""
from __future__ import annotations

import tomllib
from typing import Any

from qrm_tui.core.places import data_folder


def _more(row: dict[str, Any]) -> tuple[str, ...]:
    if row["do"] == "write":
        return row["content"], f"{row['mode']:o}" if "mode" in row else ""
    return (row["key"], row["separator"], row["value"]) if row["do"] == "set" else ()


def table_text() -> str:
    """The table of data/sealing.toml but for what all of them keep."""
    with (data_folder() / "sealing.toml").open("rb") as file:
        rows = tomllib.load(file)["seal"]
    lines = ["|".join((row["do"], row.get("when", ""), row["path"], *_more(row))) for row in rows
             if row.get("shared") != "keep"]
    return "".join(line.replace("\n", "\\n").replace("\t", "\\t") + "\n" for line in lines)
