"""How far a job is: a bar of characters that every terminal has, and the same in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qrm_tui.core.time_left import amount_words
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

    def show(self, job: Mapping[str, Any]) -> None:
        """How far this job is."""
        self._job = job
        self.rebuild()

    def build(self, width: int) -> list[PageLine]:
        job = self._job
        if not job:
            return [line("")]
        share = share_of(job)
        filled = round(share * _BAR)
        style = {"failed": "bad", "undone": "warning", "undoing": "warning", "done": "good"}.get(str(job["state"]), "")
        words = f" {share:>4.0%}"
        if job["state"] in ("running", "undoing") and job.get("steps"):
            amount = amount_words(job)
            words += f"  step {min(job['step'] + 1, job['steps'])} of {job['steps']}{amount and f', {amount}'}: " \
                     f"{job.get('doing', '')}"
        elif job.get("steps"):
            words += f"  {job['steps']} steps"
        return [line(" [", ("#" * filled, style), ("." * (_BAR - filled), "muted"), "]", words)]


def share_of(job: Mapping[str, Any]) -> float:
    """How much of a job is done, from 0 to 1: by steps, and within the step that runs where it can tell."""
    if job["state"] == "done":
        return 1.0
    if not job.get("steps"):
        return 0.0
    return min(1.0, float(job["step"] + (job.get("progress") or 0)) / int(job["steps"]))
