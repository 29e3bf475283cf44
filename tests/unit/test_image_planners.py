"""Planners of images: what they do, in which order, and what they refuse."""
from __future__ import annotations

import pytest

from qrm_tui.backends import lvm_nfs
from qrm_tui.core.errors import BadInput, NotFound, Refused
from qrm_tui.core.facts import File
from qrm_tui.core.plan import EditTree, Record, RemoveFile, Run, Step, Tell, WriteFile
from tests.unit.allocation import GIB, draw, image, make_facts, make_farm, volume


def _words(steps: list[Step]) -> list[str]:
    shown = []
    for step in steps:
        if isinstance(step, (Run, Tell)):
            shown.append(step.argv[0])
        elif isinstance(step, (WriteFile, RemoveFile)):
            shown.append(f"{type(step).__name__} {step.path}")
        else:
            shown.append(type(step).__name__)
    return shown


def test_a_new_image_is_noted_made_mounted_exported_and_noted_again() -> None:
    draft = draw(lvm_nfs.plan_add, "image.add", make_farm(), make_facts(), name="web", size="5000M")
    assert _words(draft.steps) == [
        "Record", "lvcreate", "mkfs.ext4", "mkdir", "WriteFile /etc/systemd/system/vol-web.mount", "systemctl",
        "WriteFile /etc/exports.d/web.exports", "exportfs", "Record"]
    first, last = draft.steps[0], draft.steps[-1]
    assert isinstance(first, Record) and isinstance(last, Record)
    assert first.changes[0].wanted and first.changes[0].wanted["life"] == "creating"
    assert last.changes[0].wanted and last.changes[0].wanted.get("life", "present") == "present"
    assert draft.no_return is None and draft.inverse and draft.inverse.operation == "image.remove"


def test_the_volume_carries_its_image_from_the_first_moment() -> None:
    draft = draw(lvm_nfs.plan_add, "image.add", make_farm(), make_facts(), name="web", size="5000M")
    create = draft.steps[1]
    assert isinstance(create, Run)
    assert create.argv[-2:] == ("--addtag", "qrm.image.new-image")
    assert create.undo and "qrm.image.new-image" in " ".join(create.undo.argv)


def test_a_clone_is_sealed_before_it_is_exported() -> None:
    farm, facts = make_farm(image("golden")), make_facts(volume("golden"))
    draft = draw(lvm_nfs.plan_clone, "image.clone", farm, facts, source="golden", name="customer_1")
    kinds = [type(step) for step in draft.steps]
    assert kinds.index(EditTree) < _words(draft.steps).index("WriteFile /etc/exports.d/customer_1.exports")
    seal = draft.steps[kinds.index(EditTree)]
    assert isinstance(seal, EditTree)
    hostnames = [edit["content"] for edit in seal.edits if edit["path"] == "/etc/hostname"]
    assert hostnames == ["customer-1\n"]  # an underscore is no part of a host name
    lock = {lock.object: lock.shared for lock in draft.locks}
    assert lock["image/golden"] and not lock["image/customer_1"]


def test_a_clone_has_identities_of_its_own() -> None:
    draft = draw(lvm_nfs.plan_clone, "image.clone", make_farm(image("golden")), make_facts(volume("golden")),
                 source="golden", name="c1")
    last = draft.steps[-1]
    assert isinstance(last, Record) and last.changes[0].wanted
    wanted = last.changes[0].wanted
    assert (wanted["id"], wanted["export_id"], wanted["filesystem_id"]) == ("new-image", "new-export", "new-filesystem")


def test_a_thin_image_is_cloned_thin() -> None:
    farm = make_farm(image("golden", thin=True), pool="pool")
    facts = make_facts(volume("pool", attributes="twi-aotz--", size=20 * GIB, tags=()),
                       volume("golden", pool="pool", attributes="Vwi-aotz--"))
    draft = draw(lvm_nfs.plan_clone, "image.clone", farm, facts, source="golden", name="c1")
    snapshot = draft.steps[1]
    assert isinstance(snapshot, Run) and "--setactivationskip" in snapshot.argv and "--size" not in snapshot.argv


