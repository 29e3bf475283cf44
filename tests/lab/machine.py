"""A machine of the rack: QEMU with a network card that boots from the lab's bridge, by BIOS or UEFI."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tests.lab.acceleration import EMULATED, QEMU
from tests.lab.namespace import Namespace
from tests.lab.uml import LabError

Firmware = Literal["bios", "uefi"]
UEFI_CODE, UEFI_VARIABLES = (Path("/usr/share/OVMF") / name for name in ("OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd"))
DEADLINE = 240.0
"""Seconds until something awaited on a console counts as failed; emulated on a busy machine a boot takes some 60."""
POLL = 0.1
"""Seconds between two looks at the console's log."""
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")
DISK_SIZE = 256 << 20
"""Bytes"""


@dataclass(frozen=True)
class Hardware:
    """What the machine says of itself, too."""

    firmware: Firmware = "bios"
    cpus: int = 1
    memory_mb: int = 768
    vendor: str = "Lab"
    product: str = "Rack unit"
    serial: str = ""
    processor: str = "max"
    """Emulated; Xen's first domain wants an older one (SMAP and SMEP end it)."""


class Machine:
    """One machine. It is off at first; switched on, it boots from the network, again after each reset."""

    def __init__(self, namespace: Namespace, number: int, hardware: Hardware, accel: str = EMULATED) -> None:
        self._namespace = namespace
        self._accel = accel
        self._process: subprocess.Popen[bytes] | None = None
        self.cable = f"tap{number}"
        """The end of its network cable at the lab's bridge."""
        self.hardware = hardware
        self.name = f"machine{number}"
        self.mac = f"52:54:00:77:00:{number:02x}"
        self.folder = namespace.scratch / self.name
        self.console_log = self.folder / "console.log"
        """All that it wrote on its serial line since it was made."""

    # power

    def on(self) -> None:
        """Switches it on, with the disk as it is."""
        if self.is_on():
            raise LabError(f"{self.name} is on already")
        if not self.folder.exists():
            self._make()
        with (self.folder / "qemu.log").open("ab") as log:
            self._process = self._namespace.popen(
                ["setpriv", "--pdeathsig", "KILL", *self._argv()],
                inside=True,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def is_on(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def off(self) -> None:
        """As by a pulled plug."""
        if self._process is not None:
            self._process.kill()  # the nsenter that waits for QEMU, which ends with it
            self._process.wait()
            self._process = None

    def reset(self) -> None:
        """As by the button."""
        self._tell("system_reset")

    def unplug(self) -> None:
        """Pulls the network cable."""
        self._namespace.unplug(self.cable)

    def plug(self) -> None:
        self._namespace.plug(self.cable)

    def await_off(self, seconds: float = DEADLINE) -> None:
        """Waits until it has switched itself off. Raises LabError."""
        deadline = time.monotonic() + seconds
        while self.is_on():
            if time.monotonic() > deadline:
                raise self._error(f"still on after {seconds:.0f} s")
            time.sleep(POLL)

    # console

    def console(self, since: int = 0) -> str:
        """What it wrote on its serial line from byte `since` on, without the colours."""
        try:
            with self.console_log.open("rb") as log:
                log.seek(since)
                text = log.read().decode(errors="replace")
        except FileNotFoundError:
            return ""
        return ESCAPES.sub("", text)

    def mark(self) -> int:
        """Where the console's log ends now: the next await_console looks from here on."""
        return self.console_log.stat().st_size if self.console_log.exists() else 0

    def await_console(self, pattern: str, *, since: int = 0, seconds: float = DEADLINE) -> re.Match[str]:
        """Waits until the console shows `pattern` (a regular expression) after byte `since`. Raises LabError."""
        deadline = time.monotonic() + seconds
        while not (found := re.search(pattern, self.console(since))):
            if self._process is not None and self._process.poll() is not None:
                raise self._error(f"ended before it wrote {pattern!r}")
            if time.monotonic() > deadline:
                raise self._error(f"no {pattern!r} in {seconds:.0f} s")
            time.sleep(POLL)
        return found

    def console_tail(self, lines: int = 30) -> str:
        return "\n".join(self.console().splitlines()[-lines:])

    # inside

    def _make(self) -> None:
        self.folder.mkdir()
        with (self.folder / "disk.img").open("wb") as disk:
            disk.truncate(DISK_SIZE)
        if self.hardware.firmware == "uefi":
            shutil.copy(UEFI_VARIABLES, self.folder / "variables.fd")
        self._namespace.add_tap(self.cable)

    def _argv(self) -> list[str]:
        hardware = self.hardware
        card = f"virtio-net-pci,netdev=lan,mac={self.mac}"
        processor = "host" if self._accel == "kvm" else hardware.processor
        argv = [
            QEMU, "-name", self.name, "-accel", self._accel, "-cpu", processor,
            "-m", str(hardware.memory_mb), "-smp", str(hardware.cpus),
            "-nodefaults", "-display", "none", "-vga", "none",
            "-smbios", f"type=1,manufacturer={hardware.vendor},product={hardware.product},serial={hardware.serial}",
            "-chardev", f"file,id=line,path={self.console_log},append=on", "-serial", "chardev:line",
            "-qmp", f"unix:{self.folder / 'qmp'},server=on,wait=off",
            "-netdev", f"tap,id=lan,ifname={self.cable},script=no,downscript=no",
            "-drive", f"file={self.folder / 'disk.img'},format=raw,if=virtio",
            "-device", "virtio-rng-pci",
        ]  # fmt: skip
        if hardware.firmware == "uefi":
            flash = "if=pflash,format=raw"
            argv += ["-machine", "q35", "-drive", f"{flash},unit=0,readonly=on,file={UEFI_CODE}"]
            argv += ["-drive", f"{flash},unit=1,file={self.folder / 'variables.fd'}"]
            return [*argv, "-device", f"{card},romfile=,bootindex=1"]  # the firmware has a driver of its own
        # graphics=off: the firmware and the boot loaders write on the serial line
        return [*argv, "-machine", "pc,graphics=off", "-boot", "n", "-device", card]

    def _tell(self, command: str) -> Any:
        """A command of QEMU's machine protocol (QMP, qemu-qmp-ref(7)); its answer."""
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(30)
            line.connect(str(self.folder / "qmp"))
            with line.makefile("rw") as stream:
                json.loads(stream.readline())
                for name in ("qmp_capabilities", command):
                    stream.write(json.dumps({"execute": name}) + "\n")
                    stream.flush()
                    answer = json.loads(stream.readline())
                    while "event" in answer:
                        answer = json.loads(stream.readline())
        if "error" in answer:
            raise LabError(f"{self.name}: {command}: {answer['error']}")
        return answer["return"]

    def _error(self, what: str) -> LabError:
        log = (self.folder / "qemu.log").read_text(errors="replace")
        return LabError(f"{self.name}: {what}\n{log}{self.console_tail()}")
