"""Components are taken away again, one or all: what goes, what stays and why, what is refused, what is put back."""
from __future__ import annotations

import msgspec
import pytest

from qrm_tui.backends.own_packages import INSTALLED
from qrm_tui.core.answers import FILE
from qrm_tui.core.errors import Refused, Stale, StepFailed
from qrm_tui.core.operations.declarations import Role
from qrm_tui.core.plan import Change, Plan, Run
from qrm_tui.db.store import Write
from tests.daemon.world import ADMIN, ANSWERS, World

DHCPD_UNIT, APACHE_FILE = "/etc/systemd/system/isc-dhcp-server.service", "/etc/apache2/conf-enabled/qrm-boot.conf"
#: What the simulated packages leave behind when they are removed.
LEFT = {"etc/apache2/apache2.conf", "etc/default/isc-dhcp-server", "etc/default/tftpd-hpa", "etc/dhcp/dhcpd.conf"}


async def plan(world: World, operation: str, **arguments: object) -> Plan:
    return await world.qrmd.plan(operation, arguments, Role.administrator)


async def install(world: World, answers: str = ANSWERS) -> None:
    assert await world.do("install.run", answers=answers) == "done"


async def ended(world: World, operation: str, **arguments: object) -> int:
    """The job's number; it is done."""
    number = await world.submit(operation, **arguments)
    assert (await world.qrmd.jobs.wait(number)).state == "done"
    return number


def files(world: World) -> dict[str, bytes]:
    """Every file of the server with its content, but what packages brought into /usr."""
    root = world.server.folder
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*")
            if path.is_file() and not path.is_relative_to(root / "usr")}


def folders(world: World) -> set[str]:
    root = world.server.folder
    return {str(path.relative_to(root)) for path in (root / "srv").rglob("*") if path.is_dir()}


async def test_a_component_goes_and_an_undo_brings_it_back(world: World) -> None:
    await install(world)
    before, software = files(world), world.server.host.software
    made = await plan(world, "component.uninstall", name="node")
    assert (made.destructive, made.confirm) == (True, "node")
    assert "packages that stay, since apache needs them: curl" in made.notes
    number = await ended(world, "component.uninstall", name="node")
    assert world.qrmd.farm.find("component", "node") is None
    assert "qrm-node.service" not in software.active
    assert not {"ipmitool", "wakeonlan"} & set(software.packages)
    assert "curl" in software.packages
    assert b"\n[node]" not in files(world)[FILE.lstrip("/")]
    again = await plan(world, "component.uninstall", name="node")
    assert (again.steps, again.notes) == ((), ("node is not set up: nothing is to be done",))
    assert (again.destructive, again.confirm) == (False, "")
    assert await world.do("job.undo", name=number) == "done"
    assert files(world) == before
    assert "qrm-node.service" in software.active


async def test_all_go_and_the_server_is_what_it_was(world: World) -> None:
    software = world.server.host.software
    software.packages["curl"] = "7.88.1-10+deb12u14"
    before = files(world)
    await install(world)
    world.qrmd.upkeep.files.add("")
    await world.qrmd.upkeep.settle()
    made = await plan(world, "install.uninstall")
    assert (made.destructive, made.confirm) == (True, "all")
    assert "packages that stay, since qrm did not install them: curl" in made.notes
    number = await ended(world, "install.uninstall")
    after = files(world)
    assert {path: after[path] for path in after.keys() - LEFT} == before
    assert folders(world) == set()
    assert (set(software.packages), software.active) == ({"curl"}, set())
    assert not world.qrmd.farm.count("component")
    told = [line.text async for line in world.qrmd.jobs.log(number).read(0, follow=False)]
    assert told[-1].strip() == "rm -r /etc/qrm /var/lib/qrm /var/log/qrm"
    assert any("rm -r /opt/qrm " in line for line in told)
    assert any("systemctl disable --now qrmd" in line for line in told)
    assert (await plan(world, "install.uninstall")).steps == ()
    await install(world)
    assert world.qrmd.farm.count("component") == 4


async def test_qrmd_stays_and_what_takes_it_away_is_told(world: World) -> None:
    await install(world, ANSWERS + "[qrmd]\n")
    with pytest.raises(Refused, match="qrmd is what would run this: qrm install uninstall takes all others away"):
        await plan(world, "component.uninstall", name="qrmd")
    await ended(world, "install.uninstall")
    assert [item.name for item in world.qrmd.farm.all("component")] == ["qrmd"]
    assert b"\n[qrmd]" in files(world)[FILE.lstrip("/")]


