"""Runs one step of a plan, finds it done, or takes it back. Nothing else in the product changes a machine.

Record, Order and Await are not run here: rows of our own and the rack's machines are the daemon's.
"""
from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import assert_never

from qrm_tui.backends import apt_words
from qrm_tui.core.errors import Busy, GuardRefused, StepFailed
from qrm_tui.core.plan import Await, Check, EditTree, Order, Record, RemoveFile, Run, Step, Tell, Wait, WriteFile
from qrm_tui.runners.base import Completed, OnLine, Runner
from qrm_tui.runners.progress import READERS, Report

#: Tells a service, coalesced with others that wait for the same: (machine, argv) → its end.
TellService = Callable[[Runner, tuple[str, ...]], Awaitable[Completed]]
#: How far a step is.
OnProgress = Callable[[Report], None]

_WAIT_PAUSE = 0.5
#: What systemctl says before and after the reason: what it did, and where to look.
_NO_REASON = ("Created symlink", "Removed", "See ")
#: Longest reason that is told, in characters.
_MOST_REASON = 600


class Stage:
    """What a step needs of the job around it."""

    def __init__(self, runner: Runner, unit: str, tell: TellService, on_line: OnLine, on_progress: OnProgress) -> None:
        self.runner = runner
        #: name of the command where the step is a long one
        self.unit = unit
        self.tell = tell
        self.on_line = on_line
        self.on_progress = on_progress


async def holds(check: Check, runner: Runner) -> bool:
    """Whether a check's answer is the expected one; StepFailed if it could not be asked."""
    done = await runner.run(check.argv)
    if check.expect in ("ok", "fails"):
        return (done.status == 0) == (check.expect == "ok")
    if done.status != 0:
        if check.expect == "equals":
            return False  # blkid(8) and the like answer "nothing there" by their status
        raise StepFailed(f"{check.argv[0]} on {runner.name}: {done.complaint()}")
    if check.expect in ("line", "no line"):
        found = any(line.startswith(check.text) for line in done.out.splitlines())
        return found == (check.expect == "line")
    said = done.out.strip()
    if check.expect == "has":
        return check.text in done.out
    if check.expect == "equals":
        return said == check.text
    return bool(said) == (check.expect == "some")


async def is_done(step: Step, runner: Runner) -> bool:
    """Whether the step's effect is there already, as far as it can tell."""
    if isinstance(step, WriteFile):
        there = await runner.read_file(step.path)
        return there is not None and there.content == step.content and there.mode == step.mode
    if isinstance(step, RemoveFile):
        return await runner.read_file(step.path) is None
    if isinstance(step, Run):
        return step.done is not None and await holds(step.done, runner)
    if isinstance(step, Wait):
        return await holds(step.check, runner)
    return False


async def perform(step: Step, stage: Stage) -> None:
    """The step's effect; StepFailed with the reason if it does not come about."""
    runner = stage.runner
    if isinstance(step, WriteFile):
        await _unchanged(step, step.former, runner)
        await runner.write_file(step.path, step.content, step.mode, step.checker)
    elif isinstance(step, RemoveFile):
        await _unchanged(step, step.former, runner)
        await runner.remove_file(step.path)
    elif isinstance(step, Run):
        await _run(step, stage)
    elif isinstance(step, EditTree):
        for path in await runner.edit_tree(step.root, step.edits):
            stage.on_line("note", f"changed {path}")
    elif isinstance(step, Tell):
        await _tell(step, stage)
    elif isinstance(step, Wait):
        await _wait(step, runner)
    elif isinstance(step, (Record, Order, Await)):
        raise AssertionError("records and the rack are the daemon's")
    else:
        assert_never(step)


async def _tell(step: Tell, stage: Stage) -> None:
    done = await stage.tell(stage.runner, step.argv)
    if done.status != 0:
        if not step.proofs and not step.tolerant:
            _good(done, step.argv, stage.runner)
        stage.on_line("note", f"{step.argv[0]} complains: {done.complaint()}")
    for proof in step.proofs:
        if not await holds(proof, stage.runner):
            raise StepFailed(f"{step.argv[0]} on {stage.runner.name}: {proof.otherwise}: {done.complaint()}")


async def _unchanged(step: WriteFile | RemoveFile, former: str | None, runner: Runner) -> None:
    """A file that is neither as planned from nor as planned to was changed by somebody: it is left alone."""
    there = await runner.read_file(step.path)
    if (there.content if there else None) not in (former, step.content if isinstance(step, WriteFile) else None):
        raise StepFailed(f"{step.path} on {runner.name} was changed by somebody since the plan was made; it was left "
                         "as it is: look at it, and plan anew")


