"""Consoles of domains: what each kind takes for a break and SysRq, keys that are no SysRq, and QEMU's answers."""
from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qrm_tui.backends.domain_console import (
    DomainConsole,
    break_command,
    console_of,
    refusal_in,
    sysrq_to_kernel,
    typed_to_kernel,
)

FIXTURES = Path(__file__).parent.parent / "fixtures" / "domains"
SERIAL = ("<domain type='{}'><devices><serial type='pty'><target port='0'/><alias name='serial0'/></serial>"
          "<console type='pty'><target type='serial' port='0'/><alias name='serial0'/></console></devices></domain>")


@pytest.mark.parametrize(("file", "console"), [
    ("live-xen-pv.xml", DomainConsole(kernel=True)), ("live-qemu.xml", DomainConsole(chardev="charserial0")),
    ("live-lxc.xml", DomainConsole()),
    # off, and so without an alias; libvirt's simulated host
    ("shown-qemu.xml", DomainConsole()), ("test.xml", DomainConsole()),
])
def test_a_domains_console_as_libvirt_shows_it(file: str, console: DomainConsole) -> None:
    assert console_of((FIXTURES / file).read_text()) == console


@pytest.mark.parametrize(("definition", "console"), [
    (SERIAL.format("kvm"), DomainConsole(chardev="charserial0")),
    # a fully virtualized one of Xen: its QEMU is not libvirt's to order about
    (SERIAL.format("xen"), DomainConsole()),
    ("<domain type='kvm'><devices><console type='pty'><target type='virtio'/><alias name='console0'/></console>"
     "</devices></domain>", DomainConsole()),
    ("<domain type='kvm'/>", DomainConsole()), ("no XML", DomainConsole()),
])
def test_consoles_of_other_kinds(definition: str, console: DomainConsole) -> None:
    assert console_of(definition) == console


def hears(data: bytes) -> tuple[bytes, str]:
    """What a program reads and what SysRq gets, as hvc_poll has it (drivers/tty/hvc/hvc_console.c)."""
    read, letters, pressed = bytearray(), "", False
    for byte in data:
        if byte == 0x0F:
            pressed = not pressed
            if pressed:
                continue
        elif pressed:
            letters, pressed = letters + chr(byte), False
            continue
        read.append(byte)
    return bytes(read), letters


@given(st.lists(st.binary() | st.sampled_from([b"\x0f", b"\x0fb", b"\x0f\x0f"])))
def test_no_key_is_sysrq_and_each_arrives(pieces: list[bytes]) -> None:
    typed = b"".join(pieces)
    assert hears(b"".join(typed_to_kernel(piece) for piece in pieces)) == (typed, "")
    assert hears(typed_to_kernel(typed) + sysrq_to_kernel("h") + typed_to_kernel(typed)) == (typed * 2, "h")


def test_a_break_is_ordered_from_qemu() -> None:
    assert json.loads(break_command("charserial0")) == {"execute": "chardev-send-break",
                                                        "arguments": {"id": "charserial0"}}


@pytest.mark.parametrize(("answer", "why"), [
    # QEMU 7.2 through libvirt 9.0
    ('{"return":{},"id":"libvirt-415"}', ""),
    ('{"id":"libvirt-414","error":{"class":"GenericError","desc":"Chardev \'none\' not found"}}',
     "Chardev 'none' not found"),
    ("", "it answers ''"), ("[]\n", "it answers '[]"), ('{"error": 1}', "1"), ('{"error": {}}', "no reason given"),
])
def test_what_qemu_answers(answer: str, why: str) -> None:
    assert refusal_in(answer).startswith(why) and bool(refusal_in(answer)) == bool(why)
