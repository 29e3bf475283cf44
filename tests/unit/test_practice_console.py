"""The simulated console: a boot, a login, a few commands."""
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from qrm_tui.core.errors import BadInput
from qrm_tui.daemon.console_patterns import Matcher
from qrm_tui.practice.console import PracticeSource, SimulatedConsole
from qrm_tui.practice.node import Model, SimulatedNode
from qrm_tui.practice.rack import inject

MODEL = Model("node", "Dell Inc.", "R640", "Xeon", 4, 2400, 8 << 30, disks=(240 << 30,))


class Machine:
    """The rest of it."""

    def __init__(self, line: str = "ttyS0") -> None:
        self.now = 1000.0
        self.pulled = False
        node: Any = SimpleNamespace(model=MODEL, mac="52:54:00:00:00:01", number=1, stage="system",
                                    line=line, pull=self.pull)
        self.console = SimulatedConsole(node, lambda: self.now)
        self.said = ""

    def pull(self, *, again: bool) -> None:
        self.pulled = again

    def listen(self) -> None:
        self.console.plug(lambda data: setattr(self, "said", self.said + data.decode()))

    def types(self, text: str) -> str:
        """What it says to that."""
        before = len(self.said)
        self.console.typed(text.encode())
        return self.said[before:]

    def up(self) -> None:
        self.listen()
        self.console.kernel("root=x")
        self.now += 61
        self.console.system("web", ("sshd",))


@pytest.fixture
def machine() -> Machine:
    made = Machine()
    made.up()
    return made


def test_who_comes_late_gets_what_was_said_before() -> None:
    machine = Machine()
    machine.console.firmware()
    machine.console.put("x" * 100_000)
    machine.listen()
    assert 0 < len(machine.said) <= 64 << 10
    machine.console.agent("hello")
    assert machine.said.endswith("qrm: hello\r\n")


def test_a_boot_tells_its_stages(machine: Machine) -> None:
    assert "Linux version 6.1.0" in machine.said and "Command line: root=x" in machine.said
    assert machine.said.endswith("Debian GNU/Linux 12 web ttyS0\r\n\r\nweb login: ")
    machine.console.down("reboot")
    assert "reboot: Restarting system" in machine.said
    assert machine.types("x") == ""


def test_a_login_and_a_few_commands(machine: Machine) -> None:
    assert machine.types("root\r") == "root\r\nPassword: "
    welcome = machine.types("secret\r")
    assert "secret" not in welcome and welcome.endswith("root@web:~# ")
    assert machine.types("uname -a\r").startswith("uname -a\r\nLinux web 6.1.0")
    assert "up 1 min" in machine.types("uptime\r")
    assert machine.types("hostname\r") == "hostname\r\nweb\r\nroot@web:~# "
    assert "systemd[1]" in machine.types("dmesg | tail\r")
    assert machine.types("stty rows 50 cols 132\r") == "stty rows 50 cols 132\r\nroot@web:~# "
    assert "50 132" in machine.types("stty size\r")
    assert "invalid argument" in machine.types("stty sane\r")
    assert "-bash: rm: command not found" in machine.types("rm -rf /\r")
    assert machine.types("exit\r").endswith("web login: ")


def test_the_line_is_edited_as_on_a_terminal(machine: Machine) -> None:
    machine.types("root\rx\r")
    assert machine.types("hostnamx\x7fe") == "hostnamx\b \be"
    assert machine.types("\r").endswith("web\r\nroot@web:~# ")
    assert machine.types("ab\x15") == "ab\b \b\b \b"
    assert machine.types("ab\x03").endswith("^C\r\nroot@web:~# ")
    assert machine.types("\x1b\x00\xff").isprintable()
    assert machine.types("\x15\x04").endswith("web login: ")


def test_sysrq(machine: Machine) -> None:
    machine.console.send_break()
    assert "sysrq: HELP" in machine.types("h")
    machine.console.send_break()
    machine.types("b")
    assert machine.pulled


def test_sysrq_of_a_xen_partition() -> None:
    machine = Machine("hvc0")
    machine.up()
    assert "sysrq: HELP" in machine.types("\x0fh")
    assert machine.types("\x0f\x0fh") == "h", "twice it is one of it"
    machine.types("\x0fb")
    assert machine.pulled


async def test_as_a_source(machine: Machine) -> None:
    got: list[bytes] = []
    line = await PracticeSource(machine.console).open(got.append, lambda why: None)
    await line.type(b"root\r")
    assert b"".join(got) == b"root\r\nPassword: "
    await line.type(b"\x0f")
    await line.send_sysrq("h")
    assert b"sysrq: HELP" in got[-1] and line.means == {"break", "sysrq"}
    await line.close()
    assert PracticeSource(machine.console) == PracticeSource(machine.console)


class Nowhere:
    """A network where nobody answers."""

    server = None

    def lease(self, mac: str) -> str:
        return ""

    def say(self, program: str, text: str) -> None:
        pass

    def storage(self, address: str) -> None:
        return None


async def heard(node: SimulatedNode) -> AsyncIterator[str]:
    """All that its console has said, after each time that it says something."""
    said, some = "", asyncio.Event()

    def hear(data: bytes) -> None:
        nonlocal said
        said += data.decode()
        some.set()

    node.console.plug(hear)
    while True:
        async with asyncio.timeout(20):
            await some.wait()
        some.clear()
        yield said


async def test_faults_that_its_console_tells_of() -> None:
    node = SimulatedNode(MODEL, 1, Nowhere(), Nowhere())  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="it is off"):
        await inject(node, "panic", {})
    node.power_on()
    with pytest.raises(BadInput, match="reboot: a number"):
        await inject(node, "panic", {"reboot": "soon"})
    matcher, found = Matcher(), list[str]()
    await inject(node, "oom", {})
    await inject(node, "chatter", {"lines": "100"})
    looked = 0
    async for said in heard(node):
        if "request 0" in said and "Kernel panic" not in said:
            await inject(node, "none", {})
            await inject(node, "panic", {"reboot": "0.01"})
        found += [hit.pattern.name for hit in matcher.feed(said[looked:].encode()) if not hit.whole]
        looked = len(said)
        if said.rfind("BIOS") > said.find("Kernel panic") > 0:
            break
    assert found == ["Out of memory", "Kernel panic"] and node.on
    await node.power_off()
    assert not node.on
