"""The rows of the partitions lab, in the order in which an admin goes through them."""

from __future__ import annotations

import re
import time

from tests.lab import frames, theft
from tests.lab.attached import Attached
from tests.lab.golden import PASSWORD
from tests.lab.host_roots import HYPERVISOR_PACKAGE
from tests.lab.manager import ADDRESS, GOLDEN_DEVICE, GROUP, SECOND_DEVICE
from tests.lab.netboot_farm import BOOT_SECONDS, NetbootFarm
from tests.lab.netboot_rows import ANSWERS, KERNEL, MIB
from tests.lab.rows import Rows
from tests.lab.server_inventory import difference, inventory
from tests.services.command_line import until

KINDS = ("resource", "ve", "job", "partition", "host")
FIRST_KERNEL = "linux-image-amd64"
"""The kernel for clouds is no first domain."""
HYPERVISOR = "dom0_mem=768M,max:768M spec-ctrl=no bootscrub=no"
"""What guards against a processor's faults changes page tables at each call into Xen (XPTI), or keeps a second set of
them (L1TF): emulated, that is most of the time."""
HOSTS, CUSTOMER, OTHER = "hosts", "customer1", "customer2"
HOST_ROOT = 1
"""Which of the lab's golden roots a host's is."""
CARD = "eth0"
LOGIN_SECONDS = 120.0
"""Until a login's next word must have come, on a processor that is emulated twice."""
UNPACK = "tar -x --numeric-owner --xattrs -C"
BY_HAND = """
set -- /var/lib/qrm/boot/*/vmlinuz
printf 'name = "theirs"\\ntype = "pv"\\nkernel = "%s"\\nmemory = 128\\nvcpus = 1\\n' "$1" > /run/theirs.cfg
xl create -p /run/theirs.cfg
"""
"""Somebody's own domain, which stands before its first instruction."""


