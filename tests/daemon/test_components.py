"""The server's components over a simulated machine: what a plan does and does not do, what is seen, what goes wrong."""
from __future__ import annotations

import pytest

from qrm_tui.backends import bootlog
from qrm_tui.core.answers import FILE, read
from qrm_tui.core.errors import BadInput, Refused, Stale, StepFailed
from qrm_tui.core.model import Item
from qrm_tui.core.operations.declarations import Role
from qrm_tui.core.operations.registry import find
from qrm_tui.core.plan import HERE, Plan, Run, WriteFile
from qrm_tui.core.states import judge
from qrm_tui.daemon.planning import command_of
from tests.daemon.world import ADMIN, ANSWERS, World

CONFIGURATION = "/etc/dhcp/qrm.conf"


async def plan(world: World, operation: str, **arguments: object) -> Plan:
    return await world.qrmd.plan(operation, arguments, Role.administrator)


async def install(world: World, answers: str = ANSWERS) -> None:
    assert await world.do("install.run", answers=answers) == "done"


async def see(world: World, name: str) -> Item:
    await world.qrmd.watchers.look(HERE)
    return world.qrmd.farm.get("component", name)


def restarts(made: Plan) -> list[str]:
    return [step.argv[-1] for step in made.steps if isinstance(step, Run) and step.argv[:2] == ("systemctl", "restart")]


def writes(made: Plan) -> list[str]:
    """Files that are written, besides the answers file, which tells of every change."""
    return [step.path for step in made.steps if isinstance(step, WriteFile) and step.path != FILE]


async def test_the_same_answers_again_have_nothing_to_do(world: World) -> None:
    await install(world)
    again = await plan(world, "install.run", answers=ANSWERS)
    assert again.steps == ()
    assert any("nothing is to be done" in note for note in again.notes)
    assert (await see(world, "dhcpd")).state == "ok"
    outcome = await world.qrmd.run(again.id, ADMIN, Role.administrator)
    assert (await world.qrmd.jobs.wait(outcome["job"]["id"])).state == "done"


async def test_an_installation_is_told_while_it_goes_on_and_by_the_installers_own_server_until_it_hands_over(
        world: World) -> None:
    made = await plan(world, "install.run", answers=ANSWERS)
    job = (await world.qrmd.run(made.id, ADMIN, Role.administrator))["job"]
    installing = world.qrmd.installing
    assert installing.job == job["name"]
    await world.qrmd.jobs.wait(job["id"])
    assert installing.job == ""
    installing.own = True
    assert installing.job == job["name"]


async def test_every_change_is_written_down_for_the_next_server(world: World) -> None:
    await install(world)
    assert await world.do("component.configure", name="apache", settings={"port": "8080"}) == "done"
    file = await world.server.read_file(FILE)
    assert file is not None
    assert file.mode == 0o600
    again = await plan(world, "install.run", answers=file.content)
    assert again.steps == ()
    assert read(file.content)["apache"]["port"] == "8080"


async def test_a_changed_answer_changes_what_depends_on_it(world: World) -> None:
    await install(world)
    changed = ANSWERS.replace("[dhcpd]", "[dhcpd]\nlease = 9999\nnon_pxe = 'yes'\ndomain = 'lab'")
    made = await plan(world, "install.run", answers=changed)
    assert writes(made) == [CONFIGURATION]
    assert restarts(made) == ["isc-dhcp-server.service"]
    port = await plan(world, "component.configure", name="apache", settings={"port": "8080"})
    assert writes(port) == ["/etc/apache2/conf-enabled/qrm-boot.conf", CONFIGURATION]
    assert restarts(port) == ["apache2.service", "isc-dhcp-server.service"]
    options = await plan(world, "component.configure", name="tftpd", settings={"options": "quiet"})
    assert (writes(options), restarts(options)) == ([], [])
    assert len(options.steps) == 2  # the answers file, and the record


async def test_undo_of_a_setting_puts_the_former_one_back(world: World) -> None:
    await install(world)
    number = await world.submit("component.configure", name="dhcpd", settings={"lease": "9999"})
    await world.qrmd.jobs.wait(number)
    back = await plan(world, "job.undo", name=number)
    assert (back.operation, back.arguments["settings"]) == ("component.configure", {"lease": "43200"})


async def test_only_packages_that_are_missing_are_installed(world: World) -> None:
    world.server.host.software.packages["curl"] = "7.88.1-10+deb12u14"
    made = await plan(world, "install.run", answers=ANSWERS)
    step = next(step for step in made.steps if step.summary.startswith("install "))
    assert isinstance(step, Run)
    assert step.long
    assert "curl" not in step.argv
    assert made.no_return is None
    assert "packages stay installed if this is taken back" in made.notes
    assert any("curl 7.88.1" in note for note in made.notes)


