"""Which fields a form has: from an operation's declaration, and what is known of its object. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from qrm_tui.core.operations.arguments import Argument
from qrm_tui.core.operations.declarations import Operation

Row = Mapping[str, Any]
#: A setting's name that a field can stand for; others are typed as KEY=VALUE.
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Entry:
    """A field: an argument of its own, flags that exclude each other as one choice, or one of many settings."""

    argument: Argument
    #: what stands there at first
    value: Any = None
    sort: Literal["argument", "flags", "setting"] = "argument"
    #: it stands for what the object has already, and is sent only when it was changed
    present: bool = False
    #: of a setting: the argument that it is a part of
    part_of: str = ""


def entries(operation: Operation, given: Row, row: Row | None, *, several: bool) -> list[Entry]:
    """The fields of a form. `given`: what was typed already; `row`: the one object that it is about."""
    found: list[Entry] = []
    grouped: set[str] = set()
    for argument in operation.arguments:
        if argument.name in grouped or (several and argument.name == operation.subject):
            continue
        group = _exclusive(operation, argument)
        if len(group) > 1:
            grouped.update(flag.name for flag in group)
            chosen = next((flag.name for flag in group if given.get(flag.name)), None)
            found.append(Entry(_choice(group), chosen, "flags"))
        elif argument.type == "setting" and row and isinstance(row.get(argument.name), Mapping):
            found += _settings(argument, given, row[argument.name])
        else:
            present = _present(operation, argument, row)
            value = given.get(argument.name)
            found.append(Entry(argument, present if value is None else value, present=present is not None))
    return found


def _exclusive(operation: Operation, argument: Argument) -> list[Argument]:
    """The flags of which only one can be given, in the order of the declaration."""
    if argument.type != "flag":
        return []
    return [other for other in operation.arguments if other.type == "flag" and (
        other is argument or other.name in argument.excludes or argument.name in other.excludes)]


def _choice(flags: Sequence[Argument]) -> Argument:
    return Argument(" or ".join(flag.name for flag in flags).replace(" ", "_"), "choice",
                    "; ".join(f"{flag.name}: {flag.help}" for flag in flags),
                    choices=tuple(flag.name for flag in flags),
                    otherwise=next((flag.otherwise for flag in flags if flag.otherwise), ""))


def _settings(argument: Argument, given: Row, settings: Row) -> list[Entry]:
    typed = dict(given.get(argument.name) or {})
    keys = [key for key in settings if _KEY.fullmatch(key)]
    found = [Entry(Argument(key, "text", ""), typed.pop(key, settings[key]), "setting", True, argument.name)
             for key in keys]
    others = argument._replace(required=argument.required and not keys,
                               help="others, KEY=VALUE" if keys else argument.help)
    return [*found, Entry(others, typed or None)]


def _present(operation: Operation, argument: Argument, row: Row | None) -> Any:
    """What an object that is changed has now."""
    if operation.verb not in ("edit", "resize") or row is None or argument.required:
        return None
    if argument.choices and isinstance(row.get(argument.name), bool):
        return "yes" if row[argument.name] else "no"
    return row.get(argument.name) or (row.get("profile") or {}).get(argument.name)


def sent(values: Sequence[tuple[Entry, Any, bool]]) -> dict[str, Any]:
    """The arguments of a call from what stands in the fields: entry, value (None: nothing), whether it was changed."""
    arguments: dict[str, Any] = {}
    for entry, value, changed in values:
        if (value is None and entry.sort != "setting") or (entry.present and not changed):
            continue
        if entry.sort == "flags":
            arguments[value] = True
        elif entry.sort == "setting":
            arguments.setdefault(entry.part_of, {})[entry.argument.name] = "" if value is None else value
        elif isinstance(value, dict):
            arguments[entry.argument.name] = {**arguments.get(entry.argument.name, {}), **value}
        else:
            arguments[entry.argument.name] = value
    return arguments


def names(argument: Argument, operation: Operation, row: Row | None, rows: Mapping[str, Row]) -> list[str]:
    """The live objects that an argument may name, those that fit first."""
    if argument.type == "resource" and operation.kind == "ve":
        if operation.verb == "remove-resource":
            return sorted((row or {}).get("resources") or ())
        free = {name for name, other in rows.items() if other["state"] == "idle" and not other.get("maintenance")}
        return sorted(rows, key=lambda name: (name not in free, name))
    return sorted(rows)


def unreadable(path: str) -> str:
    """Why the content of this file cannot be sent; empty if it can."""
    try:
        if Path(path).is_dir():
            return f"{path} is a folder"
        if not Path(path).exists():
            return f"there is no file {path} on this machine"
    except (OSError, ValueError) as error:
        return getattr(error, "strerror", None) or str(error)
    return ""
