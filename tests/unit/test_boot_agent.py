"""The agent of netbooted machines, run here by busybox against the stand-in of its server, in folders of the test."""
from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.boot_machine import NodeServer
from tests.lab.node_server import TOKEN

AGENT = Path(__file__).parent.parent.parent / "templates/initramfs/agent"
BUSYBOX = "/bin/busybox"
MAC = "52:54:00:77:00:20"
FILES = {
    "proc/cpuinfo": "processor\t: 0\nmodel name\t: Intel(R) Xeon(R) CPU\ncpu MHz\t\t: 2394.454\n\n"
                    "processor\t: 1\nmodel name\t: Intel(R) Xeon(R) CPU\ncpu MHz\t\t: 2394.454\n",
    "proc/meminfo": "MemTotal:        2014312 kB\nMemFree:         1000000 kB\n",
    "proc/loadavg": "0.52 0.10 0.01 1/99 1234\n",
    "sys/block/sda/size": "000000000002048\n", "sys/block/loop0/size": "4096\n", "sys/block/nvme0n1/size": "x\n",
    "sys/class/net/eth0/address": f"{MAC}\n", "sys/class/net/eth0/device/vendor": "0x1af4\n",
    "sys/class/net/lo/address": "00:00:00:00:00:00\n",
    "sys/class/dmi/id/sys_vendor": "Dell \\Inc\" ]}, \"name\": \"x\n",
    "sys/class/dmi/id/product_name": "\x1b[2J$(id)`id`\n",
    "sys/class/dmi/id/product_serial": "é" * 500 + "z" * 500 + "\nsecond line\n",
    "run/mac": f"{MAC}\n", "run/boot": "0123456789abcdef0123456789abcdef", "run/runs": "ve-1\n", "run/stage": "agent\n",
}


