"""Whether processes live, as the kernel tells."""
from __future__ import annotations

from pathlib import Path


def runs(pid: int) -> bool:
    """Whether it lives; one that has ended and was not fetched yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # the latter between opening and reading
        return False
