"""Partitions and virtualization hosts on screen: what is shown and offered, their form, and ways between them."""

from __future__ import annotations

import pytest

from qrm_tui.screens import room
from qrm_tui.screens.console import ConsoleScreen
from qrm_tui.screens.form import Form
from qrm_tui.screens.message import MessageScreen
from qrm_tui.screens.plan import PlanScreen
from tests.screens.driver import Driver, running
from tests.screens.fake_client import NOW, FakeClient, G, host, hosted, partition
from tests.screens.test_rack_forms import field, hint


def farm() -> FakeClient:
    return FakeClient(rows=hosted())


def line_of(d: Driver, name: str) -> str:
    """The table's line of an object."""
    return next(line for line in d.text().splitlines() if line.removeprefix(">").strip().startswith(name + " "))


async def test_partitions_with_their_share_of_cpus() -> None:
    async with running(farm()) as d:
        await d.press("4")
        assert line_of(d, "r1-2").split() == ["r1-2", "running", "###.", "81%", "....", "2G", "r1", "customer4",
                                              "active"]
        assert "%" not in line_of(d, "r1-3"), "what stands still uses nothing"


async def test_memory_has_a_bar_of_its_share_of_the_host_s() -> None:
    rows = {**hosted(), "partition": [partition("r1-1", "running", memory=9 * G, memory_share=0.5625),
                                      partition("r1-2", "running", memory=512 << 20, memory_share=None)]}
    async with running(FakeClient(rows=rows)) as d:
        await d.press("4")
        assert "##..    9G" in line_of(d, "r1-1") and "9G, 56% of its host's" in d.text()
        assert "512M" in line_of(d, "r1-2") and ".." not in line_of(d, "r1-2")


@pytest.mark.parametrize(("name", "offered", "others"), [
    ("r1-1", {"stop", "pause", "reset", "resize"}, {"start", "resume"}),
    ("r1-3", {"resume", "stop", "reset"}, {"start", "pause"}),
    ("r1-4", {"start"}, {"stop", "pause", "resume", "reset"}),
    ("r13-1", {"start", "remove", "create"}, {"stop", "pause", "resume", "reset", "resize"}),
])
async def test_operations_by_state(name: str, offered: set[str], others: set[str]) -> None:
    async with running(farm(), size=(160, 50)) as d:
        await d.press("4")
        d.app.main.shown.table.show_cursor_on(name)
        await d.pilot.pause()
        words = set(d.offered())
        assert offered | {"console"} <= words and not others & words


async def test_a_console_is_opened_from_a_partition_and_from_a_host() -> None:
    for keys, name in ((("4",), "r1-1"), (("colon", *"hosts", "enter"), "r1")):
        async with running(farm()) as d:
            await d.press(*keys)
            await d.press("s")
            await d.at(ConsoleScreen)
            await d.until(lambda named=name: d.page("#console-title").split()[0] == named)


async def test_from_a_host_to_its_partitions_to_their_resource_and_back() -> None:
    async with running(farm()) as d:
        await d.press("colon")
        await d.type("hosts")
        await d.press("enter")
        assert d.app.main.view.name == "hosts"
        await d.press("t")
        await d.until(lambda: d.app.main.view.name == "partitions")
        assert "/host=r1: 5 of 6" in d.text()
        await d.press("down", "t")
        await d.until(lambda: d.app.main.view.name == "resources")
        assert d.app.main.shown.row and d.app.main.shown.row["name"] == "r1-2" and "xen partition on r1" in d.about()
        await d.press("t")
        await d.until(lambda: d.app.main.view.name == "partitions")
        assert d.app.main.shown.row and d.app.main.shown.row["name"] == "r1-2"


async def test_other_machines_lead_nowhere() -> None:
    async with running(farm()) as d:
        await d.press("2")
        d.app.main.shown.table.show_cursor_on("r3")
        await d.pilot.pause()
        assert "to it" not in d.offered()


async def test_power_of_a_partition_says_what_to_use() -> None:
    async with running(farm()) as d:
        await d.press("2")
        d.app.main.shown.table.show_cursor_on("r1-2")
        await d.press("r")
        await d.at(MessageScreen)
        said = " ".join(d.text().replace("│", " ").split())
        assert "r1-2 is a partition of r1" in said and "qrm partition start, stop, reset" in said
        assert not d.called("plan")


