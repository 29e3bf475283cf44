"""Documents: arguments of which one types a file's path, and whose content is sent."""
from __future__ import annotations

import codecs
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qrm_tui.core.errors import BadInput
from qrm_tui.core.operations.declarations import Operation

#: Bytes that are read at most: more than a document may have, so that it is refused as too long.
_MOST = 1 << 20


def _read(path: Path) -> str:
    """Its beginning, should it be endless; a pipe is a file, too."""
    with path.open("rb") as file:
        data = file.read(_MOST)
    # cut off, it may end within a letter
    return codecs.getincrementaldecoder("utf-8")().decode(data, final=len(data) < _MOST)


def load(operation: Operation, given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments with each document read; BadInput if one cannot be."""
    loaded = dict(given)
    for argument in operation.arguments:
        path = loaded.get(argument.name)
        if argument.type == "document" and path:
            try:
                loaded[argument.name] = _read(Path(path))
            except (OSError, UnicodeDecodeError) as error:
                reason = getattr(error, "strerror", None) or "it is no UTF-8 text"
                raise BadInput(f"{argument.name}: {path}: {reason}") from None
            if not loaded[argument.name].strip():
                raise BadInput(f"{argument.name}: {path}: it is empty")
    return loaded
