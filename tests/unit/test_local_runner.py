"""The local runner, with real commands: files, named commands that outlive us, time limits."""
from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from qrm_tui.core.errors import StepFailed
from qrm_tui.core.plan import Check, RemoveFile, Run, Undo, WriteFile
from qrm_tui.runners import steps
from qrm_tui.runners.base import Completed, beside
from qrm_tui.runners.local import LocalRunner
from tests.unit.processes import runs


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalRunner:
    monkeypatch.setenv("QRM_RUN", str(tmp_path / "run"))
    return LocalRunner("here")


def _stage(runner: LocalRunner, unit: str = "qrm-1-0") -> steps.Stage:
    async def tell(runner: LocalRunner, argv: tuple[str, ...]) -> Completed:
        return await runner.run(argv)

    return steps.Stage(runner, unit, tell, lambda stream, text: None, lambda share: None)


async def _ended(pid: int) -> None:
    """Until the kernel has ended the process, which was told to."""
    async with asyncio.timeout(10):
        while runs(pid):
            await asyncio.sleep(0.01)


async def test_words_and_status_come_back(runner: LocalRunner) -> None:
    done = await runner.run(("sh", "-c", "cat; echo bad >&2; exit 3"), input="grüß\n")
    assert (done.status, done.out, done.complaint()) == (3, "grüß\n", "bad")
    assert (await runner.run(("no-such-program",))).status == 127


