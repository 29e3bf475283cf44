"""The rows of the netboot lab, in the order in which an admin goes through them."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence

from tests.lab.golden import Golden
from tests.lab.image import Image
from tests.lab.machine import Machine
from tests.lab.manager import ADDRESS, GOLDEN_DEVICE, GROUP, INTERFACE, Manager
from tests.lab.namespace import NETWORK, Namespace
from tests.lab.rows import Row, Rows
from tests.lab.server_inventory import difference, inventory
from tests.lab.storage_server import StorageServer
from tests.lab.system import System
from tests.lab.watch import Watch
from tests.services.command_line import CommandLine, until
from tests.services.command_line import Row as Fields

ANSWERS = f"""\
[dhcpd]
interface = "{INTERFACE}"
address = "{ADDRESS}"
subnet = "{NETWORK}"
range = "10.77.0.100-10.77.0.149"
machines = "10.77.0.150-10.77.0.199"
domain = "lab"

[tftpd]
address = "{ADDRESS}"

[apache]
[node]
[nfs]
"""

KERNEL = "linux-image-cloud-amd64"
BOOT_SECONDS = 240.0
"""Until a boot counts as failed; emulated, two at once on two cores take some 60."""
MIB = 1 << 20


class Scenario:
    """Two machines, two customers; `run` goes through it all."""

    def __init__(
        self,
        rows: Rows,
        namespace: Namespace,
        manager: Manager,
        line: CommandLine,
        watch: Watch,
        machines: Sequence[Machine],
        root: Golden,
        stranger: Image,
    ) -> None:
        self._rows = rows
        self._namespace = namespace
        self._manager = manager
        self._line = line
        self._watch = watch
        self._bios, self._uefi = machines
        self._root = root
        self._stranger = stranger
        self._names: dict[Machine, str] = {}
        self._switched_on = 0.0
        self._content = ""
        self._before: set[str] = set()

    def run(self) -> None:
        for step in (
            self.install, self.idle_boot_image, self.switch_on, self.storage, self.golden, self.clones,
            self.boot_image, self.unknown_machines, self.maintenance, self.environments, self.start,
            self.writes, self.strangers, self.stop, self.power_off, self.remove,
        ):  # fmt: skip
            step()

    # the server

    def install(self) -> None:
        with self._rows.row("H4", "the server is set up from an answers file") as row:
            self._manager.write("/root/answers.toml", ANSWERS)
            self._manager.qrm("install", "run", "--answers", "/root/answers.toml", "--yes")
            row.proof(f"apt installed {self._installed('tftpd-hpa')}")
            states = {name: fields["state"] for name, fields in self._all("component").items()}
            assert set(states.values()) == {"ok"} and len(states) == 5, states
            row.proof(f"{', '.join(sorted(states))} ok")
            failed = self._manager.shell("systemctl --failed --plain --no-legend").stdout.strip()
            assert not failed, failed
        with self._rows.row("H4", "a second run changes nothing") as row:
            before = inventory(self._manager)
            self._manager.qrm("install", "run", "--answers", "/root/answers.toml", "--yes")
            changed = difference(before, inventory(self._manager))
            assert not changed, changed
            row.proof(f"{len(before)} facts as before")
        self._before = before

    def _installed(self, package: str) -> str:
        return self._manager.ssh("dpkg-query", "-W", "-f", "${Package} ${Version}", package).stdout

    def idle_boot_image(self) -> None:
        with self._rows.row("H14", "boot-image idle is made from Debian's kernel package") as row:
            self._make_boot_image("idle", row)

    def boot_image(self) -> None:
        with self._rows.row("H14", "boot-image debian12 for the customers, while the machines boot") as row:
            self._make_boot_image("debian12", row)

    def _make_boot_image(self, name: str, row: Row) -> None:
        self._line.do("boot-image", "create", name, "--package", KERNEL)
        made = self._await_state("boot-image", name, "ready")
        row.proof(f"{made['version']}, {made['size'] // MIB} MiB")

    # storage

    def storage(self) -> None:
        with self._rows.row("H8", "this server's volume group is a storage server"):
            self._line.qrm_json("storage", "add", "store", "--type", "lvm-nfs", "--address", ADDRESS, "--env",
                                f"SERVER_VOL={GROUP}")  # fmt: skip
            self._await_state("storage", "store", "ok")

    def golden(self) -> None:
        with self._rows.row("H9", "a golden image is made, and filled with a small Debian") as row:
            self._line.do("image", "add", "golden", "--storage", "store", "--size", "600M")
            self._manager.ssh("tar", "-x", "--numeric-owner", "-C", f"/{GROUP}/golden", "-f", GOLDEN_DEVICE)
            self._content = self._digest("golden")
            row.proof(f"content {self._content[:12]}")

    def clones(self) -> None:
        with self._rows.row("H22", "two customers' clones of it") as row:
            for customer in ("customer1", "customer2"):
                self._line.do("image", "clone", "golden", customer, "--hostname", customer)
            images = self._all("image")
            assert [images[name]["origin"] for name in ("customer1", "customer2")] == ["golden"] * 2, images
            row.proof(f"golden is {images['golden']['state']}")

    def _digest(self, name: str) -> str:
        """Of all content, names, owners, modes and times of an image."""
        script = f'tar -c --sort=name --numeric-owner -C "/{GROUP}/$1" . | sha256sum'
        return self._manager.ssh("sh", "-ec", script, "sh", name).stdout.split()[0]

    # machines

    def switch_on(self) -> None:
        self._switched_on = time.monotonic()
        for machine in (self._bios, self._uefi):
            machine.on()

    def unknown_machines(self) -> None:
        for machine, words in ((self._bios, "by BIOS"), (self._uefi, "by UEFI")):
            what = f"an unknown machine boots {words}, is listed and idle, in maintenance"
            with self._rows.row("H6", what, began=self._switched_on) as row:
                fields = self._await_resource(machine, {"idle"})
                hardware = machine.hardware
                assert fields["maintenance"] is True, fields
                told = {key: fields[key] for key in ("cpus", "vendor", "product", "serial", "firmware", "mac")}
                assert told == {"cpus": hardware.cpus, "vendor": hardware.vendor, "product": hardware.product,
                                "serial": hardware.serial, "firmware": hardware.firmware,
                                "mac": machine.mac}, fields  # fmt: skip
                assert 0.7 < fields["memory"] / (hardware.memory_mb * MIB) <= 1, fields
                assert any(disk.startswith("vda ") for disk in fields["disks"]), fields
                self._names[machine] = fields["name"]
                row.proof(f"{fields['name']} {fields['address']}, {self._stages(fields['name'], self._switched_on)}")

    def _await_resource(self, machine: Machine, states: set[str], seconds: float = BOOT_SECONDS) -> Fields:
        def reached() -> Fields | None:
            for change in reversed(self._watch.changes("resource")):
                if change.row["mac"] == machine.mac:
                    return change.row if change.row["state"] in states else None
            return None

        found: Fields = until(f"the resource of {machine.mac} is {' or '.join(sorted(states))}", reached, seconds)
        return found

    def _stages(self, name: str, since: float) -> str:
        path = self._watch.path("resource", name, "stage", since)
        return " → ".join(f"{stage} {at - since:.0f} s" for stage, at in path) or "no stage was seen"

    def maintenance(self) -> None:
        with self._rows.row("H7", "in maintenance nothing starts on them; maintenance off") as row:
            names = list(self._names.values())
            self._line.qrm_json("ve", "create", "early", "--boot-image", "debian12", "--image", "customer1")
            said = self._line.refused("ve", "start", "early")
            assert "maintenance" in said, said
            row.proof(f"refused before: {'; '.join(said.split('qrm: VE early: ')[1:])}")
            self._line.qrm_json("ve", "remove", "early", "--yes")
            for name in names:
                self._line.qrm_json("resource", "maintenance", name, "--off")
            assert not any(self._all("resource")[name]["maintenance"] for name in names)

    # virtual environments

    def environments(self) -> None:
        with self._rows.row("H24", "VEs with profiles; one that no machine meets is refused") as row:
            base = ("--boot-image", "debian12")
            self._line.qrm_json("ve", "create", "customer1", *base, "--image", "customer1", "--cpus", "2")
            self._line.qrm_json("ve", "create", "customer2", *base, "--image", "customer2", "--memory", "256M")
            self._line.qrm_json("ve", "create", "giant", *base, "--image", "customer2", "--cpus", "64")
            said = self._line.refused("ve", "start", "giant")
            assert "64" in said, said
            row.proof("; ".join(said.split("qrm: VE giant: ")[1:]))
            self._line.qrm_json("ve", "remove", "giant", "--yes")

    def start(self) -> None:
        with self._rows.row("H17", "both VEs start at once, each on the machine that fits best") as row:
            began = time.monotonic()
            numbers = [self._line.begin("ve", "start", name) for name in ("customer1", "customer2")]
            ended = [self._line.ended(number) for number in numbers]
            assert [job["state"] for job in ended] == ["done", "done"], ended
            environments = self._all("ve")
            for customer, machine in self._customers():
                name = self._names[machine]
                assert environments[customer]["state"] == "active", environments
                assert environments[customer]["resources"] == [name], environments
                path = self._watch.path("resource", name, "state", began)
                took = next(at for state, at in path if state == "active") - began
                row.proof(f"{customer} on {name} active after {took:.0f} s ({self._stages(name, began)})")

    def _customers(self) -> tuple[tuple[str, Machine], ...]:
        return (("customer1", self._uefi), ("customer2", self._bios))

    def _system(self, machine: Machine) -> System:
        fields = self._all("resource")[self._names[machine]]
        return System(self._namespace, fields["address"], self._root.key)

    def writes(self) -> None:
        with self._rows.row("H26", "each customer's writes are in its own volume alone, golden is untouched") as row:
            marks = {}
            for customer, machine in self._customers():
                system = self._system(machine)
                assert system.ssh("cat", "/proc/sys/kernel/hostname").strip() == customer
                mounted = system.ssh("findmnt", "-n", "-o", "SOURCE", "/").strip()
                assert mounted == f"{ADDRESS}:/{GROUP}/{customer}", mounted
                marks[customer] = hashlib.sha256(customer.encode()).hexdigest()
                system.ssh("sh", "-ec", 'echo "$1" > /root/mark; sync', "sh", marks[customer])
                row.proof(f"{customer}: / is {mounted}")
            self._manager.ssh("sync")
            for name in ("golden", "customer1", "customer2"):
                found = [customer for customer, mark in marks.items() if self._holds(name, mark)]
                assert found == ([] if name == "golden" else [name]), f"the volume of {name} holds marks of {found}"
            assert self._digest("golden") == self._content
            row.proof("each mark lies in one volume of the three")

    def _holds(self, volume: str, mark: str) -> bool:
        """Whether the mark lies anywhere on a volume's blocks."""
        script = f'dd if="/dev/{GROUP}/$1" bs=4M iflag=direct status=none | grep -q -a -F -e "$2"'
        return self._manager.ssh("sh", "-c", script, "sh", volume, mark, check=False).returncode == 0

    def strangers(self) -> None:
        with self._rows.row("H17", "a third machine may mount neither") as row:
            stranger = StorageServer(self._namespace, self._stranger, number=0x30, data_gb=1, volume_group=None)
            stranger.start()
            try:
                assert stranger.ssh("showmount", "-e", "--no-headers", ADDRESS).returncode == 0
                for name in ("customer1", "customer2", "golden"):
                    for options in ("vers=3,nolock", "vers=4.2"):
                        mount = ("mount", "-t", "nfs", "-o", options, f"{ADDRESS}:/{GROUP}/{name}", "/mnt")
                        done = stranger.ssh(*mount, check=False)
                        assert done.returncode == 32, f"{' '.join(mount)}: {done.returncode}\n{done.stdout}"
                        row.proof(f"{name} {options.partition(',')[0]}: {done.stderr.strip().rpartition(': ')[2]}")
            finally:
                stranger.stop()

    def stop(self) -> None:
        with self._rows.row("H17", "both VEs stop; their machines are idle again") as row:
            began = time.monotonic()
            numbers = [self._line.begin("ve", "stop", name) for name in ("customer1", "customer2")]
            ended = [self._line.ended(number) for number in numbers]
            assert [job["state"] for job in ended] == ["done", "done"], ended
            exported = self._manager.ssh("exportfs", "-s").stdout
            assert "customer" not in exported, exported
            for machine, name in self._names.items():
                self._await_resource(machine, {"idle"})
                row.proof(f"{name} idle after {time.monotonic() - began:.0f} s")
            states = {name: fields["state"] for name, fields in self._all("ve").items()}
            assert states == {"customer1": "inactive", "customer2": "inactive"}, states

    def power_off(self) -> None:
        with self._rows.row("power", "both machines are switched off through their agents") as row:
            for name in self._names.values():
                self._line.do("resource", "power", name, "off")
            for machine, name in self._names.items():
                machine.await_off()
                self._await_resource(machine, {"off"})
                row.proof(f"{name} is off")

    def remove(self) -> None:
        with self._rows.row("lab", "everything is removed, and nothing is left on the server") as row:
            removals: list[Callable[[], object]] = [
                *(lambda name=name: self._line.qrm_json("ve", "remove", name, "--yes") for name in self._all("ve")),
                *(lambda name=name: self._line.do("image", "remove", name)
                  for name in ("customer1", "customer2", "golden")),
                *(lambda name=name: self._line.do("resource", "remove", name) for name in self._names.values()),
                *(lambda name=name: self._line.do("boot-image", "remove", name) for name in ("debian12", "idle")),
                lambda: self._line.qrm_json("storage", "remove", "store", "--yes"),
            ]  # fmt: skip
            for remove in removals:
                remove()
            left = difference(self._before, inventory(self._manager))
            assert not left, left
            row.proof(f"{len(self._before)} facts as before")

    def _await_state(self, kind: str, name: str, state: str) -> Fields:
        """The object once it is in this state: what a job made is looked at a moment later."""

        def reached() -> Fields | None:
            found = self._all(kind)[name]
            return found if found["state"] == state else None

        found: Fields = until(f"{kind} {name} is {state}", reached)
        return found

    def _all(self, kind: str) -> dict[str, Fields]:
        return {fields["name"]: fields for fields in self._line.qrm_json(kind, "list")}
