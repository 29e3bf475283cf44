"""Where qrmd keeps what it knows, as a setting of its component: what a plan tries first, writes, and tells."""
from __future__ import annotations

from collections.abc import Sequence

import pytest

from qrm_tui.core.data_place import FILE, read_place
from qrm_tui.core.errors import BadInput
from qrm_tui.core.operations.declarations import Role
from qrm_tui.core.plan import Plan, Run, Step, WriteFile
from tests.daemon.world import ANSWERS, World

UNIT = "/etc/systemd/system/qrmd.service"


async def plan(world: World, operation: str, **arguments: object) -> Plan:
    return await world.qrmd.plan(operation, arguments, Role.administrator)


def tries(steps: Sequence[Step]) -> dict[int, tuple[str, ...]]:
    """Which steps have qrmd try a place: a folder, a database, a file."""
    return {number: step.argv[2:] for number, step in enumerate(steps)
            if isinstance(step, Run) and "--try-place" in step.argv}


def text_of(steps: Sequence[Step], path: str) -> str:
    (text,) = (step.content for step in steps if isinstance(step, WriteFile) and step.path == path)
    return text


async def test_the_usual_place_is_written_down_and_needs_no_try(world: World) -> None:
    made = await plan(world, "install.run", answers=ANSWERS + "\n[qrmd]\n")
    assert tries(made.steps) == {}
    assert made.afterwards == ()
    assert read_place(text_of(made.steps, FILE)).data == "/var/lib/qrm"


async def test_another_folder_is_tried_before_anything_is_done_and_qrmd_moves_when_it_starts(world: World) -> None:
    assert await world.do("install.run", answers="[qrmd]\n") == "done"
    made = await plan(world, "component.configure", name="qrmd", settings={"data": "/data/qrm"})
    assert tries(made.steps) == {0: ("/data/qrm", "sqlite", "")}
    assert "RequiresMountsFor=/data/qrm\n" in text_of(made.steps, UNIT)
    assert read_place(text_of(made.steps, FILE)).data == "/data/qrm"
    assert ["systemctl restart qrmd" in line for line in made.afterwards] == [True]
    assert await world.do("component.configure", name="qrmd", settings={"data": "/data/qrm"}) == "done"
    again = await plan(world, "component.configure", name="qrmd", settings={"data": "/data/qrm"})
    assert again.steps == ()


async def test_a_folder_with_somebody_elses_files_is_refused_by_qrmd_itself_and_nothing_is_changed(
        world: World) -> None:
    world.server.host.root.write("/data/qrm/photos.tar", "theirs")
    number = await world.submit("install.run", answers='[qrmd]\ndata = "/data/qrm"\n')
    job = await world.qrmd.jobs.wait(number)
    assert job.state == "undone"
    assert "/data/qrm is not empty: photos.tar lies in it" in job.error
    assert await world.leftovers() == []


async def test_a_database_on_this_machine_is_made_and_tried_when_its_server_runs(world: World) -> None:
    made = await plan(world, "install.run", answers='[qrmd]\ndatabase = "mariadb"\n[mysql]\n')
    started = next(number for number, step in enumerate(made.steps)
                   if isinstance(step, Run) and step.argv == ("systemctl", "restart", "--", "mariadb.service"))
    (tried,) = tries(made.steps)
    made_database = next(number for number, step in enumerate(made.steps)
                         if isinstance(step, Run) and step.argv[0] == "mariadb")
    assert started < made_database < tried
    assert await world.do("install.run", answers='[qrmd]\ndatabase = "mariadb"\n[mysql]\n') == "done"


async def test_a_database_elsewhere_is_tried_before_packages_are_fetched(world: World) -> None:
    answers = ANSWERS + '\n[qrmd]\ndatabase = "mariadb://qrm@db.example/qrm"\npassword_file = "/etc/qrm/password"\n'
    made = await plan(world, "install.run", answers=answers)
    assert tries(made.steps) == {0: ("/var/lib/qrm", "mariadb://qrm@db.example/qrm", "/etc/qrm/password")}
    assert await world.do("install.run", answers=answers) == "undone"
    assert await world.leftovers() == []


@pytest.mark.parametrize(("answers", "reason"), [
    ('[qrmd]\ndatabase = "mariadb"\n', "line 2: qrmd: database: mariadb is a server on this machine"),
    ('[qrmd]\ndata = "/srv"\n', "line 2: qrmd: data: /srv is everybody's"),
    ('[qrmd]\ndatabase = "mariadb://qrm:secret@db/qrm"\n', "line 2: qrmd: database: keep the password in a file"),
])
async def test_answers_that_do_not_go(world: World, answers: str, reason: str) -> None:
    with pytest.raises(BadInput) as refused:
        await plan(world, "install.run", answers=answers)
    assert reason in str(refused.value)
    assert "secret" not in str(refused.value)
