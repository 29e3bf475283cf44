"""The entry point of `qrm`: finds the verb, runs it, turns every trouble into a line and an exit code."""
from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence

from qrm_tui import __version__
from qrm_tui.core.errors import BadInput, QrmError
from qrm_tui.core.names import there_are


def main() -> None:
    """The command `qrm`."""
    sys.exit(guarded("qrm", run, sys.argv[1:]))


def run(line: Sequence[str]) -> int:
    """One command line; the exit code. Errors of `core.errors`."""
    from qrm_tui.cli import help, verbs
    from qrm_tui.cli.command_line import nearest, take_apart
    from qrm_tui.cli.shared_options import split_options
    from qrm_tui.cli.terminal import emit, harmless

    options, words = split_options(line)
    if options.version:
        emit(f"qrm {__version__}")
        return 0
    if not words:
        if options.help:
            emit(help.top_help())
            return 0
        raise BadInput("say what to do: qrm NOUN VERB, as in `qrm image list`; `qrm --help` lists all")
    noun, *words = words
    if noun.startswith("-"):
        raise BadInput(f"there is no option {harmless(noun)} here: NOUN and VERB come before a verb's own options; "
                       "see qrm --help")
    verb = verbs.ALONE.get(noun)
    if verb is None:
        table = verbs.verbs_of(noun)
        if not table:
            raise BadInput(f"there is no noun {harmless(noun)!r}{nearest(noun, [*verbs.nouns(), *verbs.ALONE])} "
                           "(qrm --help)")
        if not words:
            if options.help:
                emit(help.noun_help(noun))
                return 0
            raise BadInput(f"{noun}: say what to do: {', '.join(table)} (qrm {noun} --help)")
        name, *words = words
        if name not in table:
            raise BadInput(f"{noun}: there is no verb {harmless(name)!r}{nearest(name, table)}; {there_are(table)}")
        verb = table[name]
    if options.help:
        emit(help.verb_help(verb))
        return 0
    from qrm_tui.core.operations.arguments import check_arguments

    given = take_apart(words, verb.arguments)
    checked = check_arguments(verb.arguments, given)
    from importlib import import_module

    from qrm_tui.cli.session import Session

    module, _, function = verb.handler.partition(":")
    handler = getattr(import_module(f"qrm_tui.cli.{module}"), function)
    with Session(options) as session:
        code: int = handler(session, verb, given if verb.operation else checked)
    return code


def guarded(program: str, command: Callable[[Sequence[str]], int], line: Sequence[str]) -> int:
    """Run a command; its exit code, with every trouble told in a line on stderr and never a traceback."""
    from qrm_tui.cli.terminal import ReaderGone, harmless, talk

    if sys.stdout is None:   # closed by the caller (`>&-`)
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115  # pathlib costs start-up; open until the end
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        return command(line)
    except QrmError as error:
        for reason in error.reasons:
            talk(harmless(f"{program}: {reason}"))
        return error.exit_code
    except ReaderGone:
        return 0
    except KeyboardInterrupt:
        talk("")
        return 130
    except Exception as error:
        if os.environ.get("QRM_DEBUG") == "1":
            import traceback

            talk(traceback.format_exc())
        talk(harmless(f"{program}: unexpected: {type(error).__name__}: {error}; this is a fault of qrm: "
                      "QRM_DEBUG=1 shows where"))
        return 1


if __name__ == "__main__":
    main()