async def test_hosts_show_what_is_left() -> None:
    async with running(farm()) as d:
        await d.press("colon")
        await d.type("hosts")
        await d.press("enter")
        assert line_of(d, "r1").split() == [">", "r1", "ok", "xen", "4", "#...", "22%", "8", "of", "8", "##..", "62%",
                                            "6G"]
        await d.until(lambda: "its libvirtd answers" in d.about())
        assert "rescue" in d.about(), "foreign domains are told"
        assert {"new partition", "console"} <= set(d.offered()) and "remove" not in d.offered()
        d.client.push({"host": [host("r1", added=True)]})
        await d.until(lambda: "remove" in d.offered())
        assert not {"new partition", "console"} & set(d.offered()), "it was added as it is"


async def test_the_form_from_a_host_has_it_filled_in_and_tells_what_fits() -> None:
    async with running(farm()) as d:
        await d.press("colon")
        await d.type("hosts")
        await d.press("enter", "a")
        form = await d.at(Form)
        assert field(d, "host").text == "r1" and form.arguments == {"host": "r1"}
        told = " ".join(d.page("#form-room").split())
        assert told == ("r1: 6G of 16G free, 8 of 8 CPUs given (2400 MHz), 6 of 1G still fit, for disks 200G in local")
        field(d, "memory").editor.focus()
        await d.type("4G")
        assert "1 of 4G still fit" in d.page("#form-room")
        field(d, "count").editor.focus()
        await d.type("2")
        assert "1 of 4G would fit on r1" in hint(d, "count")
        field(d, "memory").editor.focus()
        await d.press("backspace", "backspace")
        await d.type("2G")
        assert "would fit" not in hint(d, "count"), "another field has made it right"
        field(d, "cpus").editor.focus()
        await d.type("9")
        assert "r1 has 8 CPUs" in hint(d, "cpus")
        await d.press("enter")
        assert d.app.screen is form and not d.called("plan"), "what does not fit is not asked for"
        await d.press("backspace", "2", "enter")
        await d.at(PlanScreen)
        assert d.called("plan") == [("partition.create", {"host": "r1", "count": "2", "cpus": "2", "memory": "2G"})]


async def test_who_resizes_sees_what_it_has() -> None:
    async with running(farm()) as d:
        await d.press("4", "z")
        form = await d.at(Form)
        assert [field(d, name).text for name in ("cpus", "mhz", "memory")] == ["2", "600", "2G"]
        assert field(d, "cpus").has_focus_within and form.arguments == {"name": "r1-1"}
        await d.press("enter")
        assert "nothing was changed" in d.page("#form-trouble") and not d.called("plan")
        await d.press("backspace", "4", "enter")
        await d.at(PlanScreen)
        assert d.called("plan") == [("partition.resize", {"name": "r1-1", "cpus": "4"})]


async def test_a_stop_can_be_forced_and_its_form_shows_so() -> None:
    async with running(farm()) as d:
        await d.press("4", "x")
        form = await d.at(Form)
        before = d.text()
        await d.press("space")
        assert form.arguments == {"name": "r1-1", "force": True}
        assert before != d.text() and "…" not in before + d.text()
        await d.press("space", "enter")
        await d.at(PlanScreen)
        assert d.called("plan") == [("partition.stop", {"name": "r1-1"})], "enter goes on, and forces nothing"


def domain(name: str, state: str) -> dict[str, object]:
    """A foreign domain's row."""
    return {"name": name, "state": state, "since": NOW - 900, "seen_at": NOW - 4, "revision": 1, "host": "lxc1",
            "technology": "lxc", "title": name, "cpus": 1, "memory": G, "persistent": True, "nics": [], "id": name}


async def test_foreign_domains_are_a_list_and_switched_from_there() -> None:
    added = host("lxc1", technology="lxc", added=True, ve="", partitions=0, foreign=["web", "db"])
    domains = [domain("lxc1.db", "off"), domain("lxc1.web", "running")]
    rows = {**hosted(), "host": [host("r1"), added], "domain": domains}
    async with running(FakeClient(rows=rows)) as d:
        await d.press("colon")
        await d.type("hosts")
        await d.press("enter")
        assert "lxc" in line_of(d, "lxc1").split()
        await d.press("colon")
        await d.type("domains")
        await d.press("enter")
        assert line_of(d, "lxc1.web").split()[:4] == ["lxc1.web", "running", "lxc1", "lxc"]
        for name, offered, other in (("lxc1.db", "start", "stop"), ("lxc1.web", "stop", "start")):
            d.app.main.shown.table.show_cursor_on(name)
            await d.pilot.pause()
            assert offered in d.offered() and other not in d.offered()
    async with running(FakeClient(rows=rows)) as d:
        await d.press("4", "a")
        await d.at(Form)
        assert field(d, "host").text == "r1", "no partitions are made on what was added"


