"""A simulated machine of the rack: firmware, boot loader, initramfs and system, as far as the server can see them.

It asks the simulated server for an address and for its boot files, reads those as a boot loader would, speaks the
agent's protocol with qrmd-node, and mounts its root only where the simulated storage server exports it to it. What
takes time on metal takes it here, by the farm's pace.
"""
from __future__ import annotations

import asyncio
import json
import random
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from qrm_tui.core.resources import IDLE
from qrm_tui.practice.console import SimulatedConsole
from qrm_tui.practice.host import Host

ROOT = "/srv/qrm/boot"
#: Seconds by life's own pace: firmware, loader, kernel, mounting a root, a system's start, and going down.
SECONDS = {"firmware": 20.0, "loader": 2.0, "kernel": 4.0, "root": 3.0, "system": 12.0, "down": 5.0}
_LOG = "/var/log/qrm-practice"
#: Seconds until what failed is tried again.
AGAIN = 5.0


class NoAnswer(Exception):
    """The server's node endpoint does not answer, or says that it cannot now."""


class Wire(Protocol):
    """The network between a machine and qrmd-node."""

    async def post(self, address: str, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, str]:
        """Status and text of the answer; NoAnswer. `address` is the machine's own."""


class Network(Protocol):
    """What the machine finds on its netboot network."""

    server: Host

    def lease(self, mac: str) -> str:
        """The address that dhcpd gives; empty: none."""

    def bios_loader(self) -> str:
        """The file that dhcpd tells BIOS machines: lpxelinux.0 takes the others over HTTP."""

    def say(self, program: str, text: str) -> None:
        """A line in the server's journal."""

    def storage(self, address: str) -> Host | None:
        """The storage server at an address; None where none answers."""


@dataclass(frozen=True, slots=True)
class Model:
    """What a kind of machine has."""

    name: str
    vendor: str
    product: str
    cpu: str
    cpus: int
    mhz: int
    memory: int
    nics: int = 1
    disks: tuple[int, ...] = ()
    firmware: str = "bios"


@dataclass(slots=True)
class Trouble:
    """Faults put into a machine."""

    #: it hangs at this stage: dhcp, loader, kernel, agent, root, system; empty: nowhere
    hangs: str = ""
    #: its agent says nothing more
    silent: bool = False
    #: its kernel panics whenever it comes up, and boots again after so many seconds; 0: it does not
    panics: float = 0


