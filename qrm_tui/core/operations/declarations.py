"""What an operation is: plain data that command line, HTTP, screen, help and journal are made from."""
from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Any, Literal, NamedTuple

from qrm_tui.core.operations.arguments import Argument


class Role(IntEnum):
    """Who may do what; each includes the ones before it."""

    nobody = 0
    viewer = 1
    operator = 2
    administrator = 3


#: record: changes the product's own records, at once. job: a plan that runs. session: console, ssh.
Sort = Literal["record", "job", "session"]


class Operation(NamedTuple):
    """One thing that can be done, declared once."""

    kind: str
    verb: str
    sort: Sort
    summary: str
    arguments: tuple[Argument, ...]
    example: str
    role: Role = Role.operator
    #: wants the object's name typed, or `--yes`
    destructive: bool = False
    #: the argument that names the object acted on; None where the operation makes a new one
    subject: str | None = None
    #: its key on screens that list this kind
    key: str | None = None
    #: the argument that names the object whose entry the journal gets
    target: str = "name"
    #: arguments that want more than the operation itself, and which role
    argument_roles: tuple[tuple[str, Role], ...] = ()
    #: an argument that names an object of another kind, whose lists offer it, too: something new on that object
    on: str = ""

    @property
    def name(self) -> str:
        return f"{self.kind}.{self.verb}"

    @property
    def together(self) -> bool:
        """Whether several objects are one call, one plan and one entry in the journal."""
        return self.subject is not None and self.argument(self.subject).many

    def without_secrets(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Arguments as they may be shown and kept."""
        secrets = {argument.name for argument in self.arguments if argument.secret}
        return {name: value for name, value in arguments.items() if name not in secrets}

    def argument(self, name: str) -> Argument:
        return next(argument for argument in self.arguments if argument.name == name)
