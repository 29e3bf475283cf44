"""From an operation that somebody asks for to its plan: which screens come in between."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from qrm_tui.core.operations.declarations import Operation, Role
from qrm_tui.screens.live import Live

#: What keys are called on the screen, where that is not their name.
_KEYS = {"plus": "+", "minus": "-"}

#: What to use of partitions instead.
_OF_PARTITIONS = {
    "resource.power": "it is switched in view 4 (t leads there), or by qrm partition start, stop, reset {name}",
    "resource.remove": "it is removed in view 4 (t leads there), or by qrm partition remove {name}",
}


def key_text(key: str) -> str:
    """A declared key as it stands on the keyboard."""
    return _KEYS.get(key, key)


@dataclass(frozen=True, slots=True)
class Request:
    """An operation on objects: on the marked ones, on the one under the cursor, or on none yet."""

    operation: Operation
    #: names of the objects; several are a plan each, unless the operation takes them together
    subjects: tuple[str, ...] = ()
    #: arguments as typed so far
    arguments: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""

    @property
    def several(self) -> bool:
        return len(self.subjects) > 1

    @property
    def bulk(self) -> bool:
        """Whether it takes a plan for each."""
        return self.several and not self.operation.together

    @property
    def open_arguments(self) -> tuple[str, ...]:
        """Arguments that a form asks for."""
        taken = {self.operation.subject} if self.subjects else set()
        return tuple(argument.name for argument in self.operation.arguments if argument.name not in taken)

    @property
    def complete(self) -> bool:
        """Nothing that is needed is missing, so that no form is wanted."""
        return not any(argument.required and not self.arguments.get(argument.name)
                       for argument in self.operation.arguments if argument.name in self.open_arguments)

    def for_subject(self, subject: str | None) -> dict[str, Any]:
        """The arguments for one of the objects."""
        own = {self.operation.subject: subject} if self.operation.subject and subject is not None else {}
        return {**own, **self.arguments}

    def single(self) -> dict[str, Any]:
        """The arguments where one call is all: about one object or several, or making one."""
        if self.several and self.operation.subject:
            return {self.operation.subject: list(self.subjects), **self.arguments}
        return self.for_subject(self.subjects[0] if self.subjects else None)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a request: a job, changed records, or reasons why not; none of them where that was shown already."""

    job: Mapping[str, Any] | None = None
    changed: Mapping[str, Any] | None = None
    refused: tuple[str, ...] = ()


def refusal(live: Live, operation: Operation, subjects: Sequence[str]) -> str:
    """Why this cannot even be asked for; empty if it can."""
    if live.read_only and operation.role > Role.viewer:
        return "read-only: started with --read-only, nothing can be changed from here"
    if live.role < operation.role:
        return f"{operation.name} wants the role {Role(operation.role).name}; yours is {live.role.name}"
    if operation.name in _OF_PARTITIONS:
        for name in subjects:
            row = live.row("resource", name)
            if row is not None and row.get("kind") == "partition":
                return f"{name} is a partition of {row['host']}: {_OF_PARTITIONS[operation.name].format(name=name)}"
    alone = operation.target != operation.subject or any(argument.secret for argument in operation.arguments)
    if len(subjects) > 1 and alone:
        return f"{operation.verb} takes one {operation.kind} at a time: unmark with esc, and put the cursor on it"
    return ""


async def with_documents(operation: Operation, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments with the content of files in place of their paths; BadInput if one cannot be read."""
    if not any(argument.type == "document" and arguments.get(argument.name) for argument in operation.arguments):
        return dict(arguments)
    import asyncio

    from qrm_tui.client.documents import load

    return await asyncio.to_thread(load, operation, arguments)  # a disk may be slow
