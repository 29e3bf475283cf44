"""Users: who may log in, as what. Passwords come here sealed already."""
from __future__ import annotations

from typing import Any

import msgspec

from qrm_tui.backends.planning import Call, Draft
from qrm_tui.core.errors import Refused
from qrm_tui.core.model import Item
from qrm_tui.core.operations.declarations import Role
from qrm_tui.core.plan import Change, Inverse, Lock, Record
from qrm_tui.core.users import UserWanted


def _draft(name: str, summary: str, wanted: UserWanted | None, inverse: Inverse | None = None) -> Draft:
    # the former password is nothing that a plan should carry
    change = Change(kind="user", name=name, wanted=None if wanted is None else msgspec.to_builtins(wanted))
    return Draft(f"user/{name}", [Record(summary=summary, changes=(change,))], [Lock(f"user/{name}")], inverse=inverse)


def plan_add(call: Call) -> Draft:
    """One more user."""
    given: dict[str, Any] = call.arguments
    call.reading.absent("user", given["name"])
    wanted = UserWanted(role=given["role"], password=given["password"])
    draft = _draft(given["name"], f"user {given['name']} may log in as {given['role']}", wanted,
                   Inverse("user.remove", {"name": given["name"]}))
    draft.notes.append("the password is changed at the first log-in")
    return draft


def plan_password(call: Call) -> Draft:
    """Another password, for one who has forgotten theirs."""
    user = call.reading.get("user", call.arguments["name"])
    draft = _draft(user.name, f"user {user.name} has another password", msgspec.structs.replace(
        user.wanted, password=call.arguments["password"], whose="given"))
    draft.notes += ["it is changed at the next log-in", "their sessions end now"]
    return draft


def plan_role(call: Call) -> Draft:
    """Another role; it counts from the next request on."""
    user, role = call.reading.get("user", call.arguments["name"]), call.arguments["role"]
    if user.wanted.role == role:
        raise Refused(f"user {user.name} is {role} already")
    if user.wanted.rank == Role.administrator:
        _keep_one(call, user)
    return _draft(user.name, f"user {user.name} is {role}, no longer {user.wanted.role}",
                  msgspec.structs.replace(user.wanted, role=role),
                  Inverse("user.role", {"name": user.name, "role": user.wanted.role}))


def plan_remove(call: Call) -> Draft:
    """One user fewer."""
    user = call.reading.get("user", call.arguments["name"])
    if user.wanted.rank == Role.administrator:
        _keep_one(call, user)
    draft = _draft(user.name, f"user {user.name} may log in no more", None)
    draft.notes.append("what they did stays in the journal; their jobs go on, their sessions end")
    return draft


def _keep_one(call: Call, user: Item) -> None:
    """Somebody must be left who administers; the plan relies on one of them."""
    for other in call.reading.farm.all("user"):
        if other.name != user.name and other.wanted.rank == Role.administrator:
            call.reading.get("user", other.name)
            return
    raise Refused(f"user {user.name} is the last administrator: make another one first (qrm user add NAME --role "
                  "administrator)")
