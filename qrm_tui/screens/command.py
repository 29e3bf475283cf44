"""The grammar of `:`: views by name, and the command line's own NOUN VERB, both with completion.

Pure: text in, what is meant or a reason out. Everything about operations comes from their declarations.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from qrm_tui.core.errors import BadInput
from qrm_tui.core.names import there_are
from qrm_tui.core.operations.arguments import TYPES, Argument
from qrm_tui.core.operations.declarations import Operation
from qrm_tui.core.operations.registry import OPERATIONS, of_kind
from qrm_tui.screens.columns import View
from qrm_tui.screens.views import BY_KIND, BY_NAME, VIEWS

#: Options of `qrm` that say how a plan is shown or asked for; here it is always shown, and asked for.
_NOT_HERE = frozenset(("--plan", "--json", "--plain", "--yes", "--no-wait"))
#: As after --look.
LOOK_NAMES = ("auto", "dark", "linux", "mono", "basic")
_LEAVE = frozenset(("q", "quit", "exit"))
#: Words about who is at the keyboard, and what they do.
_SESSION = {"lock": "ask for the password again", "logout": "end the session", "login": "as another user",
            "password": "another one of your own"}


@dataclass(frozen=True, slots=True)
class Call:
    """An operation with the arguments as typed; `missing` are those that it needs yet."""

    operation: Operation
    arguments: dict[str, Any]
    reason: str = ""
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Visit:
    """A view, with a filter, or with the cursor on an object; `open`: and go into it; `why`: and ask why."""

    view: View
    filter: str | None = None
    name: str | None = None
    open: bool = False
    why: bool = False


@dataclass(frozen=True, slots=True)
class Wall:
    """The consoles of these machines, or of those that a filter names; of all where nothing is said."""

    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Wear:
    """Another look."""

    look: str


@dataclass(frozen=True, slots=True)
class Word:
    """`quit`, `help`, `setup`, or about who is at the keyboard."""

    word: str


@dataclass(frozen=True, slots=True)
class Hint:
    """What may stand next, and what it is; `text` is empty where only the kind of value can be told."""

    text: str
    about: str = field(default="")


def parse(text: str) -> Call | Visit | Wall | Wear | Word:
    """What a typed line means; BadInput with the reason."""
    try:
        words = shlex.split(text)
    except ValueError:
        raise BadInput("a quote is not closed") from None
    if words[:1] == ["qrm"]:
        words = words[1:]
    if not words:
        raise BadInput("type a view (images, jobs) or a command (image clone SOURCE NAME)")
    noun, *rest = words
    if noun in _LEAVE:
        return Word("quit")
    if noun == "setup":
        return Word("setup")
    if noun in _SESSION and not rest:
        return Word(noun)
    if noun in ("help", "?"):
        return Word("help")
    if noun == "wall":
        return Wall(tuple(rest))
    if noun == "look":
        if len(rest) != 1 or rest[0] not in LOOK_NAMES:
            raise BadInput(f"look wants one of {', '.join(LOOK_NAMES)}")
        return Wear(rest[0])
    view = BY_NAME.get(noun) or BY_KIND.get(noun)
    if view is not None and not rest:
        return Visit(view)
    if view is not None and rest[0] in ("list", "status", "show", "log", "why"):
        return _visit(view, rest[0], rest[1:])
    if noun in BY_NAME and noun not in _nouns():
        return Visit(BY_NAME[noun], filter=" ".join(rest))
    return _call(noun, rest)


def _nouns() -> list[str]:
    return list(dict.fromkeys(operation.kind for operation in OPERATIONS.values()))


def _visit(view: View, verb: str, rest: Sequence[str]) -> Visit:
    if verb in ("list", "status"):
        if rest[:1] == ["--filter"] and len(rest) == 2:
            return Visit(view, filter=rest[1])
        if rest:
            raise BadInput(f"{rest[0]!r} is not known here: {verb} takes --filter EXPRESSION")
        return Visit(view)
    if len(rest) != 1:
        raise BadInput(f"{verb} wants one name")
    return Visit(view, name=rest[0], open=verb != "why", why=verb == "why")


def _call(noun: str, rest: Sequence[str]) -> Call:
    operations = {operation.verb: operation for operation in of_kind(noun)}
    if not operations:
        raise BadInput(f"there is no view and no noun {noun!r}; there are "
                       f"{', '.join([*(view.name for view in VIEWS), *_nouns()])}")
    verb = rest[0] if rest else ""
    if verb not in operations:
        trouble = f"{noun} has no verb {verb!r}" if verb else f"{noun} wants a verb"
        raise BadInput(f"{trouble}; {there_are(operations)}")
    return parse_arguments(operations[verb], rest[1:])


def parse_arguments(operation: Operation, words: Sequence[str]) -> Call:
    """The words after NOUN VERB as that operation's arguments, not yet parsed by type."""
    options = {argument.option: argument for argument in _typed(operation) if not argument.positional}
    values: list[str] = []
    given: dict[str, Any] = {}
    reason, place = "", 0
    words = list(words)
    while place < len(words):
        word = words[place]
        place += 1
        if not word.startswith("--") or word == "--":
            values.append(word)
            continue
        name, sign, value = word.partition("=")
        if name in _NOT_HERE:
            continue
        argument = options.get(name)
        if argument is None and name != "--reason":
            raise BadInput(f"{operation.kind} {operation.verb} has no option {name}; there are "
                           f"{', '.join([*options, '--reason'])}")
        if argument is not None and argument.type == "flag" and not sign:
            given[argument.name] = True
            continue
        if not sign:
            if place >= len(words):
                raise BadInput(f"{name} wants a value")
            value = words[place]
            place += 1
        if argument is None:
            reason = value
        elif argument.many:
            given.setdefault(argument.name, []).append(value)
        else:
            given[argument.name] = value
    _positionals(operation, values, given)
    missing = tuple(a.name for a in _typed(operation) if a.required and not given.get(a.name))
    return Call(operation, given, reason, missing)


