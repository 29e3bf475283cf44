"""A host with containers, added as it is: a real libvirtd lists, starts and stops what somebody made there."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from qrm_tui.backends.virtualization import require, technologies
from qrm_tui.bootimage.initramfs import BUSYBOX
from qrm_tui.core.errors import GuardRefused, Refused, StepFailed
from qrm_tui.core.partitions import DomainSeen
from qrm_tui.runners.libvirt import LibvirtHypervisor, LocalReach
from tests.lab.fixtures import requirements
from tests.lab.libvirtd import PROGRAMS, Libvirtd
from tests.lab.namespace import Namespace
from tests.services.libvirt_room import PATIENCE, Room

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("faults")]

DRIVER = Path("/usr/lib/x86_64-linux-gnu/libvirt/connection-driver/libvirt_driver_lxc.so")
INIT = """#!/bin/sh
trap 'exit 0' TERM
while :; do sleep 3600 & wait; done
"""
NAME = f"web-{os.getpid()}"
CONTROL_GROUPS = Path("/sys/fs/cgroup")
DEFINITION = """<domain type='lxc'><name>{name}</name><memory unit='MiB'>64</memory>
<os><type>exe</type><init>/init</init></os>
<devices><filesystem type='mount'><source dir='{root}'/><target dir='/'/></filesystem><console type='pty'/></devices>
</domain>"""


@pytest.fixture
def libvirtd(tmp_path: Path) -> Iterator[Libvirtd]:
    """With a container that is off."""
    lacking = requirements(PROGRAMS)
    lacking += [] if DRIVER.exists() else [f"{DRIVER}: apt-get install libvirt-daemon-driver-lxc"]
    if lacking:
        pytest.fail("the lab needs:\n" + "\n".join(lacking), pytrace=False)
    there = set(CONTROL_GROUPS.glob("**/machine"))
    with Namespace() as namespace:
        made = Libvirtd(namespace)
        made.start()
        root = namespace.scratch / "root"
        for folder in ("bin", "proc", "sys", "dev"):
            (root / folder).mkdir(parents=True)
        for name in ("sh", "sleep"):
            shutil.copy(BUSYBOX, root / "bin" / name)
        (root / "init").write_text(INIT)
        (root / "init").chmod(0o755)
        definition = tmp_path / "web.xml"
        definition.write_text(DEFINITION.format(name=NAME, root=root))
        made.virsh("define", str(definition), uri=made.containers)
        yield made
        made.end()
    # what libvirt leaves where nobody has told it to stop a container
    left = CONTROL_GROUPS.glob(f"**/machine/lxc-*-{NAME}.libvirt-lxc")
    for path in [*left, *(set(CONTROL_GROUPS.glob("**/machine")) - there)]:
        path.rmdir()


@pytest_asyncio.fixture
async def room(libvirtd: Libvirtd, tmp_path: Path) -> AsyncIterator[Room]:
    made = Room(LocalReach(libvirtd.containers), tmp_path)
    made.host = LibvirtHypervisor("lxc1", LocalReach(libvirtd.containers), foreign=True)
    await made.host.start_line()
    yield made
    await made.end()


async def web(room: Room) -> DomainSeen:
    (found,) = (await room.host.look()).domains
    return found


async def shut_down(room: Room, uuid: str) -> None:
    """For a moment after a start libvirt does not know yet whom to tell."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                return await room.host.shutdown(uuid)
            except StepFailed as error:
                assert "Init process ID is not yet known" in str(error)
            await asyncio.sleep(0.1)


async def test_what_is_there_is_listed_started_and_stopped(room: Room) -> None:
    seen = await room.host.look()
    assert (seen.technology, seen.memory > 0, seen.cpus > 0) == ("lxc", True, True)
    found = await web(room)
    assert (found.name, found.state, found.resource, found.persistent) == (NAME, "off", "", True)
    for stop in (room.host.destroy, lambda uuid: shut_down(room, uuid)):
        await room.host.start(found.uuid)
        await room.host.start(found.uuid)
        assert (await web(room)).state == "running"
        await stop(found.uuid)
        await room.until_seen(found, lambda domain: domain.state == "off")


@pytest.mark.parametrize("verb", ["pause", "reset", "memory", "cpus", "schedule"])
async def test_nothing_else_is_done_to_it(room: Room, verb: str) -> None:
    uuid = (await web(room)).uuid
    host = room.host
    call = {"pause": lambda: host.suspend(uuid), "reset": lambda: host.reset(uuid),
            "memory": lambda: host.set_memory(uuid, 1 << 26), "cpus": lambda: host.set_cpus(uuid, 1),
            "schedule": lambda: host.set_schedule(uuid, {})}[verb]
    # none of ours: it is switched, and nothing else
    with pytest.raises(GuardRefused, match=f"{NAME} on lxc1 is none of ours"):
        await call()
    with pytest.raises(Refused, match=re.escape(technologies()["lxc"].refuses[verb])):  # type: ignore[index]
        require(host.technology, verb)  # type: ignore[arg-type]
