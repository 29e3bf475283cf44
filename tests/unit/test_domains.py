"""A domain's definition: as it is written, as it is read back, and what is not read at all."""
from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qrm_tui.backends.domains import MOST_DEPTH, MOST_XML, NAMESPACE, BadXml, parse_domain, read_xml, render_domain
from qrm_tui.core.errors import BadInput, QrmError, Refused
from qrm_tui.core.partitions import DomainNic, DomainWish

FIXTURES = Path(__file__).parent.parent / "fixtures" / "domains"
UUID = "6695eb01-f6a4-8304-79aa-97f2502e193a"
MAC = "52:54:00:77:00:21"
#: One of each technology, with most of what a definition can hold.
WISHES = {
    "xen-pv": DomainWish(name="blade-1-1", uuid=UUID, resource="r-17", technology="xen-pv", memory=148 << 20, mhz=400,
                         host_mhz=2400, kernel="/boot/idle/vmlinuz", initrd="/boot/idle/initrd.img",
                         cmdline='console=hvc0 word="a<b&c"', bridge="qrm", mac=MAC, target="q17", disk="/dev/vol/p1"),
    "kvm": DomainWish(name="blade-2-1", uuid=UUID, resource="r-18", technology="kvm", cpus=2, cpus_most=4,
                      memory=1 << 30, memory_most=2 << 30, mhz=1200, host_mhz=2400, bridge="qrm", mac=MAC, target="q18",
                      disk="/dev/vol/p1", console_log="/var/log/qrm/p1.log"),
    "qemu": DomainWish(name="blade-3-1", uuid=UUID, resource="r-19", technology="qemu", memory=1 << 30),
    "test": DomainWish(name="blade-4-1", uuid=UUID, resource="r-20", technology="test", memory=1 << 30, bridge="qrm",
                       kernel="/boot/idle/vmlinuz", mac=MAC, target="q20"),
}


def changed(base: str, **changes: Any) -> DomainWish:
    return msgspec.structs.replace(WISHES[base], **changes)


@pytest.mark.parametrize("technology", WISHES)
def test_a_definition_is_written_as_libvirt_takes_it(technology: str) -> None:
    assert render_domain(WISHES[technology]) == (FIXTURES / f"{technology}.xml").read_text()


@pytest.mark.parametrize("technology", WISHES)
def test_what_was_written_is_read_back(technology: str) -> None:
    wish = WISHES[technology]
    domain = parse_domain(render_domain(wish))
    for field in ("name", "uuid", "technology", "resource", "cpus", "memory", "kernel", "initrd", "cmdline"):
        assert getattr(domain, field) == getattr(wish, field), field
    assert domain.cpus_most == max(wish.cpus, wish.cpus_most)
    assert domain.memory_most == max(wish.memory, wish.memory_most)
    assert domain.nics == ((DomainNic(wish.mac, wish.target),) if wish.bridge else ())
    assert domain.disks == ((wish.disk,) if wish.disk else ())


def test_a_definition_that_libvirt_shows_is_read() -> None:
    ours = parse_domain((FIXTURES / "shown-qemu.xml").read_text())
    assert (ours.name, ours.technology, ours.resource, ours.cpus, ours.cpus_most) == ("p1", "qemu", "abc", 1, 2)
    assert (ours.memory, ours.memory_most) == (192 << 20, 256 << 20)
    assert ours.nics == (DomainNic("52:54:00:00:00:01", "q-p1"),)


def test_what_somebody_made_by_hand_is_not_ours() -> None:
    text = render_domain(WISHES["kvm"])
    for tag in (f'<other:partition xmlns:other="urn:other" resource="{UUID}"/>', "<partition resource='r-17'/>",
                f'<qrm:partition xmlns:qrm="{NAMESPACE}" resource="../r"/>', ""):
        start, end = text.index("<qrm:partition"), text.index("</metadata>")
        assert parse_domain(text[:start] + tag + text[end:]).resource == ""


