"""What a machine is asked before anything is set up on it (data/machine.toml): commands that only look, and files."""
from __future__ import annotations

import sys
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from qrm_tui.core.places import data_folder

#: Longest file that is kept, in characters.
MOST_OF_A_FILE = 64 << 10
#: Says which files there are in folders.
_LIST = ("find", "-L")
#: The question for the files, and who offers addresses on each wire; the answers of the latter are called
#: `offers INTERFACE`.
FILES, OFFERS = "files", "offers"


@cache
def _table() -> Mapping[str, Any]:
    return tomllib.loads((data_folder() / "machine.toml").read_text())


@cache
def commands() -> Mapping[str, tuple[str, ...]]:
    """Commands by what they tell of."""
    return {name: tuple(argv) for name, argv in _table()["commands"].items()}


def everything() -> tuple[str, ...]:
    """Names of all questions."""
    return (*commands(), FILES, OFFERS)


def files() -> tuple[str, ...]:
    """Files that are read whole."""
    return tuple(_table()["files"])


def files_argv() -> tuple[str, ...]:
    """The command that names the files in folders that are read whole."""
    return (*_LIST, *_table()["folders"], "-maxdepth", "1", "-type", "f", "-size", "-64k")


def offers_argv(interface: str) -> tuple[str, ...]:
    """Who offers addresses on a network interface: a question on the wire, which nobody needs to answer."""
    return (sys.executable, "-m", "qrm_tui.dhcpask", interface)


def wired(interfaces: Sequence[Mapping[str, Any]]) -> list[str]:
    """Interfaces on which one can ask for addresses, from `ip -json address show` (ip-address(8))."""
    return [str(row["ifname"]) for row in interfaces
            if row.get("link_type") == "ether" and "UP" in row.get("flags", ())]
