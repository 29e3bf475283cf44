"""Planners of resources: maintenance, power, settings, forgetting one."""
from __future__ import annotations

from typing import Any

import pytest

from qrm_tui.backends import resources
from qrm_tui.core.errors import BadInput, NotFound, Refused
from qrm_tui.core.farm import Farm
from qrm_tui.core.netboot import broadcast_address
from qrm_tui.core.plan import Order, Record, RemoveFile, Run
from tests.unit.racks import NOW, change, plan, rack, resource


def maintenance(farm: Any, **flags: Any) -> Any:
    return plan(resources.plan_maintenance, "resource.maintenance", farm, **{"name": ["r1"], **flags})


def test_maintenance_goes_the_way_that_is_said_or_the_other_way() -> None:
    farm = rack()
    for flags, into in (({"on": True}, True), ({}, True)):
        (step,) = maintenance(farm, **flags).steps
        assert isinstance(step, Record) and step.changes[0].wanted["maintenance"] is into  # type: ignore[index]
    assert maintenance(farm, off=True).steps == []
    change(farm, "resource", "r1", maintenance=True)
    (step,) = maintenance(farm).steps
    assert isinstance(step, Record) and step.changes[0].wanted["maintenance"] is False  # type: ignore[index]
    with pytest.raises(BadInput, match="cannot be given together"):
        maintenance(farm, on=True, off=True)


def test_maintenance_of_several_is_one_plan() -> None:
    farm = rack()
    farm.put(resource(2, maintenance=True))
    farm.put(resource(3))
    draft = maintenance(farm, name=["r1", "r2", "r1", "r3"], on=True)
    assert [step.summary for step in draft.steps] == ["r1 into maintenance", "r3 into maintenance"]
    assert draft.object == "resource/r1 and 2 more" and draft.notes == ["r2 is in maintenance already: nothing to do"]
    assert [lock.object for lock in draft.locks] == ["resource/r1", "resource/r2", "resource/r3"]
    with pytest.raises(NotFound, match="r99"):
        maintenance(farm, name=["r1", "r99"])


def test_switching_off_wants_the_name_and_warns_of_what_runs() -> None:
    farm = rack()
    farm.put(resource(1, ve="shop", state={"runs": "ve-shop", "stage": "system"}))
    draft = plan(resources.plan_power, "resource.power", farm, name="r1", action="reset")
    assert draft.destructive and draft.no_return == 0 and "VE shop" in draft.warnings[0]
    assert isinstance(draft.steps[0], Order)
    change(farm, "resource", "r2", power=resources.Power(method="wake"))
    draft = plan(resources.plan_power, "resource.power", farm, name="r2", action="on")
    assert not draft.destructive and draft.no_return is None


def test_a_machine_is_woken_in_the_network_that_it_boots_from() -> None:
    farm = rack()
    settings = farm.get("component", "dhcpd").wanted.settings
    change(farm, "component", "dhcpd", settings={**settings, "subnet": "192.168.88.0/23"})
    change(farm, "resource", "r2", power=resources.Power(method="wake"))
    (step,) = plan(resources.plan_power, "resource.power", farm, name="r2", action="on").steps
    assert isinstance(step, Run) and step.argv[:3] == ("wakeonlan", "-i", "192.168.89.255")
    assert broadcast_address(Farm()) == "255.255.255.255"


@pytest.mark.parametrize(("arguments", "word"), [
    ({"power": "ipmi"}, "power_address: is needed for ipmi"), ({"power_user": "admin"}, "for --power ipmi alone"),
    ({"console": "ipmi-sol"}, "ipmi-sol needs the management controller"), ({"console": "pigeon"}, "none, ipmi-sol"),
    ({"console": "command"}, "console_command: is needed"), ({"console_command": "cat"}, "for --console command alone"),
    ({"console": "command", "console_command": "ssh 'x"}, "console_command: No closing quotation"),
    ({"console": "command", "console_command": "'' x"}, "console_command: is needed"),
    ({"power": "magic"}, "agent, ipmi, wake"), ({"power": "ipmi", "power_secret": "../x"}, "absolute path"),
])
def test_what_cannot_be_noted_of_a_machine(arguments: dict[str, Any], word: str) -> None:
    with pytest.raises(BadInput, match=word):
        plan(resources.plan_edit, "resource.edit", rack(), name="r1", **arguments)


def test_an_address_is_one_machines_alone_and_stays_while_it_runs_a_ve() -> None:
    farm = rack()
    with pytest.raises(Refused, match="is r2's"):
        plan(resources.plan_edit, "resource.edit", farm, name="r1", address="10.0.0.2")
    farm.put(resource(1, ve="shop"))
    with pytest.raises(Refused, match="stop that first"):
        plan(resources.plan_edit, "resource.edit", farm, name="r1", address="10.0.0.77")
    draft = plan(resources.plan_edit, "resource.edit", farm, name="r1", power="ipmi", power_address="10.1.0.7",
                 power_user="admin", power_secret="/etc/qrm/bmc")
    assert draft.inverse is not None and draft.inverse.arguments["power"] == "agent"
    assert plan(resources.plan_edit, "resource.edit", farm, name="r1").steps == []


def test_a_machine_that_is_forgotten_has_no_boot_files() -> None:
    farm = rack()
    draft = plan(resources.plan_remove, "resource.remove", farm, name="r1")
    assert [type(step) for step in draft.steps] == [RemoveFile, RemoveFile, Record, Run]
    assert "come back as a new resource" in draft.notes[0]
    farm.put(resource(1, ve="shop"))
    with pytest.raises(Refused, match="belongs to VE shop"):
        plan(resources.plan_remove, "resource.remove", farm, name="r1")
    farm.put(resource(1, state={"heard": NOW - 9999}))
    assert plan(resources.plan_remove, "resource.remove", farm, name="r1").notes == []


def test_where_a_console_is_noted_and_taken_back() -> None:
    farm = rack()
    given = {"console": "command", "console_command": "ssh -tt terminals -p 7001"}
    draft = plan(resources.plan_edit, "resource.edit", farm, name="r1", **given)
    (step,) = draft.steps
    assert isinstance(step, Record) and given.items() <= step.changes[0].wanted.items()  # type: ignore[union-attr]
    assert draft.inverse is not None and draft.inverse.arguments["console"] == "none"
    change(farm, "resource", "r1", **given)
    (step,) = plan(resources.plan_edit, "resource.edit", farm, name="r1", console="none").steps
    assert step.changes[0].wanted.get("console_command", "") == ""
    controller = {"power": "ipmi", "power_address": "10.1.0.7", "power_user": "admin", "power_secret": "/etc/qrm/bmc"}
    (step,) = plan(resources.plan_edit, "resource.edit", farm, name="r1", console="ipmi-sol", **controller).steps
    change(farm, "resource", "r1", power=resources.Power(method="ipmi", address="a", user="b", secret="/c"),
           console="ipmi-sol", console_command="")
    with pytest.raises(BadInput, match="ipmi-sol needs"):
        plan(resources.plan_edit, "resource.edit", farm, name="r1", power="agent")
