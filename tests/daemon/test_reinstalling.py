"""The installer on a server that is set up already: what is switched off, what is told of packages, what is kept."""
from __future__ import annotations

import pytest

from qrm_tui.core import answers
from qrm_tui.core.component_table import table
from qrm_tui.core.errors import NotFound, Refused
from qrm_tui.core.operations.declarations import Role
from qrm_tui.core.plan import Plan, Run
from qrm_tui.core.setup import Draft
from tests.daemon.test_api import _client
from tests.daemon.world import ANSWERS, World


async def plan(world: World, text: str, *off: str) -> Plan:
    return await world.qrmd.plan("install.run", {"answers": text, "disable": list(off)}, Role.administrator)


def without(*names: str) -> str:
    return answers.write({name: settings for name, settings in answers.read(ANSWERS).items() if name not in names})


async def test_what_is_left_out_is_switched_off_in_the_same_plan_and_comes_back_as_it_was(world: World) -> None:
    assert await world.do("install.run", answers=ANSWERS) == "done"
    made = await plan(world, without("dhcpd", "node"), "dhcpd", "node")
    stopped = [step.argv[-1] for step in made.steps if isinstance(step, Run) and "disable" in step.argv]
    assert stopped == [*table()["node"].services, *table()["dhcpd"].services], "what needs the other goes first"
    assert await world.do("install.run", answers=without("dhcpd", "node"), disable=["dhcpd", "node"]) == "done"
    assert world.qrmd.farm.get("component", "dhcpd").state == "off"
    file = await world.server.read_file(answers.FILE)
    assert file is not None and "dhcpd" not in answers.read(file.content)
    assert (await plan(world, without("dhcpd", "node"), "dhcpd", "node")).steps == ()
    told = await world.qrmd.installing.answers("")
    assert set(told["off"]) == {"dhcpd", "node"} and "dhcpd" not in told["present"]
    assert told["off"]["dhcpd"]["lease"] == answers.read(ANSWERS)["dhcpd"]["lease"]
    assert await world.do("install.run", answers=ANSWERS) == "done"
    assert world.qrmd.farm.get("component", "dhcpd").state == "ok"


async def test_what_cannot_be_switched_off_says_why_with_all_reasons(world: World) -> None:
    with pytest.raises(Refused, match="nagios is not set up"):
        await plan(world, ANSWERS, "nagios")
    assert await world.do("install.run", answers=ANSWERS) == "done"
    with pytest.raises(Refused) as refused:
        await plan(world, without("tftpd"), "tftpd", "dhcpd")
    assert [reason.partition(":")[2].split(":")[0] for reason in refused.value.reasons] == [
        " the answers ask for dhcpd", " apache, dhcpd needs tftpd"]


async def test_packages_of_a_component_with_what_is_fetched_or_installed(world: World) -> None:
    told = await world.qrmd.installing.packages("nagios")
    assert {one["name"]: bool(one["size"]) for one in told["packages"]} == {
        "nagios4": True, "monitoring-plugins-basic": True}
    assert told["fetched"] == sum(one["size"] for one in told["packages"])
    world.server.host.software.packages |= {"icinga2": "2.13", "nagios4": "4.4"}
    told = await world.qrmd.installing.packages("nagios")
    assert told["conflicts"] == ["icinga2"]
    assert [one["version"] for one in told["packages"]] == ["4.4", ""]
    with pytest.raises(NotFound):
        await world.qrmd.installing.packages("no\x1b[2J")


async def test_a_draft_counts_until_components_are_changed(world: World) -> None:
    client = _client(world)
    draft = {"chosen": ["qrmd", "nagios"], "typed": {"dhcpd": {"domain": "new.example"}}, "declined": ["clock"]}
    assert client.get("/v1/install/draft").json() == {"draft": None}
    assert client.put("/v1/install/draft", json=draft).status_code == 200
    assert client.get("/v1/install/draft").json()["draft"] == draft
    file = world.state / "install-draft.json"
    assert file.stat().st_mode & 0o777 == 0o600
    assert [client.put("/v1/install/draft", content=content).status_code
            for content in (b'{"chosen": 5}', b'{"chosen": ["' + b"x" * (70 << 10) + b'"]}')] == [400, 400]
    assert _client(world, Role.operator).put("/v1/install/draft", json=draft).status_code == 403
    file.write_bytes(file.read_bytes()[:-9])   # as a broken disk leaves it
    assert client.get("/v1/install/draft").json() == {"draft": None}
    await world.qrmd.installing.drafts.keep(Draft(chosen=["qrmd"]))
    assert await world.qrmd.installing.drafts.kept() is not None
    assert await world.do("install.run", answers=ANSWERS) == "done"
    assert await world.qrmd.installing.drafts.kept() is None
