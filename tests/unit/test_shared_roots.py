"""Planners of VEs whose root is the same for all: who may read it, what is private, and who never meets on it."""
from __future__ import annotations

from typing import Any

import msgspec
import pytest

from qrm_tui.backends import lvm_nfs, resources, ve_start, ve_stop
from qrm_tui.backends import virtual_environments as ves
from qrm_tui.core.environments import Assignment, BootImageSeen
from qrm_tui.core.errors import BadInput, Refused
from qrm_tui.core.facts import File
from qrm_tui.core.farm import Farm
from qrm_tui.core.model import ImageWanted
from qrm_tui.core.plan import EditTree, Record, Run, Step, Tell, WriteFile
from qrm_tui.core.states import judge
from tests.unit.allocation import image
from tests.unit.racks import change, define, plan, rack, resource
from tests.unit.test_ve_planners import host_rack, words

KEY_FILE = "/etc/ssh/ssh_host_ed25519_key.pub"


def shared(*images: ImageWanted, machines: int = 3, **wanted: Any) -> Farm:
    """A farm with the VE `farm` on image `web`, the same for all."""
    farm = rack(*(images or (image("web"),)), machines=machines)
    define(farm, "farm", "web", **{"same_for_all": True, "multi_server": 2, **wanted})
    return farm


def running(on: tuple[int, ...] = (1, 2), machines: int = 3, **image_wanted: Any) -> Farm:
    """It runs on r1 and r2."""
    farm = shared(image("web", **{"allowed": tuple(f"10.0.0.{number}" for number in on), "read_only": True,
                                  **image_wanted}), machines=machines, life="running",
                  assigned=tuple(Assignment(f"r{number}", "web") for number in on))
    for number in on:
        farm.put(resource(number, ve="farm", state={"runs": "ve-farm", "stage": "system"}))
    return farm


def start(farm: Farm, name: str = "farm", **arguments: Any) -> Any:
    return plan(ve_start.plan_start, "ve.start", farm, name=name, **arguments)


def add(farm: Farm, **arguments: Any) -> Any:
    return plan(ve_start.plan_add_resource, "ve.add-resource", farm, name="farm", **arguments)


def exports(steps: list[Step]) -> list[WriteFile]:
    return [step for step in steps if isinstance(step, WriteFile) and step.path.endswith(".exports")]


def image_rows(steps: list[Step]) -> list[dict[str, Any]]:
    return [change.wanted for step in steps if isinstance(step, Record) for change in step.changes
            if change.kind == "image" and change.wanted is not None]


def test_all_machines_read_one_image_and_nothing_is_written_into_it() -> None:
    draft = start(shared())
    (export,) = exports(draft.steps)
    assert export.content.count("(ro,") == 2 and "(rw," not in export.content
    assert " 10.0.0.1(" in export.content and " 10.0.0.2(" in export.content
    reload = next(step for step in draft.steps if isinstance(step, Tell))
    assert [check.text for check in reload.proofs] == ["/vol/web\t10.0.0.1(ro,", "/vol/web\t10.0.0.2(ro,"]
    assert not [step for step in draft.steps if isinstance(step, (EditTree, Run))]
    assert image_rows(draft.steps) == [
        {**image_rows(draft.steps)[0], "allowed": ("10.0.0.1", "10.0.0.2"), "read_only": True}]
    assert [lock.object for lock in draft.locks].count("image/web") == 1
    assert "only read" in draft.notes[-2] and "gone when it boots anew" in draft.notes[-2]


def test_each_machine_goes_by_its_own_name() -> None:
    bios = [step.content for step in start(shared()).steps if isinstance(step, WriteFile) and "pxelinux" in step.path]
    assert [f"qrm.hostname=r{number} qrm.shared=50%" in text for number, text in zip((1, 2), bios, strict=True)] == [
        True, True]
    assert all("qrm.root=nfs:10.0.0.9:/vol/web" in text and "let_in" not in text for text in bios)


def test_a_golden_image_with_clones_is_a_root_for_readers() -> None:
    farm = shared(image("web"), image("c1", origin="web"))
    assert len(exports(start(farm).steps)) == 1


def test_two_machines_are_never_called_the_same() -> None:
    farm = shared()
    for number, name in ((1, "web_1"), (2, "web-1")):
        farm.delete("resource", f"r{number}")
        farm.put(msgspec.structs.replace(resource(number), name=name))
    with pytest.raises(Refused, match="would both be called web-1"):
        start(farm, resource=["web_1", "web-1"])
    written = [step.content for step in start(farm, resource=["web_1", "r3"]).steps if isinstance(step, WriteFile)]
    assert any("qrm.hostname=web-1 " in text for text in written)