async def test_what_was_there_before_is_there_again(world: World) -> None:
    """A service that ran goes on, and a file that was written over is put back, whoever changed ours meanwhile."""
    host, software = world.server.host, world.server.host.software
    software.packages |= {"apache2": "2.4.71-1~deb12u1", "tftpd-hpa": "5.2+20150808-1.4"}
    for unit in ("apache2.service", "tftpd-hpa.service"):
        await world.server.run(("systemctl", "enable", "--now", "--", unit))
    host.root.write(DHCPD_UNIT, "# of an admin\n[Service]\nExecStart=/usr/sbin/dhcpd eth7\n")
    before = files(world)
    await install(world)
    host.root.write(APACHE_FILE, host.root.read(APACHE_FILE) + "# mine\n")
    made = await plan(world, "install.uninstall")
    assert "apache2.service goes on: it ran before apache was set up" in made.notes
    assert f"{APACHE_FILE} was changed by somebody since it was written: it is kept as {APACHE_FILE}.by-hand" in \
        made.warnings
    await ended(world, "install.uninstall")
    after = files(world)
    assert after.pop(f"{APACHE_FILE.lstrip('/')}.by-hand").endswith(b"# mine\n")
    assert {path: after[path] for path in after.keys() - LEFT} == before
    assert set(software.packages) == {"apache2", "tftpd-hpa"}
    assert software.active == {"apache2.service", "tftpd-hpa.service"}
    assert [step.argv for step in made.steps if isinstance(step, Run) and step.argv[:2] == ("systemctl", "enable")] == [
        ("systemctl", "enable", "--", "tftpd-hpa.service")]


async def test_packages_of_a_job_that_was_taken_back_are_known_to_be_ours(world: World) -> None:
    world.server.faults.fail.append(["install", "No space left on device"])
    assert await world.do("install.run", answers=ANSWERS) == "undone"
    assert "apache2" in world.server.host.software.packages
    assert "apache2\n" in world.server.host.root.read(INSTALLED)
    world.server.host.software.packages.pop("curl")
    await ended(world, "install.uninstall")
    assert world.server.host.software.packages == {}
    assert not world.server.host.root.exists(INSTALLED)


async def test_packages_stay_where_nobody_knows_which_are_ours(world: World) -> None:
    await install(world)
    world.server.folder.joinpath(INSTALLED.lstrip("/")).unlink()
    note = next(note for note in (await plan(world, "install.uninstall")).notes if "packages that stay" in note)
    assert note.startswith("packages that stay, since /etc/qrm/packages is not there, which would tell what qrm "
                           "installed: apache2,")


async def test_a_service_that_did_not_start_is_failed_no_longer_when_it_was_taken_back_or_away(world: World) -> None:
    software = world.server.host.software
    made = await plan(world, "install.run", answers=ANSWERS)

    def on_point(point: str, job: object, step: int) -> None:
        if point == "effect" and made.steps[step].summary == "start isc-dhcp-server.service":
            software.active.discard("isc-dhcp-server.service")
            software.failed.add("isc-dhcp-server.service")
            raise StepFailed("it did not start")

    world.qrmd.jobs.on_point = on_point  # type: ignore[assignment]
    outcome = await world.qrmd.run(made.id, ADMIN, Role.administrator)
    assert (await world.qrmd.jobs.wait(outcome["job"]["id"])).state == "undone"
    assert software.failed == set()
    world.qrmd.jobs.on_point = lambda point, job, step: None
    await install(world)
    for unit in ("apache2.service", "isc-dhcp-server.service"):
        software.active.discard(unit)
        software.failed.add(unit)
    assert await world.do("component.disable", name="dhcpd") == "done"
    assert software.failed == {"apache2.service"}
    await ended(world, "install.uninstall")
    assert software.failed == set()


async def test_packages_that_somebody_needs_stay_and_what_came_along_goes(world: World) -> None:
    software = world.server.host.software
    await install(world)
    software.packages |= {"libapr1": "1.7", "phpmyadmin": "5.2", "libfreeipmi17": "1.6", "leftover": "1"}
    software.along |= {"libapr1", "libfreeipmi17", "leftover"}
    software.needs |= {"phpmyadmin": {"apache2"}, "apache2": {"libapr1"}, "ipmitool": {"libfreeipmi17"}}
    made = await plan(world, "install.uninstall")
    assert "packages that stay, since phpmyadmin would go with them: apache2" in made.notes
    assert "packages that came along, and that nobody else needs: libfreeipmi17" in made.notes
    await ended(world, "install.uninstall")
    assert set(software.packages) == {"apache2", "libapr1", "phpmyadmin", "leftover"}
    assert "apache2\n" in world.server.host.root.read(INSTALLED)


