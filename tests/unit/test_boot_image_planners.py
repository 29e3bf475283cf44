"""Planners of boot-images, and what a look at their files says."""
from __future__ import annotations

import json

import pytest

from qrm_tui.backends import boot_images
from qrm_tui.backends.planning import Call, Draft
from qrm_tui.core.environments import BootImageSeen, BootImageWanted, VeWanted
from qrm_tui.core.errors import BadInput, Refused
from qrm_tui.core.facts import MachineFacts, Reading
from qrm_tui.core.farm import Farm
from qrm_tui.core.model import Item
from qrm_tui.core.operations.arguments import check_arguments
from qrm_tui.core.operations.registry import find
from qrm_tui.core.plan import HERE, Record, Run

PLACE = "/srv/qrm/boot/images/debian12"


def a_farm(*images: str) -> Farm:
    farm = Farm(lambda: 1000.0)
    for name in images:
        farm.put(boot_image(name))
    return farm


def boot_image(name: str, seen: BootImageSeen | None = None) -> Item:
    return Item(kind="boot-image", name=name, wanted=BootImageWanted(id=f"id-{name}"), seen=seen, revision=1)


def draw(operation: str, farm: Farm, *, there: str = "absent", **arguments: object) -> Draft:
    plan = {"boot-image.create": boot_images.plan_create, "boot-image.remove": boot_images.plan_remove}[operation]
    reading = Reading(farm, {HERE: MachineFacts(paths={PLACE: there})})
    return plan(Call(check_arguments(find(operation).arguments, arguments), reading, lambda purpose: f"new-{purpose}"))


def test_it_is_noted_made_checked_and_noted_again() -> None:
    draft = draw("boot-image.create", a_farm(), name="debian12", package="linux-image-amd64",
                 modules=["r8169", "e1000e"])
    first, make, last = draft.steps
    assert isinstance(first, Record) and isinstance(make, Run) and isinstance(last, Record)
    assert first.changes[0].wanted and first.changes[0].wanted["life"] == "creating"
    assert make.long and make.argv[1:] == (
        "-m", "qrm_tui.bootimage", "create", "--id", "new-boot-image", "--package", "linux-image-amd64", "--module",
        "r8169", "--module", "e1000e", "--", "debian12")
    assert make.done and make.done.argv[3:] == ("check", "--id", "new-boot-image", "--", "debian12")
    assert make.undo and make.undo.argv[3:] == ("remove", "--id", "new-boot-image", "--", "debian12")
    assert draft.no_return is None and draft.inverse and draft.inverse.operation == "boot-image.remove"


def test_with_a_hypervisor_it_is_of_another_type() -> None:
    draft = draw("boot-image.create", a_farm(), name="debian12", package="linux-image-amd64", hypervisor="xen",
                 modules=["r8169"])
    first, make, last = draft.steps
    assert isinstance(first, Record) and isinstance(make, Run) and isinstance(last, Record)
    wanted = last.changes[0].wanted
    assert wanted and (wanted["type"], wanted["hypervisor"]) == ("xen", "xen")
    assert make.argv[3:-2] == ("create", "--id", "new-boot-image", "--package", "linux-image-amd64", "--hypervisor",
                               "xen", "--module", "r8169")
    assert draft.notes == ["taken from the package sources of the server (apt-get download), and not installed there: "
                           "linux-image-amd64, xen"]


def test_idle_has_no_hypervisor() -> None:
    with pytest.raises(Refused, match="has no hypervisor"):
        draw("boot-image.create", a_farm(), name="idle", package="linux-image-amd64", hypervisor="xen")


@pytest.mark.parametrize(("arguments", "words"), [
    ({"package": "x", "hypervisor": "--root=/"}, "is none"),
    ({"package": "x", "hypervisor": "/a/../etc/x.deb"}, "no absolute path"),
    ({}, "one of them"), ({"package": "a", "kernel": "b"}, "together with"), ({"package": "--root=/"}, "is none"),
    ({"kernel": "-x"}, "is none"), ({"package": "/a/../etc/x.deb"}, "no absolute path"),
    ({"package": "x", "modules": ["../x"]}, "no module's name"), ({"package": "x", "modules": ["a b"]}, "no module's"),
    ({"package": "x", "modules": ["-r"]}, "no module's name"),
])
def test_what_is_no_source_is_told(arguments: dict[str, object], words: str) -> None:
    with pytest.raises(BadInput) as caught:
        draw("boot-image.create", a_farm(), name="debian12", **arguments)
    assert words in str(caught.value)


@pytest.mark.parametrize("name", ["..", "../idle", "a/b", ".hidden"])
def test_a_name_is_a_name(name: str) -> None:
    with pytest.raises(BadInput):
        draw("boot-image.create", a_farm(), name=name, package="linux-image-amd64")


def test_what_is_there_is_left_alone() -> None:
    with pytest.raises(Refused, match="is there already"):
        draw("boot-image.create", a_farm("debian12"), name="debian12", package="x")
    with pytest.raises(Refused, match="is no boot-image that is known"):
        draw("boot-image.create", a_farm(), there="used", name="debian12", package="x")


def test_one_that_a_ve_boots_stays() -> None:
    farm = a_farm("debian12")
    farm.put(Item(kind="ve", name="customer1", wanted=VeWanted(id="v", boot_image="debian12", image="i")))
    with pytest.raises(Refused, match="is what VE customer1 boots"):
        draw("boot-image.remove", farm, name="debian12")


def test_removing_idle_warns() -> None:
    assert draw("boot-image.remove", a_farm("idle"), name="idle").warnings
    draft = draw("boot-image.remove", a_farm("debian12"), name="debian12")
    assert not draft.warnings and draft.no_return == 1


def test_a_look_tells_of_each() -> None:
    items = [boot_image(name) for name in ("good", "bad", "gone", "other")]
    rows = [{"name": "good", "id": "id-good", "size": 7, "version": "6.1", "trouble": "", "files": ["xen.gz", "\x1b"],
             "shares": True},
            {"name": "bad", "id": "id-bad", "size": 7, "version": "6.1", "trouble": "cut\x1b[2J short"},
            {"name": "other", "id": "id-x", "size": "many", "trouble": ""}, {"name": 7}, []]
    text = "\n".join([*map(json.dumps, rows), "{nonsense", ""])
    seen = boot_images.see_images(text, items)
    assert seen["good"] == BootImageSeen(size=7, version="6.1", files=("xen.gz", "\\x1b"), shares=True)
    assert seen["bad"].trouble == "cut\\x1b[2J short" and "is gone" in seen["gone"].trouble
    assert "is another boot-image" in seen["other"].trouble and seen["other"].size == 0