async def test_the_key_is_made_on_the_server_and_told_to_nobody(world: World) -> None:
    await install(world)
    key = (world.server.folder / "etc/dhcp/qrm-key.conf").read_text().split('"')[1]
    assert len(key) == 44
    told = [str(entry) for entry in (await world.qrmd.store.journal(0, 100))[0]]
    told += [path.read_text() for path in (world.state / "jobs").iterdir()]
    assert told
    assert not any(key in text for text in told)
    assert (world.server.folder / "etc/dhcp/qrm-key.conf").stat().st_mode & 0o777 == 0o640


async def test_a_key_that_was_spoilt_is_made_anew(world: World) -> None:
    await install(world)
    place = world.server.folder / "etc/dhcp/qrm-key.conf"
    place.write_text("rubbish\n")
    assert await world.do("component.restart", name="dhcpd") == "done"
    assert 'secret "' in place.read_text()


# by hand


async def test_a_file_changed_by_hand_is_a_warning_and_its_words_are_kept(world: World) -> None:
    await install(world)
    place = world.server.folder / CONFIGURATION.lstrip("/")
    former = place.read_text()
    place.write_text(former + "# mine\n")
    item = await see(world, "dhcpd")
    assert (item.state, item.seen.changed) == ("warning", (CONFIGURATION,))
    made = await plan(world, "component.configure", name="dhcpd", settings={"lease": "9999"})
    assert writes(made) == [f"{CONFIGURATION}.by-hand", CONFIGURATION]
    assert any(CONFIGURATION in warning and "by-hand" in warning for warning in made.warnings)
    shown = await world.qrmd.planning.describe(made, look=False)
    assert any("-# mine" in step.get("diff", "") for step in shown["steps"])
    await world.qrmd.jobs.wait((await world.qrmd.run(made.id, ADMIN, Role.administrator))["job"]["id"])
    assert place.with_name("qrm.conf.by-hand").read_text() == former + "# mine\n"
    assert (await see(world, "dhcpd")).state == "ok"


async def test_nonsense_by_hand_is_an_error_once_dhcpd_stumbles_and_is_mended(world: World) -> None:
    await install(world)
    (world.server.folder / CONFIGURATION.lstrip("/")).write_text("subnet {{{\n")
    assert (await see(world, "dhcpd")).state == "warning"
    await world.server.run(("systemctl", "restart", "--", "isc-dhcp-server.service"))
    item = await see(world, "dhcpd")
    assert item.state == "error"
    assert "isc-dhcp-server.service is failed" in judge(item, world.qrmd.farm).why
    assert await world.do("component.enable", name="dhcpd") == "done"
    assert (await see(world, "dhcpd")).state == "ok"


async def test_edited_between_plan_and_run_nothing_is_done(world: World) -> None:
    await install(world)
    made = await plan(world, "component.configure", name="dhcpd", settings={"lease": "9999"})
    place = world.server.folder / CONFIGURATION.lstrip("/")
    place.write_text(place.read_text() + "# just now\n")
    with pytest.raises(Stale, match=r"the file /etc/dhcp/qrm\.conf was changed meanwhile"):
        await world.qrmd.run(made.id, ADMIN, Role.administrator)
    assert place.read_text().endswith("# just now\n")


async def test_what_others_keep_up_to_date_may_change_between_plan_and_run(world: World) -> None:
    await install(world)
    made = await plan(world, "component.configure", name="dhcpd", settings={"lease": "9999"})
    place = world.server.folder / "etc/dhcp/qrm-hosts.conf"
    place.write_text(place.read_text() + "# a machine came\n")
    job = (await world.qrmd.run(made.id, ADMIN, Role.administrator))["job"]
    assert (await world.qrmd.jobs.wait(job["id"])).state == "done"
    assert place.read_text().endswith("# a machine came\n")


async def test_the_admins_own_file_is_taken_in_and_never_changed(world: World) -> None:
    await install(world)
    mine = world.server.folder / "etc/dhcp/local.conf"
    mine.write_text("option domain-name \"mine\";\n")
    assert await world.do("component.enable", name="dhcpd") == "done"
    assert 'include "/etc/dhcp/local.conf";' in (world.server.folder / CONFIGURATION.lstrip("/")).read_text()
    assert mine.read_text() == "option domain-name \"mine\";\n"
    mine.write_text("rubbish\n")
    assert await world.do("component.configure", name="dhcpd", settings={"lease": "9999"}) == "done"


