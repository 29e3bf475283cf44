"""A plan as lines that a person reads before it runs: commands, diffs, what can be undone."""
from __future__ import annotations

import json
import shlex
from typing import Any, TextIO

from qrm_tui.cli.terminal import harmless, paint

_INDENT = " " * 6


def plan_lines(plan: dict[str, Any], stream: TextIO) -> list[str]:
    """The whole plan; `stream` is where it will be written (for colours)."""
    steps = plan.get("steps", [])
    lines = [paint(harmless(f"{plan.get('operation')} {plan.get('object')}: {_count(len(steps), 'step')}"), "bold",
                   stream)]
    for index, step in enumerate(steps):
        if index == plan.get("no_return"):
            lines.append(paint("  -- point of no return: what follows cannot be undone --", "red", stream))
        lines += _step_lines(index, step, stream)
    lines += [harmless(f"  note: {note}") for note in plan.get("notes", [])]
    lines += [paint(harmless(f"  warning: {warning}"), "yellow", stream) for warning in plan.get("warnings", [])]
    if plan.get("command"):
        lines.append(harmless(f"  the same again: {plan['command']}"))
    return lines


def _step_lines(index: int, step: dict[str, Any], stream: TextIO) -> list[str]:
    done = "  [done already]" if step.get("done_already") else ""
    lines = [harmless(f"  {index + 1:>2}  {step.get('machine')}  {step.get('summary')}  ({step.get('kind')}){done}")]
    if step.get("argv"):
        lines += _command("$ ", shlex.join(map(str, step["argv"])))
    for line in str(step.get("diff") or "").splitlines():
        style = {"+": "green", "-": "red"}.get(line[:1], "")
        lines.append(_INDENT + paint(harmless(line), style, stream))
    lines += [_INDENT + harmless(f"record: {record}") for record in step.get("records", [])]
    lines += [_INDENT + harmless(f"edit {step.get('root', '')}: {json.dumps(edit, ensure_ascii=False)}")
              for edit in step.get("edits", [])]
    if step.get("undo"):
        lines += _command("undo: ", str(step["undo"]))
    return lines


def _command(before: str, command: str) -> list[str]:
    """A command after a word; a script's lines are lines."""
    first, *others = command.split("\n")
    return [_INDENT + harmless(before + first), *(f"{_INDENT}  {harmless(text)}" for text in others)]


def job_step_lines(steps: list[dict[str, Any]]) -> list[str]:
    """The steps of a job with their states, a line each."""
    return [harmless(f"  {index + 1:>2}  {step.get('state', 'pending'):8} {step.get('machine')}  "
                     f"{step.get('summary')}{': ' + str(step['error']) if step.get('error') else ''}")
            for index, step in enumerate(steps)]


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
