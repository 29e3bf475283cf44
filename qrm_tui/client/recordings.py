"""Whether a file may be a recorded machine: whoever wants to look at one is not shown the real one instead."""
from __future__ import annotations

import json
from pathlib import Path

from qrm_tui.core.errors import BadInput

#: Bytes that a recorded machine has at most; some devices never end.
_LONGEST = 64 << 20


def check_recording(path: str) -> None:
    """BadInput says why it is none."""
    try:
        with Path(path).open("rb") as file:
            document = json.loads(file.read(_LONGEST))
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict) or not {"answers", "files"} <= set(document):
        raise BadInput(f"{path} is no recorded machine: qrm install record makes one")