async def test_what_the_checker_refuses_is_taken_back_whole(world: World) -> None:
    await install(world)
    before = (world.server.folder / CONFIGURATION.lstrip("/")).read_text()
    made = await plan(world, "component.configure", name="dhcpd", settings={"lease": "9999"})

    def on_point(point: str, job: object, step: int) -> None:
        if point == "begun" and isinstance(made.steps[step], WriteFile):
            world.server.faults.fail.append(["sh", "/etc/dhcp/qrm.conf line 7: semicolon expected."])

    world.qrmd.jobs.on_point = on_point  # type: ignore[assignment]
    outcome = await world.qrmd.run(made.id, ADMIN, Role.administrator)
    ended = await world.qrmd.jobs.wait(outcome["job"]["id"])
    assert ended.state == "undone"
    assert "does not take the new /etc/dhcp/qrm.conf: sh: /etc/dhcp/qrm.conf line 7: semicolon expected." in ended.error
    assert (world.server.folder / CONFIGURATION.lstrip("/")).read_text() == before
    assert (await see(world, "dhcpd")).state == "ok"
    assert world.qrmd.farm.get("component", "dhcpd").wanted.settings["lease"] == "43200"


# what is seen


@pytest.mark.parametrize(("unit", "name", "trouble"), [
    ("tftpd-hpa.service", "tftpd", "tftpd-hpa.service is inactive"),
    ("apache2.service", "apache", "apache2.service is inactive"),
    ("qrm-node.service", "node", "qrm-node.service is inactive"),
])
async def test_a_service_that_died_is_an_error_and_an_alert(world: World, unit: str, name: str, trouble: str) -> None:
    await install(world)
    world.server.host.software.active.discard(unit)
    item = await see(world, name)
    assert (item.state, item.seen.troubles) == ("error", (trouble,))
    alerts = {alert["name"]: alert for alert in world.qrmd.status()["alerts"]}
    assert alerts[name]["next"].startswith(f"qrm component restart {name}")
    assert await world.do("component.restart", name=name) == "done"
    assert (await see(world, name)).state == "ok"


async def test_a_boot_loader_that_is_missing_or_cut_short_is_told_and_mended(world: World) -> None:
    await install(world)
    loader = world.server.folder / "srv/qrm/boot/pxelinux.0"
    whole = loader.read_text()
    for spoil, words in ((lambda: loader.unlink(), "is missing"), (lambda: loader.write_text(whole[:5]), "cut short")):
        spoil()
        item = await see(world, "tftpd")
        assert item.state == "error"
        assert words in judge(item, world.qrmd.farm).why
        assert await world.do("component.restart", name="tftpd") == "done"
        assert loader.read_text() == whole


async def test_another_dhcp_server_is_a_warning_for_a_while(world: World) -> None:
    await install(world)
    await see(world, "dhcpd")
    farm = world.qrmd.farm
    now = farm.clock()
    world.qrmd.watchers.warn("dhcpd", "another DHCP server answers here: 10.0.0.9", now + 1000)
    assert farm.get("component", "dhcpd").state == "warning"
    assert (await see(world, "dhcpd")).seen.warnings == ("another DHCP server answers here: 10.0.0.9",)
    world.qrmd.watchers.warn("dhcpd", "another DHCP server answers here: 10.0.0.9", now - 1)
    assert (await see(world, "dhcpd")).state == "ok"


async def test_a_machine_that_takes_another_servers_offer_tells_of_it(world: World) -> None:
    await install(world)
    await see(world, "dhcpd")

    async def take(server: str) -> None:
        step = bootlog.parse_line("dhcpd", f"DHCPREQUEST for 192.168.88.101 ({server}) from 52:54:00:00:00:01 via eth0")
        assert step
        await world.qrmd.bootlog.take(step)

    await take("192.168.88.1")
    assert world.qrmd.farm.get("component", "dhcpd").state == "ok"
    for last in range(9):
        await take(f"10.0.0.{last}")
    item = world.qrmd.farm.get("component", "dhcpd")
    assert (item.state, len(item.seen.warnings)) == ("warning", 5)
    assert item.seen.warnings[-1] == "another DHCP server answers here, and machines take its offers: 10.0.0.8"


async def test_the_server_after_a_restart_runs_what_it_ran(world: World) -> None:
    await install(world)
    assert await world.do("component.disable", name="apache") == "done"
    world.server.reboot()
    assert (await see(world, "dhcpd")).state == "ok"
    apache = await see(world, "apache")
    assert (apache.state, apache.seen.services) == ("off", {"apache2.service": "inactive"})


# what is refused, and what is warned of


async def test_other_systems_are_refused_in_words(world: World) -> None:
    world.server.host.root.write("/etc/os-release", 'PRETTY_NAME="Rocky Linux 9.5"\nID="rocky"\nVERSION_ID="9.5"\n')
    with pytest.raises(Refused, match=r"runs Rocky Linux 9.5: qrm sets up debian-12, debian-13, ubuntu-24.04, and no"):
        await plan(world, "install.run", answers=ANSWERS)