async def test_the_form_tells_what_is_free_for_disks() -> None:
    rows = {**hosted(), "host": [host("r1", groups={"local": 200 * G, "fast": 50 * G})]}
    async with running(FakeClient(rows=rows)) as d:
        await d.press("4", "a")
        await d.at(Form)
        field(d, "disk").editor.focus()
        await d.type("60G")
        told = " ".join(d.page("#form-room").split())
        assert told.endswith("for disks 200G in local, 50G in fast, 3 disks of 60G still fit")
        field(d, "disk_group").editor.focus()
        await d.type("fast")
        assert "no disks of 60G still fit" in " ".join(d.page("#form-room").split())
        assert "50G are free for disks on r1, 60G are wanted" in hint(d, "disk")
        await d.type("er")
        assert "r1 has no volume group faster for disks" in hint(d, "disk_group")


async def test_what_is_wrong_with_the_last_field_is_seen_without_scrolling() -> None:
    async with running(FakeClient(rows={**hosted(), "host": [host("r1", groups={"local": 200 * G})]})) as d:
        await d.press("4", "a")
        await d.at(Form)
        for text in ("", "", "2", "1", "400", "148M", ""):
            await d.type(text)
            await d.press("tab")
        assert field(d, "disk_group").has_focus_within
        await d.type("faster")
        await d.until(lambda: "r1 has no volume group faster for disks" in d.text())


async def test_a_form_bears_a_terminal_that_grows_small_and_large_again() -> None:
    async with running(FakeClient(rows={**hosted(), "host": [host("r1")]})) as d:
        await d.press("4", "a")
        await d.at(Form)
        await d.press("tab", "tab", *"500")
        large = d.text()
        await d.pilot.resize_terminal(40, 10)
        await d.until(lambda: "enter go on" in d.text() and "> count" in d.text()
                      and "6 of 1G would fit on r1" in " ".join(d.text().split()))
        await d.pilot.resize_terminal(80, 24)
        await d.until(lambda: d.text().splitlines()[1:3] == large.splitlines()[1:3] and "> count" in d.text()
                      and "! 6 of 1G would fit on r1" in d.text())
        assert "6 of 1G still fit" in d.page("#form-room").splitlines()[0], "as wide as there is room"


async def test_the_only_host_is_filled_in_and_of_several_one_is_chosen() -> None:
    async with running(FakeClient(rows={**hosted(), "host": [host("r1")]})) as d:
        await d.press("4", "a")
        await d.at(Form)
        assert field(d, "host").text == "r1" and field(d, "name").has_focus_within
    async with running(farm()) as d:
        await d.press("4", "a")
        await d.at(Form)
        assert field(d, "host").has_focus_within and "r1  r13" in " ".join(d.page("#form-hint").split("\n"))
        assert d.page("#form-room") == ""
        await d.type("r2")
        assert "there is no host 'r2'" in hint(d, "host")
        await d.press("backspace")
        await d.type("13")
        assert "r13 is error" in d.page("#form-room")


def test_what_does_not_fit() -> None:
    r1 = host("r1", memory_free=6 * G)
    assert room.trouble("memory", r1, {"memory": 7 * G}) == "r1 has 6G of its memory free"
    assert room.trouble("count", r1, {"memory": 7 * G, "count": 2}) == "", "it is told at the memory"
    assert room.trouble("count", r1, {"memory": 3 * G, "count": 2}) == ""
    assert room.trouble("mhz", r1, {"mhz": 2401}) == "r1 has 8 CPUs of 2400 MHz"
    assert room.trouble("memory", {**r1, "state": "error"}, {"memory": 7 * G}) == "", "nobody knows"
    assert "not one of 7G still fit" in room.words(r1, {"memory": 7 * G})
    assert room.words(r1, {"memory": 148 << 20}).endswith("; 148M is little: today's kernels want 160M to boot")
    assert "no partitions are made there" in room.words(host("lxc1", added=True), {"memory": G})
    assert room.trouble("disk", {**r1, "groups": {}}, {"disk": G}) == "r1 has no volume group of its own for disks"


async def test_the_overview_counts_partitions_and_hosts_where_there_are_any() -> None:
    async with running(farm()) as d:
        assert line_of(d, "partitions").split()[:2] == ["partitions", "6"] and "1 crashed" in line_of(d, "partitions")
        assert line_of(d, "hosts").split()[:2] == ["hosts", "2"]
        assert any(alert["name"] == "r1-4" and alert["state"] == "crashed" for alert in d.app.live.alerts)
        d.client.push({"partition": [partition("r1-4", "running")]})
        await d.until(lambda: "crashed" not in line_of(d, "partitions"))
    async with running() as d:
        assert "partitions" not in d.text()