class Agent:
    """The agent as a process."""

    def __init__(self, folder: Path, server: NodeServer) -> None:
        self.folder, self._server = folder, server
        for path, text in FILES.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        url = f"http://127.0.0.1:{server.port}"
        (folder / "run/node").write_text(f"{url}\n")
        (folder / "run/http").write_text(f"{url}/qrm/boot\n")
        self.busybox = BUSYBOX
        self.process: subprocess.Popen[str] | None = None

    @property
    def is_on(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def console(self) -> str:
        return (self.folder / "said").read_text()

    def start(self, mode: str = "system") -> None:
        env = {"QRM_AGENT_RUN": f"{self.folder}/run", "QRM_AGENT_SYS": f"{self.folder}/sys",
               "QRM_AGENT_PROC": f"{self.folder}/proc", "QRM_AGENT_BUSYBOX": self.busybox,
               "PATH": f"{self.folder}/bin:{os.environ['PATH']}"}
        with (self.folder / "said").open("w") as said:
            self.process = subprocess.Popen([BUSYBOX, "sh", str(AGENT), mode], env=env, stdout=said, stderr=said,
                                            text=True, start_new_session=True)

    def stop(self) -> None:
        if self.process:
            if self.is_on:
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def wait_for(self, what: str, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        return self._server.wait_for(self, what, wanted)  # type: ignore[arg-type]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NodeServer]:
    (tmp_path / "nonce").mkdir()
    made = NodeServer(tmp_path, "127.0.0.1")
    yield made
    made.stop()


@pytest.fixture
def agent(tmp_path: Path, server: NodeServer) -> Iterator[Agent]:
    assert shutil.which(BUSYBOX), "apt-get install busybox-static"
    made = Agent(tmp_path, server)
    yield made
    made.stop()


def is_enlisting(event: dict[str, Any]) -> bool:
    return event["path"] == "/v1/enlist"


def test_what_it_says_of_the_machine_is_always_json(agent: Agent, tmp_path: Path) -> None:
    (tmp_path / "nonce/52-54-00-77-00-20").write_text("00ff00ff\n")
    agent.start()
    said = agent.wait_for("enlistment", is_enlisting)["body"]
    assert said == {
        "mac": MAC, "boot": "0123456789abcdef0123456789abcdef", "nonce": "00ff00ff", "stage": "system", "runs": "ve-1",
        "inventory": {
            "cpus": 2, "mhz": 2394, "model": "Intel(R) Xeon(R) CPU", "memory": 2014312 << 10,
            "disks": [{"name": "sda", "size": 1 << 20}], "nics": [{"name": "eth0", "mac": MAC}],
            "vendor": 'Dell \\Inc" ]}, "name": "x', "product": "[2J$(id)`id`", "serial": "z" * 120,
            "firmware": "bios"}}
    beat = agent.wait_for("beat", lambda event: event["path"] == "/v1/beat")
    assert beat["token"] == TOKEN and beat["body"] == {"boot": said["boot"], "stage": "system", "runs": "ve-1",
                                                       "load": 0.52}
    assert (tmp_path / "run/token").stat().st_mode & 0o077 == 0


def test_on_a_root_that_it_shares_it_says_how_full_the_memory_for_its_own_files_is(
        agent: Agent, tmp_path: Path) -> None:
    (tmp_path / "run/shared").write_text("50%\n")
    said = "Filesystem 1024-blocks Used Available Capacity Mounted on\\nnfs:10.0.0.9:/vol/web 99 86 13 87% /\\n"
    agent.busybox = f"{tmp_path}/busybox"
    Path(agent.busybox).write_text(
        f"#!/bin/sh\n[ \"$1\" = df ] && printf '%b' '{said}' && exit\nexec {BUSYBOX} \"$@\"\n")
    Path(agent.busybox).chmod(0o755)
    agent.start()
    beat = agent.wait_for("beat", lambda event: event["path"] == "/v1/beat")
    assert beat["body"]["filled"] == 0.87


def smbios(kind: int, body: bytes, texts: bytes = b"") -> bytes:
    """A structure of the System Management BIOS (DSP0134 6.1.2, 6.1.3)."""
    return bytes([kind, 4 + len(body), 0, 0]) + body + (texts or b"\0") + b"\0"


def memory_device(megabytes: int, large: int = 0) -> bytes:
    """One memory device (DSP0134 7.18)."""
    body = bytearray(0x28 - 4)
    body[8:10], body[24:28] = megabytes.to_bytes(2, "little"), large.to_bytes(4, "little")
    return smbios(17, bytes(body), b"DIMM 0\0")


DEVICES = (smbios(0, bytes(20), b"vendor\0version\0") + memory_device(2048) + memory_device(0) + memory_device(0xffff)
           + memory_device(0x7fff, 65536) + smbios(127, b""))


@pytest.mark.parametrize(("hypervisor", "devices", "memory"), [
    ("xen", DEVICES, (2048 + 65536) << 20), ("none", DEVICES, 2014312 << 10), ("xen", b"\x11\0" * 50, 2014312 << 10),
    ("xen", DEVICES[:40], 2014312 << 10), ("xen", b"", 2014312 << 10), ("xen", bytes(range(256)) * 9, 2014312 << 10),
])
def test_on_a_hypervisor_the_memory_is_the_machines_and_not_the_first_domains(
        agent: Agent, tmp_path: Path, hypervisor: str, devices: bytes, memory: int) -> None:
    for path, content in (("hypervisor/type", hypervisor.encode()), ("firmware/dmi/tables/DMI", devices)):
        (tmp_path / "sys" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "sys" / path).write_bytes(content)
    agent.start()
    assert agent.wait_for("enlistment", is_enlisting)["body"]["inventory"]["memory"] == memory


@pytest.mark.parametrize("nonce", ["not hex\n", "ab" * 100 + "\n", '","x":"\n', "\0\0\0\n"])
def test_a_nonce_that_is_none_is_left_out(agent: Agent, tmp_path: Path, nonce: str) -> None:
    (tmp_path / "nonce/52-54-00-77-00-20").write_text(nonce)
    agent.start()
    assert agent.wait_for("enlistment", is_enlisting)["body"]["nonce"] == ""


def test_the_token_is_on_no_command_line(agent: Agent, server: NodeServer) -> None:
    agent.start()
    agent.wait_for("beat", lambda event: event.get("token") == TOKEN)
    seen = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            seen.add(path.read_bytes())
        except OSError:
            continue
    assert not any(TOKEN.encode() in line for line in seen)


def test_a_token_that_is_not_known_any_more_is_a_new_enlistment(agent: Agent, tmp_path: Path) -> None:
    (tmp_path / "run/token").write_text("1" * 64 + "\n")
    agent.start()
    assert agent.wait_for("beat with the old one", lambda event: event["path"] == "/v1/beat")["token"] == "1" * 64
    agent.wait_for("enlistment", is_enlisting)
    agent.wait_for("beat with the new one", lambda event: event.get("token") == TOKEN)


def test_refused_it_says_why_and_asks_again(agent: Agent, server: NodeServer) -> None:
    server.say("refuse")
    agent.start()
    agent.wait_for("enlistment", is_enlisting)
    agent.wait_for("second enlistment", is_enlisting)
    assert "the server answers 403: this nonce was used already" in agent.console()


@pytest.mark.parametrize(("jobs", "bye"), [
    ("12 reboot.target start waiting", "reboot"), ("7 poweroff.target start waiting\n8 x.service stop waiting", "off"),
    ("3 ssh.service restart running", None),
])
def test_it_says_good_bye_only_when_the_machine_goes_down(agent: Agent, server: NodeServer, tmp_path: Path, jobs: str,
                                                          bye: str | None) -> None:
    (tmp_path / "run/token").write_text(TOKEN + "\n")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/systemctl").write_text(f"#!/bin/sh\ncat <<'E'\n{jobs}\nE\n")
    (tmp_path / "bin/systemctl").chmod(0o755)
    agent.start("bye")
    assert agent.process and agent.process.wait(60) == 0
    if bye is None:
        agent.start()  # what comes next is an ordinary beat
    event = agent.wait_for("beat", lambda event: event["path"] == "/v1/beat")
    assert event["body"].get("bye") == bye
    assert json.dumps(event["body"])
