"""Which machines a virtual environment is started on, and what is said of each other."""
from __future__ import annotations

from typing import Any

import pytest

from qrm_tui.core import placement
from qrm_tui.core.environments import Profile
from qrm_tui.core.model import Item
from qrm_tui.core.resources import Inventory, Nic, ResourceSeen, ResourceWanted

GIB = 1 << 30


def machine(name: str, cpus: int = 2, memory: int = 4 * GIB, state: str = "idle", nics: int = 1, mhz: int = 2400,
            **wanted: Any) -> Item:
    """A resource, idle and out of maintenance."""
    seen = ResourceSeen(inventory=Inventory(cpus=cpus, mhz=mhz, memory=memory,
                                            nics=tuple(Nic(f"eth{at}", f"m{at}") for at in range(nics))))
    return Item(kind="resource", name=name, seen=seen, state=state,
                wanted=ResourceWanted(**{"id": name, "mac": name, "maintenance": False, **wanted}))


def test_the_smallest_that_fits_is_taken_and_each_other_is_explained() -> None:
    farm = [machine("big", 16, 64 * GIB), machine("small", 1, GIB), machine("right", 4, 8 * GIB),
            machine("kept", 4, 8 * GIB, maintenance=True), machine("busy", 4, 8 * GIB, ve="shop"),
            machine("dead", 4, 8 * GIB, state="unknown")]
    choice = placement.choose(farm, Profile(cpus=2, memory=6 * GIB), 1)
    assert choice.chosen == ("right",)
    assert choice.why[0] == "right is taken: 4 CPUs of 2400 MHz, 8G, the smallest that fits"
    assert choice.others == {"small": "has 1 CPU, 2 are wanted", "kept": "is in maintenance",
                             "busy": "belongs to VE shop", "dead": "is unknown", "big": "fits too, and is larger"}
    assert len(choice.why) == 6 and all(any(name in line for line in choice.why) for name in choice.others)


def test_a_bigger_machine_fits_too_where_there_is_no_smaller() -> None:
    assert placement.choose([machine("big", 16, 64 * GIB)], Profile(memory=256 << 20), 1).chosen == ("big",)


@pytest.mark.parametrize(("profile", "word"), [
    (Profile(kind="partition"), "partition is wanted"), (Profile(mhz=3000), "3000 are wanted"),
    (Profile(nics=2), "2 are wanted"), (Profile(memory=5 * GIB), "5G is wanted"), (Profile(cpus=3), "3 are wanted"),
])
def test_what_does_not_fit_says_why(profile: Profile, word: str) -> None:
    choice = placement.choose([machine("one")], profile, 1)
    assert choice.chosen == () and word in choice.others["one"]
    reasons = placement.refusal(choice, 1)
    assert reasons[0] == "no resource fits" and word in reasons[1]


def test_a_machine_with_what_its_firmware_leaves_of_its_memory_fits() -> None:
    left = int(4 * GIB * 0.94)
    assert placement.choose([machine("one", memory=left)], Profile(memory=4 * GIB), 1).chosen == ("one",)


def test_several_are_taken_or_it_is_said_how_many_there_are() -> None:
    farm = [machine("b"), machine("a"), machine("c", 8)]
    assert placement.choose(farm, Profile(), 2).chosen == ("a", "b")
    choice = placement.choose(farm, Profile(cpus=4), 2)
    assert placement.refusal(choice, 2)[0] == "2 resources are wanted, and 1 can be taken"
    assert placement.refusal(placement.choose([], Profile(), 1), 1)[0].endswith("switch machines on that boot from the "
                                                                                "network")


def test_thousands_are_counted_by_their_reason() -> None:
    farm = [machine(f"r{at}", state="off") for at in range(5000)] + [machine("last")]
    choice = placement.choose(farm, Profile(), 1)
    assert choice.chosen == ("last",)
    assert choice.why == ("last is taken: 2 CPUs of 2400 MHz, 4G, the smallest that fits",
                          "not r0 and 4999 more: is off")
