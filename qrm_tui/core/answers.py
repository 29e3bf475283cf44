"""The answers file (TOML): one table a component, its settings as keys; secrets are never in it.

Read with all errors at once, each with its line; written with the defaults that were computed for this machine.
"""
from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from qrm_tui.core.component_table import table
from qrm_tui.core.errors import BadInput
from qrm_tui.core.names import printable
from qrm_tui.core.settings import TYPES, Settings, check

#: Where every installation writes how the server is set up.
FILE = "/etc/qrm/answers.toml"
#: Lines with faults that are told at once; more are the consequence of the first ones.
_MOST_FAULTS = 20
_AT = re.compile(r"(.*) \(at (?:line ([0-9]+), column [0-9]+|end of document)\)", re.DOTALL)
_HEADING = re.compile(r"\s*\[\s*([A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*')\s*\]\s*(?:#.*)?")
#: A heading without its end: what follows is that table's all the same.
_OPEN = re.compile(r"\s*\[\s*([A-Za-z0-9_-]+)\s*(?:#.*)?")
_KEY = re.compile(r"\s*([A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*')\s*(?:\.\s*([A-Za-z0-9_-]+)\s*)?=")
#: What the reader of TOML says → what it means here; of the last ones, in which line the first one stands.
_WORDS = (
    (re.compile(r"Invalid statement|Expected '=' after a key.*"), "this is neither [TABLE] nor NAME = VALUE"),
    (re.compile(r"Invalid value"), "this is no value: a text stands in quotes"),
    (re.compile(r"Expected newline .* after a statement"), "there is something behind it: a text stands in quotes"),
    (re.compile(r"Expected (['\"]+)"), r"the text that begins here has no end: \1 is missing"),
    (re.compile(r"Illegal character '\\n'"), "the text that begins here has no end: a quote is missing"),
    (re.compile(r"Expected ']' at the end of .*"), "this table's name has no end: ] is missing"),
    (re.compile(r"Cannot declare .* twice"), "this table stands in the file already{}: what is in it belongs there"),
    (re.compile(r"Cannot overwrite a value|Duplicate inline table key.*"), "this stands in the file already{}"),
)
#: In place of the heading of a table that is there already: what follows belongs to no other.
_AGAIN = "again, line "
_KINDS = {"int": "a number", "bool": "true or false", "float": "a number with a point", "dict": "a table",
          "list": "a list", "date": "a date", "time": "a time", "datetime": "a date"}
#: Types of settings that are written otherwise than as a text, too: what that is in TOML, and what it is called.
_WRITTEN: Mapping[str, tuple[type, str]] = {
    **dict.fromkeys(("port", "count", "seconds"), (int, "a whole number")),
    "yesno": (bool, "true or false"), "ips": (list, "a list of texts")}


class Fault(NamedTuple):
    """What is wrong in a line (from 1; 0: in the file as a whole)."""

    line: int
    words: str


# reading


def read(text: str, present: Mapping[str, Mapping[str, str]] | None = None) -> Settings:
    """The settings of each component that the file names, with defaults; BadInput tells every fault with its line.

    `present`: settings of components that are set up already; those that the file does not name count as given.
    """
    text = text.removeprefix("\ufeff")  # editors on Windows put it there
    data, faults = _parse(text)
    unread = bool(faults)
    lines = _lines(text)
    given: Settings = {}
    refused: set[tuple[str, str]] = set()
    for name, value in data.items():
        if isinstance(value, list) and name in table():
            faults.append(Fault(0, f"[[{name}]] stands there: its settings are in one table, [{name}]"))
            continue
        if not isinstance(value, dict):
            faults.append(Fault(_line(lines, name, ""), f"{printable(name)} stands outside of a table: settings are in "
                                                        f"[{'], ['.join(table())}]"))
            continue
        given[name] = {}
        for key, setting in value.items():
            try:
                given[name][key] = _as_text(setting, _type(name, key))
            except ValueError as error:
                faults.append(Fault(_line(lines, name, key), f"{printable(name)}: {printable(key)}: {error}"))
                refused.add((name, key))
    if not given and not faults:
        faults.append(Fault(0, "it asks for nothing: it has no tables (qrm install answers prints a complete file)"))
    others = {name: dict(settings) for name, settings in (present or {}).items() if name not in given}
    kept, wrong = check({**given, **others})
    for item in wrong:
        missing = bool(item.key) and item.key not in given.get(item.component, {})
        # told already, or perhaps what stands in a line that cannot be read
        if item.component in others or (item.component, item.key) in refused or (missing and unread):
            continue
        named = f"{printable(item.component)}: {printable(item.key)}: " if item.key else ""
        faults.append(Fault(_line(lines, item.component, item.key), named + item.reason))
    if faults:
        told = sorted(faults, key=lambda fault: fault.line)
        more = [f"answers: and {len(told) - _MOST_FAULTS} more"] if len(told) > _MOST_FAULTS else []
        raise BadInput(*(f"line {fault.line}: {fault.words}" if fault.line else f"answers: {fault.words}"
                         for fault in told[:_MOST_FAULTS]), *more)
    return {name: kept[name] for name in given}


def components_of(text: str) -> list[str]:
    """Components that a file names, as far as it can be read."""
    return [name for name in _parse(text.removeprefix("\ufeff"))[0] if name in table()]