def test_machines_come_and_go_one_by_one() -> None:
    farm = running()
    draft = add(farm)
    (export,) = exports(draft.steps)
    assert export.content.count("(ro,") == 3 and "await active r3" in words(draft.steps)
    assert "sh" not in words(draft.steps), "nobody's session is dropped"
    assert draft.inverse is not None and draft.inverse.arguments == {"name": "farm", "resource": "r3"}
    draft = plan(ve_stop.plan_remove_resource, "ve.remove-resource", farm, name="farm", resource="r1")
    (export,) = exports(draft.steps)
    assert " 10.0.0.2(ro," in export.content and "10.0.0.1" not in export.content
    dropped = next(step for step in draft.steps if isinstance(step, Run))
    assert dropped.argv[-1] == "10.0.0.1" and "10.0.0.2" not in dropped.argv
    assert [(row["allowed"], row["read_only"]) for row in image_rows(draft.steps)] == [(("10.0.0.2",), True)]


def test_whoever_sends_one_down_is_told_what_is_lost() -> None:
    farm = running()
    for planner, operation, arguments in (
            (ve_stop.plan_stop, "ve.stop", {"name": "farm"}),
            (ve_stop.plan_remove_resource, "ve.remove-resource", {"name": "farm", "resource": "r1"}),
            (resources.plan_power, "resource.power", {"name": "r1", "action": "reset"})):
        who = "r1 and r2" if operation == "ve.stop" else "r1"
        warnings = plan(planner, operation, farm, **arguments).warnings
        assert f"what {who} wrote since booting lies in memory alone, and is lost" in warnings


def test_one_that_was_made_for_one_machine_takes_more() -> None:
    farm = running(on=(1,))
    change(farm, "ve", "farm", multi_server=1)
    draft = add(farm)
    last = draft.steps[-1]
    assert isinstance(last, Record) and last.changes[0].wanted["multi_server"] == 2  # type: ignore[index]


def test_a_stop_takes_its_own_machines_lines_alone() -> None:
    farm = running(machines=4)
    define(farm, "other", "web", same_for_all=True, life="running", assigned=(Assignment("r3", "web"),))
    change(farm, "image", "web", allowed=("10.0.0.1", "10.0.0.2", "10.0.0.3", "10.9.9.9"))
    draft = plan(ve_stop.plan_stop, "ve.stop", farm, name="farm")
    (export,) = exports(draft.steps)
    assert export.content.count("(ro,") == 2 and " 10.0.0.3(" in export.content and " 10.9.9.9(" in export.content
    # who was let in by hand may read on, and nobody may write
    assert image_rows(draft.steps)[-1]["read_only"] is True
    change(farm, "image", "web", allowed=("10.0.0.1", "10.0.0.2"))
    row = image_rows(plan(ve_stop.plan_stop, "ve.stop", farm, name="farm").steps)[-1]
    assert (row["allowed"], row["read_only"]) == ((), False)


def test_a_forced_one_is_cut_off_and_the_others_read_on() -> None:
    draft = plan(ve_stop.plan_remove_resource, "ve.remove-resource", running(), name="farm", resource="r2", force=True)
    assert words(draft.steps)[:4] == ["Record", "web.exports", "exportfs", "sh"]
    assert " 10.0.0.1(ro," in exports(draft.steps)[0].content and "10.0.0.2" not in exports(draft.steps)[0].content


def test_readers_after_a_writer_and_a_writer_after_readers_wait_until_it_is_cut_off() -> None:
    farm = shared(image("web", allowed=("10.0.0.3",)))
    with pytest.raises(Refused, match=r"may be written into by r3 \(idle, 10\.0\.0\.3\).*image revoke web 10\.0\.0\.3"):
        start(farm)
    farm = running()
    define(farm, "writer", "web")
    with pytest.raises(Refused, match=r"is read by r1 \(active, 10\.0\.0\.1\), r2 \(active.*would change under them"):
        start(farm, "writer")
    # more readers are no harm
    define(farm, "other", "web", same_for_all=True)
    assert exports(start(farm, "other").steps)[0].content.count("(ro,") == 3


def access(farm: Farm, **arguments: Any) -> Any:
    return plan(lvm_nfs.plan_allow, "image.allow", farm, name="web", **arguments)


def test_by_hand_too_nobody_writes_what_others_read() -> None:
    farm = running()
    with pytest.raises(Refused, match="is read by r1"):
        access(farm, address=["10.9.9.9"])
    assert exports(access(farm, address=["10.9.9.9"], read_only=True).steps)[0].content.count("(ro,") == 3
    farm = shared(image("web", allowed=("10.0.0.3",)))
    with pytest.raises(Refused, match="may be written into by r3"):
        access(farm, address=["10.9.9.9"], read_only=True)
    farm = shared(image("web"), image("c1", origin="web"))
    with pytest.raises(Refused, match="is frozen: c1 is a clone of it"):
        access(farm, address=["10.9.9.9"])
    assert access(farm, address=["10.9.9.9"], read_only=True).steps


