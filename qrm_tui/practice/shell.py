"""What runs on a simulated machine's console once its system is up: a getty, a login, a shell with a few commands."""
from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Protocol

KERNEL = "6.1.0-40-amd64"
VERSION = "#1 SMP PREEMPT_DYNAMIC Debian 6.1.153-1 (2025-09-20)"
#: Longest line that is typed.
_LONGEST = 1024
_PROMPT = "{user}@{host}:~# "


class Terminal(Protocol):
    """The console that it runs on."""

    def put(self, text: str) -> None:
        """Text as it goes over the line."""

    @property
    def up(self) -> float:
        """Seconds since the kernel began."""

    @property
    def now(self) -> float:
        """Seconds since the epoch."""

    @property
    def kernel_log(self) -> Sequence[str]:
        """Lines of the kernel's log."""


class Shell:
    """A getty, a login and a small shell; the line is edited as a terminal driver does."""

    def __init__(self, console: Terminal, host: str, device: str = "ttyS0") -> None:
        self._console, self._host, self._device = console, host, device
        self._asks, self._user, self._line = "login", "", ""
        self._rows, self._columns = 24, 80

    def greet(self) -> None:
        """The getty's words."""
        self._asks, self._line = "login", ""
        self._console.put(f"\nDebian GNU/Linux 12 {self._host} {self._device}\n\n{self._host} login: ")

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
            self._console.put(f"Linux {self._host} {KERNEL} {VERSION} x86_64\n\nPRACTICE: this machine is simulated; "
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
                return f"Linux {self._host} {KERNEL} {VERSION} x86_64 GNU/Linux\n"
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
