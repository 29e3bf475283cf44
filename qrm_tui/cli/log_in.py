"""`login`, `logout`, `whoami`, and a password of one's own."""
from __future__ import annotations

import sys
from typing import Any

from qrm_tui.cli import secrets
from qrm_tui.cli.follow import carry_out
from qrm_tui.cli.output import emit_object
from qrm_tui.cli.session import Session
from qrm_tui.cli.terminal import emit, harmless, is_terminal, talk
from qrm_tui.cli.verbs import Verb
from qrm_tui.client import sessions
from qrm_tui.core.errors import BadInput, NotLoggedIn, QrmError, Refused
from qrm_tui.core.operations.arguments import Argument
from qrm_tui.core.operations.registry import find

Row = dict[str, Any]


def log_in(session: Session, verb: Verb, given: Row) -> int:
    """`login`: a session for this terminal's commands; a first password is changed at once."""
    name = given["name"] or _ask_name()
    password = secrets.read(given["password_file"]) if given["password_file"] else secrets.ask(f"password of {name}")

    async def asking(client: Any) -> tuple[Row, str]:
        client.session = ""
        return await client.log_in(name, password), client.session

    answer, token = session.call(asking)
    if answer["must_change"]:
        try:
            new = secrets.read(given["new_password_file"]) if given["new_password_file"] else _ask_new(name)
            answer |= session.call(lambda client: client.change_password(password, new))
        except (QrmError, KeyboardInterrupt):
            session.call(lambda client: client.log_out())
            raise
    try:
        sessions.keep(session.where, token)
    except (QrmError, OSError) as error:
        session.call(lambda client: client.log_out())
        raise Refused(f"the session cannot be kept for the next command: {error}") from None
    _told(session, {"user": answer["user"], "role": answer["role"]},
          f"logged in as {answer['user']}, {answer['role']}; `qrm logout` ends it")
    return 0


def log_out(session: Session, verb: Verb, given: Row) -> int:
    """`logout`: the session ends, and this terminal's commands are its account's again."""
    there = sessions.load(session.where)
    sessions.forget(session.where)
    if there:
        session.call(lambda client: client.log_out())
    talk("logged out" if there else "nobody was logged in here")
    return 0


def who_am_i(session: Session, verb: Verb, given: Row) -> int:
    """`whoami`: who one is to the server, and how it knows."""
    hello = session.call(lambda client: client.hello())
    logged_in = bool(hello.get("session"))
    if session.logged_in and not logged_in:
        raise NotLoggedIn("your session has ended: log in again (qrm login), or forget it (qrm logout)")
    known = "session" if logged_in else "account" if hello.get("role") != "nobody" else "nothing"
    row = {"user": hello.get("user"), "role": hello.get("role"), "by": known}
    words = {"session": "logged in", "account": "by this account's groups", "nothing": "log in: qrm login"}[known]
    if session.options.json or session.options.plain:
        emit_object(row, session.options)
    else:
        emit(harmless(f"{row['user']}, {row['role']} ({words})"))
    return 0


def password(session: Session, verb: Verb, given: Row) -> int:
    """`user password`: somebody's by an administrator, or one's own where nobody is named."""
    operation = find("user.password")
    if given.get("name"):
        return carry_out(session, operation, given)
    if not session.logged_in:
        raise BadInput("say whose: qrm user password NAME; your own after qrm login")
    user = str(session.call(lambda client: client.hello())["user"])
    old = secrets.read(given["old_password_file"]) if given.get("old_password_file") else \
        secrets.ask(f"present password of {user}", "old_password_file")
    new = secrets.read(given["password_file"]) if given.get("password_file") else _ask_new(user)
    answer = session.call(lambda client: client.change_password(old, new))
    _told(session, answer, f"user {user} has the new password; your other sessions have ended")
    return 0


def _ask_name() -> str:
    if not (is_terminal(sys.stdin) and is_terminal(sys.stderr)):
        raise BadInput("say who: qrm login NAME")
    talk("name: ", end="")
    return sys.stdin.readline().strip()


def _ask_new(user: str) -> str:
    talk(harmless(f"{user} needs a password of their own, at least 8 characters"))
    argument: Argument = find("user.password").argument("password")
    return secrets.ask_twice(argument)


def _told(session: Session, row: Row, words: str) -> None:
    if session.options.json or session.options.plain:
        emit_object(row, session.options)
    else:
        talk(harmless(words))
