"""`practice power-on|fault`: what one does to a simulated farm's machines with one's own hands."""
from __future__ import annotations

import os
from typing import Any

from qrm_tui.cli.output import emit_json
from qrm_tui.cli.practice import where_of
from qrm_tui.cli.session import Session
from qrm_tui.cli.terminal import emit, harmless, talk
from qrm_tui.cli.verbs import Verb
from qrm_tui.core.errors import BadInput


def power_on(session: Session, verb: Verb, given: dict[str, Any]) -> int:
    """Push buttons; the names of the machines that were off, a line each, unless all are pushed."""
    if bool(given["name"]) == bool(given["all"]):
        raise BadInput("name: say which machines, or --all")
    answer = _ask(session, given["farm"], "power-on", {"names": list(given["name"])})
    names = answer["switched_on"]
    if session.options.json:
        emit_json(answer)
        return 0
    for name in () if given["all"] else names:
        emit(harmless(name))
    talk(f"{len(names)} machine{'' if len(names) == 1 else 's'} switched on" if names else "they are all on already")
    return 0


def fault(session: Session, verb: Verb, given: dict[str, Any]) -> int:
    """Put a fault in, or take it out."""
    answer = _ask(session, given["farm"], "fault", {
        "machine": given["name"], "fault": given["fault"], "arguments": given["arguments"], "clear": given["clear"]})
    if session.options.json:
        emit_json(answer)
    else:
        talk(harmless(str(answer["said"])))
    return 0


def _ask(session: Session, farm: str, verb: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Of the farm that is named by --connect or QRM_CONNECT, else of the one that runs in the background."""
    if not (session.options.connect or os.environ.get("QRM_CONNECT")):
        session.options.connect = where_of(farm)
    return session.call(lambda client: client.practise(verb, arguments))
