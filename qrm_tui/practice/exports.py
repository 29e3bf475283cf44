"""exportfs and its list, as nfs-utils 2.6.2 does it: /etc/exports and /etc/exports.d into /var/lib/nfs/etab."""
from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from qrm_tui.practice.effects import Effects, NotPractised, Point
from qrm_tui.practice.host import Host
from qrm_tui.runners.base import Completed

_ETAB = "/var/lib/nfs/etab"
_WORD = re.compile(r'("[^"]*"|[^\s"(]+)?(\([^()]*\)?)?')
_FSID = re.compile(r"fsid=([0-9]+|root|[0-9a-f-]{36})")
#: exports(5); the ones with a value are known by what stands before the `=`
_OPTIONS = frozenset((
    "rw", "ro", "sync", "async", "wdelay", "no_wdelay", "hide", "nohide", "crossmnt", "nocrossmnt", "secure",
    "insecure", "root_squash", "no_root_squash", "all_squash", "no_all_squash", "subtree_check", "no_subtree_check",
    "mountpoint", "mp", "fsid", "anonuid", "anongid", "sec", "acl", "no_acl", "pnfs", "no_pnfs", "secure_locks",
    "insecure_locks",
))


@dataclass(slots=True)
class _Read:
    """What was found in the files; errors make exportfs end with 1, warnings do not."""

    exports: list[tuple[str, str, str]] = field(default_factory=list)
    known: set[tuple[str, str]] = field(default_factory=set)
    warnings: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


class _BadFile(Exception):
    """A file of exports that cannot be read further; `gap` stands before the line's number in some complaints."""

    def __init__(self, words: str, gap: str = "") -> None:
        super().__init__(words)
        self.gap = gap


def exportfs(host: Host, argv: Sequence[str]) -> Effects:
    """exportfs -r. As the real one it exports all that it can, and ends with 1 if anything at all was wrong."""
    if tuple(argv) != ("exportfs", "-r"):
        raise NotPractised("these arguments")
    folder = host.root.here("/etc/exports.d")
    files = ["/etc/exports", *sorted(f"/etc/exports.d/{place.name}" for place in folder.glob("*.exports"))]
    read = _Read()
    for file in files:
        place = host.root.here(file)
        if place.is_file():
            _read(file, place.read_text(errors="replace"), read)
    for path in dict.fromkeys(path for path, _, _ in read.exports):
        if not host.root.exists(path):
            read.errors.append(f"exportfs: Failed to stat {path}: No such file or directory")
    return _apply(host, read)


def _apply(host: Host, read: _Read) -> Effects:
    host.exports = read.exports
    yield Point("exportfs: the kernel was told")
    write_etab(host)
    yield Point("exportfs: its list was written")
    return Completed(1 if read.errors else 0, "", "".join(f"{said}\n" for said in (*read.warnings, *read.errors)))


def write_etab(host: Host) -> None:
    """The list that mountd(8) answers from: all exports, those that wait for their mount too."""
    lines = [f"{_escaped(path)}\t{client}({_full(options)})\n" for path, client, options in host.exports]
    new = host.root.here(f"{_ETAB}.tmp")
    new.write_text("".join(lines))
    new.rename(host.root.here(_ETAB))


def _read(file: str, text: str, read: _Read) -> None:
    for number, line in enumerate(text.replace("\\\n", " ").splitlines(), 1):
        try:
            entries = list(_entries(line))
        except _BadFile as error:
            read.errors.append(f"exportfs: {file}:{error.gap}{number}: {error}")
            return
        for path, client, options in entries:
            if not _known(client):
                read.warnings += [f"exportfs: Failed to resolve {client}"] * 2
            elif (path, client) in read.known:
                read.errors.append("exportfs: incompatible duplicated export entries:\n"
                                   f"exportfs: \t{client}:{path} (0x420) [IGNORED]\n"
                                   f"exportfs: \t{client}:{path} (0x425)")
            else:
                read.known.add((path, client))
                read.exports.append((path, client, options))
                if not client:
                    read.warnings.append(f"exportfs: No host name given with {path} ({options}), suggest *({options}) "
                                         "to avoid warning")


def _entries(line: str) -> Iterator[tuple[str, str, str]]:
    words = []
    for match in _WORD.finditer(line.partition("#")[0]):
        if match[0]:
            words.append(((match[1] or "").strip('"'), match[2]))
    if not words:
        return
    path = words[0][0]
    for client, options in words[1:] or [("", None)]:
        if options is not None and not options.endswith(")"):
            raise _BadFile("syntax error: bad option list")
        chosen = options.strip("()") if options else ""
        for option in filter(None, chosen.split(",")):
            if option.partition("=")[0] not in _OPTIONS:
                raise _BadFile(f'unknown keyword "{option}"\n')
            if option.startswith("fsid=") and not _FSID.fullmatch(option):
                raise _BadFile(f'bad fsid "{option}"\n', " ")
        yield path, client, chosen


def _known(client: str) -> bool:
    """Whether it is everybody, an address or a network; there are no names in the practice farm's network."""
    if client in ("", "*") or client.startswith("@"):
        return True
    try:
        ipaddress.ip_network(client, strict=False)
    except ValueError:
        return "*" in client or "?" in client
    return True


def _full(options: str) -> str:
    """All options as etab spells them out."""
    given = options.split(",")
    access = "rw" if "rw" in given else "ro"
    squash = "no_root_squash" if "no_root_squash" in given else "root_squash"
    port = "insecure" if "insecure" in given else "secure"
    own = [option for option in given if option.startswith("fsid=")]
    own += ["mountpoint"] if "mountpoint" in given or "mp" in given else []
    return ",".join((access, "async" if "async" in given else "sync", "wdelay", "hide", "nocrossmnt", port, squash,
                     "no_all_squash", "subtree_check" if "subtree_check" in given else "no_subtree_check",
                     "secure_locks", "acl", "no_pnfs", *own, "anonuid=65534", "anongid=65534", "sec=sys", access, port,
                     squash, "no_all_squash"))


def _escaped(path: str) -> str:
    return "".join(f"\\{ord(char):03o}" if char in " \t\n\\" else char for char in path)
