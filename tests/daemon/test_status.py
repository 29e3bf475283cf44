"""The farm at a glance: what is counted, what needs attention, and what VEs can start on."""
from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import Any

import pytest

from qrm_tui.core.components import ComponentSeen, ComponentWanted
from qrm_tui.core.environments import Assignment, BootImageSeen, BootImageWanted, VeWanted
from qrm_tui.core.model import Item
from qrm_tui.core.resources import IDLE, Inventory, ResourceSeen, ResourceWanted
from qrm_tui.core.rows import row_of
from qrm_tui.daemon.server import Qrmd
from tests.daemon.world import World
from tests.screens import fake_client


@dataclass
class Machine:
    """A machine as it was seen."""

    name: str
    maintenance: bool = False
    ve: str = ""
    seen: dict[str, Any] = field(default_factory=dict)


def idle(**more: Any) -> dict[str, Any]:
    return {"runs": IDLE, "stage": "agent", "stage_at": time.time() - 60, "heard": time.time(),
            "inventory": Inventory(cpus=4, mhz=2400, memory=8 << 30), **more}


def machines() -> tuple[Machine, ...]:
    """As of now: who spoke a minute ago is silent."""
    return (
        Machine("r1", seen=idle()),
        Machine("r2", maintenance=True, seen=idle()),
        Machine("r3", maintenance=True, seen=idle(off="said")),
        Machine("r4", maintenance=True, seen=idle(heard=1.0, stage_at=0.5)),
        Machine("r5", seen=idle(heard=1.0, stage_at=0.5)),
        Machine("r6", maintenance=True, seen=idle(heard=0, stage="loader", stage_at=time.time() - 999)),
        Machine("r7", maintenance=True, seen=idle(warning="somebody else showed its nonce")),
        Machine("r8", ve="shop", seen=idle(off="said", runs="ve1")),
        Machine("r9", ve="shop", seen=idle(stage="system", runs="ve1")),
    )


def fill(qrmd: Qrmd) -> None:
    every = machines()
    for number, machine in enumerate(every):
        qrmd.farm.put(Item(kind="resource", name=machine.name, seen=ResourceSeen(**machine.seen), wanted=ResourceWanted(
            id=machine.name, mac=f"52:54:00:00:00:0{number}", maintenance=machine.maintenance, ve=machine.ve)))
    qrmd.farm.put(Item(kind="ve", name="shop", wanted=VeWanted(
        id="ve1", boot_image="debian12", image="shop", life="running",
        assigned=(Assignment("r8", "shop"), Assignment("r9", "shop-r9")))))
    for machine in every:
        qrmd.farm.judge_again("resource", machine.name)
    qrmd.farm.judge_again("ve", "shop")
    qrmd.farm.put(Item(kind="boot-image", name="debian12", wanted=BootImageWanted(id="b1"),
                       seen=BootImageSeen(trouble="vmlinuz is cut short")))
    qrmd.farm.put(Item(kind="component", name="tftpd", wanted=ComponentWanted(),
                       seen=ComponentSeen(troubles=("tftpd-hpa is failed",))))
    qrmd.farm.put(Item(kind="component", name="node", wanted=ComponentWanted(enabled=False)))


@pytest.mark.asyncio
async def test_every_kind_is_counted_and_what_needs_attention_is_told(world: World) -> None:
    fill(world.qrmd)
    status = json.loads(json.dumps(world.qrmd.status()))
    assert status["counts"]["resource"] == {"total": 9, "idle": 3, "off": 2, "unknown": 2, "error": 1, "active": 1}
    assert status["counts"]["ve"] == {"total": 1, "degraded": 1}
    assert status["counts"]["component"] == {"total": 2, "error": 1, "off": 1}
    alerts = {alert["name"]: alert for alert in status["alerts"]}
    # off is no trouble by itself, and a machine in maintenance may be silent; one that hangs in its boot is told
    assert set(alerts) == {"r5", "r6", "r7", "shop", "debian12", "tftpd"}
    assert alerts["r7"]["state"] == "idle" and alerts["r7"]["why"] == "somebody else showed its nonce"
    assert alerts["shop"]["why"].startswith("r8 is off: ") and alerts["shop"]["next"] == "qrm resource power r8 on"


@pytest.mark.asyncio
async def test_machines_that_are_free_are_added_up(world: World) -> None:
    fill(world.qrmd)
    assert world.qrmd.status()["machines"] == {"free": 1, "cpus": 4, "memory": 8 << 30, "maintenance": 5}


@pytest.mark.asyncio
async def test_the_screens_are_tried_on_rows_as_the_server_makes_them(world: World) -> None:
    fill(world.qrmd)
    farm = world.qrmd.farm
    made = {"resource": fake_client.resource("r"), "ve": fake_client.ve("v"), "component": fake_client.component("c"),
            "boot-image": fake_client.boot_image("b")}
    for kind, row in made.items():
        real = row_of(next(iter(farm.all(kind))), farm)
        assert set(real) == set(row), kind


@pytest.mark.asyncio
async def test_the_rack_remembers_when_the_stages_of_a_boot_began(world: World) -> None:
    fill(world.qrmd)
    now = time.time()
    for place, stage in enumerate(("dhcp", "loader", "kernel")):
        world.qrmd.rack.show("r5", stage=stage, stage_at=now - 9 + place)
    row = row_of(world.qrmd.farm.get("resource", "r5"), world.qrmd.farm)
    assert (row["state"], row["stages"]) == ("booting", {"dhcp": now - 9, "loader": now - 8, "kernel": now - 7})
    world.qrmd.rack.show("r5", stage="dhcp", stage_at=now)
    assert row_of(world.qrmd.farm.get("resource", "r5"), world.qrmd.farm)["stages"] == {"dhcp": now}
