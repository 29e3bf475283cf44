"""Forms about machines, VEs and components, and maintenance of many machines at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Input

from qrm_tui.core.errors import BadInput, Refused
from qrm_tui.core.operations.arguments import check_arguments
from qrm_tui.core.operations.registry import OPERATIONS
from qrm_tui.screens.bulk import Bulk
from qrm_tui.screens.entries import entries, names, sent
from qrm_tui.screens.form import Form
from qrm_tui.screens.message import MessageScreen
from qrm_tui.screens.plan import PlanScreen
from qrm_tui.widgets.chooser import Chooser
from qrm_tui.widgets.field import Field
from tests.screens.driver import Driver, running
from tests.screens.fake_client import FakeClient, rack, resource


def field(d: Driver, name: str) -> Field:
    return d.app.screen.query_one(f"#field-{name}", Field)


def hint(d: Driver, name: str) -> str:
    return " ".join(d.page(f"#hint-{name}").split())


# maintenance


async def test_maintenance_of_marked_machines_is_one_plan_and_one_entry() -> None:
    async with running() as d:
        await d.press("2")
        d.app.main.shown.table.show_cursor_on("r5")
        await d.press("space", "down", "space", "m")
        form = await d.at(Form)
        assert "2 marked: r5, r6" in d.page("#form-title") and len(form.fields) == 1
        chooser = form.query_one(Chooser)
        assert chooser.has_focus and chooser.choices == ("the other way", "on", "off")
        assert chooser.value == "the other way" and form.arguments == {}
        await d.press("o")
        assert form.arguments == {"on": True}
        await d.press("o")
        assert form.arguments == {"off": True} and "r5 --off and 1 more" in " ".join(d.page("#form-command").split())
        await d.press("enter")
        plan = await d.at(PlanScreen)
        await d.until(lambda: plan.plan is not None)
        assert d.called("plan") == [("resource.maintenance", {"name": ["r5", "r6"], "off": True})]
        assert "out of maintenance: VEs" in d.text(), "the plan says what will be done"
        plan.query_one("#reason", Input).focus()
        await d.type("mended")
        await d.press("enter", "r")
        await d.until(lambda: d.app.screen is d.app.main)
        assert [reason for _, reason in d.called("run")] == ["mended"], "one entry"
        assert not d.app.live.rows["resource"]["r5"]["maintenance"]


async def test_neither_flag_is_the_other_way() -> None:
    async with running() as d:
        await d.press("2", "m", "enter")
        plan = await d.at(PlanScreen)
        await d.until(lambda: plan.plan is not None)
        assert d.called("plan") == [("resource.maintenance", {"name": ["r1"]})]


def test_flags_that_exclude_each_other_are_refused_together() -> None:
    with pytest.raises(BadInput, match="off: it cannot be given together with on"):
        check_arguments(OPERATIONS["resource.maintenance"].arguments, {"name": "r1", "on": True, "off": True})
    assert check_arguments(OPERATIONS["resource.maintenance"].arguments, {"name": "r1", "off": True})["off"]


# power


async def test_a_machine_that_is_off_is_switched_on_and_any_other_is_reset() -> None:
    async with running() as d:
        for name, action in (("r8", "on"), ("r1", "reset")):
            await d.press("2")
            d.app.main.shown.table.show_cursor_on(name)
            await d.press("r")
            form = await d.at(Form)
            assert form.arguments == {"name": name, "action": action}, "it is needed, and therefore sent"
            await d.press("escape")


# VEs


async def test_a_ve_is_defined_with_suggestions_and_checks() -> None:
    async with running() as d:
        await d.press("3", "a")
        form = await d.at(Form)
        assert field(d, "name").has_focus_within
        await d.type("shop")
        assert "the name 'shop' is taken by another ve" in hint(d, "name")
        await d.type("2")
        await d.press("down")
        await d.type("deb")
        assert "there is no boot-image 'deb'" in hint(d, "boot_image") and "debian12" in d.page("#form-hint")
        await d.press("right")
        assert field(d, "boot_image").text == "debian12"
        field(d, "image").editor.focus()
        await d.type("webserver")
        field(d, "memory").editor.focus()
        await d.type("lots")
        assert "is not a size" in hint(d, "memory")
        await d.press(*["backspace"] * 4)
        await d.type("256M")
        assert form.arguments == {"name": "shop2", "boot_image": "debian12", "image": "webserver", "memory": "256M"}
        field(d, "kind").editor.focus()
        await d.press("p")
        assert form.arguments["kind"] == "physical", "any machine, unless one chooses"


async def test_an_edited_ve_shows_what_it_has_and_sends_what_was_changed() -> None:
    async with running() as d:
        await d.press("3", "down", "e")
        form = await d.at(Form)
        assert [field(d, name).text for name in ("boot_image", "multi_server", "memory", "kind")] == [
            "debian12", "3", "4G", "physical"]
        await d.press("enter")
        assert "nothing was changed" in d.page("#form-trouble") and not d.called("plan")
        field(d, "memory").editor.focus()
        await d.press(*["backspace"] * 2)
        await d.type("8G")
        assert form.arguments == {"name": "customer2", "memory": "8G"}
        assert "qrm ve edit customer2 --memory 8G" in d.page("#form-command")


async def test_a_root_that_is_the_same_for_all_is_checked_beside_the_count_and_told() -> None:
    async with running() as d:
        await d.press("3", "a")
        form = await d.at(Form)
        order = [field.argument.name for field in form.fields]
        assert order.index("same_for_all") == order.index("multi_server") + 1
        assert "only read: what each writes lies in its memory, gone at its next boot" in hint(d, "same_for_all")
        field(d, "same_for_all").editor.focus()
        await d.press("space")
        assert form.arguments["same_for_all"] is True and "--same-for-all" in d.page("#form-command")


@pytest.mark.parametrize(("shared", "text", "key"), [(True, "yes", "n"), (False, "no", "y")])
async def test_an_edited_ve_says_whether_its_root_is_the_same_for_all(shared: bool, text: str, key: str) -> None:
    farm = FakeClient()
    farm.rows["ve"]["customer2"]["same_for_all"] = shared
    async with running(farm) as d:
        await d.press("3", "down", "e")
        form = await d.at(Form)
        assert field(d, "same_for_all").text == text
        field(d, "same_for_all").editor.focus()
        await d.press(key)
        assert form.arguments == {"name": "customer2", "same_for_all": {"n": "no", "y": "yes"}[key]}


def test_machines_that_a_ve_can_start_on_are_named_first() -> None:
    rows = {row["name"]: row for row in rack()["resource"]}
    argument = OPERATIONS["ve.start"].argument("resource")
    assert names(argument, OPERATIONS["ve.start"], None, rows)[0] == "r7"
    remove = OPERATIONS["ve.remove-resource"]
    assert names(remove.argument("resource"), remove, {"resources": ["r4", "r2"]}, rows) == ["r2", "r4"]


# resources


async def test_how_a_machine_is_switched_is_chosen_and_the_rest_stays() -> None:
    async with running() as d:
        await d.press("2", "e")
        form = await d.at(Form)
        assert field(d, "power").text == "agent" and field(d, "address").text == "192.168.88.201"
        field(d, "power").editor.focus()
        await d.press("i")
        field(d, "power_address").editor.focus()
        await d.type("10.1.0.7")
        assert form.arguments == {"name": "r1", "power": "ipmi", "power_address": "10.1.0.7"}


# components


async def test_a_component_is_configured_setting_by_setting() -> None:
    async with running() as d:
        await d.press("7")
        d.app.main.shown.table.show_cursor_on("dhcpd")
        await d.press("e")
        form = await d.at(Form)
        assert field(d, "interface").has_focus_within and field(d, "lease").text == "600"
        field(d, "non_pxe").editor.focus()
        await d.press("backspace", "backspace")
        await d.type("yes")
        field(d, "settings").editor.focus()
        await d.type("domain=lab")
        assert form.arguments == {"name": "dhcpd", "settings": {"non_pxe": "yes", "domain": "lab"}}
        assert "qrm component configure dhcpd non_pxe=yes domain=lab" in d.page("#form-command")
        await d.type(" 5x=1")
        assert "is not KEY=VALUE" in hint(d, "settings")


def test_settings_with_strange_names_are_typed_and_an_emptied_one_is_sent_empty() -> None:
    operation = OPERATIONS["component.configure"]
    found = entries(operation, {}, {"settings": {"port": "80", "a b#c": "x"}}, several=False)
    assert [entry.argument.name for entry in found] == ["name", "port", "settings"]
    assert not found[-1].argument.required, "the fields before it are enough"
    assert sent([(found[1], None, True)]) == {"settings": {"port": ""}}
    assert sent([(found[1], "80", False)]) == {}


# documents


async def test_of_a_document_one_types_the_path_and_its_content_is_sent(tmp_path: Path) -> None:
    answers = tmp_path / "answers.toml"
    answers.write_text('[dhcpd]\ninterface = "eth1"\n')
    async with running() as d:
        await d.press("colon")
        await d.type("install run")
        await d.press("enter")
        form = await d.at(Form)
        await d.type(str(tmp_path))
        assert "is a folder" in hint(d, "answers")
        await d.type("/answers.tom")
        assert "there is no file" in hint(d, "answers")
        await d.type("l")
        assert form.arguments == {"answers": str(answers)}
        await d.press("enter")
        plan = await d.at(PlanScreen)
        await d.until(lambda: plan.plan is not None)
        assert d.called("plan") == [("install.run", {"answers": '[dhcpd]\ninterface = "eth1"\n'})]


async def test_a_document_that_cannot_be_read_is_refused_before_it_is_sent(tmp_path: Path) -> None:
    picture = tmp_path / "picture.png"
    picture.write_bytes(b"\x89PNG\xff\xfe")
    async with running() as d:
        await d.press("colon")
        await d.type(f"install run --answers {picture}")
        await d.press("enter")
        await d.at(MessageScreen)
        assert "no UTF-8 text" in " ".join(d.text().split()) and not d.called("plan")


async def test_an_endless_document_does_not_stop_the_screen() -> None:
    client = FakeClient()
    client.plans["install.run"] = Refused("a document has at most 262144 characters")
    async with running(client) as d:
        await d.press("colon")
        await d.type("install run --answers /dev/zero")
        await d.press("enter")
        await d.at(MessageScreen)
        assert len(d.called("plan")[0][1]["answers"]) == 1 << 20


async def test_bulk_with_a_refused_machine_tells_and_does_the_others() -> None:
    class Picky(FakeClient):
        async def plan(self, operation: str, arguments: dict[str, object], reason: str = "") -> dict[str, object]:
            if arguments["name"] == "r2":
                raise Refused("resource r2 runs VE shop: stop it first")
            return await super().plan(operation, arguments, reason)

    async with running(Picky(rows={"resource": [resource(f"r{n}") for n in range(1, 4)]})) as d:
        await d.press("2", "space", "down", "space", "down", "space", "r", "enter")
        bulk = await d.at(Bulk)
        await d.until(lambda: bulk.ready)
        assert "3 resources: 2 can run, 1 refused" in d.page("#bulk-title")
        await d.press("r")
        await d.until(lambda: "2 of 2 asked for, 1 refused" in d.page("#bulk-title"))
        assert len(d.called("run")) == 2
