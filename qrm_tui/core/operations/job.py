"""Operations on jobs."""
from __future__ import annotations

from qrm_tui.core.operations.arguments import Argument
from qrm_tui.core.operations.declarations import Operation

_JOB = Argument("name", "job", "the job's number", required=True, positional=True)

OPERATIONS = (
    Operation("job", "cancel", "record", "stop a job and undo what it did so far", (_JOB,), "qrm job cancel 12",
              subject="name", key="c"),
    Operation("job", "undo", "job", "do the inverse of a finished job, as a new plan", (_JOB,), "qrm job undo 12",
              subject="name", key="u"),
)