def _positionals(operation: Operation, values: list[str], given: dict[str, Any]) -> None:
    for argument in operation.arguments:
        if not argument.positional or not values:
            continue
        if argument.many:
            given[argument.name], values = values, []
        else:
            given[argument.name], values = values[0], values[1:]
    if values:
        raise BadInput(f"{values[0]!r} is one word too many; {operation.kind} {operation.verb} takes "
                       f"{usage(operation)}")


def _typed(operation: Operation) -> list[Argument]:
    """The arguments that may be seen: secrets are asked for."""
    return [argument for argument in operation.arguments if not argument.secret]


def usage(operation: Operation) -> str:
    """`SOURCE NAME [--hostname HOST]`, from the declaration."""
    parts = []
    for argument in _typed(operation):
        option = f"{argument.option} {TYPES[argument.type].word}".strip()
        word = argument.name.upper() if argument.positional else option
        word += "..." if argument.many else ""
        parts.append(word if argument.required else f"[{word}]")
    return " ".join(parts)


def command_text(operation: Operation, arguments: Mapping[str, Any]) -> str:
    """The `qrm` command of a call, leaving out what is as by default."""
    words = ["qrm", operation.kind, operation.verb]
    options: list[str] = []
    for argument in _typed(operation):
        value = arguments.get(argument.name)
        if value is None or value == "" or value == [] or value == {} or value is False:
            continue
        values = [f"{k}={v}" for k, v in value.items()] if isinstance(value, Mapping) else (
            list(map(str, value)) if isinstance(value, (list, tuple)) else [str(value)])
        if argument.positional:
            words += values
        elif value is True:
            options.append(argument.option)
        else:
            for one in values:
                options += [argument.option, one]
    return shlex.join(words + options)


def complete(text: str, names: Callable[[str], Sequence[str]], limit: int = 6) -> list[Hint]:
    """What may stand where the last word is being typed; `names(kind)` are the live objects' names."""
    words = text.split()
    begun = "" if not text or text.endswith(" ") else words.pop()
    if words[:1] == ["qrm"]:
        words = words[1:]
    return [hint for hint in _next(words, names) if hint.text.startswith(begun)][:limit]


def _next(words: Sequence[str], names: Callable[[str], Sequence[str]]) -> list[Hint]:
    if not words:
        views = [Hint(view.name, f"view {view.key}".strip()) for view in VIEWS]
        nouns = [Hint(noun, "+ verb") for noun in _nouns() if noun not in BY_NAME]
        return [*views, *nouns, Hint("wall", "consoles side by side"),
                Hint("look", "+ how the program looks"), Hint("setup", "the server's checks, components and settings"),
                Hint("quit"), Hint("help"), *(Hint(word, about) for word, about in _SESSION.items())]
    if words[0] == "look":
        return [Hint(name) for name in LOOK_NAMES] if len(words) == 1 else []
    if words[0] == "wall":
        return [Hint(name) for name in names("resource") if name not in words]
    operations = {operation.verb: operation for operation in of_kind(words[0])}
    if len(words) == 1:
        return [*(Hint(verb, operation.summary) for verb, operation in operations.items()),
                *([Hint("show", "go into one"), Hint("why", "why it is in its state, and what next")]
                  if words[0] in BY_KIND else [])]
    operation = operations.get(words[1])
    if operation is None:
        return [Hint(name) for name in names(words[0])] if words[1] in ("show", "log", "why") else []
    return _next_argument(operation, words[2:], names)


def _next_argument(operation: Operation, words: Sequence[str], names: Callable[[str], Sequence[str]]) -> list[Hint]:
    options = {argument.option: argument for argument in _typed(operation) if not argument.positional}
    if words and (argument := options.get(words[-1])) and argument.type != "flag":
        return _values(argument, names)
    plain = [word for place, word in enumerate(words)
             if not word.startswith("--") and not (place and words[place - 1] in options)]
    positionals = [argument for argument in operation.arguments if argument.positional]
    hints: list[Hint] = []
    if len(plain) < len(positionals):
        hints += _values(positionals[len(plain)], names)
    elif positionals and positionals[-1].many:
        hints += _values(positionals[-1], names)
    return hints + [Hint(option, argument.help) for option, argument in options.items()
                    if option not in words or argument.many]


def _values(argument: Argument, names: Callable[[str], Sequence[str]]) -> list[Hint]:
    if argument.choices:
        return [Hint(choice) for choice in argument.choices]
    live = names(argument.type)
    return [Hint(name) for name in live] or [Hint("", f"{argument.name.upper()}: {argument.help}")]
