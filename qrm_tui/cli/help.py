"""What `--help` prints, made from the declarations."""
from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from qrm_tui.cli.shared_options import TABLE
from qrm_tui.cli.verbs import ALONE, NOUNS, Verb, nouns, verbs_of
from qrm_tui.core.operations.arguments import TYPES, Argument
from qrm_tui.core.units import format_size

_USAGE = "usage: qrm [--connect WHERE] [--json | --plain] NOUN VERB [NAME...] [options]"
_EXIT_CODES = """exit codes
  0  done                     3  refused by a check or a permission
  1  the job failed           4  no server there
  2  bad usage"""


def top_help() -> str:
    """`qrm --help`."""
    parts = [_USAGE, "openQRM in a terminal, as commands. stdout is data, stderr is talk.", "nouns and verbs"]
    parts += _pairs([(noun, f"{NOUNS.get(noun, '')}: {', '.join(verbs_of(noun))}") for noun in nouns()])
    parts += ["", *_pairs([(word, verb.summary) for word, verb in ALONE.items()])]
    return "\n".join([*parts[:1], "", parts[1], "", *parts[2:], "", *option_lines(), "", _EXIT_CODES, "",
                      "`qrm NOUN VERB --help` shows types, units, defaults and an example."])


def noun_help(noun: str) -> str:
    """`qrm NOUN --help`."""
    verbs = verbs_of(noun)
    lines = _pairs([(name, verb.summary) for name, verb in verbs.items()])
    examples = [f"  {verb.example}" for verb in verbs.values()]
    return "\n".join([f"usage: qrm {noun} VERB [NAME...] [options]", "", NOUNS.get(noun, ""), "", "verbs", *lines, "",
                      "examples", *examples])


def verb_help(verb: Verb) -> str:
    """`qrm NOUN VERB --help`."""
    command = f"{verb.noun} {verb.name}".rstrip()
    lines = [f"usage: qrm {command} {usage(verb.arguments)}".rstrip(), "", *_wrapped(verb.summary, 0)]
    operation = verb.operation
    if operation is not None:
        manner = {"job": "Plans first, then runs as a job.", "record": "Plans first, then is done at once.",
                  "session": "Watching and typing are noted in the server's log."}[operation.sort]
        if operation.destructive:
            manner += " Asks for the name on a terminal, wants --yes elsewhere."
        lines += _wrapped(f"{manner} Role: {operation.role.name}.", 0)
    return "\n".join([*lines, "", *argument_lines(verb.arguments), *option_lines(), "", "example",
                      f"  {verb.example}"])


def usage(arguments: Sequence[Argument], shorts: Mapping[str, str] | None = None) -> str:
    """Arguments in a line: NAME --needed SIZE [--other TEXT]; `shorts`: by one-letter option the argument's name."""
    words = []
    by_name = {name: short for short, name in (shorts or {}).items()}
    for argument in arguments:
        word = _place(argument) if argument.positional else _spelled(argument, by_name.get(argument.name))
        word += "..." if argument.many else ""
        words.append(word if argument.required else f"[{word}]")
    return " ".join(words)


def argument_lines(arguments: Sequence[Argument], shorts: Mapping[str, str] | None = None) -> list[str]:
    """A paragraph on each argument: what, type, unit, default; empty without arguments."""
    by_name = {name: short for short, name in (shorts or {}).items()}
    pairs = []
    for argument in arguments:
        notes = [", ".join(argument.choices) if argument.choices else TYPES[argument.type].hint]
        if argument.required:
            notes.append("needed")
        if argument.many:
            notes.append("several may be given")
        if argument.default is not None:
            notes.append(f"default {_default(argument)}")
        word = _place(argument) if argument.positional else _spelled(argument, by_name.get(argument.name))
        pairs.append((word, f"{argument.help} ({'; '.join(notes)})" if argument.type != "flag" else argument.help))
    return ["arguments", *_pairs(pairs), ""] if pairs else []


def _place(argument: Argument) -> str:
    return argument.name.upper() if argument.name != "name" else TYPES[argument.type].word or "NAME"


def _spelled(argument: Argument, short: str | None) -> str:
    word = TYPES[argument.type].word
    return f"{short or argument.option} {word}".rstrip()


def _default(argument: Argument) -> str:
    if argument.type == "size":
        return format_size(argument.default)
    return f"{argument.default:.0%}" if argument.type == "share" else str(argument.default)


def option_lines() -> list[str]:
    """A paragraph on the options common to all verbs."""
    return ["options that may stand anywhere", *_pairs([(f"{spelling} {word}".rstrip(), text)
                                                        for spelling, _, word, text in TABLE])]


def _pairs(pairs: Sequence[tuple[str, str]]) -> list[str]:
    """Two columns, the second one wrapped."""
    column = min(26, max((len(left) for left, _ in pairs), default=0)) + 4
    lines = []
    for left, right in pairs:
        first, *others = _wrapped(right, column) or [""]
        if len(left) + 4 > column:
            lines.append(f"  {left}")
            lines.append(" " * column + first)
        else:
            lines.append(f"  {left}".ljust(column) + first)
        lines += [" " * column + other for other in others]
    return lines


def _wrapped(text: str, indent: int) -> list[str]:
    room = max(30, min(100, _columns()) - indent)
    lines, line = [], ""
    for word in text.split():
        if line and len(line) + 1 + len(word) > room:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}" if line else word
    return [*lines, line] if line else lines


def _columns() -> int:
    told = os.environ.get("COLUMNS", "")
    if told.isdigit() and int(told):
        return int(told)
    try:
        return os.get_terminal_size().columns or 80
    except OSError:
        return 80
