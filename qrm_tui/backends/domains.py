"""Domains in libvirt's XML (https://libvirt.org/formatdomain.html): rendered from a wish, and parsed as foreign text.

A domain is ours by an element of our own namespace in its metadata, which names the resource that it is.
"""
from __future__ import annotations

import re
from uuid import UUID
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

import msgspec

from qrm_tui.backends.rendering import render
from qrm_tui.backends.virtualization import require, schedule, technologies
from qrm_tui.core.enlistment import check_mac
from qrm_tui.core.errors import BadInput
from qrm_tui.core.names import check_name, check_path, printable
from qrm_tui.core.partitions import DomainNic, DomainWish

NAMESPACE = "urn:qrm:partition:1"
#: Definitions are some kilobytes; longer or deeper ones are not read.
MOST_XML, MOST_DEPTH, MOST_NICS = 1 << 20, 40, 64
#: Characters of a kernel's command line: Xen takes 1,024 bytes with the end (xen.h, MAX_GUEST_CMDLINE), Linux on x86
#: 2,048 (COMMAND_LINE_SIZE).
_MOST_CMDLINE = {"xen-pv": 1023}
_LINUX_CMDLINE = 2047
#: A network device's name (Linux: IFNAMSIZ).
_DEVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}")
#: Names that libvirt gives by itself, and leaves out of definitions.
_GIVEN_NAMES = ("vnet", "vif", "macvtap")
_UNITS = {"b": 1, "bytes": 1, "kb": 1000, "k": 1 << 10, "kib": 1 << 10, "mb": 10**6, "m": 1 << 20, "mib": 1 << 20,
          "gb": 10**9, "g": 1 << 30, "gib": 1 << 30, "tb": 10**12, "t": 1 << 40, "tib": 1 << 40}


class BadXml(ValueError):
    """A definition that is not read; says why."""


class Domain(msgspec.Struct, frozen=True, kw_only=True):
    """What a domain's definition says. Memory in bytes."""

    name: str
    uuid: str
    #: empty: none that is known here
    technology: str = ""
    #: id of the resource, from our tag; empty: it is not ours
    resource: str = ""
    cpus: int = 0
    cpus_most: int = 0
    memory: int = 0
    memory_most: int = 0
    nics: tuple[DomainNic, ...] = ()
    kernel: str = ""
    initrd: str = ""
    cmdline: str = ""
    disks: tuple[str, ...] = ()


def _device(text: str, what: str) -> None:
    if not _DEVICE.fullmatch(text):
        raise ValueError(f"{what}: {printable(text)!r} is no network device's name: at most 15 letters, digits, '_', "
                         "'.', '-'")


def check_wish(wish: DomainWish) -> None:
    """BadInput, Refused: what is wrong in a wish."""
    require(wish.technology, "define")
    try:
        check_name(wish.name)
        check_name(wish.resource, "resource's id")
        if str(UUID(wish.uuid)) != wish.uuid:
            raise ValueError(f"{printable(wish.uuid)!r} is no UUID in lower case")
        if not 0 < wish.cpus <= max(wish.cpus, wish.cpus_most) <= 4096:
            raise ValueError(f"{wish.cpus} CPUs of {wish.cpus_most}: not from 1 to 4096")
        if wish.memory < 1 << 20:
            raise ValueError(f"{wish.memory} bytes of memory: less than 1M")
        for path in filter(None, (wish.kernel, wish.initrd, wish.disk, wish.console_log)):
            check_path(path)
        most = _MOST_CMDLINE.get(wish.technology, _LINUX_CMDLINE)
        if len(wish.cmdline.encode()) > most or not wish.cmdline.isprintable():
            raise ValueError(f"its kernel's command line is longer than {most} bytes, or has control characters")
        if wish.bridge:
            _device(wish.bridge, "bridge")
            _device(wish.target, "device")
            if wish.target.startswith(_GIVEN_NAMES):
                raise ValueError(f"device: {wish.target!r}: libvirt gives names that begin so by itself")
            if check_mac(wish.mac) != wish.mac:
                raise ValueError(f"{wish.mac!r} is no MAC address in lower case")
        if technologies()[wish.technology].boots == "kernel" and not wish.kernel:
            raise ValueError(f"a partition of type {technologies()[wish.technology].label} needs a kernel")
    except ValueError as error:
        raise BadInput(f"{printable(wish.name)}: {error}") from None


