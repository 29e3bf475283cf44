"""Machines and virtual environments on the screen: lists, stages with clocks, the overview, keys by state."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from qrm_tui.core.operations.registry import offered_on
from qrm_tui.screens import boots
from qrm_tui.screens.listing import Listing
from qrm_tui.screens.live import Live
from qrm_tui.screens.main import MainScreen
from qrm_tui.screens.overview import Overview
from qrm_tui.screens.views import VIEWS, View, profile_words
from qrm_tui.screens.why import Why
from qrm_tui.widgets.table import VirtualTable
from tests.screens.driver import running
from tests.screens.fake_client import NOW, FakeClient, G, resource, ve


def said(line: boots.PageLine) -> str:
    return "".join(text for text, _ in line)


def live_with(*machines: dict[str, object], ves: tuple[dict[str, object], ...] = ()) -> Live:
    live = Live("here", clock=lambda: NOW)
    for kind, rows in (("resource", machines), ("ve", ves)):
        live.apply({"event": "snapshot", "kind": kind, "rows": list(rows), "first": True, "last": True, "revision": 1})
    return live


def booted(live: Live, *machines: dict[str, object]) -> None:
    live.apply({"event": "delta", "revision": 2, "changed": {"resource": list(machines)}, "removed": {}})


def stages(live: Live, name: str, now: float = NOW, width: int = 0) -> str:
    return said(boots.stages_line(live.rows["resource"][name], now, width))


# boots


def test_a_boot_is_a_row_of_stages_with_clocks() -> None:
    live = live_with(resource("r1", "booting", stage="kernel", stage_at=NOW - 12, since=NOW - 17,
                              stages={"dhcp": NOW - 17, "loader": NOW - 14, "kernel": NOW - 12}))
    assert stages(live, "r1") == "dhcp 3s > loader 2s > [kernel 12s] > agent > root > system"
    assert stages(live, "r1", NOW + 60) == "dhcp 3s > loader 2s > [kernel 1m12s] > agent > root > system"


def test_stages_that_were_not_seen_have_no_clock() -> None:
    live = live_with(resource("r1", "booting", stage="agent", stage_at=NOW - 4, since=NOW - 20,
                              stages={"loader": NOW - 9, "agent": NOW - 4, "lunch": NOW - 3}))
    assert stages(live, "r1") == "dhcp > loader 5s > kernel > [agent 4s] > root > system"


def test_what_has_come_up_or_is_gone_boots_no_more() -> None:
    live = live_with(*(resource(name, "booting", stage="dhcp", stage_at=NOW, since=NOW) for name in ("r1", "r2")))
    assert live.boots == {"r1", "r2"}
    booted(live, resource("r1", "idle"))
    live.apply({"event": "delta", "revision": 3, "changed": {}, "removed": {"resource": ["r2"]}})
    assert not live.boots
    booted(live, resource("r1", "error", stage="loader", stage_at=NOW))
    assert live.boots == {"r1"}, "it is stuck"


def test_a_stuck_boot_says_so_in_a_word() -> None:
    live = live_with(resource("r1", "error", stage="loader", stage_at=NOW - 245, since=NOW - 125))
    assert stages(live, "r1") == "dhcp > [loader 4m05s STUCK] > kernel > agent > root > system"


def test_the_boot_before_is_not_taken_for_the_one_that_is_awaited() -> None:
    row = resource("r1", "starting", stage="agent", stage_at=NOW - 5400, since=NOW - 4)
    live = live_with(row)
    assert stages(live, "r1") == "its reboot is awaited" and boots.stage_text(row, NOW) == "reboots"
    booted(live, resource("r1", "starting", stage="dhcp", stage_at=NOW - 1, since=NOW - 4))
    assert stages(live, "r1").startswith("[dhcp 1s] > loader")


@pytest.mark.parametrize("width", [50, 52, 60, 70])
def test_where_there_is_little_room_the_stages_stay_whole(width: int) -> None:
    live = live_with(resource("r1", "booting", stage="root", stage_at=NOW - 203, since=NOW - 600, stages={
        stage: NOW - 600 + place * 99 for place, stage in enumerate(("dhcp", "loader", "kernel", "agent", "root"))}))
    text = stages(live, "r1", width=width)
    assert cell_len(text) <= width
    assert [part.split()[0].strip("[") for part in text.split(">")] == list(boots.STAGES)


def test_a_ve_tells_the_stage_of_its_slowest_machine_and_follows_it() -> None:
    live = live_with(
        resource("r1", "starting", ve="shop", stage="root", stage_at=NOW - 3, since=NOW - 30),
        resource("r2", "starting", ve="shop", stage="kernel", stage_at=NOW - 12, since=NOW - 30),
        ves=(ve("shop", "starting", resources=["r1", "r2"]),))
    heard: list[frozenset[str]] = []
    live.listen(heard.append)
    assert boots.stage_text(live.rows["ve"]["shop"], NOW) == "kernel 12s"
    booted(live, resource("r2", "starting", ve="shop", stage="system", stage_at=NOW - 1, since=NOW - 30))
    assert boots.stage_text(live.rows["ve"]["shop"], NOW) == "root 3s"
    assert live.sources["ve"].row("shop") == live.rows["ve"]["shop"]
    assert heard[-1] >= {"resource", "ve"}, "the details of the VE show its machines"
    booted(live, resource("r1", "active", ve="shop"), resource("r2", "active", ve="shop"))
    assert boots.stage_text(live.rows["ve"]["shop"], NOW) == ""


# views


async def test_resources_show_state_stage_and_maintenance_in_words() -> None:
    async with running() as d:
        await d.press("2")
        lines = {line.split()[1 if line[0] == ">" else 0]: line for line in d.text().splitlines()[3:14]}
        assert lines["r3"].split() == ["r3", "starting", "kernel", "12s", "customer2", "4", "8G", "physical"]
        assert lines["r5"].split() == ["r5", "idle", "maint", "16", "64G", "physical"]
        assert "loader 4m05s" in lines["r4"] and "maint" not in lines["r7"]
        assert lines["r9"].split() == ["r9", "booting", "dhcp", "3s", "maint", "physical"], "not known yet: no zeros"


async def test_the_details_of_a_machine_tell_its_inventory() -> None:
    async with running() as d:
        await d.press("2", "enter")
        about = " ".join(d.about().split())
        for words in ("address 192.168.88.201", "has 4 CPUs of 2400 MHz", "memory 8G", "disks sda 250G, sdb 250G",
                      "nics eth0 52:54:00:77:00:20, eth1", "made by Dell Inc. PowerEdge R410, serial 7Q2K5L1"):
            assert words in about, words


async def test_a_ve_that_starts_shows_each_machine_and_what_stalls() -> None:
    async with running(size=(160, 50)) as d:
        await d.press("3", "down")
        assert "r3   dhcp 3s>loader 2s>[kernel 12s]>agent>root>system" in d.about()
        assert "r10  its reboot is awaited" in d.about() and "customer2-r10" in d.about()
        row = {**d.client.rows["resource"]["r3"], "stage": "agent", "stage_at": NOW, "revision": 2}
        row["stages"] = {**row["stages"], "agent": NOW}
        d.client.push({"resource": [row]})
        await d.until(lambda: ">kernel 12s>[agent 0s]>" in d.about())
        await d.press("down")
        await d.until(lambda: "r4 is error: its boot stalls at loader" in " ".join(d.about().split()))
        assert "next: do tftpd and apache run?" in d.about()
        assert "[loader 4m05s STUCK]" in d.about()


async def test_why_is_asked_again_while_a_boot_goes_on() -> None:
    now = [NOW]
    async with running(clock=lambda: now[0]) as d:
        await d.press("2")
        d.app.main.shown.table.show_cursor_on("r3")
        asked = ("resource", "r3")
        await d.until(lambda: d.called("show").count(asked) == 1)
        d.app.main.tick()  # not yet, or there would be one too many in the end
        now[0] += 5
        d.app.main.tick()
        await d.until(lambda: d.called("show").count(asked) == 2)
        d.client.push({"resource": [{**d.client.rows["resource"]["r3"], "stage": "agent", "stage_at": now[0]}]})
        await d.until(lambda: d.called("show").count(asked) == 3)


def test_a_profile_in_words() -> None:
    assert profile_words({"cpus": 2, "mhz": 2000, "memory": 4 * G, "nics": 1, "kind": "partition",
                          "technology": "xen"}) == (
        "xen partition with at least 2 CPUs, 2000 MHz each, 4G memory, 1 network card")
    assert profile_words({"kind": "physical"}) == "physical"
    assert profile_words({"memory": G}) == "at least 1G memory" and profile_words({}) == ""


@pytest.mark.parametrize("keys, offered, others", [
    (("3",), {"stop", "+ add-resource", "edit"}, {"start", "remove"}),
    (("3", "down"), {"stop"}, {"start", "add-resource", "remove"}),
    (("3", "end"), {"start", "remove"}, {"stop", "add-resource"}),
    (("2",), {"maintenance", "power", "edit"}, {"remove"}),
    (("7", "end"), {"restart", "disable"}, {"enable"}),
])
async def test_operations_are_offered_by_state(keys: tuple[str, ...], offered: set[str], others: set[str]) -> None:
    async with running() as d:
        await d.press(*keys)
        found = d.offered()
        words = set(found) | {f"{key} {word}" for word, key in found.items()}
        assert offered <= words and not others & words


@pytest.mark.parametrize("view", [view for view in VIEWS if offered_on(view.kind)], ids=lambda view: view.name)
def test_no_operation_hides_a_key_of_the_screen(view: View) -> None:
    taken = {key for owner in (MainScreen, Listing, VirtualTable) for binding in owner.BINDINGS
             for key in binding.key.split(",")}  # type: ignore[union-attr]
    keys = [operation.key for operation in offered_on(view.kind) if operation.key]
    assert not taken & set(keys) and len(keys) == len(set(keys))
    assert set(view.applies) <= {operation.name for operation in offered_on(view.kind)}


async def test_boot_images_have_no_digit_and_are_reached_by_name() -> None:
    async with running() as d:
        assert "Boot-images" not in d.text()
        await d.press("colon")
        await d.type("boot-images")
        await d.press("enter")
        assert d.app.main.view.name == "boot-images" and "[Boot-images]" in d.text()
        assert "6.1.0-41-amd64" in d.text() and "create" in d.offered()


async def test_why_by_command() -> None:
    async with running() as d:
        await d.press("colon")
        await d.type("component why dhcpd")
        await d.press("enter")
        await d.at(Why)
        await d.until(lambda: "changed by hand" in d.page("#why"))


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
async def test_the_view_line_fits_and_its_note_stays(view: View) -> None:
    async with running() as d:
        await d.app.main.action_view(view.name)
        await d.pilot.pause()
        line = d.text().splitlines()[1]
        assert f"[{view.title}]" in line and line.split("9")[1].strip(" []") in ("Journal", "Jour")
        if view.kind not in ("alert", "journal"):
            d.app.main.set_filter("state=nothing")
            await d.pilot.pause()
            line = d.text().splitlines()[1]
            assert f"/state=nothing: 0 of {len(d.client.rows[view.kind])}" in line and f"[{view.title}]" in line


# overview


async def test_the_overview_tells_machines_room_boots_and_jobs_and_leaves_room_for_alerts() -> None:
    async with running() as d:
        text = d.page("Overview")
        assert "3 starting  3 idle" in text and "1 degraded" in text
        assert "1 free: 4 CPUs, 8G memory" in text
        assert "r4 loader 4m05s STUCK" in text and "r3 kernel 12s" in text
        overview, table = d.app.main.query_one(Overview), d.app.main.shown.table
        assert overview.virtual_size.height <= overview.size.height, "nothing of it is hidden"
        assert table.size.height >= 6
        await d.pilot.resize_terminal(160, 50)
        await d.until(lambda: "dhcp>[loader 4m05s STUCK]>kernel" in d.page("Overview").replace(" > ", ">"))


async def test_a_thousand_boots_are_counted_not_listed() -> None:
    machines = [resource(f"r{n}", "booting", stage="dhcp", stage_at=NOW - n, since=NOW - n) for n in range(1000)]
    async with running(FakeClient(rows={"resource": machines})) as d:
        lines = d.page("Overview").splitlines()
        assert len(lines) < 16 and any(line.strip().startswith("r999 dhcp 16m39s") for line in
                                       [line.removeprefix(" machines boot").strip() for line in lines])
        assert any("more: 2 shows them" in line for line in lines)


# hostile machines


async def test_what_a_machine_says_of_itself_stays_text() -> None:
    evil = resource("r1", "error", serial="\x1b[2J\x1b]0;owned\x07" + "S" * 300, product="[bold]\u202egnp",
                    vendor="\x9b31m", model="\n\n\t", disks=["sda\x1b[H 1G"], nics=["eth0 \r\nno"],
                    stage="dhcp\x1b[5m", stage_at=NOW - 5)
    looks = (((), "error"), (("enter",), "made by      ?31m [bold]?gnp, serial"), (("escape", "w"), "why"))
    async with running(FakeClient(rows={"resource": [evil, resource("n" * 300)]})) as d:
        await d.press("2")
        d.app.main.shown.table.show_cursor_on("r1")
        for keys, seen in looks:
            await d.press(*keys)
            await d.until(lambda seen=seen: seen in d.text(), seen)
            assert not set(d.text()) & set("\x1b\x9b\x07\r\t\u202e")
            assert all(cell_len(line) == 80 for line in d.text().splitlines())
        await d.press("escape", "1")
        assert not set(d.text()) & set("\x1b\x9b\x07\r\t\u202e")
