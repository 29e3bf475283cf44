"""The rows of the netboot lab, in the order in which an admin goes through them."""

from __future__ import annotations

import hashlib
import time

from tests.lab.installed import Installed
from tests.lab.machine import Machine
from tests.lab.manager import ADDRESS, GOLDEN_DEVICE, GROUP, INTERFACE
from tests.lab.namespace import NETWORK
from tests.lab.netboot_farm import NetbootFarm
from tests.lab.rows import Row, Rows
from tests.lab.server_inventory import difference, everything, inventory
from tests.lab.shared_rows import share
from tests.services.command_line import until

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
MARK = 'echo "$1" > /root/mark; sync; cat /proc/sys/kernel/hostname; findmnt -n -o SOURCE /'
"""In one go: an emulated processor takes seconds for an ssh login."""
SOMEBODY, ANOTHER = "52:54:00:77:01:01", "52:54:00:77:01:02"
"""Cards of machines that boot from their disks."""
CUSTOMERS = ("customer1", "customer2")
MIB = 1 << 20


class Scenario:
    """Two machines, two customers; `run` goes through it all. `installed`: how the server was set up."""

    def __init__(self, rows: Rows, farm: NetbootFarm, installed: Installed) -> None:
        self._rows = rows
        self._installed = installed
        self._farm = farm
        self._line = farm.line
        self._manager = farm.manager
        self._names: dict[Machine, str] = {}
        self._switched_on = 0.0
        self._took: dict[str, float] = {}
        self._content = ""
        self._before: set[str] = set()
        self._stopping: list[str] = []
        self._stopped_since = 0.0

    def run(self, bare_boot: bool = False, shared: bool = False) -> None:
        """All rows; `bare_boot` adds the one that measures, `shared` those of one root for both machines."""
        measured = (self.bare_boot,) if bare_boot else ()
        for step in (
            self.install, self.idle_boot_image, self.switch_on, self.storage, self.golden, self.clones,
            self.boot_image, self.unknown_machines, self.maintenance, self.environments, self.start,
            *measured, self.writes, self.strangers, self.begin_to_stop, self.other_clients, self.stop,
            *((self.shared,) if shared else ()), self.power_off, self.remove, self.uninstall,
        ):  # fmt: skip
            step()

    # the server

    def install(self) -> None:
        with self._rows.row("H4", "the server was set up from an answers file, and is up again") as row:
            row.proof(self._installed.told)
            row.proof(f"apt installed {self._version('tftpd-hpa')}")
            row.proof(f"{', '.join(until('all components are looked at', self._components))} ok")
            failed = self._manager.shell("systemctl --failed --plain --no-legend").stdout.strip()
            assert not failed, failed
        with self._rows.row("H4", "a second run changes nothing") as row:
            before = inventory(self._manager)
            self._manager.qrm("install", "run", "--answers", "/root/answers.toml", "--yes")
            changed = difference(before, inventory(self._manager))
            assert not changed, changed
            row.proof(f"{len(before)} facts as before")
        self._before = before

    def _components(self) -> list[str]:
        """The components, once all are seen to be well."""
        found = self._farm.all("component")
        return sorted(found) if len(found) == 5 and {row["state"] for row in found.values()} == {"ok"} else []

    def _version(self, package: str) -> str:
        return self._manager.ssh("dpkg-query", "-W", "-f", "${Package} ${Version}", package).stdout

    def idle_boot_image(self) -> None:
        with self._rows.row("H14", "boot-image idle is made from Debian's kernel package") as row:
            self._make_boot_image("idle", row)

    def boot_image(self) -> None:
        with self._rows.row("H14", "boot-image debian12 for the customers, while the machines boot") as row:
            self._make_boot_image("debian12", row)

    def _make_boot_image(self, name: str, row: Row) -> None:
        self._line.do("boot-image", "create", name, "--package", KERNEL)
        made = self._farm.await_state("boot-image", name, "ready")
        row.proof(f"{made['version']}, {made['size'] // MIB} MiB")

    # storage

    def storage(self) -> None:
        with self._rows.row("H8", "this server's volume group is a storage server"):
            self._line.qrm_json("storage", "add", "store", "--type", "lvm-nfs", "--address", ADDRESS, "--env",
                                f"SERVER_VOL={GROUP}")  # fmt: skip
            self._farm.await_state("storage", "store", "ok")

    def golden(self) -> None:
        with self._rows.row("H9", "a golden image is made, and filled with a small Debian") as row:
            self._line.do("image", "add", "golden", "--storage", "store", "--size", "400M")
            self._manager.ssh("tar", "-x", "--numeric-owner", "-C", f"/{GROUP}/golden", "-f", GOLDEN_DEVICE)
            self._content = self._farm.digest("golden")
            row.proof(f"content {self._content[:12]}")

    def clones(self) -> None:
        with self._rows.row("H22", "two customers' clones of it, at once") as row:
            self._farm.done(*(("image", "clone", "golden", name, "--hostname", name) for name in CUSTOMERS))
            images = self._farm.all("image")
            assert [images[name]["origin"] for name in CUSTOMERS] == ["golden"] * 2, images
            row.proof(f"golden is {images['golden']['state']}")

    # machines

    def switch_on(self) -> None:
        self._switched_on = time.monotonic()
        for machine in (self._farm.bios, self._farm.uefi):
            machine.on()

    def unknown_machines(self) -> None:
        for machine, words in ((self._farm.bios, "by BIOS"), (self._farm.uefi, "by UEFI")):
            what = f"an unknown machine boots {words}, is listed and idle, in maintenance"
            with self._rows.row("H6", what, began=self._switched_on) as row:
                fields = self._farm.await_resource(machine, "idle")
                hardware = machine.hardware
                assert fields["maintenance"] is True, fields
                told = {key: fields[key] for key in ("cpus", "vendor", "product", "serial", "firmware", "mac")}
                assert told == {"cpus": hardware.cpus, "vendor": hardware.vendor, "product": hardware.product,
                                "serial": hardware.serial, "firmware": hardware.firmware,
                                "mac": machine.mac}, fields  # fmt: skip
                assert 0.7 < fields["memory"] / (hardware.memory_mb * MIB) <= 1, fields
                assert any(disk.startswith("vda ") for disk in fields["disks"]), fields
                self._names[machine] = fields["name"]
                name = fields["name"]
                idle = dict(self._farm.watch.path("resource", name, "state", self._switched_on))["idle"]
                row.proof(f"{name} {fields['address']}, {self._farm.stages(name, self._switched_on)} → "
                          f"idle {idle - self._switched_on:.0f} s")  # fmt: skip

    def maintenance(self) -> None:
        with self._rows.row("H7", "in maintenance nothing starts on them; maintenance off") as row:
            names = list(self._names.values())
            self._line.qrm_json("ve", "create", "early", "--boot-image", "debian12", "--image", "customer1")
            said = self._line.refused("ve", "start", "early")
            assert "maintenance" in said, said
            row.proof(f"refused before: {_reasons(said)}")
            self._line.qrm_json("ve", "remove", "early", "--yes")
            for name in names:
                self._line.qrm_json("resource", "maintenance", name, "--off")
            assert not any(self._farm.all("resource")[name]["maintenance"] for name in names)

    # virtual environments

    def environments(self) -> None:
        with self._rows.row("H24", "VEs with profiles; one that no machine meets is refused") as row:
            base = ("--boot-image", "debian12")
            self._line.qrm_json("ve", "create", "customer1", *base, "--image", "customer1", "--cpus", "2")
            self._line.qrm_json("ve", "create", "customer2", *base, "--image", "customer2", "--memory", "256M")
            self._line.qrm_json("ve", "create", "giant", *base, "--image", "customer2", "--cpus", "64")
            said = self._line.refused("ve", "start", "giant")
            assert "64" in said, said
            row.proof(_reasons(said))
            self._line.qrm_json("ve", "remove", "giant", "--yes")

    def start(self) -> None:
        with self._rows.row("H17", "both VEs start at once, each on the machine that fits best") as row:
            began = time.monotonic()
            self._farm.done(*(("ve", "start", name) for name in CUSTOMERS))
            environments = self._farm.all("ve")
            for customer, machine in self._customers():
                name = self._names[machine]
                assert environments[customer]["state"] == "active", environments
                assert environments[customer]["resources"] == [name], environments
                path = self._farm.watch.path("resource", name, "state", began)
                took = next(at for state, at in path if state == "active") - began
                self._took[customer] = took
                row.proof(f"{customer} on {name} active after {took:.0f} s ({self._farm.stages(name, began)})")

    def bare_boot(self) -> None:
        """What a deployment is measured by: the same machines boot the same roots by themselves."""
        with self._rows.row("H17", "reset, both machines come back into their VEs by themselves") as row:
            began = time.monotonic()
            for _, machine in self._customers():
                machine.reset()
            for customer, machine in self._customers():
                name = self._names[machine]
                took = self._farm.await_again(name, "active", began) - began
                row.proof(
                    f"{customer} active after {took:.0f} s, its start took {self._took[customer] / took:.2f} times "
                    f"that ({self._farm.stages(name, began)})"
                )

    def _customers(self) -> tuple[tuple[str, Machine], ...]:
        return (("customer1", self._farm.uefi), ("customer2", self._farm.bios))

    def writes(self) -> None:
        with self._rows.row("H26", "each customer's writes are in its own volume alone, golden is untouched") as row:
            marks = {}
            for customer, machine in self._customers():
                system = self._farm.system(self._names[machine])
                marks[customer] = hashlib.sha256(customer.encode()).hexdigest()
                hostname, mounted = system.ssh("sh", "-ec", MARK, "sh", marks[customer]).split()
                assert hostname == customer
                assert mounted == f"{ADDRESS}:/{GROUP}/{customer}", mounted
                row.proof(f"{customer}: / is {mounted}")
            self._manager.ssh("sync")
            for name in ("golden", *CUSTOMERS):
                held = self._farm.held(name, marks.values())
                assert held == ({marks[name]} if name in marks else set()), f"the volume of {name} holds {held}"
            assert self._farm.digest("golden") == self._content
            row.proof("each mark lies in one volume of the three")

    def strangers(self) -> None:
        with self._rows.row("H17", "a third machine may mount neither") as row:
            stranger = self._farm.stranger()
            stranger.start()
            try:
                assert stranger.ssh("showmount", "-e", "--no-headers", ADDRESS).returncode == 0
                for name in (*CUSTOMERS, "golden"):
                    for options in ("vers=3,nolock", "vers=4.2"):
                        mount = ("mount", "-t", "nfs", "-o", options, f"{ADDRESS}:/{GROUP}/{name}", "/mnt")
                        done = stranger.ssh(*mount, check=False)
                        assert done.returncode == 32, f"{' '.join(mount)}: {done.returncode}\n{done.stdout}"
                        row.proof(f"{name} {options.partition(',')[0]}: {done.stderr.strip().rpartition(': ')[2]}")
            finally:
                stranger.stop()

    def begin_to_stop(self) -> None:
        self._stopped_since = time.monotonic()
        self._stopping = [self._line.begin("ve", "stop", name) for name in CUSTOMERS]

    def other_clients(self) -> None:
        what = "clients that do not netboot get addresses by a switch alone, while others boot"
        with self._rows.row("H16", what) as row:
            assert self._farm.lease(SOMEBODY) is None
            row.proof("off: no answer")
            self._line.do("component", "configure", "dhcpd", "non_pxe=yes")
            lease = self._farm.lease(SOMEBODY)
            assert lease is not None
            row.proof(f"on: {lease['address']}")
            self._line.do("component", "configure", "dhcpd", "non_pxe=no")
            assert self._farm.lease(ANOTHER) is None

    def stop(self) -> None:
        what = "both VEs stop; their machines are idle again"
        with self._rows.row("H17", what, began=self._stopped_since) as row:
            self._farm.ended(self._stopping)
            exported = self._manager.ssh("exportfs", "-s").stdout
            assert "customer" not in exported, exported
            for machine, name in self._names.items():
                self._farm.await_resource(machine, "idle")
                row.proof(f"{name} idle after {time.monotonic() - self._stopped_since:.0f} s")
            states = {name: fields["state"] for name, fields in self._farm.all("ve").items()}
            assert states == {"customer1": "inactive", "customer2": "inactive"}, states

    def shared(self) -> None:
        share(self._rows, self._farm, self._names, self._content)

    def power_off(self) -> None:
        with self._rows.row("power", "both machines are switched off through their agents") as row:
            self._farm.done(*(("resource", "power", name, "off") for name in self._names.values()))
            for machine, name in self._names.items():
                machine.await_off()
                self._farm.await_resource(machine, "off")
                row.proof(f"{name} is off")

    def remove(self) -> None:
        with self._rows.row("lab", "everything is removed, and nothing is left on the server") as row:
            for name in CUSTOMERS:
                self._line.qrm_json("ve", "remove", name, "--yes")
            self._farm.done(*(("image", "remove", name) for name in CUSTOMERS),
                            *(("resource", "remove", name) for name in self._names.values()))  # fmt: skip
            self._farm.done(("image", "remove", "golden"),
                            *(("boot-image", "remove", name) for name in ("debian12", "idle")))  # fmt: skip
            self._line.qrm_json("storage", "remove", "store", "--yes")
            left = difference(self._before, inventory(self._manager))
            assert not left, left
            row.proof(f"{len(self._before)} facts as before")

    def uninstall(self) -> None:
        with self._rows.row("H4", "one component is taken away, then all: the server is what it was") as row:
            bare = self._installed.bare
            self._manager.qrm("component", "uninstall", "node", "--yes")
            left = set(self._farm.all("component"))
            assert left == {"apache", "dhcpd", "nfs", "tftpd"}, left
            row.proof("node is gone, others are there")
            self._manager.qrm("install", "uninstall", "--data", "--yes")
            left = {line for line in everything(self._manager) ^ bare if not line.startswith("state ")}
            assert not left, left
            row.proof(f"{len(bare)} facts as before")


def _reasons(said: str) -> str:
    """What the command line says of a refusal, without whom it is about."""
    return "; ".join(line.rpartition(": ")[2] for line in said.splitlines() if line.strip())
