"""How much the step that runs has done, in real units, as its job's row tells it."""
from __future__ import annotations

from qrm_tui.core.model import Amount
from qrm_tui.runners.progress import Report


def of(report: Report, before: Amount | None, now: float) -> Amount | None:
    """What a step tells in real units."""
    if not report.unit:
        return None
    since = before.since if before is not None and before.unit == report.unit else now
    return Amount(done=report.done, total=report.total, unit=report.unit, since=since, packages=report.packages)


def differ(amount: Amount | None, before: Amount | None) -> bool:
    """Whether that is worth to be shown."""
    if amount is None or before is None or amount.unit != before.unit:
        return amount is not before
    return abs(amount.done - before.done) >= amount.total / 200
