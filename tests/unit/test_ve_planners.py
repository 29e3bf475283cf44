"""Planners of virtual environments: what a start and a stop do, in which order, and what they refuse."""
from __future__ import annotations

from typing import Any

import pytest

from qrm_tui.backends import boot, ve_start, ve_stop
from qrm_tui.backends import virtual_environments as ves
from qrm_tui.core.environments import Assignment, BootImageSeen, BootImageWanted
from qrm_tui.core.errors import BadInput, NotFound, Refused
from qrm_tui.core.farm import Farm
from qrm_tui.core.model import Item, JobRecord
from qrm_tui.core.plan import Await, Order, Record, Run, Step, Tell, WriteFile
from qrm_tui.core.resources import Inventory
from tests.unit.allocation import image, volume
from tests.unit.racks import NOW, change, define, mac, plan, rack, resource


def words(steps: list[Step]) -> list[str]:
    """What the steps are, in a word or two each."""
    shown = []
    for step in steps:
        if isinstance(step, (Run, Tell)):
            shown.append(step.argv[0])
        elif isinstance(step, WriteFile):
            shown.append(step.path.rpartition("/")[2])
        elif isinstance(step, Order):
            shown.append(f"order {step.order or 'none'} {step.resource}")
        elif isinstance(step, Await):
            shown.append(f"await {step.until} {step.resource}")
        else:
            shown.append(type(step).__name__)
    return shown


def files(number: int) -> list[str]:
    return [path.rpartition("/")[2] for path in boot.machine_paths(mac(number))]


def start(farm: Farm, name: str = "shop", **arguments: Any):  # type: ignore[no-untyped-def]
    return plan(ve_start.plan_start, "ve.start", farm, name=name, **arguments)


def running(machines: int = 2, **wanted: Any) -> Farm:
    """A farm whose VE `shop` runs on r1."""
    farm = rack(image("web", allowed=("10.0.0.1",)), machines=machines)
    define(farm, "shop", "web", **{"life": "running", "assigned": (Assignment("r1", "web"),), **wanted})
    farm.put(resource(1, ve="shop", state={"runs": "ve-shop", "stage": "system"}))
    return farm


def test_a_start_lets_one_machine_mount_and_then_boots_it() -> None:
    farm = rack(image("web"))
    define(farm, "shop", "web")
    draft = start(farm)
    assert words(draft.steps) == ["Record", "web.exports", "exportfs", "Record", "order none r1", *files(1),
                                  "order reboot r1", "await active r1", "Record"]
    export = draft.steps[1]
    assert isinstance(export, WriteFile) and export.content.count("(rw,") == 1 and " 10.0.0.1(" in export.content
    bios = draft.steps[5]
    assert isinstance(bios, WriteFile) and "qrm.root=nfs:10.0.0.9:/vol/web" in bios.content
    assert "qrm.ve=ve-shop" in bios.content and bios.former is not None and "qrm.root" not in bios.former
    assert draft.no_return is None and draft.inverse is not None and draft.inverse.operation == "ve.stop"
    assert draft.notes[0].startswith("r1 is taken: 2 CPUs") and draft.notes[1] == "not r2: it fits too"
    awaited = draft.steps[-2]
    assert isinstance(awaited, Await) and (awaited.ve, awaited.not_boot) == ("ve-shop", "boot-1")


def test_the_records_say_so_from_the_first_step_on() -> None:
    farm = rack(image("web"))
    define(farm, "shop", "web")
    first, last = start(farm).steps[0], start(farm).steps[-1]
    assert isinstance(first, Record) and isinstance(last, Record)
    made = {change.kind: change.wanted for change in first.changes}
    assert made["ve"]["life"] == "starting" and made["ve"]["assigned"] == ({"resource": "r1", "image": "web"},)  # type: ignore[index]
    assert made["resource"]["ve"] == "shop"  # type: ignore[index]
    assert last.changes[0].wanted["life"] == "running"  # type: ignore[index]


