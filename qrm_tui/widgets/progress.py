"""How far a job is: a bar of characters that every terminal has, and the same in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qrm_tui.core.time_left import amount_words, share_done
from qrm_tui.widgets.columns import fit
from qrm_tui.widgets.page import Page, PageLine, line

_BAR = 24


class Progress(Page, inherit_bindings=False):
    """`[########........]  40%  step 3 of 8: clone the volume`."""

    DEFAULT_CSS = """
    Progress { height: 1; }
    """

    def __init__(self) -> None:
        super().__init__(id="progress")
        self._job: Mapping[str, Any] = {}
        self._steps: Sequence[Mapping[str, Any]] = ()

    def show(self, job: Mapping[str, Any], steps: Sequence[Mapping[str, Any]]) -> None:
        """How far this job is; `steps`: empty until they are known."""
        self._job, self._steps = job, steps
        self.rebuild()

    def build(self, width: int) -> list[PageLine]:
        job = self._job
        if not job:
            return [line("")]
        share = share_done(job, self._steps)
        filled = round(share * _BAR)
        style = {"failed": "bad", "undone": "warning", "undoing": "warning", "done": "good"}.get(str(job["state"]), "")
        words = f" {share:>4.0%}"
        if job["state"] in ("running", "undoing") and job.get("steps"):
            amount = amount_words(job)
            words += f"  step {min(job['step'] + 1, job['steps'])} of {job['steps']}{amount and f', {amount}'}: " \
                     f"{job.get('doing', '')}"
        elif job.get("steps"):
            words += f"  {job['steps']} steps"
        room = width - _BAR - 3
        return [line(" [", ("#" * filled, style), ("." * (_BAR - filled), "muted"), "]",
                     words if len(words) <= room else fit(words, room))]

