"""One scenario for each job operation: what is there before, and the call. The crash walk runs them all.

An operation that is registered and has no scenario here fails a test: later ones join the walk by being declared.
"""
from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from qrm_tui.core.component_table import table
from qrm_tui.core.plan import Change
from qrm_tui.db.store import Write
from tests.daemon.world import ANSWERS, World

Setup = Callable[[World, str], Awaitable[None]]


async def _nothing(world: World, name: str) -> None:
    return


async def _golden(world: World, name: str) -> None:
    if world.qrmd.farm.find("image", "golden") is None:
        assert await world.do("image.add", name="golden", storage="s1", size="1G") == "done"
        tree = world.classic.folder / "vol" / "golden"
        (tree / "etc").mkdir()
        (tree / "etc" / "hostname").write_text("golden\n")
        (tree / "etc" / "machine-id").write_text("4711\n")


async def _thin_golden(world: World, name: str) -> None:
    if world.qrmd.farm.find("image", "thin-golden") is None:
        assert await world.do("image.add", name="thin-golden", storage="s2", size="1G") == "done"


async def _image(world: World, name: str) -> None:
    assert await world.do("image.add", name=name, storage="s1", size="1G") == "done"


async def _source_and_image(world: World, name: str) -> None:
    await _golden(world, name)
    await _image(world, name)


async def _allowed_image(world: World, name: str) -> None:
    await _image(world, name)
    assert await world.do("image.allow", name=name, address=["10.9.9.9"]) == "done"


async def _boot_image(world: World, name: str) -> None:
    assert await world.do("boot-image.create", name=name, package="linux-image-amd64") == "done"


async def _half_a_server(world: World, name: str) -> None:
    """Steps of a kind are walked once: of three components all is there but a folder, a copy, the key, two records."""
    await _addresses(world, name)
    await world.qrmd.records.apply([Change(kind="component", name=one, wanted=None) for one in ("tftpd", "dhcpd")],
                                   Write())
    root = world.server.host.root
    root.here("/srv/qrm/boot/nonce").rmdir()
    for path in (next(iter(table()["tftpd"].copies)), table()["dhcpd"].key):
        root.here(path).unlink()


async def _loaders(world: World, name: str) -> None:
    await world.set_server_up(ANSWERS.partition("[dhcpd]")[0])


async def _addresses(world: World, name: str) -> None:
    await world.set_server_up(ANSWERS.partition("[node]")[0])


async def _no_hosts(world: World, name: str) -> None:
    world.server.host.root.here("/etc/hosts").unlink(missing_ok=True)


async def _installed(world: World, name: str) -> None:
    if world.qrmd.farm.find("component", "dhcpd") is None:
        assert await world.do("install.run", answers=ANSWERS) == "done"


async def _apache_off(world: World, name: str) -> None:
    await _installed(world, name)
    assert await world.do("component.disable", name="apache") == "done"


async def _apache_on(world: World, name: str) -> None:
    await _installed(world, name)
    assert await world.do("component.enable", name="apache") == "done"


async def _idle_machine(world: World, name: str) -> None:
    """An idle machine, and what is called like the scenario's name: an image, and a VE that is to run from it."""
    await world.set_up()
    for ve in [item.name for item in world.qrmd.farm.all("ve") if item.wanted.life != "stopped"]:
        assert await world.do("ve.stop", name=ve) == "done"
    if not world.qrmd.farm.count("resource"):
        await world.machine()
    await world.rack.until(lambda: world.qrmd.farm.get("resource", "r1").state == "idle")
    await _image(world, name)
    await world.do("ve.create", name=name, boot_image="debian12", image=name)


async def _started(world: World, name: str) -> None:
    await _idle_machine(world, name)
    assert await world.do("ve.start", name=name) == "done"


