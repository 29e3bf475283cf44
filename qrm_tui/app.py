"""qrm-tui: openQRM in a terminal. Reads the command line, then hands over to the Textual application."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qrm_tui.screens.application import QrmApp
    from qrm_tui.screens.practice import Practice
    from qrm_tui.styles.themes import Look

LOOKS = ("auto", "dark", "linux", "mono", "basic")


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """What was asked for on the command line."""
    parser = argparse.ArgumentParser(
        prog="qrm-tui", description="openQRM in a terminal.",
        epilog="Without --connect: QRM_CONNECT, else the installed server's socket. Keys: ? inside.")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--connect", metavar="WHERE", help="a server's unix socket, or ssh://[user@]host[:port]")
    where.add_argument("--practice", metavar="FARM", nargs="?", const="small",
                       help="a simulated farm of your own, gone when you leave")
    where.add_argument("--machine", metavar="FILE", type=_recording,
                       help="the installer as it would be on this recorded machine; nothing is changed")
    parser.add_argument("--install", action="store_true", help="set up the server")
    parser.add_argument("--look", "--theme", choices=LOOKS, default="auto",
                        help="how it is shown: by default as the terminal can; basic is ASCII and few bytes (ctrl+t)")
    parser.add_argument("--leave-key", metavar="KEY", type=_leave_key, default=os.environ.get("QRM_LEAVE_KEY") or None,
                        help="leaves a machine's console, as in ctrl+o (by default ctrl+]; or QRM_LEAVE_KEY)")
    parser.add_argument("--log-in", action="store_true",
                        help="ask for name and password also where this account has a role: a shared terminal")
    parser.add_argument("--read-only", action="store_true", help="look, and change nothing")
    return parser.parse_args(argv)


def installer(argv: Sequence[str] | None = None) -> int:
    """`qrm-installer`: set up a server on this machine, on this terminal."""
    parser = argparse.ArgumentParser(prog="qrm-installer", description="Sets up an openQRM server on this machine.")
    parser.add_argument("-i", "--install", action="store_true", help="set it up (it does nothing else)")
    parser.add_argument("-c", "--console", action="store_true", help="on this terminal (there is no other way)")
    parser.add_argument("--look", "--theme", choices=LOOKS, default="auto", help="how it is shown")
    asked = parser.parse_args(argv)
    from qrm_tui.client.installer import start
    from qrm_tui.core.errors import QrmError

    try:
        start()
    except QrmError as error:
        print(f"qrm-installer: {error}", file=sys.stderr)
        return error.exit_code
    return main(["--install", "--look", asked.look])


def _leave_key(text: str) -> str:
    """A key that every terminal sends and that can be told from typing."""
    if not re.fullmatch(r"ctrl\+[a-z]|f([1-9]|1[0-2])", text) or text in ("ctrl+h", "ctrl+i", "ctrl+j", "ctrl+m"):
        raise argparse.ArgumentTypeError(f"{text!r} is no such key: ctrl+ and a letter, or f1 to f12")
    return text


def _recording(path: str) -> str:
    from qrm_tui.client.recordings import check_recording
    from qrm_tui.core.errors import BadInput

    try:
        check_recording(path)
    except BadInput as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return path


def main(argv: Sequence[str] | None = None) -> int:
    """Run it until the user leaves; the exit code of the process."""
    asked = arguments(argv)
    practice = None
    if asked.practice or asked.machine:
        # first of all: it starts while the rest is imported
        from qrm_tui.screens.practice import Practice

        try:
            practice = Practice(asked.practice or "", machine=asked.machine or "")
        except OSError as error:
            print(f"qrm-tui: no practice farm: {error}", file=sys.stderr)
            return 1
    return _run(asked, practice)


def _run(asked: argparse.Namespace, practice: Practice | None) -> int:
    from qrm_tui.client.where import default_where
    from qrm_tui.core.errors import QrmError
    from qrm_tui.styles.choosing import glyphs_on, looks_for
    from qrm_tui.styles.themes import apply_glyphs
    from qrm_tui.widgets.spans import send_only_changes

    environ = dict(os.environ)
    send_only_changes()
    where = practice.where if practice else asked.connect or default_where(environ)
    app, view = None, None
    try:
        with glyphs_on(sys.stdin.fileno()) as glyphs:
            looks = looks_for(environ, sys.stdin.fileno(), asked.look, glyphs)
            wanted: str | None = asked.look
            while wanted:
                look = looks[wanted]
                undo = apply_glyphs(look)
                app = _app(where, asked, look, practice, view)
                app.run()
                undo()
                wanted, where, practice, view = app.next_look, app.live.where, app.practice, app.next_view
        return app.return_code or 0 if app else 0
    except QrmError as error:
        print(f"qrm-tui: {error}", file=sys.stderr)
        return error.exit_code
    finally:
        practice = app.practice if app else practice
        if practice:
            practice.stop()
        _let_go_of_a_dead_line()


def _let_go_of_a_dead_line() -> None:
    """What could not be written any more is dropped: Python would end with 120 for it (sys.exit, 3.6)."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)


def _app(where: str, asked: argparse.Namespace, look: Look, practice: Practice | None, view: str | None) -> QrmApp:
    """The application in this look, to be run once."""
    from qrm_tui.client.connection import Client
    from qrm_tui.screens.application import QrmApp
    from qrm_tui.styles.choosing import driver_for

    kind = QrmApp
    if look.few_bytes:
        from qrm_tui.screens.basic import BasicApp

        kind = BasicApp
    app = kind(where, connect=Client, look=look, read_only=asked.read_only, practice=practice, view=view,
               install=asked.install or bool(asked.machine), asks_log_in=asked.log_in)
    app.driver_class = driver_for(look, os.environ) or app.driver_class
    if asked.leave_key:
        app.set_keymap({"console.always.leave": asked.leave_key})
    return app


if __name__ == "__main__":
    sys.exit(main())