def test_several_machines_get_a_clone_each() -> None:
    farm = rack(image("web"), machines=3)
    define(farm, "shop", "web", multi_server=2)
    draft = start(farm)
    assert [step.argv[-5] for step in draft.steps if isinstance(step, Run) and step.argv[0] == "lvcreate"] == [
        "shop-1", "shop-2"]
    exports = [step for step in draft.steps if isinstance(step, WriteFile) and step.path.endswith(".exports")]
    allowed = [step for step in exports if "(rw," in step.content]
    assert [step.path.rpartition("/")[2] for step in allowed] == ["shop-1.exports", "shop-2.exports"]
    assert " 10.0.0.1(" in allowed[0].content and " 10.0.0.2(" in allowed[1].content
    # what is replaced is what the same plan wrote before: the export for nobody
    assert [step.former for step in allowed] == [step.content for step in exports if step not in allowed]
    identities = {change.wanted["export_id"] for step in draft.steps if isinstance(step, Record)
                  for change in step.changes if change.kind == "image" and change.wanted}
    assert len(identities) == 2


def test_it_starts_on_the_machines_that_are_named_and_others_join_later() -> None:
    farm = rack(image("web"), machines=3)
    define(farm, "shop", "web", multi_server=2)
    draft = plan(ve_start.plan_start, "ve.start", farm, volume("web"), name="shop", resource=["r3"])
    assert [step.argv[-5] for step in draft.steps if isinstance(step, Run) and step.argv[0] == "lvcreate"] == ["shop-1"]
    assert [step.resource for step in draft.steps if isinstance(step, Await)] == ["r3"]
    assert "made for 2 machines" in draft.notes[-1] and "qrm ve add-resource shop" in draft.notes[-1]


def test_clones_that_are_there_are_used_again() -> None:
    farm = rack(image("web"), image("shop-1", origin="web"))
    define(farm, "shop", "web", multi_server=2)
    draft = plan(ve_start.plan_start, "ve.start", farm, volume("web"), volume("shop-1", origin="web"), name="shop")
    assert [step.argv[-5] for step in draft.steps if isinstance(step, Run) and step.argv[0] == "lvcreate"] == ["shop-2"]


@pytest.mark.parametrize(("spoil", "reason"), [
    (lambda farm: change(farm, "image", "web", allowed=("10.0.0.2",)), r"may be mounted by r2 \(idle, 10.0.0.2\)"),
    (lambda farm: change(farm, "image", "web", allowed=("10.9.9.9",)), r"may be mounted by 10\.9\.9\.9"),
    (lambda farm: change(farm, "image", "web", managed=False), "only registered"),
    (lambda farm: change(farm, "image", "web", life="creating"), "left creating"),
    (lambda farm: change(farm, "boot-image", "debian12", life="removing"), "is error: no machine can boot it"),
    (lambda farm: [change(farm, "resource", name, maintenance=True) for name in ("r1", "r2")], "no resource fits"),
    (lambda farm: [change(farm, "resource", name, address="") for name in ("r1", "r2")], "no address of its own"),
    (lambda farm: farm.delete("component", "dhcpd"), "not set up for netboot"),
    (lambda farm: change(farm, "ve", "shop", life="starting"), "left starting"),
    (lambda farm: change(farm, "ve", "shop", life="running"), "runs already"),
    (lambda farm: farm.put(Item(kind="job", name="7", wanted=JobRecord(
        id=7, operation="ve.start", object="ve/shop", arguments={}, state="running"))), "job 7 is at it"),
])
def test_what_a_start_refuses(spoil: Any, reason: str) -> None:
    farm = rack(image("web"))
    define(farm, "shop", "web")
    before = plan(ve_start.plan_start, "ve.start", farm, name="shop")
    spoil(farm)
    with pytest.raises(Refused, match=reason):
        # the server's files are those of before: settings may be what was spoiled
        _start_with(farm, before)


