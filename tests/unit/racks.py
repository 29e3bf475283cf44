"""Hand-made farms with machines, virtual environments and a server that is set up for netboot."""
from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from qrm_tui.backends import boot
from qrm_tui.backends.planning import Call, Draft
from qrm_tui.core.components import ComponentWanted
from qrm_tui.core.environments import BootImageSeen, BootImageWanted, VeWanted
from qrm_tui.core.facts import File, MachineFacts, Reading
from qrm_tui.core.farm import Farm
from qrm_tui.core.model import ImageWanted, Item
from qrm_tui.core.netboot import boot_settings
from qrm_tui.core.operations.arguments import check_arguments
from qrm_tui.core.operations.registry import find
from qrm_tui.core.plan import HERE
from qrm_tui.core.resources import IDLE, Inventory, Nic, ResourceSeen, ResourceWanted
from tests.unit.allocation import GIB, make_facts, make_farm, volume

NOW = 1000.0


def mac(number: int) -> str:
    """The boot card of machine rN."""
    return f"52:54:00:77:00:{number:02x}"


def resource(number: int, *, state: dict[str, Any] | None = None, **wanted: Any) -> Item:
    """An idle machine rN, out of maintenance."""
    seen = ResourceSeen(**{
        "inventory": Inventory(cpus=2, mhz=2400, memory=4 * GIB, nics=(Nic("eth0", mac(number)),)), "runs": IDLE,
        "stage": "agent", "boot": f"boot-{number}", "heard": NOW, **(state or {})})
    return Item(kind="resource", name=f"r{number}", seen=seen, created=3, revision=1, wanted=ResourceWanted(
        **{"id": f"id-r{number}", "mac": mac(number), "address": f"10.0.0.{number}", "maintenance": False, **wanted}))


def rack(*images: ImageWanted, machines: int = 2, clock: Callable[[], float] = lambda: NOW) -> Farm:
    """A farm with a server that is set up, the boot-image `debian12`, and idle machines r1, r2 ..."""
    farm = make_farm(*images, clock=clock)
    for name, settings in (("dhcpd", {"address": "10.0.0.254"}), ("tftpd", {}), ("apache", {}), ("node", {})):
        farm.put(Item(kind="component", name=name, wanted=ComponentWanted(settings=settings), created=1))
    farm.put(Item(kind="boot-image", name="debian12", created=1, revision=1, wanted=BootImageWanted(id="b1"),
                  seen=BootImageSeen(size=1, shares=True)))
    for number in range(1, machines + 1):
        farm.put(resource(number))
    return farm


def define(farm: Farm, name: str, image: str, **wanted: Any) -> Item:
    """A virtual environment."""
    item = Item(kind="ve", name=name, created=4, revision=1, wanted=VeWanted(
        **{"id": f"ve-{name}", "boot_image": "debian12", "image": image, **wanted}))
    farm.put(item)
    return item


def files_here(farm: Farm) -> MachineFacts:
    """The server's facts: every machine has its boot files."""
    found: dict[str, File | None] = {}
    for item in farm.all("resource"):
        for path, content in boot.machine_files(boot_settings(farm), item.name, item.wanted.mac).items():
            found[path] = File(content="# it runs a VE\n" if item.wanted.ve else content)
    return MachineFacts(files=found)


def plan(planner: Callable[[Call], Draft], operation: str, farm: Farm, *volumes: Any,
         files: Mapping[str, File] | None = None, **arguments: Any) -> Draft:
    """The draft that a planner makes, with the storage server s1 and the server itself as they should be; `files`: of
    s1."""
    parsed = check_arguments(find(operation).arguments, arguments)
    names = [item.name for item in farm.all("image")]
    facts = make_facts(*(volumes or [volume(name) for name in names]), files=dict(files or {}))
    reading = Reading(farm, {"s1": facts, HERE: files_here(farm)})
    return planner(Call(parsed, reading, lambda purpose: f"new-{purpose}"))


def change(farm: Farm, kind: str, name: str, **wanted: Any) -> None:
    """What is wanted of an object becomes another."""
    item = farm.get(kind, name)
    farm.put(msgspec.structs.replace(item, wanted=msgspec.structs.replace(item.wanted, **wanted)))
