"""Who is asked to switch a machine, and what is said when nobody can."""
from __future__ import annotations

from typing import Any

import pytest

from qrm_tui.backends import power
from qrm_tui.core.errors import Refused
from qrm_tui.core.model import Item
from qrm_tui.core.plan import Await, Order, Run, Wait
from qrm_tui.core.resources import Power, ResourceSeen, ResourceWanted

NOW = 1000.0
IPMI = Power(method="ipmi", address="10.1.0.7", user="admin", secret="/etc/qrm/bmc")
WAKE = Power(method="wake")
NOBODY = Power()
MAC = "52:54:00:00:00:01"


def machine(how: Power = NOBODY, **seen: Any) -> Item:
    """A resource that is switched like this."""
    return Item(kind="resource", name="r1", wanted=ResourceWanted(id="1", mac=MAC, power=how),
                seen=ResourceSeen(**{"boot": "b1", **seen}))


def test_the_agent_is_asked_first() -> None:
    for how in (Power(), IPMI, WAKE):
        (step,) = power.reset(machine(how, heard=NOW - 5), NOW)
        assert isinstance(step, Order) and (step.order, step.boot) == ("reboot", "b1")
        assert isinstance(power.off(machine(how, heard=NOW - 5), NOW)[0], Order)


def test_a_silent_machine_is_reset_by_its_controller_and_its_password_is_on_no_command_line() -> None:
    (step,) = power.reset(machine(IPMI, heard=NOW - 500), NOW)
    assert isinstance(step, Run) and step.argv[-3:] == ("chassis", "power", "reset")
    assert step.argv[step.argv.index("-f") + 1] == "/etc/qrm/bmc" and "-P" not in step.argv


def test_off_is_believed_only_when_it_is_seen() -> None:
    told, seen = power.off(machine(Power(), heard=NOW), NOW)
    assert isinstance(told, Order) and isinstance(seen, Await) and seen.until == "off"
    _, seen = power.off(machine(IPMI, heard=NOW), NOW)
    assert isinstance(seen, Wait) and seen.check.text == "Chassis Power is off"


def test_what_is_off_is_switched_on_not_reset() -> None:
    (step,) = power.reset(machine(IPMI, off="proved"), NOW)
    assert isinstance(step, Run) and step.argv[-1] == "on" and step.done is not None
    (step,) = power.reset(machine(WAKE, off="said"), NOW, "10.77.0.255")
    assert isinstance(step, Run) and step.argv == ("wakeonlan", "-i", "10.77.0.255", MAC)


@pytest.mark.parametrize(("action", "how", "seen"), [
    (power.on, Power(), {}), (power.off, Power(), {}), (power.reset, Power(), {}), (power.off, WAKE, {}),
    (power.reset, WAKE, {"heard": NOW - 500}),
])
def test_where_nobody_can_that_is_said(action: Any, how: Power, seen: dict[str, Any]) -> None:
    with pytest.raises(Refused, match="nothing can"):
        action(machine(how, **seen), NOW)


@pytest.mark.parametrize(("text", "on"), [("Chassis Power is on\n", True), ("Chassis Power is off\n", False),
                                          ("", None), ("Error: Unable to establish IPMI v2 / RMCP+ session\n", None)])
def test_a_controllers_answer(text: str, on: bool | None) -> None:
    assert power.parse_status(text) is on