async def test_what_others_need_is_refused_and_what_to_do_first_is_said(world: World) -> None:
    await install(world)
    with pytest.raises(Refused, match=r"^tftpd: dhcpd, apache need tftpd: qrm component uninstall dhcpd first$"):
        await plan(world, "component.uninstall", name="tftpd")
    await world.machine()
    with pytest.raises(Refused, match=r"machines that boot from here are on \(r1\): qrm resource power r1 off"):
        await plan(world, "component.uninstall", name="node")
    assert any("are on (r1)" in warning for warning in (await plan(world, "install.uninstall")).warnings)
    assert await world.do("image.add", name="web", storage="s1", size="1G") == "done"
    await world.do("ve.create", name="web", boot_image="debian12", image="web")
    assert await world.do("ve.start", name="web") == "done"
    with pytest.raises(Refused, match=r"VEs run on machines that boot from here \(web\): qrm ve stop web"):
        await plan(world, "install.uninstall")
    assert await world.do("ve.stop", name="web") == "done"
    made = await plan(world, "install.uninstall")
    assert await world.do("ve.start", name="web") == "done"
    with pytest.raises(Stale, match="web was changed meanwhile"):
        await world.qrmd.run(made.id, ADMIN, Role.administrator)


async def test_boot_images_stay_unless_somebody_says_otherwise(world: World) -> None:
    await world.set_up()
    assert any(note.startswith("boot-images stay (debian12, idle)")
               for note in (await plan(world, "install.uninstall")).notes)
    await ended(world, "install.uninstall")
    assert folders(world) >= {"srv/qrm/boot/images/idle", "srv/qrm/boot/images/debian12"}
    assert await world.leftovers() == []
    await install(world)
    made = await plan(world, "install.uninstall", data=True)
    assert made.inverse is None
    assert any("purge" in step.argv for step in made.steps if isinstance(step, Run))
    await ended(world, "install.uninstall", data=True)
    assert folders(world) == set()
    assert not world.qrmd.farm.count("boot-image")
    assert await world.leftovers() == []


async def test_images_on_this_server_hold_it_up_stay_or_go(world: World) -> None:
    await install(world, ANSWERS + "[nfs]\n[lvm-mgmt]\n")
    here = {**msgspec.to_builtins(world.qrmd.farm.get("storage", "s1").wanted), "host_key": ""}
    await world.qrmd.records.apply([Change(kind="storage", name="s1", wanted=here)], Write())
    for name in ("golden", "web"):
        assert await world.do("image.add", name=name, storage="s1", size="1G") == "done"
    assert await world.do("image.clone", source="golden", name="shop") == "done"
    assert await world.do("image.allow", name="web", address=["10.9.9.9"]) == "done"
    with pytest.raises(Refused, match=r"^machines may mount images that lie here \(web\): qrm image show web names"):
        await plan(world, "install.uninstall", data=True)
    assert await world.do("image.revoke", name="web", address=["10.9.9.9"]) == "done"
    with pytest.raises(Refused, match=r"images lie on this server \(golden, shop, web\): qrm image remove golden"):
        await plan(world, "component.uninstall", name="lvm-mgmt")
    made = await plan(world, "install.uninstall")
    assert "packages that stay, since images lie in volumes of this server: e2fsprogs, lvm2, rsync" in made.notes
    await ended(world, "install.uninstall", data=True)
    assert not world.qrmd.farm.count("image")
    assert await world.leftovers() == []


async def test_the_database_that_qrmd_itself_uses_stays(world: World) -> None:
    await install(world, '[qrmd]\ndatabase = "mariadb"\n[mysql]\n')
    for operation, arguments in (("component.uninstall", {"name": "mysql"}), ("install.uninstall", {}),
                                 ("component.disable", {"name": "mysql"}),
                                 ("install.run", {"answers": ANSWERS, "disable": ["mysql"]})):
        with pytest.raises(Refused, match="qrmd's own database lies in MariaDB here"):
            await plan(world, operation, **arguments)
    world.server.host.software.databases.add("db.example/qrm")
    await ended(world, "component.configure", name="qrmd", settings={"database": "mariadb://qrm@db.example/qrm"})
    note = '{"data": "/var/lib/qrm", "database": "mariadb"}'  # it was not started anew yet
    world.server.host.root.write("/var/lib/qrm/place.json", note)
    with pytest.raises(Refused, match="qrmd's own database lies in MariaDB here"):
        await plan(world, "component.uninstall", name="mysql")
    world.server.host.root.write("/var/lib/qrm/place.json", note.replace("mariadb", "mariadb://qrm@db.example/qrm"))
    world.server.host.root.write("/var/lib/mysql/ibdata1", "rows")
    await ended(world, "component.uninstall", name="mysql")
    assert world.server.host.root.exists("/var/lib/mysql/ibdata1")
    await install(world, "[mysql]\n")
    await ended(world, "component.uninstall", name="mysql", data=True)
    assert not world.server.host.root.exists("/var/lib/mysql")