def render_domain(wish: DomainWish) -> str:
    """A domain's definition; BadInput, Refused."""
    check_wish(wish)
    if wish.disk:
        require(wish.technology, "disk")
    facts = technologies()[wish.technology]
    limits = schedule(wish.technology, cpus=wish.cpus, mhz=wish.mhz, host_mhz=wish.host_mhz) if wish.mhz else {}
    return render("libvirt/domain.xml.j2", wish=wish, type=facts.type, hvm=facts.os == "hvm", namespace=NAMESPACE,
                  schedule=limits, cpus_most=max(wish.cpus, wish.cpus_most),
                  memory=wish.memory >> 10, memory_most=max(wish.memory, wish.memory_most) >> 10)


class _Reader:
    """Builds a tree from XML without document types and entities, of limited depth."""

    def __init__(self) -> None:
        self._builder, self._depth = TreeBuilder(), 0
        self._parser = expat.ParserCreate(namespace_separator="}")
        self._parser.StartDoctypeDeclHandler = self._doctype
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._builder.data
        self._parser.buffer_text = True

    def _doctype(self, *_: object) -> None:
        raise BadXml("it has a document type")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > MOST_DEPTH:
            raise BadXml(f"its elements are deeper than {MOST_DEPTH}")
        self._builder.start(tag, attributes)

    def _end(self, tag: str) -> None:
        self._depth -= 1
        self._builder.end(tag)

    def read(self, text: str) -> Element:
        if len(text) > MOST_XML:
            raise BadXml(f"it is longer than {MOST_XML} characters")
        try:
            self._parser.Parse(text.encode(), True)
            return self._builder.close()
        except (expat.ExpatError, UnicodeEncodeError) as error:
            raise BadXml(f"it is no XML: {error}") from None


def read_xml(text: str) -> Element:
    """The root of an XML text from elsewhere; BadXml. Names of a namespace are `URI}name`."""
    return _Reader().read(text)


def _word(root: Element, path: str, most: int = 4000) -> str:
    return printable((root.findtext(path) or "").strip(), most)


def _number(text: str | None, otherwise: int = 0) -> int:
    text = (text or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else otherwise


def _bytes(root: Element, path: str) -> int:
    found = root.find(path)
    if found is None:
        return 0
    return _number(found.text) * _UNITS.get(found.get("unit", "KiB").lower(), 0)


def _nics(root: Element) -> tuple[DomainNic, ...]:
    found = []
    for nic in root.findall("devices/interface")[:MOST_NICS]:
        mac, target = nic.find("mac"), nic.find("target")
        try:
            address = check_mac(mac.get("address", "")) if mac is not None else ""
        except ValueError:
            continue
        found.append(DomainNic(address, printable(target.get("dev", ""), 15) if target is not None else ""))
    return tuple(found)


def _technology(type: str, os: str) -> str:
    # libvirt writes `xen` for `linux` under Xen
    os = "linux" if type in ("xen", "test") and os in ("xen", "linux") else os
    return next((name for name, known in technologies().items() if (known.type, known.os) == (type, os)), "")


def _resource(root: Element) -> str:
    """The tag's; a word that is no name is nobody's."""
    found = next((child for child in root.findall("metadata/*") if child.tag == f"{NAMESPACE}}}partition"), None)
    try:
        return check_name(found.get("resource", "")) if found is not None else ""
    except ValueError:
        return ""


def parse_domain(text: str) -> Domain:
    """What a definition says, within limits and fit to be shown; BadXml."""
    root = read_xml(text)
    try:
        uuid = str(UUID(_word(root, "uuid", 36)))
    except ValueError:
        raise BadXml("it has no UUID") from None
    if root.tag != "domain":
        raise BadXml("it is no domain's")
    vcpu = root.find("vcpu")
    most = _number(vcpu.text if vcpu is not None else None)
    memory_most = _bytes(root, "memory")
    sources = (source for source in root.findall("devices/disk/source")[:MOST_NICS])
    return Domain(
        name=_word(root, "name", 80), uuid=uuid, technology=_technology(root.get("type", ""), _word(root, "os/type")),
        resource=_resource(root), cpus_most=most, memory_most=memory_most,
        cpus=_number(vcpu.get("current") if vcpu is not None else None, most),
        memory=_bytes(root, "currentMemory") or memory_most, nics=_nics(root), kernel=_word(root, "os/kernel"),
        initrd=_word(root, "os/initrd"), cmdline=_word(root, "os/cmdline"),
        disks=tuple(printable(source.get("dev") or source.get("file") or "", 4000) for source in sources))