async def _two_machines(world: World, name: str) -> None:
    """A VE of two machines that runs on one of them, each with a clone of the golden image."""
    await world.set_up()
    await _golden(world, name)
    if world.qrmd.farm.find("ve", "shop") is None:
        for _ in range(2):
            await world.machine()
        await world.do("ve.create", name="shop", boot_image="debian12", image="golden", multi_server=2)
        assert await world.do("ve.start", name="shop") == "done"
    ve = world.qrmd.farm.get("ve", "shop").wanted
    if len(ve.assigned) == 2:
        leaving = ve.assigned[-1]
        assert await world.do("ve.remove-resource", name="shop", resource=leaving.resource) == "done"
        assert await world.do("image.remove", name=leaving.image) == "done"
    left = next(item.name for item in world.qrmd.farm.all("resource") if not item.wanted.ve)
    await world.rack.until(lambda: world.qrmd.farm.get("resource", left).state == "idle")


async def _both_machines(world: World, name: str) -> None:
    await _two_machines(world, name)
    assert await world.do("ve.add-resource", name="shop") == "done"


async def _readers(world: World, count: int) -> None:
    """VE `farm` of two machines that share one root runs on so many of them; the others are idle."""
    await world.set_up()
    farm = world.qrmd.farm
    if farm.find("ve", "farm") is None:
        await _image(world, "shared")
        for _ in range(2):
            await world.machine()
        await world.do("ve.create", name="farm", boot_image="debian12", image="shared", multi_server=2,
                       same_for_all=True)
    while len(assigned := farm.get("ve", "farm").wanted.assigned) != count:
        if count == 0:
            assert await world.do("ve.stop", name="farm") == "done"
        elif not assigned:
            assert await world.do("ve.start", name="farm") == "done"
        elif len(assigned) < count:
            assert await world.do("ve.add-resource", name="farm") == "done"
        else:
            assert await world.do("ve.remove-resource", name="farm", resource=assigned[-1].resource) == "done"
        farm = world.qrmd.farm
    free = [item.name for item in farm.all("resource") if not item.wanted.ve]
    await world.rack.until(lambda: all(farm.get("resource", name).state == "idle" for name in free))


async def _no_readers(world: World, name: str) -> None:
    await _readers(world, 0)


async def _one_reader(world: World, name: str) -> None:
    await _readers(world, 1)


async def _two_readers(world: World, name: str) -> None:
    await _readers(world, 2)


async def _forgotten(world: World, name: str) -> None:
    """A machine that is off, and is called r1."""
    await world.set_up()
    if world.qrmd.farm.find("resource", "r1") is None:
        node = world.rack.add()
        assert await world.rack.boot(node) == "r1"
        await node.power_off()


async def _idle_r1(world: World, name: str) -> None:
    await world.set_up()
    if world.qrmd.farm.find("resource", "r1") is None:
        await world.machine()
    await world.rack.until(lambda: world.qrmd.farm.get("resource", "r1").state == "idle")


async def _host(world: World, name: str) -> None:
    """r1 is a virtualization host, without partitions."""
    if world.qrmd.farm.find("ve", "hosts") is None:
        await world.host()
    for item in list(world.qrmd.farm.all("partition")):
        assert await world.do("partition.remove", name=item.name) == "done"


async def _kvm_host(world: World, name: str) -> None:
    """r1 is a virtualization host with KVM, without partitions."""
    if world.qrmd.farm.find("ve", "hosts") is None:
        await world.host("kvm")
    await _host(world, name)


async def _with_disk(world: World, name: str) -> None:
    """Besides, an idle partition of that name with a local disk."""
    await _host(world, name)
    assert await world.do("partition.create", name=name, host="r1", memory="256M", disk="1G") == "done"
    await world.rack.until(lambda: world.qrmd.farm.get("resource", name).state == "idle")


