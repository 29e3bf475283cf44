"""Sealing: what a cloned or captured system must not share, as edits inside its tree (data/sealing.toml)."""
from __future__ import annotations

import tomllib
from functools import cache
from typing import Any

from qrm_tui.core.places import data_folder
from qrm_tui.core.plan import EditTree


@cache
def _table() -> tuple[dict[str, Any], ...]:
    with (data_folder() / "sealing.toml").open("rb") as file:
        return tuple(tomllib.load(file)["seal"])


def seal(machine: str, root: str, hostname: str, identity: str) -> EditTree:
    """The tree at `root` gets a host name and loses all that would make it a twin; `identity` is new for each."""
    words = {"{hostname}": hostname, "{id}": identity.replace("-", "")[:12]}

    def filled(value: Any) -> Any:
        if isinstance(value, str):
            for word, text in words.items():
                value = value.replace(word, text)
        return value

    edits = tuple({key: filled(value) for key, value in row.items() if key != "shared"} for row in _table())
    return EditTree(machine=machine, summary=f"seal {root}: host name {hostname}, new identities", root=root,
                    edits=edits)
