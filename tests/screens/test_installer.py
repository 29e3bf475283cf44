"""The installer on recorded machines: from start to installed, back and forward, what is refused, and how it looks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from textual.pilot import Pilot
from textual.screen import Screen

from qrm_tui.client import installing
from qrm_tui.client.connection import Client
from qrm_tui.screens.application import QrmApp
from qrm_tui.screens.install_checks import InstallChecks
from qrm_tui.screens.install_components import InstallComponents
from qrm_tui.screens.install_config import InstallConfig
from qrm_tui.screens.install_list import Choices
from qrm_tui.screens.install_run import InstallDone, InstallPlan
from qrm_tui.screens.install_welcome import InstallWelcome
from qrm_tui.screens.job import JobScreen
from qrm_tui.screens.main import MainScreen
from qrm_tui.screens.plan import PlanScreen
from qrm_tui.screens.practice import Practice
from qrm_tui.styles import themes
from qrm_tui.styles.themes import Look
from qrm_tui.widgets.steps import Steps

MACHINES = Path(__file__).parent.parent / "fixtures/machines"
#: Seconds for the server to start, and for a job to end, on a busy machine.
PATIENCE = 120


class Installer:
    """The app on a recorded machine."""

    def __init__(self, app: QrmApp, pilot: Pilot[None], practice: Practice) -> None:
        self.app, self.pilot, self.practice = app, pilot, practice
        self.keys = 0

    async def until(self, condition: Callable[[], Any]) -> None:
        while not condition():
            assert not self.practice.trouble
            if self.app._exception:
                raise self.app._exception
            await self.pilot.pause(0.02)

    async def press(self, *keys: str) -> None:
        self.keys += len(keys)
        await self.pilot.press(*keys)

    async def at(self, kind: type[Screen[Any]]) -> Any:
        await self.until(lambda: isinstance(self.app.screen, kind) and self.app.screen.is_mounted)
        await self.pilot.pause()
        return self.app.screen

    async def welcomed(self) -> None:
        """The machine was looked at."""
        screen = await self.at(InstallWelcome)
        await self.until(lambda: screen.check_action("go_on", ()))

    async def to(self, kind: type[Screen[Any]]) -> Any:
        """By enter alone to a screen further on."""
        await self.welcomed()
        for step in (InstallChecks, InstallComponents, InstallConfig, InstallPlan):
            await self.press("enter")
            screen = await self.at(step)
            if step is kind:
                return screen
        raise AssertionError(kind)

    def text(self) -> str:
        """What is on the screen."""
        strips = self.app.screen._compositor.render_strips()
        return "\n".join("".join(segment.text for segment in strip) for strip in strips)

    async def choose(self, words: str) -> None:
        """The cursor goes to the line with these words."""
        choices = self.app.screen.query_one(Choices)
        await self.press("home")
        for _ in range(20):
            if words in choices.text.splitlines()[choices.cursor]:
                return
            await self.press("down")
        raise AssertionError(f"{words}\n{choices.text}")

    @property
    def offered(self) -> str:
        """The keys that are told."""
        return self.text().splitlines()[-1]

    def said(self) -> str:
        return "\n".join(notification.message for notification in self.app._notifications)


@asynccontextmanager
async def opened(practice: Practice, look: Look = themes.DARK,
                 size: tuple[int, int] = (80, 24)) -> AsyncIterator[Installer]:
    """The installer at a server that runs."""
    app = QrmApp(practice.where, connect=Client, look=look, practice=practice, install=True)
    async with app.run_test(size=size) as pilot, asyncio.timeout(PATIENCE):
        yield Installer(app, pilot, practice)


@asynccontextmanager
async def installer(machine: str | Path, look: Look = themes.DARK, size: tuple[int, int] = (80, 24), *,
                    pace: float = 1) -> AsyncIterator[Installer]:
    """The installer on a recorded machine, by its name or its file."""
    practice = Practice(machine=str(machine if isinstance(machine, Path) else MACHINES / f"{machine}.json"), pace=pace)
    try:
        async with opened(practice, look, size) as run:
            yield run
    finally:
        await asyncio.to_thread(practice.stop)


async def shows_the_same(run: Installer, other: QrmApp) -> None:
    """Another terminal, opened now, is where this one is."""
    async with other.run_test(size=(80, 24)) as pilot:
        second = Installer(other, pilot, run.practice)
        done = await second.at(InstallDone)
        assert other.screen_stack[-2].job == run.app.screen_stack[-2].job
        assert done.found.setup.names == run.app.screen.found.setup.names
        assert "192.168.88.5" in second.text()


async def test_from_start_to_installed_with_all_defaults_in_few_keys_and_another_terminal_shows_the_same_run() -> None:
    async with installer("debian12", pace=0) as run:
        plan = await run.to(InstallPlan)
        await run.until(lambda: plan.plan)
        await run.press("tab", "enter")
        await run.at(InstallDone)
        assert run.keys <= 8
        assert "192.168.88.5" in run.text()
        steps = run.app.screen_stack[-2].query_one(Steps)
        steps.go(3)
        steps.action_expand()
        script = [line.strip() for line in steps.text.splitlines()]
        assert "export DEBIAN_FRONTEND=noninteractive" in script, "a script's lines are lines"
        steps.action_expand()
        assert "password qrm" not in run.text()
        assert "nagios" not in run.app.live.rows["component"]
        for install in (True, False):
            await shows_the_same(run, QrmApp(run.app.live.where, connect=Client, look=themes.DARK, install=install))
        await run.press("enter")
        await run.at(MainScreen)
        assert len(run.app.screen_stack) == 1


async def test_at_the_end_it_tells_of_the_user_that_everybody_knows() -> None:
    async with installer("debian12") as run:
        checks = await run.to(InstallChecks)
        run.app.live.hello["first_user"] = True
        await run.app.push_screen(InstallDone(checks.found))
        await run.at(InstallDone)
        assert "user qrm, password qrm" in " ".join(run.text().split())
        assert "view 7 changes a component" in run.text() and "down more" not in run.text()
        checks.found.setup.choose("xen", True)
        checks.found.setup.choose("cockpit", True)
        run.app.screen.query_one("_Done").rebuild()
        assert "cockpit https://192.168.88.5:9090/ in a browser" in " ".join(run.text().split())
        assert "but for xen, which cannot be asked" in " ".join(run.text().split())
        await run.pilot.resize_terminal(40, 10)
        await run.until(lambda: "down more" in run.text())


async def test_back_and_forward_keep_everything() -> None:
    async with installer("debian12") as run:
        await run.to(InstallComponents)
        await run.choose("nagios")
        await run.press("space")
        await run.press("enter")
        config = await run.at(InstallConfig)
        await run.until(lambda: config.fields)
        domain = next(field for field in config.fields if field.argument.name == "domain")
        domain.editor.focus()
        await run.press("end", *"2")
        await run.press("escape", "escape")
        await run.at(InstallChecks)
        await run.press("enter")
        await run.at(InstallComponents)
        assert "[x] nagios" in run.text()
        await run.press("enter")
        await run.at(InstallConfig)
        assert "example.net2" in run.text()


async def test_the_choice_is_kept_when_the_line_drops_and_what_is_set_up_can_be_switched_off() -> None:
    practice = Practice(machine=str(MACHINES / "debian12.json"), pace=0)
    try:
        async with opened(practice) as run:
            await run.to(InstallComponents)
            await run.choose("nagios")
            await run.press("space", "enter")
            config = await run.at(InstallConfig)
            await run.until(lambda: config.fields)
            next(field for field in config.fields if field.argument.name == "domain").editor.focus()
            await run.press("end", *"2")
            while "net2" not in str(await installing.kept_draft(run.app.client)):
                await run.pilot.pause(0.02)
        async with opened(practice) as run:
            await run.welcomed()
            assert "ago is here again; n begins anew" in run.text()
            config = await run.to(InstallConfig)
            await run.until(lambda: config.fields)
            assert "example.net2" in run.text()
            answers = {"answers": config.found.setup.text()}
            job = (await run.app.client.run((await run.app.client.plan("install.run", answers))["id"]))["job"]
            await run.until(lambda: run.app.live.rows["job"].get(job["name"], {}).get("state") == "done")
            await run.app.leave_installer()
            await run.press("7", "a")
            await run.welcomed()
            assert "here again" not in run.text(), "what was chosen is carried out"
            components = await run.to(InstallComponents)
            await run.until(lambda: not components.waiting)
            await run.choose("apache")
            assert "is installed" in run.text()
            await run.press("space")
            await run.until(run.said)
            assert "dhcpd, node, nagios goes along" in run.said()
            assert run.text().count("goes off") == 4
            await run.choose("qrmd")
            await run.press("space")
            await run.until(lambda: "qrmd is the server itself, and stays" in run.said())
            await run.press("enter")
            await run.at(InstallConfig)
            await run.press("enter")
            plan = await run.at(InstallPlan)
            await run.until(lambda: plan.plan)
            stopped = [step["summary"] for step in plan.plan["steps"] if "for good" in step["summary"]]
            assert stopped[0] == "stop nagios4.service, for good"
            assert "--disable nagios" in plan.plan["command"]
    finally:
        await asyncio.to_thread(practice.stop)


async def test_a_machine_that_is_set_up_already_shows_so_and_changes_only_what_one_changes() -> None:
    async with installer("debian12-installed") as run:
        await run.welcomed()
        assert "qrm is set up here already, and runs: it is brought to what is answered now" in \
            " ".join(run.text().split())
        await run.to(InstallComponents)
        assert run.text().count(" ok ") == 6 and "error" not in run.text()
        await run.choose("node")
        await run.press("space", "enter")
        await run.at(InstallConfig)
        await run.press("enter")
        plan = await run.at(InstallPlan)
        await run.until(lambda: plan.plan)
        assert "stop qrm-node.service, for good" in [step["summary"] for step in plan.plan["steps"]]
        assert not any(step["summary"].startswith(("install", "copy", "make")) for step in plan.plan["steps"])


async def test_a_value_that_is_not_possible_says_why_and_no_plan_is_made() -> None:
    async with installer("debian12") as run:
        config = await run.to(InstallConfig)
        await run.until(lambda: config.fields)
        next(field for field in config.fields if field.argument.name == "address").editor.focus()
        await run.press("home", "ctrl+k")
        await run.until(lambda: "! is needed" in run.text())
        await run.press(*"192.168.88.5")
        await run.until(lambda: "! " not in run.text())
        await run.press("end", *"9")
        await run.pilot.pause()
        assert "192.168.88.59 is in 192.168.88.10-192.168.88.99" in " ".join(run.text().split())
        await run.press("enter")
        await run.pilot.pause()
        assert isinstance(run.app.screen, InstallConfig)
        assert config.focused is next(field for field in config.fields if field.argument.name == "machines").editor
        next(field for field in config.fields if field.argument.name == "domain").editor.focus()
        await run.press("end", *"-_ x")
        await run.until(lambda: "labels of letters, digits and '-'" in " ".join(run.text().split()))


async def test_another_card_computes_its_own_network() -> None:
    async with installer("debian12-four-cards") as run:
        config = await run.to(InstallConfig)
        await run.until(lambda: config.fields)
        assert "(*) eth0  ( ) eth1" in run.text()
        former = list(config.fields)
        config.found.setup.compute({**config.found.setup.settings(), "dhcpd": {"address": "10.20.0.1"}})
        for field in former:
            field.say()
        assert config.found.setup.value("dhcpd", "address") == "10.20.0.1", "what is said anew is not typed"
        await run.press("right")
        await run.until(lambda: "10.20.0.0/24" in run.text())
        assert "10.20.0.100-10.20.0.199" in run.text()
        await run.press("enter")
        plan = await run.at(InstallPlan)
        await run.until(lambda: plan.plan)
        assert config.found.interface == "eth1", "its checks were made before"
        assert any("10.20.0.0" in step.get("diff", "") for step in plan.plan["steps"])


async def test_pages_of_components_are_reached_by_the_arrows_also_where_a_port_is_taken() -> None:
    async with installer("debian12-dnsmasq") as run:
        await run.welcomed()
        assert "67/udp (dhcpd) is dnsmasq's: stop that, or leave" in run.text() and "Nothing stands" not in run.text()
        await run.press("enter")
        checks = await run.at(InstallChecks)
        assert checks.row["name"] == "ports", "what is wrong comes first"
        await run.press("escape")
        config = await run.to(InstallConfig)
        await run.until(lambda: "dnsmasq's now: stop that, or leave dhcpd out (esc goes back)" in run.text())
        await run.until(lambda: config.fields)
        await run.press("up")
        await run.until(lambda: ">(*) basic" in run.text())
        await run.press("right", "right", "right")
        await run.until(lambda: [field.argument.name for field in config.fields] == ["group"])
        await run.press("right")
        await run.until(lambda: [field.argument.name for field in config.fields] == ["options", "hypervisor"])
        await run.press("down", "end", *" quiet")
        await run.press("up", "left", "right", "left", "right")
        await run.until(lambda: [field.argument.name for field in config.fields] == ["options", "hypervisor"])
        assert "ttyS0,115200 quiet" in run.text()


async def test_from_another_page_enter_leads_to_the_value_that_is_not_possible() -> None:
    async with installer("debian12") as run:
        config = await run.to(InstallConfig)
        await run.until(lambda: config.fields)
        next(field for field in config.fields if field.argument.name == "domain").editor.focus()
        await run.press("end", *" x")
        config.query_one("#pages").focus()
        await run.press("right", "right", "right")
        await run.until(lambda: [field.argument.name for field in config.fields] == ["group"])
        await run.press("enter")
        await run.until(lambda: "! 'example.net x' is no domain" in run.text())
        await run.until(lambda: (focused := config.focused) is not None
                        and focused is next(field for field in config.fields
                                            if field.argument.name == "domain").editor)
        await run.press("end", "ctrl+u", *"lan")
        config.query_one("#pages").focus()
        await run.press("right", "right", "right")
        await run.until(lambda: [field.argument.name for field in config.fields] == ["group"])
        await run.press("down", *"a b", "enter")
        await run.until(lambda: "! 'a b' is no volume group" in run.text())
        assert "(*) lvm-mgmt" in run.text() and config.focused is config.fields[0].editor


async def test_a_system_that_cannot_be_set_up_stops_at_the_checks() -> None:
    async with installer("rocky9") as run:
        await run.welcomed()
        assert "will put right" not in run.text() and "enter  shows what to do" in run.text()
        await run.press("enter")
        await run.at(InstallChecks)
        await run.press("enter")
        await run.until(run.said)
        assert "system stands in the way: use debian-12" in run.said()
        assert isinstance(run.app.screen, InstallChecks)
        await run.press("escape", "escape")
        await run.at(MainScreen)
        assert "This server is not set up yet: 7, then a." in run.text()


async def test_what_is_in_the_way_is_in_the_plan_first_unless_one_does_not_want_it() -> None:
    async with installer("ubuntu24-ufw") as run:
        await run.to(InstallChecks)
        assert "[x] WRONG address" in run.text()
        assert "[x] WRONG firewall" in run.text()
        await run.press("enter")
        await run.at(InstallComponents)
        await run.press("enter")
        await run.at(InstallConfig)
        await run.press("enter")
        plan = await run.at(InstallPlan)
        await run.until(lambda: plan.plan)
        summaries = [step["summary"] for step in plan.plan["steps"]]
        assert summaries[0] == "write /etc/netplan/99-zz-qrm.yaml"
        assert "ufw lets in 69/udp on eth0" in summaries
        assert "--fix address --fix firewall" in plan.plan["command"]
        await run.press("escape", "escape", "escape")
        await run.at(InstallChecks)
        await run.choose("firewall")
        await run.press("space", "enter")
        await run.until(run.said)
        assert "firewall stands in the way" in run.said()


async def test_a_volume_group_is_made_after_its_name_was_typed() -> None:
    async with installer("debian12") as run:
        await run.to(InstallChecks)
        await run.choose("memory")
        await run.until(lambda: "choose" not in run.offered and "look again" in run.offered)  # no plan brings any
        await run.choose("volume group")
        await run.until(lambda: "space choose" in run.offered)
        await run.press("space")
        plan = await run.at(PlanScreen)
        await run.until(lambda: plan.plan)
        assert plan.plan["confirm"] == "vol"
        await run.press("r", *"vol", "enter")
        job = await run.at(JobScreen)
        await run.until(lambda: run.app.live.rows["job"].get(job.job, {}).get("state") == "done")
        await run.press("escape")
        await run.at(InstallChecks)


async def test_a_machine_that_says_hostile_things_is_shown_and_set_up_as_any_other(tmp_path: Path) -> None:
    text = (MACHINES / "debian12.json").read_text()
    document = json.loads(text)
    document["files"]["/etc/hosts"]["text"] = ["10.9.9.9\x1b]0;gone\x07 server1", "\ufffd\0" * 99, "x" * 9000]
    document["files"]["/etc/os-release"]["text"][0] = f'PRETTY_NAME="\x1b[2JDebian {"12 " * 99}"'
    document["answers"]["disks"]["out"] = [line.replace("SAMSUNG", "S\\u001b[31m\\u0007")
                                           for line in document["answers"]["disks"]["out"]]
    file = tmp_path / "hostile.json"
    file.write_text(json.dumps(document))
    async with installer(file) as run:
        checks = await run.to(InstallChecks)
        await run.choose("name")
        assert "bytes that are no text (UTF-8)" in " ".join(run.text().split())
        assert "\\x1b[2JDebian 12" in checks.choices.text
        shown = [checks.choices.text, run.text()]
        for step in (InstallComponents, InstallConfig, InstallPlan):
            await run.press("enter")
            await run.at(step)
            shown.append(run.text())
        assert all(line.isprintable() for text in shown for line in text.splitlines())


async def test_every_screen_bears_a_terminal_that_grows_small_and_large_again() -> None:
    async with installer("debian12") as run:
        async def resized(seen: str) -> None:
            """`seen` is there all the time, and all else before and after."""
            await run.pilot.pause()
            before, focused = run.text(), run.app.focused
            assert seen in before
            await run.pilot.resize_terminal(40, 10)
            await run.until(lambda: len(run.text().splitlines()) == 10 and seen in run.text())
            await run.pilot.resize_terminal(80, 24)
            await run.until(lambda: run.text() == before)
            assert run.app.focused is focused and focused is not None

        await run.welcomed()
        await resized("[Welcome]")
        await run.press("enter")
        await run.at(InstallChecks)
        await resized("volume group")
        await run.press("enter")
        components = await run.at(InstallComponents)
        await run.until(lambda: not components.waiting)
        await run.choose("nagios")
        await resized("nagios")
        await run.press("tab")
        await resized("[Components]")
        await run.press("enter")
        config = await run.at(InstallConfig)
        await run.until(lambda: config.fields)
        next(field for field in config.fields if field.argument.name == "dns").editor.focus()
        await run.press("end", *",10.0.0.1")
        await resized("10.0.0.1")
        await run.press("enter")
        plan = await run.at(InstallPlan)
        await run.until(lambda: plan.plan)
        await run.press("tab", *"moved")
        await resized("moved")
        await run.app.push_screen(InstallDone(plan.found))
        await run.at(InstallDone)
        await resized("The server is set up.")
        await run.press("escape")
        await run.at(InstallPlan)
        await run.press("enter")
        await run.at(JobScreen)
        await run.until(lambda: "running" in run.text())
        await run.pilot.resize_terminal(40, 10)
        await run.until(lambda: len(run.text().splitlines()) == 10 and "running" in run.text().split("log")[0])
        assert "[Install]" in run.text()
        await run.pilot.resize_terminal(80, 24)
        await run.until(lambda: "steps/log" in run.text())
        job = run.app.screen
        await run.until(lambda: job._row.get("step", 0) > 2)   # packages come
        await run.press("c")
        cancel = await run.at(PlanScreen)
        await run.until(lambda: cancel.plan)
        await run.press("r")
        await run.until(lambda: run.app.screen is job and job._row["state"] == "undone")
        assert "job 1: it stops, and what it did is taken back" in run.said()
        await run.until(lambda: "stays" in job.query_one(Steps).text)
        assert "install openssh-client" in job.query_one(Steps).text.partition("stays")[2]
        assert "esc goes back to the settings, where enter plans it again" in run.text()


async def test_on_the_linux_console_every_word_that_matters_is_there() -> None:
    async with installer("debian13-small", themes.LINUX) as run:
        await run.welcomed()
        shown = [run.text()]
        for kind in (InstallChecks, InstallComponents, InstallConfig):
            await run.press("enter")
            await run.at(kind)
            await run.pilot.pause()
            shown.append(run.text())
        for text in shown:
            assert all(len(line) == 80 for line in text.splitlines())
            assert not [character for character in text if ord(character) > 0x2593]
        assert "[x] look  time" in shown[1]
        assert "970M" in shown[1]