class SimulatedNode:
    """One machine: off, or booting and running in a task of its own."""

    #: it has a button to push; a partition is switched by its host
    has_button = True
    #: the device of its console
    line = "ttyS0"

    def __init__(self, model: Model, number: int, network: Network, wire: Wire, *, pace: float = 0) -> None:
        self.model, self.number = model, number
        self.mac = f"52:54:00:{number >> 16 & 255:02x}:{number >> 8 & 255:02x}:{number & 255:02x}"
        self.network, self.wire = network, wire
        self.pace = pace
        self.trouble = Trouble()
        self.random = random.Random(f"node {number}")
        self.address = ""
        self.stage = ""
        #: the word that it made up at this boot
        self.boot = ""
        self.words: dict[str, str] = {}
        #: on a root that it shares: its own files, path → text
        self.own: dict[str, str] = {}
        #: as its agent told it last
        self.load = 0.0
        self.console = SimulatedConsole(self)
        self.enlisted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._chatting: asyncio.Task[None] | None = None
        self._token = ""
        #: called when what ran on it is gone
        self.fell: Callable[[], None] = lambda: None

    # power

    @property
    def on(self) -> bool:
        return self._task is not None and not self._task.done()

    def power_on(self) -> None:
        """Its button is pushed; nothing where it is on."""
        if not self.on:
            self._task = asyncio.create_task(self._live(), name=f"node {self.number}")

    async def power_off(self) -> None:
        """Its plug is pulled."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        self._dark()

    async def unplug(self) -> None:
        """The same, and nobody ordered it."""
        await self.power_off()

    def pull(self, *, again: bool) -> None:
        """Its power goes at once, and comes back if `again`; nothing waits for that."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
        self._dark()
        if again:
            self.power_on()

    def panic(self, reboot: float = 0) -> None:
        """Its kernel panics; it stays so, or boots again after so many seconds."""
        if self._task is not None:
            self._task.cancel()
        self._task = asyncio.create_task(self._live(reboot), name=f"node {self.number} panics")
        self._token = ""
        self.enlisted.clear()

    def chatter(self, lines: float) -> None:
        """Its console talks from now on, so many lines a second; 0: no more."""
        if self._chatting is not None:
            self._chatting.cancel()
        self._chatting = asyncio.create_task(self.console.chatter(lines)) if lines > 0 else None

    def _dark(self) -> None:
        self.chatter(0)
        self.fell()
        self.stage, self.address, self._token = "", "", ""
        self.enlisted.clear()
        self.console.dark()

    # life

    async def _live(self, panics: float | None = None) -> None:
        again = panics is None or await self._panicked(panics)
        while again:
            again = await self._boot()

    async def _boot(self) -> bool:
        """One boot to its end; whether another follows."""
        boot = self.boot = f"{self.random.getrandbits(64):016x}"
        self.enlisted.clear()
        self._token, self.stage = "", ""
        await self._firmware()
        config = await self._load()
        self.words = dict(word.partition("=")[::2] for word in shlex.split(config["words"]))
        self.console.kernel(config["words"])
        await self._spend("kernel")
        if self.trouble.panics:
            return await self._panicked(self.trouble.panics)
        await self._reach("agent")
        self._say(f"address {self.address} on eth0 ({self.mac})")
        runs = self.words.get("qrm.ve", IDLE)
        await self._enlist(boot, IDLE if runs == IDLE else runs, "agent")
        if runs == IDLE:
            self._say("nothing to do: waiting for work")
            return await self._work(boot, IDLE, "agent", None)
        tree = await self._mount(boot, runs)
        await self._spend("system")
        await self._reach("system")
        self.console.system(self.words.get("qrm.hostname", f"node-{self.number}"),
                            ("OpenBSD Secure Shell server", "qrm-agent.service", f"Serial Getty on {self.line}"))
        return await self._work(boot, runs, "system", tree)

    async def _firmware(self) -> None:
        self.console.firmware()
        await self._spend("firmware")

    async def _panicked(self, reboot: float) -> bool:
        """A kernel that has panicked does nothing, until it boots again."""
        self.stage = "kernel"
        self.console.panic(reboot)
        await (asyncio.sleep(reboot) if reboot else asyncio.Event().wait())
        return True

    async def _spend(self, what: str) -> None:
        await asyncio.sleep(SECONDS[what] * self.pace * self.random.uniform(0.8, 1.2))

    async def _reach(self, stage: str) -> None:
        self.stage = stage
        if self.trouble.hangs == stage:
            await asyncio.Event().wait()

    def _say(self, text: str) -> None:
        """A line of the initramfs on the console."""
        self.console.agent(text)

    async def _load(self) -> dict[str, str]:
        """An address, the boot loader, its configuration, the kernel: as far as the server's files go."""
        while True:
            await self._reach("dhcp")
            self.network.say("dhcpd", f"qrm pxe {self.mac} arch {0 if self.model.firmware == 'bios' else 7}")
            self.network.say("dhcpd", f"DHCPDISCOVER from {self.mac} via eth0")
            self.console.network()
            self.address = self.network.lease(self.mac)
            self.console.address(self.address)
            if self.address:
                self.network.say("dhcpd", f"DHCPACK on {self.address} to {self.mac} via eth0")
                await self._reach("loader")
                found = self._config()
                if found is not None:
                    await self._spend("loader")
                    await self._reach("kernel")
                    if all(self._fetch(path) for path in found["files"].split()):
                        self.console.loader(found["files"].split())
                        return found
            else:
                self.network.say("dhcpd", f"DHCPDISCOVER from {self.mac} via eth0: network 192.168.88.0/24: no free "
                                          "leases")
            await asyncio.sleep(AGAIN * max(self.pace, 0.02))

    def _fetch(self, path: str, by_firmware: bool = False) -> bool:
        """Whether a file is there; the server's logs tell of the request."""
        full = f"{ROOT}/{path}"
        if self.model.firmware == "bios" and (by_firmware or self.network.bios_loader() == "pxelinux.0"):
            self.network.say("in.tftpd", f"RRQ from {self.address} filename {path}")
        else:
            status = 200 if self.network.server.root.exists(full) else 404
            self.network.say("qrm-http", f"{self.address} GET /qrm/boot/{path} {status} 4096")
        if not self.network.server.root.exists(full):
            self.console.put(f"{path} ... not found\n")
            return False
        return True

    def _config(self) -> dict[str, str] | None:
        name = self.mac.replace(":", "-")
        if self.model.firmware == "bios":
            if not self._fetch(self.network.bios_loader(), by_firmware=True):
                return None
            for path in (f"pxelinux.cfg/01-{name}", "pxelinux.cfg/default"):
                if self._fetch(path):
                    return read_pxelinux(self.network.server.root.read(f"{ROOT}/{path}"))
            return None
        for path in (f"ipxe/{name}.ipxe", "ipxe/default.ipxe"):
            if self._fetch(path):
                return read_ipxe(self.network.server.root.read(f"{ROOT}/{path}"))
        return None

    async def _mount(self, boot: str, runs: str) -> Host:
        """Its root, as soon as a storage server exports it to this machine."""
        _, address, path = self.words["qrm.root"].split(":", 2)
        await self._reach("root")
        self._say(f"mounting {self.words['qrm.root']}")
        while True:
            await self._beat(boot, "root", runs)
            server = self.network.storage(address)
            access = server.access(path, self.address) if server is not None else ""
            if server is not None and access and (access == "rw" or "qrm.shared" in self.words):
                await self._spend("root")
                server.sessions.add(self.address)
                self._write_log(server, path, f"{boot} {self.address}\n")
                return server
            trouble = "Read-only file system" if access else "Permission denied"
            self._say(f"{self.words['qrm.root']} cannot be mounted: {trouble}; again in {AGAIN:.0f} s")
            await asyncio.sleep(AGAIN * max(self.pace, 0.02))

    def _write_log(self, server: Host, path: str, text: str) -> None:
        """What a system writes from its first second on: into its root, or over the one that it shares."""
        self.own = {}
        if "qrm.shared" not in self.words:
            server.root.write(f"{path}{_LOG}", text)
            return
        name, nodes = self.words["qrm.hostname"], server.root.here(f"{path}/.qrm/nodes")
        self.own = {"/etc/hostname": f"{name}\n", "/etc/machine-id": f"{self.random.getrandbits(128):032x}\n",
                    **{f"/{file.relative_to(nodes / name)}": file.read_text(errors="replace")
                       for file in sorted((nodes / name).rglob("*")) if file.is_file()}, _LOG: text}

    # its agent

    async def _enlist(self, boot: str, runs: str, stage: str) -> None:
        body = json.dumps({"mac": self.mac, "boot": boot, "nonce": self._nonce(), "stage": stage, "runs": runs,
                           "inventory": self.inventory()}).encode()
        while True:
            try:
                status, text = await self.wire.post(self.address, "/v1/enlist", {}, body)
            except NoAnswer as error:
                status, text = 503, str(error)
            if status == 200:
                answer = _words(text)
                self._token = answer.get("token", self._token)
                self._say(f"the server knows this machine as {answer.get('name', '?')}")
                self.enlisted.set()
                return
            self._say(f"the server answers {status}: {text.strip()[:100]}")
            await asyncio.sleep(AGAIN * max(self.pace, 0.02))
            body = json.dumps({**json.loads(body), "nonce": self._nonce()}).encode()

    def _nonce(self) -> str:
        path = f"{ROOT}/nonce/{self.mac.replace(':', '-')}"
        root = self.network.server.root
        return root.read(path).strip() if root.exists(path) else ""

    def inventory(self) -> dict[str, Any]:
        """What its agent finds in /proc and /sys."""
        model = self.model
        return {
            "cpus": model.cpus, "mhz": model.mhz, "model": model.cpu, "memory": model.memory, "vendor": model.vendor,
            "product": model.product, "serial": f"{model.name.upper()}{self.number:05d}", "firmware": model.firmware,
            "disks": [{"name": f"sd{chr(97 + at)}", "size": size} for at, size in enumerate(model.disks)],
            "nics": [{"name": f"eth{at}", "mac": self.mac if at == 0 else f"{self.mac[:-2]}{0xf0 + at:02x}"}
                     for at in range(model.nics)],
        }

    async def _beat(self, boot: str, stage: str, runs: str, bye: str = "") -> dict[str, str]:
        """A heartbeat; what it was told, or nothing where nobody answered."""
        if self.trouble.silent:
            return {}
        self.load = round(self.random.uniform(0.0, 0.2 if runs == IDLE else 1.5), 2)
        said = {"boot": boot, "stage": stage, "runs": runs, "load": self.load,
                **({"filled": 0.02} if self.own and stage == "system" else {}), **({"bye": bye} if bye else {})}
        try:
            status, text = await self.wire.post(self.address, "/v1/beat", {"Authorization": f"Bearer {self._token}"},
                                                json.dumps(said).encode())
        except NoAnswer:
            return {}
        if status == 401:
            await self._enlist(boot, runs, stage)
            return {}
        return _words(text) if status == 200 else {}

    async def _work(self, boot: str, runs: str, stage: str, tree: Host | None) -> bool:
        """Beats until it is told to go down; whether it comes up again."""
        while True:
            told = await self._beat(boot, stage, runs)
            order = told.get("order", "stay")
            if order in ("reboot", "off"):
                self._say(f"the server orders: {order}")
                await self._beat(boot, stage, runs, bye=order)
                await self._spend("down")
                self.console.down(order)
                if tree is not None:
                    tree.sessions.discard(self.address)
                self.stage = ""
                self.fell()
                return order == "reboot"
            await asyncio.sleep(float(told.get("beat", 10)) if self.pace else 0.02)