def test_cutting_a_reader_off_is_undone_as_a_reader() -> None:
    draft = plan(lvm_nfs.plan_revoke, "image.revoke", running(), name="web", address=["10.0.0.1"])
    assert draft.inverse is not None
    assert draft.inverse.arguments == {"name": "web", "address": ["10.0.0.1"], "read_only": True}


def test_nothing_is_copied_into_it_and_it_is_not_removed() -> None:
    farm = running()
    farm.put(resource(3))
    with pytest.raises(Refused, match="is in use"):
        plan(lvm_nfs.plan_remove, "image.remove", farm, name="web")
    farm = shared(image("web", allowed=("10.0.0.1",), read_only=True), image("other"))
    with pytest.raises(Refused, match="would find its files changed under it"):
        plan(lvm_nfs.plan_copy, "image.copy", farm, source="other", name="web")


def test_a_boot_image_without_layers_is_refused_wherever_they_meet() -> None:
    farm = shared()
    boot_image = farm.get("boot-image", "debian12")
    boot_image.seen = BootImageSeen(size=1)
    with pytest.raises(Refused, match="no overlay file system, or it was made by an older version"):
        start(farm)
    given = {"boot_image": "debian12", "image": "web"}
    with pytest.raises(Refused, match="make one anew"):
        plan(ves.plan_create, "ve.create", farm, name="x", same_for_all=True, **given)
    assert plan(ves.plan_create, "ve.create", farm, name="x", **given).steps
    change(farm, "ve", "farm", same_for_all=False)
    with pytest.raises(Refused, match="make one anew"):
        plan(ves.plan_edit, "ve.edit", farm, name="farm", same_for_all="yes")


def test_defining_one_and_changing_it() -> None:
    farm = rack(image("web"))
    draft = plan(ves.plan_create, "ve.create", farm, name="x", boot_image="debian12", image="web", multi_server="2",
                 same_for_all=True)
    (step,) = draft.steps
    assert isinstance(step, Record) and step.changes[0].wanted["same_for_all"] is True  # type: ignore[index]
    assert "same root for all" in draft.notes[0] and "clone" not in draft.notes[0]
    define(farm, "x", "web", same_for_all=True, multi_server=2)
    (step,) = plan(ves.plan_edit, "ve.edit", farm, name="x", same_for_all="no").steps
    assert isinstance(step, Record) and step.changes[0].wanted["same_for_all"] is False  # type: ignore[index]
    (step,) = plan(ves.plan_edit, "ve.edit", farm, name="x", memory="1G").steps
    assert isinstance(step, Record) and step.changes[0].wanted["same_for_all"] is True  # type: ignore[index]
    with pytest.raises(BadInput, match="not one of yes, no"):
        plan(ves.plan_edit, "ve.edit", farm, name="x", same_for_all="perhaps")
    change(farm, "ve", "x", life="running")
    with pytest.raises(Refused, match="same-for-all are changed while it is stopped"):
        plan(ves.plan_edit, "ve.edit", farm, name="x", same_for_all="no")


def host() -> Farm:
    farm = host_rack()
    farm.public_key = "ssh-ed25519 AAAAkey qrmd@server"
    define(farm, "hosts", "web", boot_image="xen", partitioning="xen", same_for_all=True)
    return farm


@pytest.mark.parametrize("place", [f"/vol/web{KEY_FILE}", f"/vol/web/.qrm/nodes/r1{KEY_FILE}"])
def test_a_host_is_let_in_and_known_without_a_word_in_its_root(place: str) -> None:
    draft = start(host(), "hosts", files={place: File(content="ssh-ed25519 AAAAhost root@host\n")})
    assert not [step for step in draft.steps if isinstance(step, EditTree)]
    boots = [step.content for step in draft.steps if isinstance(step, WriteFile) and "boot" in step.path]
    assert len(boots) == 2
    assert all("qrm.bridge=qrm0 qrm.shared=50% qrm.let_in=ssh-ed25519:AAAAkey BOOTIF" in text.replace("\n", " ")
               for text in boots)


def test_a_host_that_would_make_a_key_at_each_boot_is_refused() -> None:
    with pytest.raises(Refused, match=r"r1 would make another one at each boot.*On s1: ssh-keygen -A -f /vol/web"):
        start(host(), "hosts")


def test_its_image_says_who_reads_it() -> None:
    farm = running()
    verdict = judge(farm.get("image", "web"), farm)
    assert (verdict.state, verdict.why) == ("in use", "10.0.0.1, 10.0.0.2 may read it, and none of them writes into it")
