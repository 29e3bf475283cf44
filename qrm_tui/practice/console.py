"""A simulated machine's serial console: what firmware, loader, kernel and system say, a login and a few commands."""
from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from qrm_tui.core.units import format_size
from qrm_tui.practice.shell import KERNEL, VERSION, Shell
from qrm_tui.runners.console import BREAK, SYSRQ, Ended, Received

if TYPE_CHECKING:
    from qrm_tui.practice.node import SimulatedNode

#: Bytes that are kept for one who comes later, as a terminal server does.
_BACKLOG = 64 << 10
#: Linux's console on a hypervisor (hvc0) takes the byte after this one for SysRq, and two for one that was typed.
_ARMS = "\x0f"


class SimulatedConsole:
    """The serial line of one machine."""

    def __init__(self, node: SimulatedNode, clock: Callable[[], float] = time.time) -> None:
        self._node, self._clock = node, clock
        self._received: Received | None = None
        self._backlog = bytearray()
        self._shell: Shell | None = None
        self._booted = 0.0
        self._kernel: list[str] = []
        self._armed = False

    # the cable

    def plug(self, received: Received) -> None:
        """Whoever records gets what was said so far, and all that comes."""
        self._received = received
        if self._backlog:
            received(bytes(self._backlog))
            self._backlog.clear()

    def unplug(self) -> None:
        """Nobody listens."""
        self._received = None

    def put(self, text: str) -> None:
        """Text as it goes over the line."""
        data = text.replace("\n", "\r\n").encode()
        if self._received is not None:
            self._received(data)
        else:
            self._backlog += data
            del self._backlog[:-_BACKLOG]

    def typed(self, data: bytes) -> None:
        """Keys from the other end; nobody reads them where nothing runs."""
        for letter in data.decode(errors="replace"):
            if letter == _ARMS and self._node.line == "hvc0" and self._kernel_is_up:
                self._armed = not self._armed
                if self._armed:
                    continue
            elif self._armed:
                self._armed = False
                self._sysrq(letter)
                continue
            if self._shell is not None:
                self._shell.key(letter)

    def send_break(self) -> None:
        """The next key is SysRq's, as the kernel's serial driver has it."""
        self._armed = self._kernel_is_up

    @property
    def _kernel_is_up(self) -> bool:
        return self._node.stage not in ("", "dhcp", "loader")

    def _sysrq(self, letter: str) -> None:
        if letter == "b":
            self._say("sysrq: Resetting")
            self._node.pull(again=True)
        elif letter == "c":
            self._say("sysrq: Trigger a crash")
            self._node.panic()
        else:
            self._say("sysrq: HELP : loglevel(0-9) reboot(b) crash(c) sync(s) show-task-states(t) unmount(u)")

    # what a boot says

    def dark(self) -> None:
        """No power."""
        self._shell, self._kernel = None, []

    def firmware(self) -> None:
        """Power: the firmware counts what it finds."""
        model = self._node.model
        self.dark()
        word = "UEFI" if model.firmware == "uefi" else "BIOS"
        self.put(f"\n{model.vendor} {model.product} {word}\n{model.cpus} x {model.cpu}\n"
                 f"Memory: {format_size(model.memory)} OK\n")

    def network(self) -> None:
        """It asks for an address."""
        self.put(f"\nBooting from network: {self._node.mac}\nDHCP")

    def address(self, address: str) -> None:
        """It was given one, or none."""
        self.put(f" {address}\n" if address else " ... no answer\n")

    def loader(self, files: Sequence[str]) -> None:
        """The boot loader fetches its files."""
        name = "PXELINUX" if self._node.model.firmware == "bios" else "iPXE"
        self.put(f"{name}\n" + "".join(f"Loading {file} ... ok\n" for file in files if file))

    def kernel(self, words: str) -> None:
        """The kernel comes up, as it does everywhere."""
        model, node = self._node.model, self._node
        self._booted = self._clock()
        self._kernel = []
        words = words.replace("${net0/mac:hexhyp}", node.mac.replace(":", "-"))  # which iPXE has filled in
        for text in (f"Linux version {KERNEL} (debian-kernel@lists.debian.org) {VERSION}",
                     f"Command line: {words}", f"DMI: {model.vendor} {model.product}",
                     f"Memory: {model.memory >> 10}K available",
                     f"smpboot: CPU0: {model.cpu}", f"smp: Brought up 1 node, {model.cpus} CPUs",
                     "Xen: console [hvc0] enabled" if self._node.line == "hvc0" else
                     "Serial: 8250/16550 driver, 4 ports, IRQ sharing enabled",
                     *(f"sd {at}:0:0:0: [sd{chr(97 + at)}] Attached SCSI disk ({format_size(size)})"
                       for at, size in enumerate(model.disks)),
                     f"eth0: Link is Up - 1000Mbps/Full, {node.mac}", "Run /init as init process"):
            self._say(text)

    def agent(self, text: str) -> None:
        """A line of the initramfs' own."""
        self.put(f"qrm: {text}\n")

    def system(self, host: str, services: Sequence[str]) -> None:
        """The root takes over, up to its login."""
        self.agent("starting the system")
        self._say("systemd[1]: systemd 252 running in system mode")
        for service in services:
            self.put(f"[  OK  ] Started {service}.\n")
        self.put("[  OK  ] Reached target Multi-User System.\n")
        self._shell = Shell(self, host, self._node.line)
        self._shell.greet()

    def panic(self, reboot: float) -> None:
        """The kernel's last words."""
        self._shell = None
        self.put("\n")
        for text in ("Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000009",
                     f"CPU: 0 PID: 1 Comm: init Not tainted {KERNEL} {VERSION}",
                     f"Hardware name: {self._node.model.vendor} {self._node.model.product}", "Call Trace:",
                     " <TASK>", " dump_stack_lvl+0x44/0x5c", " panic+0x118/0x2ed", " </TASK>"):
            self._say(text)
        if reboot:
            self._say(f"Rebooting in {reboot:.0f} seconds..")
        else:
            self._say("---[ end Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000009 ]---")

    def out_of_memory(self) -> None:
        """The kernel kills a process for want of memory."""
        self.put("\n")
        self._say("mysqld invoked oom-killer: gfp_mask=0x140cca(GFP_HIGHUSER_MOVABLE), order=0, oom_score_adj=0")
        self._say("Out of memory: Killed process 412 (mysqld) total-vm:1893412kB, anon-rss:921344kB, UID:110")

    async def chatter(self, lines: float) -> None:
        """What programs that nobody silenced write, until it is cancelled."""
        said, begun, loop = 0, asyncio.get_running_loop().time(), asyncio.get_running_loop()
        while True:
            await asyncio.sleep(max(0.1, 1 / lines))
            due = int((loop.time() - begun) * lines)
            self.put("".join(f"\x1b[3{number % 7 + 1}mapp[{number % 97 + 300}]\x1b[0m: request {number} answered in "
                             f"{number * 7919 % 900} ms\n" for number in range(said, min(due, said + 10_000))))
            said = due

    def down(self, order: str) -> None:
        """It goes down in order."""
        if self._shell is not None:
            self._shell = None
            self.put("\n[  OK  ] Reached target System Shutdown.\n")
        self._say("reboot: Restarting system" if order == "reboot" else "reboot: Power down")

    def _say(self, text: str) -> None:
        """A line of the kernel's log, with its time."""
        line = f"[{self.up:12.6f}] {text}"
        self._kernel = [*self._kernel[-199:], line]
        self.put(f"{line}\n")

    @property
    def up(self) -> float:
        """Seconds since the kernel began."""
        return max(0.0, self._clock() - self._booted)

    @property
    def kernel_log(self) -> list[str]:
        return self._kernel

    @property
    def now(self) -> float:
        return self._clock()


class PracticeLine:
    """A line to a simulated machine's console."""

    means = frozenset((BREAK, SYSRQ))

    def __init__(self, console: SimulatedConsole) -> None:
        self._console = console

    async def type(self, data: bytes) -> None:
        self._console.typed(data)

    async def send_break(self) -> None:
        self._console.send_break()

    async def send_sysrq(self, letter: str) -> None:
        self._console.send_break()
        self._console.typed(letter.encode())

    def resize(self, columns: int, rows: int) -> None:
        """A serial line knows no size: there is `stty` for that."""

    async def close(self) -> None:
        self._console.unplug()


@dataclass(frozen=True, slots=True)
class PracticeSource:
    """The console of a simulated machine; it is there as long as the farm is."""

    console: SimulatedConsole
    kind: str = field(default="practice", init=False)

    async def open(self, received: Received, ended: Ended) -> PracticeLine:
        """At once."""
        self.console.plug(received)
        return PracticeLine(self.console)