async def _run(step: Run, stage: Stage) -> None:
    for guard in step.guards:
        if not await holds(guard, stage.runner):
            raise GuardRefused(guard.otherwise)
    done = await (_run_long(step, stage) if step.long else stage.runner.run(step.argv, on_line=stage.on_line))
    who = f"{'apt' if step.progress == 'apt' else step.argv[0]} on {stage.runner.name}"
    if done.status != 0:
        if step.progress == "apt" and (holder := apt_words.held(done.out)):
            raise Busy(f"{who}: {holder}")
        if not step.explain:
            raise StepFailed(f"{who}: {_complaint(step, done)}")
        reasons = (await stage.runner.run(step.explain)).out.split("\n")
        why = "; ".join(line.strip() for line in reasons if line.strip())
        said = next((line for line in (done.err or done.out).strip().splitlines()
                     if not line.startswith(_NO_REASON)), "")[:300] or done.complaint()
        raise StepFailed(f"{who}: {said}{f' ({_middle_out(why)})' if why else ''}")
    # some tools say that all is well when it is not
    if step.proof is not None and not await holds(step.proof, stage.runner):
        asked = await stage.runner.run(step.proof.argv)
        raise StepFailed(f"{who}: {step.proof.otherwise}: {_complaint(step, done, asked)}")
    if step.done is not None and not await holds(step.done, stage.runner):
        raise StepFailed(f"{who} ended well, and yet had no effect: {done.complaint()}")


def _middle_out(text: str) -> str:
    """Its beginning and its end, where it is long: causes come first, and last words last."""
    return text if len(text) <= _MOST_REASON else f"{text[:_MOST_REASON // 2]} ... {text[-_MOST_REASON // 2:]}"


def _complaint(step: Run, *answers: Completed) -> str:
    """What went wrong, by the first that tells of it."""
    if step.progress == "apt":
        for done in answers:
            if said := apt_words.complaint(f"{done.out}\n{done.err}"):
                return said
    return answers[0].complaint()


async def _run_long(step: Run, stage: Stage) -> Completed:
    reader = READERS[step.progress]() if step.progress else None

    def on_line(stream: str, text: str) -> None:
        quiet, report = reader.read(text) if reader else (False, None)
        if report is not None:
            stage.on_progress(report)
        if not quiet:
            stage.on_line(stream, text)

    done = await stage.runner.run_named(stage.unit, step.argv, on_line)
    if done.status != 0:
        # forgotten, so that it can be tried again under its name
        await stage.runner.end_named(stage.unit)
    return done


def _good(done: Completed, argv: tuple[str, ...], runner: Runner) -> None:
    if done.status != 0:
        raise StepFailed(f"{argv[0]} on {runner.name}: {done.complaint()}")


async def _wait(step: Wait, runner: Runner) -> None:
    try:
        async with asyncio.timeout(step.seconds):
            while not await holds(step.check, runner):  # noqa: ASYNC110 another machine's state has no event here
                await asyncio.sleep(_WAIT_PAUSE)
    except TimeoutError:
        raise StepFailed(f"{step.summary}: not so after {step.seconds:.0f} s; {step.check.otherwise}") from None


async def undo(step: Step, stage: Stage) -> None:
    """Take the step's effect back, whole or half as it is; doing so again is safe."""
    runner = stage.runner
    if isinstance(step, WriteFile) and step.lasting:
        return
    if isinstance(step, (WriteFile, RemoveFile)):
        await _put_back(step.path, step.former, step.mode, step.tells, stage)
    elif isinstance(step, Run):
        if step.long:
            await runner.end_named(stage.unit)
        if step.undo and not (step.undo.done and await holds(step.undo.done, runner)):
            _good(await runner.run(step.undo.argv, on_line=stage.on_line), step.undo.argv, runner)


async def _put_back(path: str, former: str | None, mode: int, tells: tuple[str, ...], stage: Stage) -> None:
    if former is None:
        await stage.runner.remove_file(path)
    else:
        await stage.runner.write_file(path, former, mode, ())
    if tells:
        done = await stage.tell(stage.runner, tells)
        if done.status != 0:
            # the file is back; what the service complains of may be somebody else's
            stage.on_line("note", f"{tells[0]} complains: {done.complaint()}")