def test_a_removal_revokes_first_and_loses_data_last() -> None:
    facts = make_facts(volume("web"), files={"/etc/exports.d/web.exports": File(content="e"),
                                             "/etc/systemd/system/vol-web.mount": File(content="m")})
    draft = draw(lvm_nfs.plan_remove, "image.remove", make_farm(image("web")), facts, name="web")
    assert _words(draft.steps) == [
        "Record", "RemoveFile /etc/exports.d/web.exports", "exportfs", "systemctl",
        "RemoveFile /etc/systemd/system/vol-web.mount", "systemctl", "systemctl", "lvremove", "rmdir", "Record"]
    assert draft.no_return == _words(draft.steps).index("lvremove")
    remove = draft.steps[7]
    assert isinstance(remove, Run) and len(remove.guards) == 2 and "lv_uuid" in " ".join(remove.argv)


def test_an_image_whose_volume_is_gone_can_be_forgotten() -> None:
    draft = draw(lvm_nfs.plan_remove, "image.remove", make_farm(image("web")), make_facts(), name="web")
    assert "lvremove" not in _words(draft.steps) and any("gone" in note for note in draft.notes)


def test_a_registered_image_is_never_touched() -> None:
    farm = make_farm(image("old", managed=False))
    for plan, operation, more in ((lvm_nfs.plan_resize, "image.resize", {"size": "9G"}),
                                  (lvm_nfs.plan_allow, "image.allow", {"address": ["10.0.0.1"]})):
        with pytest.raises(Refused, match="only registered"):
            draw(plan, operation, farm, make_facts(), name="old", **more)
    draft = draw(lvm_nfs.plan_remove, "image.remove", farm, make_facts(), name="old")
    assert _words(draft.steps) == ["Record"]


def test_registering_what_is_not_there_is_refused() -> None:
    with pytest.raises(Refused, match=r"there is no /vol/x on storage server s1"):
        draw(lvm_nfs.plan_add, "image.add", make_farm(), make_facts(paths={"/vol/x": "absent"}), name="x",
             register_only="/vol/x")
    draft = draw(lvm_nfs.plan_add, "image.add", make_farm(), make_facts(paths={"/srv/x": "used"}), name="x",
                 register_only="/srv/x")
    assert _words(draft.steps) == ["Record"]


FROZEN = (make_farm, (image("golden"), image("c1", origin="golden"), image("c2", origin="golden")))


@pytest.mark.parametrize(("plan", "operation", "arguments"), [
    (lvm_nfs.plan_remove, "image.remove", {"name": "golden"}),
    (lvm_nfs.plan_resize, "image.resize", {"name": "golden", "size": "9G"}),
    (lvm_nfs.plan_copy, "image.copy", {"source": "c1", "name": "golden"}),
])
def test_a_frozen_origin_is_left_alone_and_its_clones_are_named(plan, operation, arguments) -> None:  # type: ignore[no-untyped-def]
    farm = make_farm(*FROZEN[1])
    with pytest.raises(Refused, match="c1, c2 are clones of it"):
        draw(plan, operation, farm, make_facts(volume("golden")), **arguments)


def test_in_use_is_refused_with_the_way_out() -> None:
    farm = make_farm(image("web", allowed=("10.0.0.7",)))
    with pytest.raises(Refused, match=r"qrm image revoke web 10\.0\.0\.7"):
        draw(lvm_nfs.plan_remove, "image.remove", farm, make_facts(volume("web")), name="web")


@pytest.mark.parametrize(("facts", "word"), [
    (make_facts(volume("web", tags=())), "not ours and is never touched"),
    (make_facts(volume("web", tags=("qrm", "qrm.image.other"))), "another image's tag"),
    (make_facts(paths={"/vol/web": "used"}), "holds files"),
    (make_facts(files={"/etc/exports.d/web.exports": File(content="x")}), "in the way"),
    (make_facts(free=GIB), "choose less"),
    (make_facts(group=None), "no volume group vol"),
])
def test_what_is_in_the_way_of_a_new_image(facts, word) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(Refused, match=word):
        draw(lvm_nfs.plan_add, "image.add", make_farm(), facts, name="web", size="5G")


