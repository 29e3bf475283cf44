"""Operations on users who log in by name and password."""
from __future__ import annotations

from qrm_tui.core.operations.arguments import Argument
from qrm_tui.core.operations.declarations import Operation, Role

#: What a user can be.
ROLES = tuple(role.name for role in Role if role is not Role.nobody)
_ROLE = Argument("role", "choice", "what they may: look, operate, or all (which is to be root of every machine)",
                 required=True, choices=ROLES)
_PASSWORD = Argument("password", "password", "their first one, which they change when they log in", required=True,
                     secret=True)

OPERATIONS = (
    Operation(
        "user", "add", "record", "let somebody log in by name and password",
        (Argument("name", "user-name", "what they are called", required=True, positional=True), _ROLE, _PASSWORD),
        "qrm user add anna --role operator", role=Role.administrator, key="a",
    ),
    Operation(
        "user", "password", "record", "give somebody a new password, which they change at their next log-in",
        (Argument("name", "user", "whose; on the command line, your own without it", required=True, positional=True),
         _PASSWORD),
        "qrm user password anna", role=Role.administrator, subject="name", key="e",
    ),
    Operation(
        "user", "role", "record", "let somebody do more, or less, from now on",
        (Argument("name", "user", "whose", required=True, positional=True), _ROLE._replace(positional=True)),
        "qrm user role anna viewer", role=Role.administrator, subject="name", key="r",
    ),
    Operation(
        "user", "remove", "record", "let somebody log in no more; their sessions end",
        (Argument("name", "user", "which", required=True, positional=True),),
        "qrm user remove anna", role=Role.administrator, destructive=True, subject="name", key="d",
    ),
)