@pytest.mark.parametrize(("old", "new", "words"), [
    ("eth0", "eth9", "there is no eth9 on this server; there are lo, eth0"),
    ("192.168.88.1\"", "192.168.88.2\"", "eth0 has 192.168.88.1/24, not 192.168.88.2/24"),
])
async def test_the_server_must_have_the_address(world: World, old: str, new: str, words: str) -> None:
    with pytest.raises(Refused, match=words):
        await plan(world, "install.run", answers=ANSWERS.replace(old, new))


async def test_who_has_a_port_now_is_warned_of(world: World) -> None:
    others = world.server.host.software.others
    others += [("udp", "0.0.0.0:67", "dnsmasq"), ("udp", "192.168.122.1%virbr0:69", "dnsmasq"),
               ("tcp", "127.0.0.1:80", "nginx")]
    made = await plan(world, "install.run", answers=ANSWERS)
    assert made.warnings == ("udp port 67 is dnsmasq's now: dhcpd cannot have it as long as that runs",)


async def test_a_setting_that_is_wrong_changes_nothing(world: World) -> None:
    await install(world)
    with pytest.raises(BadInput) as refused:
        await plan(world, "component.configure", name="dhcpd", settings={"range": "10.0.0.1-10.0.0.9", "leese": "5"})
    assert refused.value.reasons[0].startswith("dhcpd: leese: there is no such setting; there are interface, address")
    assert refused.value.reasons[1] == "dhcpd: range: 10.0.0.1 is not in subnet 192.168.88.0/24"


async def test_switched_off_it_is_not_restarted_and_others_are_warned_of(world: World) -> None:
    await install(world)
    made = await plan(world, "component.disable", name="tftpd")
    assert made.warnings == ("apache needs tftpd: while it is off, machines cannot boot",
                             "dhcpd needs tftpd: while it is off, machines cannot boot")
    assert await world.do("component.disable", name="apache") == "done"
    with pytest.raises(Refused, match="switched off: qrm component enable apache"):
        await plan(world, "component.restart", name="apache")
    assert restarts(await plan(world, "component.configure", name="apache", settings={"port": "8080"})) == [
        "isc-dhcp-server.service"]
    assert (await plan(world, "component.disable", name="apache")).steps == ()


async def test_a_dpkg_that_is_killed_is_told_in_words(world: World) -> None:
    made = await plan(world, "install.run", answers=ANSWERS)

    def on_point(point: str, job: object, step: int) -> None:
        if point == "begun" and made.steps[step].summary.startswith("install "):
            world.server.faults.fail.append(["sh", "E: Sub-process /usr/bin/dpkg exited unexpectedly"])

    world.qrmd.jobs.on_point = on_point  # type: ignore[assignment]
    outcome = await world.qrmd.run(made.id, ADMIN, Role.administrator)
    ended = await world.qrmd.jobs.wait(outcome["job"]["id"])
    assert ended.state == "undone"
    assert ended.error == ("apt on qrmd: dpkg was ended in the middle of its work: what it began is finished when this "
                           "is asked for again")
    assert await world.leftovers() == []


async def test_a_full_disk_takes_everything_back(world: World) -> None:
    made = await plan(world, "install.run", answers=ANSWERS)

    def on_point(point: str, job: object, step: int) -> None:
        if point == "before" and isinstance(made.steps[step], WriteFile):
            raise StepFailed("No space left on device")

    world.qrmd.jobs.on_point = on_point  # type: ignore[assignment]
    outcome = await world.qrmd.run(made.id, ADMIN, Role.administrator)
    assert (await world.qrmd.jobs.wait(outcome["job"]["id"])).state == "undone"
    assert await world.leftovers() == []


async def test_defaults_for_the_answers_are_computed_on_the_server(world: World) -> None:
    text = (await world.qrmd.installing.answers(""))["answers"]
    assert 'interface = "eth0"' in text
    assert 'domain = "practice.example"' in text
    assert await world.do("install.run", answers=text) == "done"
    assert {item.name: item.state for item in world.qrmd.farm.all("component")} == dict.fromkeys(
        ("qrmd", "sshlogin", "nfs", "lvm-mgmt", "tftpd", "apache", "dhcpd", "node"), "ok")
    with pytest.raises(Refused, match="there is no network interface eth7"):
        await world.qrmd.installing.answers("eth7")


def test_a_documents_text_is_not_in_the_command_that_does_the_same() -> None:
    assert command_of(find("install.run"), {"answers": ANSWERS}) == "qrm install run --answers FILE"
    assert command_of(find("partition.resize"), {"name": "p", "memory": 4000 << 20}) == \
        "qrm partition resize p --memory 4000M"