def _start_with(farm: Farm, before: Any) -> None:
    from qrm_tui.backends.planning import Call
    from qrm_tui.core.facts import File, MachineFacts, Reading
    from qrm_tui.core.plan import HERE
    from tests.unit.allocation import make_facts

    there = {path: File(content="") for number in (1, 2) for path in boot.machine_paths(mac(number))}
    reading = Reading(farm, {"s1": make_facts(volume("web")), HERE: MachineFacts(files=there)})  # type: ignore[arg-type]
    ve_start.plan_start(Call({"name": "shop", "resource": []}, reading, lambda purpose: purpose))


def test_an_image_with_clones_is_no_root() -> None:
    farm = rack(image("web"), image("c1", origin="web"))
    define(farm, "shop", "web")
    with pytest.raises(Refused, match="frozen"):
        start(farm)


def test_a_named_resource_is_taken_or_the_reason_is_said() -> None:
    farm = rack(image("web"))
    define(farm, "shop", "web")
    assert "await active r2" in words(start(farm, resource=["r2"]).steps)
    change(farm, "resource", "r2", maintenance=True)
    with pytest.raises(Refused) as caught:
        start(farm, resource=["r2"])
    assert "not r2: it is in maintenance" in caught.value.reasons[1]
    with pytest.raises(NotFound):
        start(farm, resource=["r9"])
    with pytest.raises(BadInput, match="takes 1"):
        start(farm, resource=["r1", "r2"])


def test_a_stop_sends_the_machine_home_before_its_root_is_taken() -> None:
    draft = plan(ve_stop.plan_stop, "ve.stop", running(), name="shop")
    assert words(draft.steps) == ["Record", *files(1), "order reboot r1", "await idle r1", "web.exports", "exportfs",
                                  "sh", "Record", "Record"]
    assert draft.no_return == 3
    last = draft.steps[-1]
    assert isinstance(last, Record)
    assert [(change.kind, change.wanted.get("life"), change.wanted.get("ve"))  # type: ignore[union-attr]
            for change in last.changes] == [("ve", "stopped", None), ("resource", None, "")]


def test_a_forced_stop_cuts_it_off_first_and_waits_for_nobody() -> None:
    farm = running()
    farm.put(resource(1, ve="shop", state={"runs": "ve-shop", "stage": "system", "heard": NOW - 900}))
    with pytest.raises(Refused) as caught:
        plan(ve_stop.plan_stop, "ve.stop", farm, name="shop")
    assert "--force" in caught.value.reasons[-1]
    draft = plan(ve_stop.plan_stop, "ve.stop", farm, name="shop", force=True)
    assert words(draft.steps) == ["Record", "web.exports", "exportfs", "sh", "Record", *files(1), "Record"]
    assert draft.no_return == 1 and draft.warnings


def test_a_machine_that_is_off_need_not_be_told() -> None:
    farm = running()
    farm.put(resource(1, ve="shop", state={"runs": "ve-shop", "heard": NOW - 900, "off": "proved"}))
    assert not [word for word in words(plan(ve_stop.plan_stop, "ve.stop", farm, name="shop").steps)
                if word.startswith(("order", "await"))]


def test_machines_are_added_and_taken_one_by_one() -> None:
    farm = rack(image("web"), image("shop-1", origin="web", allowed=("10.0.0.1",)), machines=3)
    define(farm, "shop", "web", multi_server=2, life="running", assigned=(Assignment("r1", "shop-1"),))
    farm.put(resource(1, ve="shop", state={"runs": "ve-shop", "stage": "system"}))
    volumes = volume("web"), volume("shop-1", origin="web")
    draft = plan(ve_start.plan_add_resource, "ve.add-resource", farm, *volumes, name="shop")
    assert "await active r2" in words(draft.steps) and "await active r1" not in words(draft.steps)
    assert draft.inverse is not None and draft.inverse.arguments == {"name": "shop", "resource": "r2"}
    with pytest.raises(Refused, match="last machine"):
        plan(ve_stop.plan_remove_resource, "ve.remove-resource", farm, *volumes, name="shop", resource="r1")
    with pytest.raises(Refused, match="does not belong"):
        plan(ve_stop.plan_remove_resource, "ve.remove-resource", farm, *volumes, name="shop", resource="r3")


