"""Components are taken away again, one or all: what goes, what stays and why, what is refused, what is put back."""
from __future__ import annotations

import hashlib

from qrm_tui.core.answers import FILE
from qrm_tui.core.operations.declarations import Role
from qrm_tui.core.plan import Plan
from tests.daemon.world import ANSWERS, World

CONFIGURATION = "/etc/dhcp/qrm.conf"


async def plan(world: World, operation: str, **arguments: object) -> Plan:
    return await world.qrmd.plan(operation, arguments, Role.administrator)


async def install(world: World, answers: str = ANSWERS) -> None:
    assert await world.do("install.run", answers=answers) == "done"


def files(world: World) -> dict[str, str]:
    """Every file of the server, but what packages brought and left."""
    root = world.server.folder
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in root.rglob("*")
            if path.is_file() and not path.is_relative_to(root / "usr")}


def text_of(world: World, path: str) -> str:
    return (world.server.folder / path.lstrip("/")).read_text()


async def test_a_component_goes_and_comes_back_as_it_was(world: World) -> None:
    await install(world)
    before, software = files(world), world.server.host.software
    made = await plan(world, "component.uninstall", name="node")
    assert (made.destructive, made.confirm) == (True, "node")
    assert any("packages that stay, since apache needs them: curl" in note for note in made.notes)
    number = await world.submit("component.uninstall", name="node")
    assert (await world.qrmd.jobs.wait(number)).state == "done"
    assert world.qrmd.farm.find("component", "node") is None
    assert "qrm-node.service" not in software.active
    assert not {"ipmitool", "wakeonlan"} & set(software.packages)
    assert "curl" in software.packages
    assert "[node]" not in [line.strip() for line in text_of(world, FILE).splitlines()]
    assert (await plan(world, "component.uninstall", name="node")).steps == ()
    assert await world.do("job.undo", name=number) == "done"
    assert files(world) == before
    assert "qrm-node.service" in software.active
