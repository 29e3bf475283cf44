"""Boot-images on the server: jobs that make them fail in words, and a look sees what became of their files."""
from __future__ import annotations

from qrm_tui.core.plan import HERE
from qrm_tui.core.states import judge
from tests.daemon.world import World

PLACE = "srv/qrm/boot/images/debian12"


async def make(world: World) -> None:
    assert await world.do("boot-image.create", name="debian12", package="linux-image-amd64") == "done"


async def test_it_is_seen_with_its_kernels_version(world: World) -> None:
    await make(world)
    item = world.qrmd.farm.get("boot-image", "debian12")
    assert item.state == "ready" and item.seen.version == "6.1.0-42-amd64" and item.seen.size > 0


async def test_a_package_that_is_not_there_leaves_nothing(world: World) -> None:
    job = await world.submit("boot-image.create", name="debian12", package="linux-image-nosuch")
    record = await world.qrmd.jobs.wait(job)
    assert record.state == "undone" and "Unable to locate package linux-image-nosuch" in record.error
    assert world.qrmd.farm.find("boot-image", "debian12") is None
    assert await world.leftovers() == []


async def test_a_kernel_cut_short_is_an_error_until_it_is_made_anew(world: World) -> None:
    await make(world)
    kernel = world.server.folder / PLACE / "vmlinuz"
    whole = kernel.read_bytes()
    kernel.write_bytes(whole[:5])
    await world.qrmd.watchers.look(HERE)
    item = world.qrmd.farm.get("boot-image", "debian12")
    assert item.state == "error" and f"vmlinuz has 5 bytes instead of {len(whole)}" in judge(item, world.qrmd.farm).why
    kernel.write_bytes(b"x" * len(whole))  # of the same size: seen well only by reading it
    await world.qrmd.watchers.look(HERE)
    assert "SHA-256" in judge(world.qrmd.farm.get("boot-image", "debian12"), world.qrmd.farm).why
    kernel.write_bytes(whole)
    await world.qrmd.watchers.look(HERE)
    assert world.qrmd.farm.get("boot-image", "debian12").state == "ready"


async def test_one_that_is_gone_is_told(world: World) -> None:
    await make(world)
    (world.server.folder / PLACE).rename(world.server.folder / "elsewhere")
    await world.qrmd.watchers.look(HERE)
    assert "/srv/qrm/boot/images/debian12 is gone" in judge(world.qrmd.farm.get("boot-image", "debian12"),
                                                           world.qrmd.farm).why


async def test_one_with_a_hypervisor_has_it_among_its_files(world: World) -> None:
    assert await world.do("boot-image.create", name="xen", package="linux-image-amd64", hypervisor="xen") == "done"
    item = world.qrmd.farm.get("boot-image", "xen")
    assert (item.state, item.wanted.type) == ("ready", "xen")
    assert item.seen.files == ("initrd.img", "vmlinuz", "xen.efi", "xen.gz")
    (world.server.folder / "srv/qrm/boot/images/xen/xen.gz").write_bytes(b"cut")
    await world.qrmd.watchers.look(HERE)
    assert "xen.gz has 3 bytes instead of" in judge(world.qrmd.farm.get("boot-image", "xen"), world.qrmd.farm).why


async def test_a_kernel_that_is_no_first_domain_leaves_nothing(world: World) -> None:
    job = await world.submit("boot-image.create", name="xen", package="linux-image-cloud-amd64", hypervisor="xen")
    record = await world.qrmd.jobs.wait(job)
    assert record.state == "undone" and "cannot run on Xen as the first domain" in record.error
    assert await world.leftovers() == []
