"""Names that people and machines give: what is allowed, and a word for what is not."""
from __future__ import annotations

import re
from collections.abc import Collection

#: Safe as a file name, an LVM name, a systemd unit part, a tag and an NFS path; 63 is a DNS label's length (RFC 1035).
LONGEST = 63
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
#: lvm(8), VALID NAMES: reserved beginnings and substrings.
_LVM_STARTS = ("snapshot", "pvmove")
_LVM_PARTS = ("_cdata", "_cmeta", "_corig", "_cpool", "_cvol", "_imeta", "_iorig", "_mimage", "_mlog", "_pmspare",
              "_rimage", "_rmeta", "_tdata", "_tmeta", "_vdata", "_vorigin", "_wcorig")
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


def printable(text: str, limit: int = 80) -> str:
    """Foreign text made harmless for one line of a terminal: controls escaped, length held."""
    shown = text if text.isprintable() else "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return shown if len(shown) <= limit else shown[: limit - 3] + "..."


def there_are(found: Collection[str], none: str = "there are none") -> str:
    """What can be named instead, as the end of a refusal."""
    if len(found) == 1:
        return f"there is only {', '.join(found)}"
    return f"there are {', '.join(found)}" if found else none


def check_name(text: str, what: str = "name") -> str:
    """An object's name; ValueError says why not."""
    if not text:
        raise ValueError(f"a {what} is needed")
    if len(text) > LONGEST:
        raise ValueError(f"{printable(text, 24)!r} has {len(text)} characters; a {what} has at most {LONGEST}")
    if not _NAME.fullmatch(text):
        raise ValueError(f"{printable(text)!r} is no {what}: letters, digits, '_', '.', '-', beginning with a letter "
                         "or digit")
    if ".." in text or text.endswith("."):
        raise ValueError(f"{text!r} is no {what}: '..' and a '.' at the end are not allowed")
    return text


def check_volume_name(text: str, what: str = "name") -> str:
    """A name that LVM takes as well (an image's)."""
    check_name(text, what)
    for start in _LVM_STARTS:
        if text.startswith(start):
            raise ValueError(f"{text!r}: LVM keeps names that begin with {start!r} for itself")
    for part in _LVM_PARTS:
        if part in text:
            raise ValueError(f"{text!r}: LVM keeps names with {part!r} in them for itself")
    return text


def check_hostname(text: str) -> str:
    """A host name of one or more DNS labels (RFC 1123)."""
    if len(text) > 253 or not all(_LABEL.fullmatch(label) for label in text.split(".")):
        raise ValueError(f"{printable(text)!r} is no host name: labels of letters, digits and '-', 63 at most each")
    return text


def check_address(text: str) -> str:
    """An IP address or a host name that a machine answers on."""
    import ipaddress  # only where it is needed: the command line starts without it

    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        if re.fullmatch(r"[0-9.]+", text):
            raise ValueError(f"{printable(text)!r} is no address: four numbers of 0 to 255, as in 10.0.0.1") from None
        return check_hostname(text)


def check_ip(text: str) -> str:
    """An IP address."""
    import ipaddress

    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise ValueError(f"{printable(text)!r} is no IP address, as in 192.168.88.197") from None


def check_path(text: str) -> str:
    """An absolute path without `.` and `..` parts and without controls."""
    parts = text.split("/")
    if not text.startswith("/") or any(part in (".", "..") for part in parts) or not text.isprintable():
        raise ValueError(f"{printable(text)!r} is no absolute path (no '.', '..' or control characters in it)")
    if len(text) > 4000:
        raise ValueError("a path has at most 4000 characters")
    return "/" + "/".join(part for part in parts if part)