def test_a_size_too_small_or_missing() -> None:
    with pytest.raises(BadInput, match="at least"):
        draw(lvm_nfs.plan_add, "image.add", make_farm(), make_facts(), name="web", size="100M", fs="xfs")
    with pytest.raises(BadInput, match="size: is needed"):
        draw(lvm_nfs.plan_add, "image.add", make_farm(), make_facts(), name="web")


def test_clones_that_cannot_be() -> None:
    farm = make_farm(image("golden"), image("snap", origin="golden"), image("making", life="creating"))
    facts = make_facts(volume("golden"), volume("snap", attributes="swi-aos---", origin="golden"),
                       volume("making"))
    with pytest.raises(NotFound, match="did you mean golden"):
        draw(lvm_nfs.plan_clone, "image.clone", farm, facts, source="golde", name="c")
    with pytest.raises(Refused, match="is there already"):
        draw(lvm_nfs.plan_clone, "image.clone", farm, facts, source="golden", name="snap")
    with pytest.raises(Refused, match="clone golden instead"):
        draw(lvm_nfs.plan_clone, "image.clone", farm, facts, source="snap", name="c")
    with pytest.raises(Refused, match="left creating by a job that failed"):
        draw(lvm_nfs.plan_clone, "image.clone", farm, facts, source="making", name="c")
    with pytest.raises(BadInput, match="clone of itself"):
        draw(lvm_nfs.plan_clone, "image.clone", farm, facts, source="golden", name="golden")


def test_a_pool_is_not_promised_beyond_its_overcommit() -> None:
    farm = make_farm(image("golden", thin=True), pool="pool")
    pool = volume("pool", attributes="twi-aotz--", size=4 * GIB, tags=())
    with pytest.raises(Refused, match="OVERCOMMIT"):
        draw(lvm_nfs.plan_clone, "image.clone", farm,
             make_facts(pool, volume("golden", pool="pool", attributes="Vwi-aotz--")), source="golden", name="c")


def test_openqrms_way_to_say_clone() -> None:
    farm, facts = make_farm(image("webserver")), make_facts(volume("webserver"))
    draft = draw(lvm_nfs.plan_add, "image.add", farm, facts, name="customer1",
                 env={"CREATE_PHYSICAL": "yes", "CREATE_FROM": "webserver"})
    assert any("--snapshot" in step.argv for step in draft.steps if isinstance(step, Run))
    with pytest.raises(BadInput, match="CREATE_COFFEE"):
        draw(lvm_nfs.plan_add, "image.add", farm, facts, name="c", env={"CREATE_COFFEE": "yes"})


def test_growing_a_clone_means_its_room_for_changes() -> None:
    farm = make_farm(image("golden"), image("c1", origin="golden"))
    facts = make_facts(volume("golden"), volume("c1", attributes="swi-aos---", origin="golden", size=GIB,
                                                origin_size=5 * GIB))
    draft = draw(lvm_nfs.plan_resize, "image.resize", farm, facts, name="c1", size="2G")
    assert _words(draft.steps) == ["lvextend"]
    with pytest.raises(Refused, match="only grows"):
        draw(lvm_nfs.plan_resize, "image.resize", farm, facts, name="c1", size="512M")


def test_access_is_given_and_taken_one_machine_at_a_time() -> None:
    farm = make_farm(image("web", allowed=("10.0.0.1",)))
    facts = make_facts(volume("web"), files={"/etc/exports.d/web.exports": File(content="old")})
    draft = draw(lvm_nfs.plan_allow, "image.allow", farm, facts, name="web", address=["10.0.0.2"])
    write = draft.steps[0]
    assert isinstance(write, WriteFile) and write.former == "old"
    assert "10.0.0.1(" in write.content and "10.0.0.2(" in write.content
    assert draft.warnings and draft.inverse and draft.inverse.arguments["address"] == ["10.0.0.2"]
    with pytest.raises(Refused, match=r"may not mount image web anyway; 10\.0\.0\.1 may"):
        draw(lvm_nfs.plan_revoke, "image.revoke", farm, facts, name="web", address=["10.9.9.9"])
