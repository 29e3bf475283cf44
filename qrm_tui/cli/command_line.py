"""A command's words taken apart by the arguments that its declaration names; values are checked elsewhere."""
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from qrm_tui.core.errors import BadInput
from qrm_tui.core.names import printable
from qrm_tui.core.operations.arguments import TYPES, Argument


def take_apart(words: Sequence[str], arguments: Sequence[Argument],
               shorts: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Values as typed, by the arguments' names: text, lists of texts, bool for flags, {KEY: VALUE} for settings.

    `shorts` maps one-letter options (`-v`) to arguments' names. BadInput for what fits no argument.
    """
    shorts = shorts or {}
    by_option = {argument.option: argument for argument in arguments}
    by_option |= {short: by_option["--" + name.replace("_", "-")] for short, name in shorts.items()}
    given: dict[str, list[Any]] = {}
    loose: list[str] = []
    queue = iter(words)
    for word in queue:
        if word == "--":
            loose += queue
        elif word.startswith("-") and len(word) > 1:
            argument, value = _option(word, by_option, queue)
            given.setdefault(argument.name, []).append(value)
        else:
            loose.append(word)
    for argument in arguments:
        if argument.positional and argument.name not in given and loose:
            given[argument.name] = loose if argument.many else loose[:1]
            loose = [] if argument.many else loose[1:]
    if loose:
        raise BadInput(f"{printable(loose[0])!r} is one name too many here")
    return {argument.name: _value(argument, given[argument.name]) for argument in arguments if argument.name in given}


def _option(word: str, by_option: Mapping[str, Argument], queue: Iterator[str]) -> tuple[Argument, Any]:
    if word.startswith("--"):
        spelling, sign, value = word.partition("=")
    else:   # -m5000 and -m 5000
        spelling, value = word[:2], word[2:]
        sign = value
    argument = by_option.get(spelling)
    if argument is None and spelling.startswith("--no-"):
        argument = by_option.get("--" + spelling[5:])
        if argument is not None and argument.type == "flag" and not sign:
            return argument, False
        argument = None
    if argument is None:
        raise BadInput(f"there is no option {printable(spelling)}{nearest(spelling, by_option)}")
    if argument.type == "flag" and not sign:
        return argument, True
    if not sign:
        value = next(queue, "--")
        if value.startswith("--") or value in by_option:
            raise BadInput(f"{spelling} wants a value: {spelling} {TYPES[argument.type].word}")
    return argument, value


def _value(argument: Argument, typed: list[Any]) -> Any:
    if argument.type == "setting":
        settings: dict[str, str] = {}
        for text in typed:
            key, sign, value = text.partition("=")
            if not sign:
                raise BadInput(f"{argument.name}: {printable(text)!r} is not KEY=VALUE")
            if key in settings:
                raise BadInput(f"{argument.name}: {printable(key)} is given twice")
            settings[key] = value
        return settings
    if argument.many:
        return typed
    if len(typed) > 1:
        raise BadInput(f"{argument.option} is given twice")
    return typed[0]


def nearest(word: str, known: Mapping[str, Any] | Sequence[str]) -> str:
    """`; did you mean …?` with the nearest of the known words, or an empty text."""
    import difflib  # ponderous, and wanted only for a mistake

    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else ""