async def _idle_partition(world: World, name: str, partitioning: str) -> None:
    """A partition `p` that idles, and a VE of that name which is to run on it."""
    if world.qrmd.farm.find("partition", "p") is None:
        await (_kvm_host if partitioning == "kvm" else _host)(world, name)
        assert await world.do("partition.create", name="p", host="r1", memory="256M") == "done"
    for ve in [item.name for item in world.qrmd.farm.all("ve") if item.wanted.life != "stopped"]:
        if ve != "hosts":
            assert await world.do("ve.stop", name=ve) == "done"
    await world.rack.until(lambda: world.qrmd.farm.get("resource", "p").state == "idle")
    await world.do("resource.maintenance", name="p", off=True)
    await _image(world, name)
    await world.do("ve.create", name=name, boot_image="debian12", image=name, kind="partition",
                   technology=partitioning)


async def _idle_xen_partition(world: World, name: str) -> None:
    await _idle_partition(world, name, "xen")


async def _idle_kvm_partition(world: World, name: str) -> None:
    await _idle_partition(world, name, "kvm")


async def _started_on_kvm(world: World, name: str) -> None:
    await _idle_kvm_partition(world, name)
    assert await world.do("ve.start", name=name) == "done"


async def _partition(world: World, name: str) -> None:
    """Besides, an idle partition of that name."""
    await _host(world, name)
    assert await world.do("partition.create", name=name, host="r1", memory="256M") == "done"
    await world.rack.until(lambda: world.qrmd.farm.get("resource", name).state == "idle")


async def _undefined(world: World, name: str) -> None:
    """A partition that is off, on a host that has booted since and knows none of them."""
    if world.qrmd.farm.find("ve", "hosts") is None:
        await world.host(same_for_all=True)
    await _switched_off(world, name)
    assert await world.do("resource.power", name="r1", action="reset") == "done"
    await world.rack.until(lambda: (item := world.qrmd.farm.find("host", "r1")) and item.state == "ok")
    await world.qrmd.hosts.look("r1")


async def _paused(world: World, name: str) -> None:
    await _partition(world, name)
    assert await world.do("partition.pause", name=name) == "done"


async def _switched_off(world: World, name: str) -> None:
    await _partition(world, name)
    assert await world.do("partition.stop", name=name, force=True) == "done"


async def _domain_off(world: World, name: str) -> None:
    """A host that was added, with a domain that is off."""
    if world.qrmd.farm.find("host", "lxc1") is None:
        await world.do("host.add", name="lxc1", technology="lxc", address="10.0.0.9")
        await world.rack.until(lambda: world.qrmd.farm.find("domain", "lxc1.web") is not None)
    await world.qrmd.hosts.look("lxc1")
    if world.qrmd.farm.get("domain", "lxc1.web").state == "running":
        assert await world.do("domain.stop", name="lxc1.web", force=True) == "done"


async def _domain_on(world: World, name: str) -> None:
    await _domain_off(world, name)
    assert await world.do("domain.start", name="lxc1.web") == "done"


def _second(name: str) -> dict[str, str]:
    """The machine that was added last is of the pair r1, r2: the one with the highest number of clones."""
    return {"name": "shop", "resource": "r2"}


def _lease(name: str) -> dict[str, str]:
    """Another one for each name."""
    return {"lease": str(1000 + int("".join(filter(str.isdigit, name)) or 0))}


