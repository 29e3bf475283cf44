"""All operations by name."""
from __future__ import annotations

from collections.abc import Mapping

from qrm_tui.core.errors import BadInput
from qrm_tui.core.operations import (
    boot_image,
    component,
    console,
    host,
    image,
    job,
    partition,
    resource,
    storage,
    user,
    ve,
)
from qrm_tui.core.operations.declarations import Operation

OPERATIONS: Mapping[str, Operation] = {
    operation.name: operation
    for module in (resource, ve, partition, host, image, boot_image, storage, component, job, console, user)
    for operation in module.OPERATIONS
}

#: Kinds whose objects are resources of the same name, or run on some.
_NAMED_AS = {"partition": "resource", "host": "resource", "ve": "resource"}


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
    """The operations whose keys are on a list of this kind: its own, sessions with its objects, and what makes
    something on them."""
    named = _NAMED_AS.get(kind, kind)
    others = [operation for operation in OPERATIONS.values() if operation.key and kind != operation.kind and (
        (operation.sort == "session" and operation.subject and operation.argument(operation.subject).type == named)
        or (operation.on and operation.argument(operation.on).type == kind))]
    return [*of_kind(kind), *others]