def test_a_ve_of_one_machine_takes_no_second() -> None:
    with pytest.raises(Refused, match="made for one machine"):
        plan(ve_start.plan_add_resource, "ve.add-resource", running(), name="shop")


def test_defining_one() -> None:
    farm = rack(image("web"))
    draft = plan(ves.plan_create, "ve.create", farm, name="shop", boot_image="debian12", image="web", memory="1G")
    (step,) = draft.steps
    assert isinstance(step, Record) and step.changes[0].wanted["profile"]["memory"] == 1 << 30  # type: ignore[index]
    assert draft.warnings == []
    assert "could not be started now" in plan(ves.plan_create, "ve.create", farm, name="shop", boot_image="debian12",
                                              image="web", cpus="99").warnings[0]


@pytest.mark.parametrize(("arguments", "error", "word"), [
    ({"image": "nothing"}, NotFound, "no filesystem-image 'nothing'"),
    ({"boot_image": "nothing"}, NotFound, "no boot-image 'nothing'"),
    ({"technology": "xen"}, BadInput, "--kind partition"), ({"multi_server": "0"}, BadInput, "count"),
    ({"memory": "0"}, BadInput, "memory"), ({"kind": "virtual"}, BadInput, "physical, partition"),
    ({"name": "../x"}, BadInput, "name"),
])
def test_what_cannot_be_defined(arguments: dict[str, Any], error: type[Exception], word: str) -> None:
    given = {"name": "shop", "boot_image": "debian12", "image": "web", **arguments}
    with pytest.raises(error, match=word):
        plan(ves.plan_create, "ve.create", rack(image("web")), **given)


def test_what_runs_is_changed_only_for_its_next_start() -> None:
    farm = running()
    draft = plan(ves.plan_edit, "ve.edit", farm, name="shop", memory="8G")
    assert "next start" in draft.notes[0] and len(draft.steps) == 1
    with pytest.raises(Refused, match="while it is stopped"):
        plan(ves.plan_edit, "ve.edit", farm, name="shop", multi_server="2")
    with pytest.raises(Refused, match="stop it first"):
        plan(ves.plan_remove, "ve.remove", farm, name="shop")
    assert plan(ves.plan_edit, "ve.edit", farm, name="shop").steps == []


def host_rack(**seen: Any) -> Farm:
    """A farm with the boot-image `xen` besides."""
    farm = rack(image("web"))
    farm.put(Item(kind="boot-image", name="xen", created=1, revision=1, wanted=BootImageWanted(id="b2", type="xen"),
                  seen=BootImageSeen(**{"size": 1, "shares": True, **seen,
                                        "files": seen.get("files", ("xen.gz", "xen.efi", "vmlinuz", "initrd.img"))})))
    return farm


def test_a_host_boots_a_hypervisor_and_has_a_bridge() -> None:
    farm = host_rack()
    define(farm, "shop", "web", boot_image="xen", partitioning="xen")
    bios, uefi = (step.content for step in start(farm).steps if isinstance(step, WriteFile) and "boot" in step.path)
    assert "COM32 mboot.c32" in bios and "images/xen/xen.gz dom0_mem=" in bios and "qrm.bridge=qrm0" in bios
    assert "/images/xen/xen.efi" in uefi and "qrm.bridge=qrm0" in uefi


def test_a_kvm_host_boots_a_kernel_and_has_a_bridge() -> None:
    farm = host_rack()
    define(farm, "shop", "web", boot_image="debian12", partitioning="kvm")
    files = [step.content for step in start(farm).steps if isinstance(step, WriteFile) and "boot" in step.path]
    assert len(files) == 2 and all("images/debian12/vmlinuz" in text and "qrm.bridge=qrm0" in text for text in files)