def _words(text: str) -> dict[str, str]:
    return dict(line.split(" ", 1) for line in text.splitlines() if " " in line)


def read_pxelinux(text: str) -> dict[str, str] | None:
    """Kernel, initrd and command line of the default label of our configuration files."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        key, _, value = line.strip().partition(" ")
        found[key.upper()] = value.strip()
    if found.get("COM32") == "mboot.c32":
        # Xen's files and words, then the first domain's, then its initrd
        _, (kernel, *words), (initrd, *_) = (part.split() for part in found["APPEND"].split(" --- "))
        return {"files": f"{kernel} {initrd}", "words": " ".join(words)}
    if "LINUX" not in found:
        return None
    return {"files": f"{found['LINUX']} {found.get('INITRD', '')}", "words": found.get("APPEND", "")}


def read_ipxe(text: str) -> dict[str, str] | None:
    """The same of an iPXE script of ours."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        words = line.split(" || ")[0].split()
        if words[:1] == ["kernel"]:
            found["kernel"], found["words"] = words[1], " ".join(words[2:])
        elif words[:1] == ["initrd"]:
            found.setdefault(words[2] if "--name" in words else "initrd", words[-1])
        elif line.startswith("kernel=vmlinuz "):  # of xen.efi
            found["words"] = line.partition(" ")[2]
    if "kernel" not in found:
        return None
    if "vmlinuz" in found:
        found["kernel"] = found["vmlinuz"]
    found["initrd"] = found.get("initrd.img", found.get("initrd", ""))
    files = " ".join(url.partition("/qrm/boot/")[2] for url in (found["kernel"], found.get("initrd", "")) if url)
    return {"files": files, "words": found["words"]}
