"""What planners rely on, and the one table that states come from."""
from __future__ import annotations

import msgspec
import pytest

from qrm_tui.backends import lvm_nfs_seen
from qrm_tui.core import rows, states
from qrm_tui.core.environments import BootImageWanted
from qrm_tui.core.errors import Stale
from qrm_tui.core.facts import Reading, check_reliances
from qrm_tui.core.farm import Farm
from qrm_tui.core.model import ImageSeen, Item, JobRecord, StorageSeen
from tests.unit.allocation import GIB, image, make_facts, make_farm, volume


def test_an_unchanged_world_holds() -> None:
    farm, facts = make_farm(image("web")), make_facts(volume("web"))
    reading = Reading(farm, {"s1": facts})
    reading.volume("s1", "web")
    reading.get("image", "web")
    reading.ask("s1", "free_at_least", GIB)
    # what changes by use alone is not relied on
    fuller = make_facts(volume("web", data=0.5, open=True), free=20 * GIB)
    check_reliances(reading.relies, farm, {"s1": fuller})
    cloned = make_facts(volume("web", attributes="owi-aos---"))
    check_reliances(reading.relies, farm, {"s1": cloned})


@pytest.mark.parametrize(("change", "word"), [
    (lambda farm, facts: (farm, make_facts(volume("web", id="another"))), "volume web"),
    (lambda farm, facts: (farm, make_facts(volume("web", tags=()))), "volume web"),
    (lambda farm, facts: (farm, make_facts()), "volume web"),
    (lambda farm, facts: (farm, make_facts(volume("web"), free=1)), "free space"),
    (lambda farm, facts: (make_farm(), facts), "filesystem-image web"),
])
def test_a_changed_world_is_told(change, word) -> None:  # type: ignore[no-untyped-def]
    farm, facts = make_farm(image("web")), make_facts(volume("web"))
    reading = Reading(farm, {"s1": facts})
    reading.volume("s1", "web")
    reading.get("image", "web")
    reading.ask("s1", "free_at_least", GIB)
    farm, facts = change(farm, facts)
    with pytest.raises(Stale, match=word):
        check_reliances(reading.relies, farm, {"s1": facts})


def _see(farm: Farm, name: str, **changes: object) -> str:
    item = farm.get("image", name)
    farm.put(msgspec.structs.replace(item, seen=msgspec.structs.replace(item.seen, **changes)))
    return farm.get("image", name).state


def test_an_images_states() -> None:
    farm = make_farm(image("web"))
    assert farm.get("image", "web").state == "ready"
    assert _see(farm, "web", mounted=False) == "error"
    assert _see(farm, "web", mounted=True, exported=("*",)) == "error"
    assert "exported to *" in states.judge(farm.get("image", "web"), farm).why
    assert _see(farm, "web", exported=(), fill=0.97) == "error"
    assert _see(farm, "web", fill=0.5, lost=True) == "error"
    assert _see(farm, "web", lost=False, present=False) == "error"
    assert _see(farm, "web", present=True) == "ready"


def test_an_origin_freezes_with_its_first_clone_and_thaws_with_its_last() -> None:
    farm = make_farm(image("golden"))
    farm.put(Item(kind="image", name="c1", wanted=image("c1", origin="golden"), seen=ImageSeen(mounted=True)))
    assert farm.get("image", "golden").state == "frozen"
    farm.delete("image", "c1")
    assert farm.get("image", "golden").state == "ready"


def test_a_silent_server_makes_its_images_unknown_and_says_why() -> None:
    farm = make_farm(image("web"))
    server = farm.get("storage", "s1")
    farm.put(msgspec.structs.replace(server, seen=StorageSeen(silent="no answer within 10 s")))
    assert (farm.get("storage", "s1").state, farm.get("image", "web").state) == ("error", "unknown")
    assert "no answer within 10 s" in rows.detail_of(farm.get("image", "web"), farm)["why"]


@pytest.mark.parametrize("kind", ["image", "boot-image"])
def test_what_a_job_removes_is_being_removed_and_after_one_that_failed_an_error(kind: str) -> None:
    farm = Farm()
    wanted = image("web", life="removing") if kind == "image" else BootImageWanted(id="b-1", life="removing")
    job = JobRecord(id=7, operation=f"{kind}.remove", object=f"{kind}/web", arguments={})
    farm.put(Item(kind="job", name="7", wanted=job))
    farm.put(Item(kind=kind, name="web", wanted=wanted))
    assert farm.get(kind, "web").state == "removing"
    farm.delete("job", "7")
    farm.judge_again(kind, "web")
    assert farm.get(kind, "web").state == "error"


def test_since_moves_only_with_the_state() -> None:
    now = [1000.0]
    farm = make_farm(image("web"), clock=lambda: now[0])
    since = farm.get("image", "web").since
    now[0] = 2000.0
    _see(farm, "web", used=5)
    assert farm.get("image", "web").since == since
    _see(farm, "web", mounted=False)
    assert farm.get("image", "web").since == 2000.0


def test_every_state_is_one_of_the_designs() -> None:
    known = {"storage": {"ok", "warning", "error", "unknown", "off"},
             "image": {"creating", "removing", "ready", "in use", "frozen", "error", "unknown"},
             "resource": {"booting", "idle", "starting", "active", "stopping", "off", "error", "unknown"},
             "ve": {"inactive", "starting", "active", "degraded", "stopping", "error"},
             "boot-image": {"creating", "removing", "ready", "in use", "error", "unknown"},
             "component": {"ok", "warning", "error", "unknown", "off"},
             "partition": {"defined", "running", "paused", "off", "crashed", "unknown"},
             "host": {"ok", "error", "unknown"}, "user": {"ok", "warning"},
             "job": {"waiting", "running", "done", "undoing", "undone", "failed"}}
    for kind, table in states.TABLES.items():
        assert {rule.state for rule in table} <= known[kind]


def test_when_a_snapshot_will_be_full() -> None:
    item = Item(kind="image", name="c1", wanted=image("c1", origin="golden"))
    snapshot = volume("c1", attributes="swi-aos---", origin="golden", origin_size=5 * GIB, size=GIB)

    def look(fill: float, now: float) -> ImageSeen:
        facts = make_facts(msgspec.structs.replace(snapshot, data=fill))
        item.seen = lvm_nfs_seen.see_images(facts, [item], now)["c1"]
        return item.seen

    assert look(0.1, 1000).full_at is None
    assert look(0.15, 1030).full_at is None  # too short to tell a pace
    assert look(0.2, 1100).full_at == 1100 + 800
    assert look(0.05, 1200).full_at is None  # made anew
    assert (item.seen.size, item.seen.reserve) == (5 * GIB, GIB)
