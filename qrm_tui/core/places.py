"""Where the product's own files lie: in a checkout beside the package, in a wheel inside it."""
from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent


def _folder(name: str) -> Path:
    inside = _PACKAGE / f"_{name}"
    return inside if inside.is_dir() else _PACKAGE.parent / name


def templates_folder() -> Path:
    """Templates of the files written on machines."""
    return _folder("templates")


def data_folder() -> Path:
    """Tables: sealing, practice farms, components."""
    return _folder("data")
