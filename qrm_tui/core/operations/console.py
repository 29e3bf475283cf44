"""Operations on machines' consoles: sessions, not plans. Whoever may look may watch; typing is an operator's."""
from __future__ import annotations

from qrm_tui.core.operations.arguments import Argument
from qrm_tui.core.operations.declarations import Operation, Role

_NAME = Argument("name", "resource", "of which resource, or of which VE with one machine", required=True,
                 positional=True)

#: What typing, taking over and breaks need.
TYPES = Role.operator

OPERATIONS = (
    Operation(
        "console", "attach", "session", "watch a console and type into it; ctrl+] leaves, ctrl+] t takes over",
        (_NAME, Argument("lines", "count", "begin with so many lines of what was recorded", default=100)),
        "qrm console attach r1", role=Role.viewer, subject="name", key="s",
    ),
    Operation(
        "console", "log", "session", "what a console said, as it was recorded",
        (
            _NAME,
            Argument("follow", "flag", "go on with what comes"),
            Argument("since", "text", "from then on: 90s, 10m, 2h, 3d ago, or a time as in 2026-11-22T10:00:00Z"),
            Argument("lines", "count", "only the last lines, so many"),
            Argument("times", "flag", "before each line when it came, as in 2026-11-22T10:00:00Z"),
            Argument("raw", "flag", "the bytes as they came, for a terminal; they may do anything to it"),
        ),
        "qrm console log r1 --since 10m", role=Role.viewer, subject="name",
    ),
)
