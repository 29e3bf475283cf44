"""How a domain's console takes a break and SysRq: by its live definition, in bytes and in QEMU's words."""
from __future__ import annotations

import json
from typing import NamedTuple

from qrm_tui.backends.domains import BadXml, read_xml
from qrm_tui.core.names import printable

#: Linux's console on a hypervisor (drivers/tty/hvc/hvc_console.c, hvc_poll): after this byte, ^O, the next one is the
#: kernel's letter, and two of it are one for whoever reads the terminal.
_ARMS = b"\x0f"


class DomainConsole(NamedTuple):
    """`kernel`: Linux reads SysRq from the bytes that come (Xen). `chardev`: QEMU's id of a serial line, where the
    console is one."""

    kernel: bool = False
    chardev: str = ""


def console_of(definition: str) -> DomainConsole:
    """The first console of a running domain, which is the one that libvirt opens if it is told no name. QEMU's id is
    libvirt's alias with `char` before it (qemu_command.c)."""
    try:
        root = read_xml(definition)
    except BadXml:
        return DomainConsole()
    console = root.find("devices/console")
    if console is None:
        return DomainConsole()
    target, alias = console.find("target"), console.find("alias")
    type = target.get("type") if target is not None else ""
    if type == "xen":
        return DomainConsole(kernel=True)
    if type == "serial" and alias is not None and root.get("type") in ("kvm", "qemu"):
        return DomainConsole(chardev=f"char{alias.get('name', '')}")
    return DomainConsole()


def typed_to_kernel(data: bytes) -> bytes:
    """Keys for a console where the kernel reads SysRq: none of them is."""
    return data.replace(_ARMS, _ARMS * 2)


def sysrq_to_kernel(letter: str) -> bytes:
    """SysRq on such a console."""
    return _ARMS + letter.encode()


def break_command(chardev: str) -> str:
    """QEMU's order for a break on a serial line (qapi/char.json, chardev-send-break)."""
    return json.dumps({"execute": "chardev-send-break", "arguments": {"id": chardev}})


def refusal_in(answer: str) -> str:
    """Why QEMU did not do as it was told (QMP: an object with `return`, or with `error`); empty: it did."""
    try:
        told = json.loads(answer)
    except ValueError:
        told = None
    if not isinstance(told, dict):
        return f"it answers {printable(answer, 100)!r}"
    error = told.get("error")
    if error is None:
        return ""
    return printable(str(error.get("desc", "no reason given") if isinstance(error, dict) else error), 200)