async def test_what_takes_too_long_is_ended_with_all_it_started(runner: LocalRunner, tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    with pytest.raises(StepFailed, match="did not end within"):
        await runner.run(("sh", "-c", f"sleep 1000 & echo $! > {mark}; wait"), seconds=0.5)
    pid = int(mark.read_text())
    await _ended(pid)


async def test_questions_are_answered_each_for_itself(runner: LocalRunner) -> None:
    questions = [("printf", "%s\n", "one", "two words", "$HOME"), ("sh", "-c", "echo no >&2; exit 3"),
                 ("no-such-program",), ("printf", "no end of line"), ("cat",)]
    answers = await runner.ask(questions)
    assert [done.status for done in answers] == [0, 3, 127, 0, 0]
    assert [done.out for done in answers] == ["one\ntwo words\n$HOME\n", "", "", "no end of line", ""]
    assert (answers[0].err, answers[1].err) == ("", "no\n")
    assert await runner.ask([]) == []


async def test_a_file_is_replaced_whole_and_with_its_mode(runner: LocalRunner, tmp_path: Path) -> None:
    path = tmp_path / "exports.d" / "web.exports"
    await runner.write_file(str(path), "one\n", 0o640, ())
    found = await runner.read_file(str(path))
    assert found and (found.content, found.mode) == ("one\n", 0o640)
    assert os.listdir(path.parent) == ["web.exports"]


async def test_files_of_one_folder_are_written_side_by_side(runner: LocalRunner, tmp_path: Path) -> None:
    names = [f"image{number}.exports" for number in range(24)]
    await asyncio.gather(*(runner.write_file(str(tmp_path / "new" / name), name, 0o644, ("true",)) for name in names))
    assert sorted(os.listdir(tmp_path / "new")) == sorted(names)
    # one that is done removes the folder that it wrote in: it must be nobody else's
    assert len({Path(beside(name)).parent for name in names}) == len(names)


async def test_a_file_that_its_checker_refuses_changes_nothing(runner: LocalRunner, tmp_path: Path) -> None:
    path = tmp_path / "dhcpd.conf"
    path.write_text("good")
    with pytest.raises(StepFailed, match="nonsense here"):
        await runner.write_file(str(path), "bad", 0o644, ("sh", "-c", "echo nonsense here >&2; exit 1", "{file}"))
    assert path.read_text() == "good" and os.listdir(tmp_path) == ["dhcpd.conf"]
    await runner.write_file(str(path), "better", 0o644, ("grep", "-q", "better", "{file}"))
    assert path.read_text() == "better"


async def test_a_file_on_a_full_disk(runner: LocalRunner) -> None:
    with pytest.raises(StepFailed, match="cannot be written"):
        await runner.write_file("/dev/full/x", "text", 0o644, ())


async def test_a_named_command_runs_once_however_often_it_is_asked_for(runner: LocalRunner, tmp_path: Path) -> None:
    count, gate = tmp_path / "count", tmp_path / "gate"
    os.mkfifo(gate)
    argv = ("sh", "-c", f"echo started >> {count}; cat {gate}; exit 7")
    first = asyncio.create_task(runner.run_named("qrm-9-1", argv, lambda *line: None))
    async with asyncio.timeout(10):
        while not count.exists():
            await asyncio.sleep(0.01)
    # the server dies here: nobody awaits the command any more
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    lines: list[str] = []
    again = asyncio.create_task(runner.run_named("qrm-9-1", argv, lambda stream, text: lines.append(text)))
    await asyncio.to_thread(gate.write_text, "from the gate\n")
    done = await again
    assert done.status == 7
    assert count.read_text() == "started\n"
    assert lines == ["from the gate"]
    assert (await runner.run_named("qrm-9-1", argv, lambda *line: None)).status == 7  # its end is remembered
    await runner.end_named("qrm-9-1")
    assert not (tmp_path / "run" / "qrm-9-1").exists()


async def test_a_named_command_can_be_ended(runner: LocalRunner, tmp_path: Path) -> None:
    started = tmp_path / "started"
    task = asyncio.create_task(runner.run_named("qrm-9-2", ("sh", "-c", f"echo $$ > {started}; exec sleep 1000"),
                                                lambda *line: None))
    async with asyncio.timeout(10):
        while not (started.exists() and started.read_text()):
            await asyncio.sleep(0.01)
    await runner.end_named("qrm-9-2")
    await asyncio.gather(task, return_exceptions=True)
    await _ended(int(started.read_text()))


async def test_a_step_that_lies_about_its_success_fails(runner: LocalRunner, tmp_path: Path) -> None:
    step = Run(machine="here", summary="s", argv=("true",), done=Check(argv=("test", "-e", str(tmp_path / "made"))))
    with pytest.raises(StepFailed, match="had no effect"):
        await steps.perform(step, _stage(runner))


async def test_a_guard_that_does_not_hold_stops_the_step(runner: LocalRunner, tmp_path: Path) -> None:
    step = Run(machine="here", summary="s", argv=("touch", str(tmp_path / "made")),
               guards=(Check(argv=("true",), expect="fails", otherwise="somebody uses it"),))
    with pytest.raises(StepFailed, match="somebody uses it"):
        await steps.perform(step, _stage(runner))
    assert not (tmp_path / "made").exists()


async def test_a_file_changed_by_hand_is_left_alone(runner: LocalRunner, tmp_path: Path) -> None:
    path = tmp_path / "web.exports"
    path.write_text("by hand")
    write = WriteFile(machine="here", summary="s", path=str(path), content="ours", former="as planned")
    with pytest.raises(StepFailed, match="changed by somebody"):
        await steps.perform(write, _stage(runner))
    remove = RemoveFile(machine="here", summary="s", path=str(path), former="as planned")
    with pytest.raises(StepFailed, match="changed by somebody"):
        await steps.perform(remove, _stage(runner))
    assert path.read_text() == "by hand"


async def test_undoing_puts_files_and_effects_back_and_tells_the_service(runner: LocalRunner, tmp_path: Path) -> None:
    path, told = tmp_path / "web.exports", tmp_path / "told"
    write = WriteFile(machine="here", summary="s", path=str(path), content="new", tells=("touch", str(told)))
    await steps.perform(write, _stage(runner))
    await steps.undo(write, _stage(runner))
    assert not path.exists() and told.exists()
    made = tmp_path / "made"
    gone = Check(argv=("test", "!", "-e", str(made)))
    step = Run(machine="here", summary="s", argv=("touch", str(made)), undo=Undo(argv=("rm", str(made)), done=gone))
    await steps.perform(step, _stage(runner))
    for _ in range(2):
        await steps.undo(step, _stage(runner))
    assert not made.exists()
