"""What goes wrong when a boot-image is made."""
from __future__ import annotations


class CannotBuild(Exception):
    """One line for a person: what is wrong, and what to do."""
