"""Secrets that a command wants: asked for on the terminal, or read from a file or standard input; never an argument."""
from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from qrm_tui.cli.terminal import is_terminal, talk
from qrm_tui.core.errors import BadInput
from qrm_tui.core.operations.arguments import Argument, parse_value
from qrm_tui.core.operations.declarations import Operation

#: What a secret's name ends in where a file's path stands for it.
FILE = "_file"
#: Characters that are read of a file: more than any secret has.
_MOST = 4096


def as_files(operation: Operation) -> tuple[Argument, ...]:
    """An operation's arguments on the command line: a file in the place of each secret."""
    return tuple(Argument(argument.name + FILE, "file", f"its first line is {argument.help}; without it, you are asked")
                 if argument.secret else argument for argument in operation.arguments)


def filled(operation: Operation, given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments with each secret read, or asked for twice; BadInput."""
    found = dict(given)
    for argument in operation.arguments:
        if argument.secret:
            path = found.pop(argument.name + FILE, None)
            found[argument.name] = read(path) if path else ask_twice(argument)
    return found


def read(path: str) -> str:
    """The first line of a file, or of standard input (-)."""
    try:
        if path == "-":
            return sys.stdin.readline(_MOST).rstrip("\r\n")
        with open(path, encoding="utf-8") as file:  # noqa: PTH123  # pathlib costs start-up
            return file.readline(_MOST).rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: {getattr(error, 'strerror', None) or 'it is no UTF-8 text'}") from None


def ask(prompt: str, otherwise: str = "password_file") -> str:
    """What is typed on the terminal without being seen; BadInput where there is none."""
    if not (is_terminal(sys.stdin) and is_terminal(sys.stderr)):
        raise BadInput(f"nobody can be asked for the password here: --{otherwise.replace('_', '-')} FILE (- is "
                       "standard input)")
    import getpass

    try:
        return getpass.getpass(f"{prompt}: ", sys.stderr)
    except EOFError:
        raise BadInput("no password was typed; nothing was changed") from None


def ask_twice(argument: Argument) -> str:
    """A new one, until it may be one and was typed twice alike."""
    while True:
        first = ask(f"new {argument.name}", argument.name + FILE)
        try:
            parse_value(argument, first)
        except ValueError as error:
            talk(f"{error}; try again")
            continue
        if ask("once more", argument.name + FILE) == first:
            return first
        talk("those were not the same; try again")