class Scenario:
    """A machine, two partitions, a customer, and then a second machine; `run` goes through it all."""

    ROOT = "xen_host"
    """The golden image of its virtualization hosts."""

    def __init__(self, rows: Rows, farm: NetbootFarm) -> None:
        self._rows = rows
        self._farm = farm
        self._line = farm.line
        self._manager = farm.manager
        self._machine = farm.bios
        self._host = ""
        self._second = ""
        self._before: set[str] = set()

    def run(self) -> None:
        """All rows."""
        for step in (
            self.install, self.idle_boot_image, self.switch_on, self.roots, self.hypervisor, self.idle_machine,
            self.start_host, self.slice, self.idle_partitions, self.consoles, self.sysrq, self.switch, self.deploy,
            self.log_in, self.hold, self.frames_by_hand, self.undeploy, self.by_hand, self.remove_partitions, self.join,
            self.leave, self.stop_host, self.remove,
        ):  # fmt: skip
            step()

    # the server

    def install(self) -> None:
        with self._rows.row("H4", "the server is set up from an answers file"):
            answers = ANSWERS.replace("[tftpd]\n", f'[tftpd]\nhypervisor = "{HYPERVISOR}"\n')
            self._manager.write("/root/answers.toml", answers)
            self._manager.qrm("install", "run", "--answers", "/root/answers.toml", "--yes")
            self._before = inventory(self._manager)

    def idle_boot_image(self) -> None:
        with self._rows.row("H14", "boot-image idle, which partitions boot, too") as row:
            self._line.do("boot-image", "create", "idle", "--package", KERNEL)
            row.proof(str(self._farm.await_state("boot-image", "idle", "ready")["version"]))

    def switch_on(self) -> None:
        self._machine.on()

    def roots(self) -> None:
        with self._rows.row("H9", "two golden images: a virtualization host's root, and a customer's"):
            self._line.qrm_json("storage", "add", "store", "--type", "lvm-nfs", "--address", ADDRESS, "--env",
                                f"SERVER_VOL={GROUP}")  # fmt: skip
            for name, size, device in ((self.ROOT, "1200M", SECOND_DEVICE), ("golden", "400M", GOLDEN_DEVICE)):
                self._line.do("image", "add", name, "--storage", "store", "--size", size)
                self._manager.ssh("sh", "-ec", f'{UNPACK} "$1" -f "$2"', "sh", f"/{GROUP}/{name}", device)

    def hypervisor(self) -> None:
        with self._rows.row("H14", "boot-image Xen-Hypervisor: hypervisor, kernel, initrd") as row:
            self._line.do("boot-image", "create", "Xen-Hypervisor", "--package", FIRST_KERNEL, "--hypervisor",
                          HYPERVISOR_PACKAGE)  # fmt: skip
            made = self._farm.await_state("boot-image", "Xen-Hypervisor", "ready")
            row.proof(f"type {made['type']}, {made['version']}, {made['size'] // MIB} MiB")

    # the host

    def idle_machine(self) -> None:
        with self._rows.row("H6", "an unknown machine is listed and idle") as row:
            self._host = self._farm.await_resource(self._machine, "idle")["name"]
            self._line.qrm_json("resource", "maintenance", self._host, "--off")
            row.proof(self._host)

    def start_host(self) -> None:
        with self._rows.row("H15", "a VE with Partitioning Xen; an impossible choice is refused") as row:
            said = self._line.refused("ve", "create", HOSTS, "--boot-image", "idle", "--image", self.ROOT,
                                      "--partitioning", "xen")  # fmt: skip
            row.proof(said.strip().splitlines()[0][:160])
            self._line.qrm_json("ve", "create", HOSTS, "--boot-image", "Xen-Hypervisor", "--image", self.ROOT,
                                "--partitioning", "xen", "--multi-server", "2")  # fmt: skip
        self._boot_host("it boots Xen and its first domain, with its root over NFS")

    def _boot_host(self, what: str) -> None:
        with self._rows.row("H17", what) as row:
            began = time.monotonic()
            self._farm.done(("ve", "start", HOSTS, "--resource", self._host))
            row.proof(f"active after {time.monotonic() - began:.0f} s ({self._farm.stages(self._host, began)})")
            host = until("its libvirtd answers", lambda: self._state("host", self._host, "ok"), BOOT_SECONDS)
            row.proof(f"{host['hypervisor']}, libvirt {host['libvirt']}, {host['memory_free'] // MIB} MiB free")

    def _state(self, kind: str, name: str, state: str) -> dict[str, object] | None:
        found = self._farm.all(kind).get(name)
        return found if found is not None and found["state"] == state else None

    # its partitions

    def _partitions(self) -> list[str]:
        return [f"{self._host}-1", f"{self._host}-2"]

    def slice(self) -> None:
        with self._rows.row("H19", "two partitions; more than there is, is refused") as row:
            base = ("partition", "create", "--host", self._host)
            said = self._line.refused(*base, "--memory", "90G")
            row.proof(said.strip().splitlines()[0].removeprefix("qrm: ")[:160])
            self._line.do(*base, "--count", "2", "--cpus", "1", "--memory", "256M")
            for name in self._partitions():
                self._farm.await_state("partition", name, "running")

    def idle_partitions(self) -> None:
        with self._rows.row("H21", "they netboot, and are idle resources in maintenance") as row:
            for name in self._partitions():
                fields = until(f"{name} is idle", lambda name=name: self._state("resource", name, "idle"), BOOT_SECONDS)
                told = tuple(fields[key] for key in ("kind", "technology", "host", "maintenance"))
                assert told == ("partition", "xen", self._host, True), fields
                row.proof(f"{name} {fields['address']}, {fields['memory'] // MIB} MiB")

    def consoles(self) -> None:
        with self._rows.row("H20", "their consoles are recorded from the first line") as row:
            for name in self._partitions():
                lines = self._line.qrm("console", "log", name).stdout.splitlines()
                assert any("Linux version" in line for line in lines[:3]), lines[:5]
                assert any("waiting for work" in line for line in lines), lines[-5:]
                row.proof(f"{name}: {len(lines)} lines, first {lines[0][:60]!r}")

    def sysrq(self) -> None:
        what = "SysRq is the kernel's, and the key that Xen has for it is typed as any other"
        with self._rows.row("H20", what) as row, Attached(self._line, self._partitions()[0]) as line:
            line.shows(r"ctrl\+\] leaves", LOGIN_SECONDS)
            line.presses(b"\x1drh")
            said = line.shows(r"sysrq: HELP : .*\n", LOGIN_SECONDS)
            row.proof(said[said.index("sysrq:"):][:40])
            # nobody reads them there: it is the terminal that echoes
            line.presses(b"-\x0fh-")
            line.shows(re.escape("-^Oh-"), LOGIN_SECONDS)
            assert line.leaves() == 0

    def switch(self) -> None:
        with self._rows.row("H19", "paused, resumed, resized, stopped and started") as row:
            name = self._partitions()[1]
            for words, state in ((("pause",), "paused"), (("resume",), "running"),
                                 # a sixth of an emulated processor would take minutes to boot
                                 (("resize", "--memory", "192M", "--mhz", "400"), "running"),
                                 (("stop", "--force"), "off"),
                                 # and off: the customer's needs the whole emulated processor
                                 (("start",), "running"), (("stop", "--force"), "off")):  # fmt: skip
                self._line.do("partition", words[0], name, *words[1:])
                self._farm.await_state("partition", name, state)
                row.proof(f"{' '.join(words)}: {state}")

    # a customer

    def deploy(self) -> None:
        with self._rows.row("H22", "a customer's clone") as row:
            self._line.do("image", "clone", "golden", CUSTOMER, "--hostname", CUSTOMER)
            self._line.qrm_json("resource", "maintenance", self._partitions()[0], "--off")
            self._line.qrm_json("ve", "create", CUSTOMER, "--boot-image", "idle", "--image", CUSTOMER, "--kind",
                                "partition", "--technology", "xen", "--memory", "192M")  # fmt: skip
            row.proof(f"profile {self._farm.all('ve')[CUSTOMER]['profile']}")
        with self._rows.row("H26", "the partition restarts into it, and is active") as row:
            began = time.monotonic()
            self._farm.done(("ve", "start", CUSTOMER))
            ve = self._farm.all("ve")[CUSTOMER]
            assert (ve["state"], ve["resources"]) == ("active", self._partitions()[:1]), ve
            row.proof(f"active after {time.monotonic() - began:.0f} s")

    def log_in(self) -> None:
        with self._rows.row("H27", "its console asks for a login, and its root is the clone") as row:
            name = self._partitions()[0]

            def asks() -> bool:
                return "login:" in self._line.qrm("console", "log", name).stdout

            until("its console asks for a login", asks, BOOT_SECONDS)
            told = self._farm.system(name).ssh("sh", "-ec", "hostname; findmnt -n -o SOURCE /").split()
            assert told == [CUSTOMER, f"{ADDRESS}:/{GROUP}/{CUSTOMER}"], told
            row.proof(f"/ is {told[1]}")
            resources, clients = self._farm.all("resource"), self._farm.nfs_clients()
            for resource in (self._host, name):
                fields = resources[resource]
                # two that are one to the server take each other's open files for ever
                assert fields["mac"] in clients[fields["address"]], clients
        typing = self._rows.row("H20", "root logs in on it, typing through qrmd")
        with typing as row, Attached(self._line, name) as line:
            line.shows(f"{CUSTOMER} login: ", LOGIN_SECONDS)
            line.types("root")
            line.shows("Password: ", LOGIN_SECONDS)
            line.types(PASSWORD)
            line.shows(f"root@{CUSTOMER}:~# ", LOGIN_SECONDS)
            line.types("echo $((6 * 7)) is what $(tty) says")
            answer = "42 is what /dev/hvc0 says"
            line.shows(answer, LOGIN_SECONDS)
            line.types("exit")
            line.shows(f"{CUSTOMER} login: ", LOGIN_SECONDS)
            assert line.leaves() == 0
            recorded = self._line.qrm("console", "log", name).stdout
            assert answer in recorded and PASSWORD not in recorded, recorded[-2000:]
            row.proof(f"the recording has {answer!r}, and no password")

    def hold(self) -> None:
        with self._rows.row("H27", "root in a partition has neither another's address nor another's root") as row:
            name, other = self._partitions()
            resources = self._farm.all("resource")
            address = str(resources[other]["address"])
            self._line.do("image", "clone", "golden", OTHER)
            self._line.do("image", "allow", OTHER, address)
            # it is off: nobody is in the way of who takes its address
            self._farm.await_state("partition", other, "off")
            roots = [f"/{GROUP}/{image}" for image in (CUSTOMER, OTHER)]
            assert f"{roots[1]}\t{address}" in self._manager.ssh("cat", "/var/lib/nfs/etab").stdout
            system = self._farm.system(name)
            theft_of = ("sh", "-uc", theft.SCRIPT, "sh", ADDRESS, roots[0], address, roots[1])
            host = self._farm.system(self._host, HOST_ROOT)
            device = str(self._farm.all("partition")[name]["device"])
            with self._manager.frozen():
                host.ssh("nft", "delete", "table", "bridge", device)
                said = system.ssh(*theft_of)
            assert theft.outcome(said) == theft.STOLEN, said

            def told() -> bool:
                return f"did not hold {name}" in self._line.qrm("host", "show", self._host).stdout

            until("its host tells that somebody has removed the filter", told)
            said = system.ssh(*theft_of)
            assert theft.outcome(said) == theft.HELD, said
            row.proof("; ".join(said.splitlines()))
            row.proof("the filter alone is why, and was put back after somebody removed it")
            self._line.do("image", "revoke", OTHER, address)
            self._line.do("image", "remove", OTHER)

    def frames_by_hand(self) -> None:
        with self._rows.row("H27", "frames that root there makes by hand leave its host only as its own") as row:
            name, other = self._partitions()
            resources = self._farm.all("resource")
            mine, theirs = ((bytes.fromhex(str(resources[one]["mac"]).replace(":", "")), str(resources[one]["address"]))
                            for one in (name, other))  # fmt: skip
            own = frames.allowed(*mine, theirs[1])
            # a raw socket shows the one of a VLAN as this one (`frames.watch`)
            del own["ARP request"]
            foreign = frames.forged(*mine, *theirs) | frames.crooked(*mine, theirs[0])
            fence = frames.ether(mine[0], frames.IP, frames.ip(mine[1], frames.udp(4000, 4000)))
            seen = theft.seen_outside(self._farm.namespace, self._machine.cable, self._farm.system(name), CARD,
                                      foreign | own, fence)  # fmt: skip
            assert seen == set(own), seen ^ set(own)
            row.proof(f"{len(own)} of its own passed, and none of {len(foreign)} others, "
                      f"{sum('DHCP' in one for one in foreign)} of DHCP")

    def undeploy(self) -> None:
        with self._rows.row("H26", "its VE stops, and it is idle again"):
            said = self._line.refused("ve", "stop", HOSTS)
            assert self._partitions()[0] in said, said
            self._farm.done(("ve", "stop", CUSTOMER))
            until("it is idle", lambda: self._state("resource", self._partitions()[0], "idle"), BOOT_SECONDS)

    def by_hand(self) -> None:
        with self._rows.row("H36", "a domain that somebody made with xl is shown as foreign, and not touched") as row:
            host = self._farm.system(self._host, HOST_ROOT)
            host.ssh("sh", "-ec", BY_HAND)
            domain = until("it is shown", lambda: self._state("domain", f"{self._host}.theirs", "paused"))
            assert (domain["memory"], domain["cpus"]) == (128 * MIB, 1), domain
            assert self._farm.all("host")[self._host]["foreign"] == ["theirs"]
            row.proof(f"{domain['name']} {domain['state']}, {domain['memory'] // MIB} MiB")
            said = self._line.refused("partition", "create", "theirs", "--host", self._host, "--memory", "64M")
            row.proof(said.strip())
            host.ssh("xl", "destroy", "theirs")
            until("it is gone", lambda: not self._farm.all("domain"))

    # and back

    def remove_partitions(self) -> None:
        with self._rows.row("H19", "partitions are removed, their domains with them"):
            self._farm.done(*(("partition", "remove", name) for name in self._partitions()))
            assert self._farm.all("partition") == {}
            assert set(self._farm.all("resource")) == {self._host}
            host = self._farm.all("host")[self._host]
            assert host["foreign"] == [], host

    def join(self) -> None:
        with self._rows.row("H18", "a second host joins the VE while it runs") as row:
            began = time.monotonic()
            second = self._farm.machines[1]
            second.on()
            self._second = self._farm.await_resource(second, "idle")["name"]
            row.proof(f"idle after {time.monotonic() - began:.0f} s")
            self._line.qrm_json("resource", "maintenance", self._second, "--off")
            began = time.monotonic()
            self._farm.done(("ve", "add-resource", HOSTS, "--resource", self._second))
            row.proof(f"active after {time.monotonic() - began:.0f} s")
            for name in (self._host, self._second):
                host = until(f"{name} is a host", lambda name=name: self._state("host", name, "ok"), BOOT_SECONDS)
                row.proof(f"{name}: {host['memory_free'] // MIB} MiB free")
            ve = self._farm.all("ve")[HOSTS]
            assert (ve["state"], ve["resources"]) == ("active", [self._host, self._second]), ve
            images = self._farm.all("image")
            row.proof(f"roots {', '.join(name for name in images if images[name]['origin'] == self.ROOT)}")
        with self._rows.row("H19", "and takes a partition") as row:
            self._line.do("partition", "create", "--host", self._second, "--memory", "256M")
            (name,) = self._farm.all("partition")
            fields = self._farm.await_state("partition", name, "running")
            assert fields["host"] == self._second, fields
            row.proof(name)

    def leave(self) -> None:
        with self._rows.row("H18", "it leaves the VE again, which runs on") as row:
            said = self._line.refused("ve", "remove-resource", HOSTS, self._second)
            (name,) = self._farm.all("partition")
            assert name in said, said
            self._farm.done(("partition", "remove", name))
            began = time.monotonic()
            self._farm.done(("ve", "remove-resource", HOSTS, self._second))
            row.proof(f"idle after {time.monotonic() - began:.0f} s")
            ve, hosts = self._farm.all("ve")[HOSTS], self._farm.all("host")
            assert (ve["state"], ve["resources"]) == ("active", [self._host]), ve
            assert {host: fields["state"] for host, fields in hosts.items()} == {self._host: "ok"}, hosts
            self._farm.done(("resource", "power", self._second, "off"))
            self._farm.machines[1].await_off()

    def stop_host(self) -> None:
        with self._rows.row("H17", "the host's VE stops; the machine is idle again, and off"):
            self._farm.done(("ve", "stop", HOSTS))
            self._farm.await_resource(self._machine, "idle")
            self._farm.done(("resource", "power", self._host, "off"))
            self._machine.await_off()

    def remove(self) -> None:
        with self._rows.row("lab", "everything is removed, and nothing is left on the server") as row:
            for name in self._farm.all("ve"):
                self._line.qrm_json("ve", "remove", name, "--yes")
            clones = [name for name, fields in self._farm.all("image").items() if fields["origin"]]
            self._farm.done(*(("image", "remove", name) for name in clones),
                            *(("resource", "remove", name) for name in self._farm.all("resource")))  # fmt: skip
            self._farm.done(*(("image", "remove", name) for name in ("golden", self.ROOT)),
                            *(("boot-image", "remove", name) for name in self._farm.all("boot-image")))  # fmt: skip
            self._line.qrm_json("storage", "remove", "store", "--yes")
            left = difference(self._before, inventory(self._manager))
            assert not left, left
            row.proof(f"{len(self._before)} facts as before")
