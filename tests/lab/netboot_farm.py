"""The farm of the netboot lab, as its rows ask it: over the command line, on the server, and on the wire."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any, TypeVar

from tests.lab.cache import LAB
from tests.lab.golden import Golden
from tests.lab.image import Image
from tests.lab.machine import Machine
from tests.lab.manager import GROUP, Manager
from tests.lab.namespace import BRIDGE, Namespace
from tests.lab.storage_server import StorageServer
from tests.lab.system import System
from tests.lab.watch import Watch
from tests.services.command_line import CommandLine, until
from tests.services.command_line import Row as Fields

T = TypeVar("T")
BOOT_SECONDS = 900.0
"""Until a boot counts as failed: as long as a start waits (`ve_start.SECONDS`). Emulated, two at once on two cores take
some 60, and Xen 180; where the machine has other work, several times that."""
HANGS_SECONDS = 90.0
"""A boot loader that is silent for so long in the middle of a file hangs: what it fetches takes seconds."""
SILENCE = 4.0
"""Seconds in which nobody has answered a client: dhcpd offers within one."""


class NetbootFarm:
    """The server, the machines of its rack, and what is seen of them."""

    def __init__(
        self,
        namespace: Namespace,
        manager: Manager,
        line: CommandLine,
        watch: Watch,
        machines: Sequence[Machine],
        roots: Sequence[Golden],
        stranger: Image,
    ) -> None:
        self.namespace = namespace
        self.manager = manager
        self.line = line
        self.watch = watch
        self.machines = machines
        self.bios, self.uefi = machines[0], machines[-1]
        self._roots = roots
        self._stranger = stranger
        self._has_card = False

    # what qrm says

    def all(self, kind: str) -> dict[str, Fields]:
        return {fields["name"]: fields for fields in self.line.qrm_json(kind, "list")}

    def await_state(self, kind: str, name: str, state: str) -> Fields:
        """The object once it is in this state: what a job made is looked at a moment later."""

        def reached() -> Fields | None:
            found = self.all(kind)[name]
            return found if found["state"] == state else None

        found: Fields = until(f"{kind} {name} is {state}", reached)
        return found

    def await_resource(self, machine: Machine, state: str) -> Fields:
        """The resource that a machine is, once it is in this state."""

        def reached() -> Fields | None:
            for change in reversed(self.watch.changes("resource")):
                if change.row["mac"] == machine.mac:
                    return change.row if change.row["state"] == state else None
            return None

        found: Fields = until(f"the resource of {machine.mac} is {state}", self._at_machines(reached), BOOT_SECONDS)
        return found

    def await_again(self, name: str, state: str, since: float) -> float:
        """When a resource that left this state after `since` was back in it; seconds of the steady clock."""

        def reached() -> float | None:
            path = self.watch.path("resource", name, "state", since)
            return next((at for (before, _), (after, at) in pairwise(path) if after == state != before), None)

        at: float = until(f"resource {name} is {state} again", self._at_machines(reached), BOOT_SECONDS)
        return at

    def _at_machines(self, reached: Callable[[], T]) -> Callable[[], T]:
        """Who waits sits at the machines, and presses the button of one whose boot loader hangs: lpxelinux does now and
        then on QEMU's firmware (its network is dead then: it answers no ARP, and no timeout ends it)."""
        stands = {machine: ("", time.monotonic()) for machine in self.machines}

        def looked() -> T:
            for machine, (line, since) in stands.items():
                now = machine.console_tail(1)
                if now != line:
                    stands[machine] = now, time.monotonic()
                elif now.startswith("Loading ") and time.monotonic() - since > HANGS_SECONDS:
                    print(f"lab: {machine.name} hangs at {now.strip()!r}: reset, as by its button", flush=True)
                    machine.reset()
                    stands[machine] = "", time.monotonic()
            return reached()

        return looked

    def stages(self, name: str, since: float) -> str:
        """The stages of a resource's boot, each with seconds after `since`."""
        path = self.watch.path("resource", name, "stage", since)
        return " → ".join(f"{stage} {at - since:.0f} s" for stage, at in path) or "no stage was seen"

    def done(self, *commands: tuple[str, ...]) -> None:
        """Jobs that run at once, until all are done."""
        self.ended([self.line.begin(*command) for command in commands])

    def ended(self, numbers: Sequence[str]) -> None:
        """Waits until jobs that run are all done."""
        ended = [self.line.ended(number) for number in numbers]
        assert [job["state"] for job in ended] == ["done"] * len(ended), ended

    # what is so

    def digest(self, image: str) -> str:
        """Of all content, names, owners, modes and times of an image."""
        script = f'tar -c --sort=name --numeric-owner -C "/{GROUP}/$1" . | sha256sum'
        return self.manager.ssh("sh", "-ec", script, "sh", image).stdout.split()[0]

    def held(self, image: str, marks: Iterable[str]) -> set[str]:
        """Those of the marks that lie anywhere on the blocks of an image's volume."""
        script = f'dd if="/dev/{GROUP}/$1" bs=4M iflag=direct status=none | grep -o -a -F -e "$2" | sort -u'
        return set(self.manager.ssh("sh", "-c", script, "sh", image, "\n".join(marks)).stdout.split())

    def system(self, name: str, root: int = 0) -> System:
        """What runs on this resource: a customer's system, or one of another of the lab's golden roots."""
        return System(self.namespace, self.all("resource")[name]["address"], self._roots[root].key)

    def nfs_clients(self) -> dict[str, str]:
        """By address, who each machine with a root says it is to the server (nfs-client-identifier)."""
        script = "cat /proc/fs/nfsd/clients/*/info"
        fields = [line.partition(": ") for line in self.manager.ssh("sh", "-c", script).stdout.splitlines()]
        told = [(name, value.strip('"')) for name, _, value in fields if name in ("address", "name")]
        return {address.rpartition(":")[0]: name for (_, address), (_, name) in zip(told[::2], told[1::2], strict=True)}

    def stranger(self) -> StorageServer:
        """A machine of somebody else's on the same wire, not started yet."""
        return StorageServer(self.namespace, self._stranger, number=0x30, data_gb=1, volume_group=None)

    def lease(self, mac: str) -> dict[str, Any] | None:
        """What a client that boots from its disk gets of dhcpd; None: no answer."""
        if not self._has_card:
            for words in ("add card type veth peer name plug", "set card up", f"set plug master {BRIDGE} up"):
                self.namespace.run(["ip", "link", *words.split()], check=True)
            self._has_card = True
        client = [sys.executable, "-I", str(LAB / "dhcp_client.py"), "card"]
        question = json.dumps({"mac": mac, "seconds": SILENCE}) + "\n"
        done = self.namespace.run(client, input=question, stdout=subprocess.PIPE, text=True, check=True)
        answer: dict[str, Any] | None = json.loads(done.stdout)
        return answer