def test_a_hypervisor_is_in_the_way_of_kvm() -> None:
    farm = host_rack()
    with pytest.raises(Refused, match="partitioning kvm needs a boot-image of type linux, and xen is of type xen: "
                                      "name one without a hypervisor"):
        plan(ves.plan_create, "ve.create", farm, name="shop", image="web", boot_image="xen", partitioning="kvm")
    assert plan(ves.plan_create, "ve.create", farm, name="shop", image="web", boot_image="debian12",
                partitioning="kvm").steps


@pytest.mark.parametrize(("partitioning", "boot_image", "words"), [
    ("xen", "debian12", "needs a boot-image of type xen, and debian12 is of type linux"),
    (None, "xen", "is of type xen, which a VE without partitions does not boot: say --partitioning xen"),
])
def test_partitions_and_boot_image_must_fit_whenever_they_meet(partitioning: str | None, boot_image: str,
                                                               words: str) -> None:
    farm = host_rack()
    with pytest.raises(Refused, match=words):
        plan(ves.plan_create, "ve.create", farm, name="shop", image="web", boot_image=boot_image,
             partitioning=partitioning)
    other = {"debian12": "xen", "xen": "debian12"}[boot_image]
    define(farm, "shop", "web", boot_image=other, partitioning=partitioning or "")
    with pytest.raises(Refused, match="is of type"):
        plan(ves.plan_edit, "ve.edit", farm, name="shop", partitioning="none" if partitioning else "xen")
    with pytest.raises(Refused, match=words):
        plan(ves.plan_edit, "ve.edit", farm, name="shop", boot_image=boot_image)
    # records of before, or a boot-image that was made anew as another
    change(farm, "ve", "shop", boot_image=boot_image)
    with pytest.raises(Refused, match=words):
        start(farm)


def test_partitioning_is_given_changed_and_taken_away() -> None:
    farm = host_rack()

    def made(draft: Any) -> Any:
        (step,) = draft.steps
        return step.changes[0].wanted

    assert made(plan(ves.plan_create, "ve.create", farm, name="shop", image="web", boot_image="xen",
                     partitioning="xen"))["partitioning"] == "xen"
    define(farm, "shop", "web", boot_image="xen", partitioning="xen")
    assert made(plan(ves.plan_edit, "ve.edit", farm, name="shop", memory="1G"))["partitioning"] == "xen"
    both = made(plan(ves.plan_edit, "ve.edit", farm, name="shop", boot_image="debian12", partitioning="none"))
    assert (both["boot_image"], both["partitioning"]) == ("debian12", "")
    change(farm, "ve", "shop", life="running")
    with pytest.raises(Refused, match="number of machines and same-for-all are changed while it is stopped"):
        plan(ves.plan_edit, "ve.edit", farm, name="shop", partitioning="none")
    with pytest.raises(BadInput, match="not one of xen"):
        plan(ves.plan_create, "ve.create", farm, name="x", image="web", boot_image="xen", partitioning="vmware")


def test_a_uefi_machine_needs_a_hypervisor_for_uefi() -> None:
    for files, fits in ((("xen.gz", "vmlinuz", "initrd.img"), False), (("xen.gz", "xen.efi"), True)):
        farm = host_rack(files=files)
        define(farm, "shop", "web", boot_image="xen", partitioning="xen")
        farm.put(resource(1, state={"inventory": Inventory(cpus=2, mhz=2400, memory=1 << 32, firmware="uefi")}))
        if fits:
            assert "await active r1" in words(start(farm, resource=["r1"]).steps)
        else:
            with pytest.raises(Refused, match=r"r1 boots by UEFI, and boot-image xen has no xen\.efi"):
                start(farm, resource=["r1"])
            assert "await active r2" in words(start(farm, resource=["r2"]).steps)