#: Scenario → operation, what is there before, arguments for a name that is new each time.
SCENARIOS: dict[str, tuple[str, Setup, Callable[[str], dict[str, Any]]]] = {
    "add": ("image.add", _nothing, lambda name: {"name": name, "storage": "s1", "size": "1G"}),
    "add thin": ("image.add", _nothing, lambda name: {"name": name, "storage": "s2", "size": "1G", "fs": "xfs"}),
    "clone": ("image.clone", _golden, lambda name: {"source": "golden", "name": name}),
    "clone thin": ("image.clone", _thin_golden, lambda name: {"source": "thin-golden", "name": name}),
    "copy": ("image.copy", _source_and_image, lambda name: {"source": "golden", "name": name}),
    "resize": ("image.resize", _image, lambda name: {"name": name, "size": "2G"}),
    "allow": ("image.allow", _image, lambda name: {"name": name, "address": ["10.9.9.9"]}),
    "revoke": ("image.revoke", _allowed_image, lambda name: {"name": name, "address": ["10.9.9.9"]}),
    "remove": ("image.remove", _image, lambda name: {"name": name}),
    "boot-image create": ("boot-image.create", _nothing, lambda name: {"name": name, "package": "linux-image-amd64"}),
    "boot-image remove": ("boot-image.remove", _boot_image, lambda name: {"name": name}),
    "install": ("install.run", _half_a_server, lambda name: {"answers": ANSWERS}),
    "fix a check": ("install.fix", _no_hosts, lambda name: {"name": "names"}),
    "configure component": ("component.configure", _installed,
                            lambda name: {"name": "dhcpd", "settings": _lease(name)}),
    "restart component": ("component.restart", _installed, lambda name: {"name": "dhcpd"}),
    "enable component": ("component.enable", _apache_off, lambda name: {"name": "apache"}),
    "disable component": ("component.disable", _apache_on, lambda name: {"name": "apache"}),
    "uninstall component": ("component.uninstall", _addresses, lambda name: {"name": "dhcpd"}),
    "uninstall": ("install.uninstall", _loaders, lambda name: {}),
    "start": ("ve.start", _idle_machine, lambda name: {"name": name}),
    "stop": ("ve.stop", _started, lambda name: {"name": name}),
    "add-resource": ("ve.add-resource", _two_machines, lambda name: {"name": "shop"}),
    "remove-resource": ("ve.remove-resource", _both_machines, _second),
    "start shared": ("ve.start", _no_readers, lambda name: {"name": "farm"}),
    "stop shared": ("ve.stop", _two_readers, lambda name: {"name": "farm"}),
    "add-resource shared": ("ve.add-resource", _one_reader, lambda name: {"name": "farm"}),
    "remove-resource shared": ("ve.remove-resource", _two_readers, lambda name: {"name": "farm", "resource": "r2"}),
    "power": ("resource.power", _idle_r1, lambda name: {"name": "r1", "action": "reset"}),
    "create partition": ("partition.create", _host, lambda name: {"name": name, "host": "r1", "memory": "256M"}),
    "create partition with disk": ("partition.create", _host, lambda name: {
        "name": name, "host": "r1", "memory": "256M", "disk": "1G"}),
    "create KVM partition": ("partition.create", _kvm_host, lambda name: {
        "name": name, "host": "r1", "memory": "256M", "disk": "1G"}),
    "start on Xen partition": ("ve.start", _idle_xen_partition, lambda name: {"name": name}),
    "start on KVM partition": ("ve.start", _idle_kvm_partition, lambda name: {"name": name}),
    "stop on KVM partition": ("ve.stop", _started_on_kvm, lambda name: {"name": name}),
    "remove partition with disk": ("partition.remove", _with_disk, lambda name: {"name": name}),
    "start partition": ("partition.start", _switched_off, lambda name: {"name": name}),
    "start partition anew": ("partition.start", _undefined, lambda name: {"name": name}),
    "stop partition": ("partition.stop", _partition, lambda name: {"name": name}),
    "pause partition": ("partition.pause", _partition, lambda name: {"name": name}),
    "resume partition": ("partition.resume", _paused, lambda name: {"name": name}),
    "reset partition": ("partition.reset", _partition, lambda name: {"name": name}),
    "resize partition": ("partition.resize", _partition, lambda name: {"name": name, "memory": "384M"}),
    "remove partition": ("partition.remove", _partition, lambda name: {"name": name}),
    "start domain": ("domain.start", _domain_off, lambda name: {"name": "lxc1.web"}),
    "stop domain": ("domain.stop", _domain_on, lambda name: {"name": "lxc1.web"}),
    "forget": ("resource.remove", _forgotten, lambda name: {"name": "r1"}),
}
