"""The options that every command takes; they may stand anywhere on the line."""
from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from qrm_tui.core.errors import BadInput
from qrm_tui.core.names import printable


class Options(NamedTuple):
    """What was asked for by options common to all verbs."""

    json: bool = False
    plain: bool = False
    plan: bool = False
    yes: bool = False
    no_wait: bool = False
    help: bool = False
    version: bool = False
    reason: str = ""
    connect: str = ""


#: Spelling, field, word for its value (empty: a flag), help.
TABLE: tuple[tuple[str, str, str, str], ...] = (
    ("--connect", "connect", "WHERE", "the server: a unix socket, or ssh://[user@]host (else QRM_CONNECT, else the "
     "installed one)"),
    ("--json", "json", "", "print JSON: an array (list) or an object; sizes in bytes, times in RFC 3339 UTC"),
    ("--plain", "plain", "", "print tab-separated text without header or colour"),
    ("--plan", "plan", "", "print what would be done, and change nothing"),
    ("--yes", "yes", "", "do not ask, also where something is stopped, removed or written over"),
    ("--no-wait", "no_wait", "", "print the job's number at once and do not follow it"),
    ("--reason", "reason", "TEXT", "why, for the journal"),
    ("--help", "help", "", "this text; also -h"),
    ("--version", "version", "", "print the version"),
)
_BY_SPELLING = {spelling: (field, word) for spelling, field, word, _ in TABLE} | {"-h": ("help", "")}


def split_options(line: Sequence[str]) -> tuple[Options, list[str]]:
    """The common options of a command line, and what is left of it in order; BadInput."""
    found: dict[str, bool | str] = {}
    rest: list[str] = []
    words = iter(line)
    for word in words:
        if word == "--":
            rest += [word, *words]
            break
        spelling, sign, value = word.partition("=")
        if spelling not in _BY_SPELLING:
            rest.append(word)
            continue
        field, wants = _BY_SPELLING[spelling]
        if not wants:
            if sign:
                raise BadInput(f"{spelling} takes no value")
            found[field] = True
            continue
        if not sign:
            value = next(words, "--")
            if value.startswith("--"):
                raise BadInput(f"{spelling} wants a value: {spelling} {wants}")
        if not value:
            raise BadInput(f"{spelling}: is empty; write {spelling} {wants}")
        if field in found:
            raise BadInput(f"{spelling} is given twice")
        if wants == "TEXT" and (not value.isprintable() or len(value) > 1000):
            raise BadInput(f"{spelling}: {printable(value)!r} is no line of at most 1000 characters")
        found[field] = value
    options = Options(**found)  # type: ignore[arg-type]  # fields and their types are the table's
    if options.json and options.plain:
        raise BadInput("--json and --plain: take one of them")
    return options, rest