def _parse(text: str) -> tuple[dict[str, Any], list[Fault]]:
    """What TOML reads, without the lines that it cannot."""
    lines = text.split("\n")
    faults: list[Fault] = []
    while True:
        try:
            data = tomllib.loads("\n".join(lines))
            return {name: value for name, value in data.items() if not name.startswith(_AGAIN)}, faults
        except tomllib.TOMLDecodeError as error:
            match = _AT.fullmatch(str(error))
            at = min(int(match[2]) if match and match[2] else len(lines), len(lines))
            while at > 1 and not lines[at - 1].strip():
                at -= 1  # the end of the document: the last line that holds anything
            said = match[1] if match else str(error)
            faults.append(Fault(at, _in_words(said, text, at)))
            if not lines[at - 1] or len(faults) > _MOST_FAULTS:
                return {}, faults
            lines[at - 1] = _mended(lines[at - 1], said, at)
        except (ValueError, RecursionError):  # a number of 5000 digits, brackets in brackets
            return {}, [*faults, Fault(0, "it cannot be read: a number or a nesting that no answers file has")]


def _mended(line: str, said: str, at: int) -> str:
    """What stands in place of a line that cannot be read, so that what follows is read as it is meant."""
    if "twice" in said and _HEADING.fullmatch(line):
        return f'["{_AGAIN}{at}"]'
    match = _OPEN.fullmatch(line)
    return f"[{match[1]}]" if match else ""


def _in_words(said: str, text: str, at: int) -> str:
    """A fault of TOML itself, for people."""
    for pattern, words in _WORDS:
        if match := pattern.fullmatch(said):
            places = {number: place for number, *place in _places(text)}
            first = next((number for number, place in places.items() if number < at and place == places.get(at)), 0)
            return match.expand(words).format(f", in line {first}" if first else "")
    return printable(said, 200)


def _type(name: str, key: str) -> str:
    """A setting's type; "" of one that there is not."""
    component = table().get(name)
    return next((setting.type for setting in component.settings if setting.name == key), "") if component else ""


def _as_text(value: Any, kind: str) -> str:
    """A setting of this type as text; what is of another type in TOML is refused, even if its text would do."""
    if isinstance(value, str):
        return value
    if not kind:
        return ""  # there is no such setting, and that is told
    other, wanted = _WRITTEN.get(kind, (str, "a text"))
    if type(value) is not other:
        raise ValueError(f"{wanted} is wanted, not {_KINDS.get(type(value).__name__, 'this')}")
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        if not all(isinstance(part, str) for part in value):
            raise ValueError(f"{wanted} is wanted, not a list of other things")
        return ",".join(value)
    return str(value)


def _places(text: str) -> Iterator[tuple[int, str, str, str]]:
    """Of each line its number, table, key, and the key's second part (`dhcpd.range = `); of a heading its table."""
    heading = ""
    for number, line in enumerate(text.split("\n"), 1):
        if match := _HEADING.fullmatch(line) or _OPEN.fullmatch(line):
            heading = match[1].strip("\"'")
            yield number, heading, "", ""
        elif match := _KEY.match(line):
            yield number, heading, match[1].strip("\"'"), match[2] or ""


def _lines(text: str) -> dict[tuple[str, str], int]:
    """(table, key) → line; of a table its heading."""
    found: dict[tuple[str, str], int] = {}
    for number, heading, key, part in _places(text):
        if heading or not key:
            found.setdefault((heading, key), number)
        else:
            found.setdefault((key, part), number)
            found.setdefault((key, ""), number)
    return found


def _line(lines: Mapping[tuple[str, str], int], table: str, key: str) -> int:
    return lines.get((table, key), lines.get((table, ""), 0))


# writing


def write(settings: Mapping[str, Mapping[str, str]]) -> str:
    """A complete answers file, each setting with what it is."""
    parts = ["# How this server is set up: qrm install run --answers FILE. A component whose table is taken out of\n"
             "# here stays as it is.\n"]
    for name, component in table().items():
        if name not in settings:
            continue
        parts.append(f"\n# {component.what}\n[{name}]\n")
        for setting in component.settings:
            value = settings[name].get(setting.name, "").replace("\\", "\\\\").replace('"', '\\"')
            parts.append(f"# {setting.help}\n{setting.name} = \"{value}\"\n")
    others = [f"# [{name}]: {component.what}\n" for name, component in table().items()
              if name not in settings and not component.lacking]
    return "".join([*parts, *(["\n# Not asked for:\n"] if others else []), *others])


# for other programs


def schema() -> dict[str, Any]:
    """A JSON Schema (2020-12) of the file, for editors; what must fit together only `read` knows."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema", "title": "qrm's answers file", "type": "object",
        "additionalProperties": False, "minProperties": 1,
        "properties": {name: {
            "type": "object", "description": component.what, "additionalProperties": False,
            "properties": {setting.name: {
                "description": f"{setting.help} ({TYPES[setting.type].hint})", **_JSON.get(setting.type, _TEXT),
                **({} if setting.computed else {"default": setting.default})} for setting in component.settings},
            "required": [setting.name for setting in component.settings if setting.computed and not setting.optional],
        } for name, component in table().items()},
    }


_TEXT: Mapping[str, Any] = {"type": "string"}
#: How types are written in TOML, besides as texts.
_JSON: Mapping[str, Mapping[str, Any]] = {
    "yesno": {"anyOf": [{"type": "boolean"}, {"enum": ["yes", "no"]}]},
    "ips": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
    **{kind: {"anyOf": [{"type": "integer"}, {"type": "string", "pattern": "^[0-9]+$"}]}
       for kind in ("port", "count", "seconds")},
}