@pytest.mark.parametrize(("technology", "changes", "why"), [
    ("kvm", {"name": "a b"}, "is no name"),
    ("kvm", {"name": "x\n"}, "is no name"),
    ("kvm", {"uuid": UUID.upper()}, "no UUID"),
    ("kvm", {"resource": ""}, "resource's id is needed"),
    ("kvm", {"cpus": 0}, "CPUs"),
    ("kvm", {"memory": 1000}, "less than 1M"),
    ("kvm", {"disk": "vol/p1"}, "no absolute path"),
    ("kvm", {"console_log": "/var/../etc/passwd"}, "no absolute path"),
    ("kvm", {"bridge": "a-bridge-with-a-long-name"}, "network device"),
    ("kvm", {"target": "vnet7"}, "by itself"),
    ("kvm", {"target": ""}, "network device"),
    ("kvm", {"mac": MAC.replace(":", "-")}, "lower case"),
    ("kvm", {"cmdline": "x" * 2048}, "2047"),
    ("xen-pv", {"cmdline": "x" * 1024}, "1023"),
    ("xen-pv", {"cmdline": "a\nb"}, "control characters"),
    ("xen-pv", {"kernel": ""}, "needs a kernel"),
])
def test_what_cannot_be_wished_for(technology: str, changes: dict[str, Any], why: str) -> None:
    with pytest.raises(BadInput, match=why):
        render_domain(changed(technology, **changes))


def test_what_was_never_tried_is_not_made() -> None:
    for technology in ("lxc", "esx"):
        with pytest.raises(Refused, match="never tried"):
            render_domain(changed("kvm", technology=technology))


@given(st.text(), st.text())
def test_no_wish_writes_elements_of_its_own(cmdline: str, path: str) -> None:
    try:
        text = render_domain(changed("xen-pv", cmdline=cmdline, initrd=f"/{path}"))
    except QrmError:
        return
    read, plain = read_xml(text), read_xml(render_domain(WISHES["xen-pv"]))
    assert [element.tag for element in read.iter()] == [element.tag for element in plain.iter()]


BOMB = '<!DOCTYPE d [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><domain><name>&b;</name></domain>'


@pytest.mark.parametrize(("text", "why"), [
    ("", "no XML"),
    ("<domain>", "no XML"),
    ("<domain>\ud800</domain>", "no XML"),
    ("<domain><name>&b;</name></domain>", "no XML"),
    (BOMB, "document type"),
    ('<!DOCTYPE d SYSTEM "file:///etc/passwd"><domain/>', "document type"),
    ("<a>" * (MOST_DEPTH + 1) + "</a>" * (MOST_DEPTH + 1), "deeper"),
    ("<domain>" + " " * MOST_XML + "</domain>", "longer"),
    ("<domain/>", "UUID"),
    (f"<network><uuid>{UUID}</uuid></network>", "no domain"),
])
def test_what_is_not_read(text: str, why: str) -> None:
    with pytest.raises(BadXml, match=why):
        parse_domain(text)


def test_odd_values_are_nothing() -> None:
    odd = (f"<domain type='kvm'><name>a\x85\u202eb{'c' * 200}</name><uuid>{UUID}</uuid><memory unit='parsec'>5</memory>"
           "<currentMemory>-5</currentMemory><vcpu current='\uff19'>1e9</vcpu><devices>"
           + "<interface><mac address='zz'/></interface><interface/>" * 100 + "</devices></domain>")
    domain = parse_domain(odd)
    assert (domain.cpus, domain.cpus_most, domain.memory, domain.memory_most, domain.technology) == (0, 0, 0, 0, "")
    assert domain.name.isprintable() and len(domain.name) == 80
    assert domain.nics == (DomainNic(""),) * 32


@given(st.text() | st.text().map(lambda words: f"<domain><uuid>{UUID}</uuid>{words}</domain>"))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(BadXml):
        parse_domain(text)
