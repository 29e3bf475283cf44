"""A simulated machine's serial console: what firmware, loader, kernel and system say, a login and a few commands."""
from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from qrm_tui.core.units import format_size
from qrm_tui.runners.console import Ended, Received

if TYPE_CHECKING:
    from qrm_tui.practice.node import SimulatedNode

#: Bytes that are kept for one who comes later, as a terminal server does.
_BACKLOG = 64 << 10
#: Longest line that is typed.
_LONGEST = 1024
KERNEL = "6.1.0-40-amd64"
_VERSION = "#1 SMP PREEMPT_DYNAMIC Debian 6.1.153-1 (2025-09-20)"
_PROMPT = "{user}@{host}:~# "


class SimulatedConsole:
    """The serial line of one machine."""

    def __init__(self, node: SimulatedNode, clock: Callable[[], float] = time.time) -> None:
        self._node, self._clock = node, clock
        self._received: Received | None = None
        self._backlog = bytearray()
        self._shell: _Shell | None = None
        self._booted = 0.0
        self._kernel: list[str] = []
        self._breaks = False

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
            if self._breaks:
                self._breaks = False
                self._sysrq(letter)
            elif self._shell is not None:
                self._shell.key(letter)

    def send_break(self) -> None:
        """The next key is SysRq's, as the kernel's serial driver has it."""
        self._breaks = self._node.stage not in ("", "dhcp", "loader")

    def _sysrq(self, letter: str) -> None:
        if letter == "b":
            self._say("sysrq: Resetting")
            self._node.pull(again=True)
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
        for text in (f"Linux version {KERNEL} (debian-kernel@lists.debian.org) {_VERSION}",
                     f"Command line: {words}", f"DMI: {model.vendor} {model.product}",
                     f"Memory: {model.memory >> 10}K available",
                     f"smpboot: CPU0: {model.cpu}", f"smp: Brought up 1 node, {model.cpus} CPUs",
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
        self._shell = _Shell(self, host)
        self._shell.greet()

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


class _Shell:
    """A getty, a login and a small shell; the line is edited as a terminal driver does."""

    def __init__(self, console: SimulatedConsole, host: str) -> None:
        self._console, self._host = console, host
        self._asks, self._user, self._line = "login", "", ""
        self._rows, self._columns = 24, 80

    def greet(self) -> None:
        """The getty's words."""
        self._asks, self._line = "login", ""
        self._console.put(f"\nDebian GNU/Linux 12 {self._host} ttyS0\n\n{self._host} login: ")

    def _prompt(self) -> None:
        self._line = ""
        self._console.put(_PROMPT.format(user=self._user, host=self._host))

    def key(self, letter: str) -> None:
        """A key."""
        if letter in "\r\n":
            line, self._line = self._line, ""
            self._console.put("\n")
            self._entered(line)
        elif letter in "\x7f\b":
            if self._line:
                self._line = self._line[:-1]
                self._echo("\b \b")
        elif letter == "\x15":
            self._echo("\b \b" * len(self._line))
            self._line = ""
        elif letter == "\x03":
            self._console.put("^C\n")
            self._again()
        elif letter == "\x04":
            if not self._line and self._asks == "command":
                self._console.put("logout\n")
                self.greet()
        elif letter.isprintable() and len(self._line) < _LONGEST:
            self._line += letter
            self._echo(letter)

    def _echo(self, text: str) -> None:
        if self._asks != "password":
            self._console.put(text)

    def _again(self) -> None:
        if self._asks == "command":
            self._prompt()
        else:
            self.greet()

    def _entered(self, line: str) -> None:
        if self._asks == "login":
            self._user = line.strip()
            if self._user:
                self._asks = "password"
                self._console.put("Password: ")
            else:
                self.greet()
        elif self._asks == "password":
            # a practice farm has no secrets
            self._asks = "command"
            self._console.put(f"Linux {self._host} {KERNEL} {_VERSION} x86_64\n\nPRACTICE: this machine is simulated; "
                              "it knows help, uname -a, uptime, hostname, dmesg, stty, exit.\n")
            self._prompt()
        elif line.strip() in ("exit", "logout"):
            self._console.put("logout\n")
            self.greet()
        else:
            self._console.put(self._answer(line.split()))
            self._prompt()

    def _answer(self, words: list[str]) -> str:
        console = self._console
        match words:
            case []:
                return ""
            case ["uname"]:
                return "Linux\n"
            case ["uname", "-r"]:
                return f"{KERNEL}\n"
            case ["uname", "-a"]:
                return f"Linux {self._host} {KERNEL} {_VERSION} x86_64 GNU/Linux\n"
            case ["hostname"]:
                return f"{self._host}\n"
            case ["whoami"]:
                return f"{self._user}\n"
            case ["uptime"]:
                clock = time.strftime("%H:%M:%S", time.localtime(console.now))
                return f" {clock} up {int(console.up // 60)} min,  1 user,  load average: 0.08, 0.03, 0.01\n"
            case ["dmesg"]:
                return "".join(f"{line}\n" for line in console.kernel_log)
            case ["dmesg", "|", "tail"] | ["dmesg|tail"]:
                return "".join(f"{line}\n" for line in console.kernel_log[-10:])
            case ["stty"]:
                return "speed 115200 baud; line = 0;\n"
            case ["stty", "size"]:
                return f"{self._rows} {self._columns}\n"
            case ["stty", *settings]:
                return self._set(settings)
            case ["help"]:
                return "uname -a, uptime, hostname, whoami, dmesg | tail, stty [size | rows N cols N], exit\n"
        return f"-bash: {words[0]}: command not found\n"

    def _set(self, settings: list[str]) -> str:
        if len(settings) % 2 or not all(number.isdigit() for number in settings[1::2]):
            return f"stty: invalid argument '{settings[0]}'\n"
        for key, number in zip(settings[::2], settings[1::2], strict=True):
            if key == "rows":
                self._rows = int(number)
            elif key in ("cols", "columns"):
                self._columns = int(number)
            else:
                return f"stty: invalid argument '{key}'\n"
        return ""


class _PracticeLine:
    def __init__(self, console: SimulatedConsole) -> None:
        self._console = console

    async def type(self, data: bytes) -> None:
        self._console.typed(data)

    async def send_break(self) -> None:
        self._console.send_break()

    def resize(self, columns: int, rows: int) -> None:
        """A serial line knows no size: there is `stty` for that."""

    async def close(self) -> None:
        self._console.unplug()


@dataclass(frozen=True, slots=True)
class PracticeSource:
    """The console of a simulated machine; it is there as long as the farm is."""

    console: SimulatedConsole
    kind: str = field(default="practice", init=False)

    async def open(self, received: Received, ended: Ended) -> _PracticeLine:
        """At once."""
        self.console.plug(received)
        return _PracticeLine(self.console)
