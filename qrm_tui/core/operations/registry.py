"""All operations by name."""
from __future__ import annotations

from collections.abc import Mapping

from qrm_tui.core.errors import BadInput
from qrm_tui.core.operations import boot_image, component, console, image, job, partition, resource, storage, ve
from qrm_tui.core.operations.declarations import Operation

OPERATIONS: Mapping[str, Operation] = {
    operation.name: operation
    for module in (resource, ve, partition, image, boot_image, storage, component, job, console)
    for operation in module.OPERATIONS
}


def find(name: str) -> Operation:
    """The operation of that name; BadInput if there is none."""
    try:
        return OPERATIONS[name]
    except KeyError:
        raise BadInput(f"there is no operation {name!r}") from None


def of_kind(kind: str) -> list[Operation]:
    """The operations on one kind of object, in the order they are declared."""
    return [operation for operation in OPERATIONS.values() if operation.kind == kind]


def offered_on(kind: str) -> list[Operation]:
    """The operations whose keys are on a list of this kind: its own, and sessions with its objects."""
    sessions = [operation for operation in OPERATIONS.values() if operation.sort == "session" and operation.key
                and operation.subject and operation.argument(operation.subject).type == kind != operation.kind]
    return [*of_kind(kind), *sessions]
