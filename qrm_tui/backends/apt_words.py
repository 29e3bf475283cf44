"""What apt and dpkg say (apt 2.6 to 3.0): who has their locks, what went wrong in one line, what the sources have."""
from __future__ import annotations

import re
from collections.abc import Sequence

#: One at a time works with packages: the lock, the process and its name, where apt knows them; dpkg tells less.
_HELD = re.compile(r"^E: Could not get lock ([^ ]+?)\.?(?: It is held by process (\d+) \((.*)\)| - open .*)?$",
                   re.MULTILINE)
_HELD_TOO = re.compile(r"^dpkg: error: dpkg (\w+) lock was locked by (?:another|(\S+)) process with pid (\d+)$",
                       re.MULTILINE)
_FETCH = re.compile(r"^[EW]: Failed to fetch (\S+)  *(.*)$", re.MULTILINE)
_NO_ROOM = re.compile(r"^E: You don't have enough free space in (\S+?)/?\.$", re.MULTILINE)
_NEEDED = re.compile(r"^Need to get (?:[^/\n]*/)?(.*) of archives\.$", re.MULTILINE)
_ABSENT = re.compile(r"^E: (?:Unable to locate package (\S+)|Package '(\S+)' has no installation candidate|"
                     r"Can't select candidate version from package (\S+) as it has no candidate)$", re.MULTILINE)
_UNMET = re.compile(r"^ (\S+) : (\w+): (.*)$", re.MULTILINE)
_REMOVED = re.compile(r"^The following packages will be REMOVED:\n((?: .*\n)+)", re.MULTILINE)
_BROKEN = re.compile(r"^dpkg: error processing (?:package|archive) (\S+) \(--(\w+)\):\n (.*)$", re.MULTILINE)
_FATAL = re.compile(r"^dpkg: unrecoverable fatal error, aborting:\n (.*)$", re.MULTILINE)
_SCRIPT = re.compile(r"(?:installed|new) \S+ package (\S+) script subprocess returned error exit status (\d+)")
_FULL = re.compile(r"[Nn]o space left on device")
_INTERRUPTED = "E: Sub-process /usr/bin/dpkg exited unexpectedly"
#: Lines of APT::Status-Fd, which come in between others; and those that only say that there were others.
_STATUS = re.compile(r"^(?:(?:dl|pm)status|pmerror|media-change):.*\n?", re.MULTILINE)
_HOLLOW = re.compile(r"E: (?:Sub-process|Unable to fetch some archives|Unable to correct problems|Unmet dependencies)")
#: dpkg's word for what only waits for another package.
_WAITS = "dependency problems - leaving unconfigured"
#: Longest part of what a package's script said, and faults of one sort that are told one by one.
_MOST_SAID, _MOST = 200, 3


def held(text: str) -> str:
    """Who has apt's or dpkg's lock, if that is why a command failed; else empty."""
    if match := _HELD.search(text):
        lock, process, name = match.groups()
    elif match := _HELD_TOO.search(text):
        which, program, process = match.groups()
        lock, name = f"dpkg's {which} lock", (program or "somebody").rpartition("/")[2]
    else:
        return ""
    return f"{name} (process {process}) is at it: it holds {lock}" if name else f"somebody is at it, and holds {lock}"


def complaint(text: str) -> str:
    """What went wrong, in one line; empty where nothing of it is known. The cause comes before its consequences."""
    text = _STATUS.sub("", re.sub(r"\r+\n?", "\n", text))
    for tell in (_room, _fetching, _unpacking, _absent, _removing, _dependencies):
        if said := tell(text):
            return said
    if _INTERRUPTED in text:
        return "dpkg was ended in the middle of its work: what it began is finished when this is asked for again"
    rest = [line.removeprefix("E: ") for line in text.splitlines()
            if line.startswith(("E: ", "dpkg: error")) and not _HOLLOW.match(line)]
    return "; ".join(rest[:_MOST])


def _room(text: str) -> str:
    if match := _NO_ROOM.search(text):
        needed = _NEEDED.search(text)
        return (f"{match[1]} has not enough room for the packages{f' ({needed[1]})' if needed else ''}: make room "
                "there (apt-get clean removes packages that were fetched before), and ask again")
    full = next((line.strip() for line in text.splitlines()
                 if _FULL.search(line) and line.startswith(("E: ", " "))), "")
    return f"the disk is full: {full.removeprefix('E: ')}: make room there, and ask again" if full else ""


def _fetching(text: str) -> str:
    found = {url: cause.strip() for url, cause in _FETCH.findall(text)}
    if not found:
        return ""
    told = "; ".join(f"{url} cannot be fetched: {cause or 'no reason is given'}"
                     for url, cause in list(found.items())[:_MOST])
    more = f"; and {len(found) - _MOST} more" if len(found) > _MOST else ""
    return f"{told}{more}: what came is kept, and when this is asked for again, the rest is fetched"


def _unpacking(text: str) -> str:
    """dpkg's errors; a package that only waits for a broken one is no cause."""
    told = []
    for match in _BROKEN.finditer(text):
        what, doing, reason = match[1].rpartition("/")[2], match[2], match[3]
        if reason == _WAITS:
            continue
        if script := _SCRIPT.search(reason):
            said = _said_by(text[:match.start()], what)
            reason = f"its {script[1]} script ended with status {script[2]}{': ' + said if said else ''}"
        told.append(f"{what} cannot be {'set up' if doing == 'configure' else 'unpacked'}: {reason}")
    if not told and (fatal := _FATAL.search(text)):
        told = [f"dpkg: {fatal[1]}"]
    return "; ".join(list(dict.fromkeys(told))[:_MOST])


def _said_by(before: str, package: str) -> str:
    """The last that a package's script said before dpkg told of its end."""
    _, begun, after = before.rpartition(f"Setting up {package.partition(':')[0]} ")
    lines = [line.strip() for line in after.splitlines()[1:] if begun and line.strip()]
    return "; ".join(lines[-2:])[-_MOST_SAID:]


def _absent(text: str) -> str:
    names = sorted({name for match in _ABSENT.finditer(text) for name in match.groups() if name})
    if not names:
        return ""
    return (f"the package sources of this machine have no {', '.join(names)}: look at /etc/apt/sources.list and "
            "/etc/apt/sources.list.d, and ask again")


def _removing(text: str) -> str:
    match = _REMOVED.search(text)
    if match is None or "remove is disabled" not in text:
        return ""
    return (f"{', '.join(match[1].split())} would have to go, which qrm does not do: see to that first "
            "(apt-get install shows it)")


def _dependencies(text: str) -> str:
    found = [f"{name} cannot be installed: {verb}: {what}" for name, verb, what in _UNMET.findall(text)]
    return "; ".join(found[:_MOST])


def candidates_argv(names: Sequence[str]) -> tuple[str, ...]:
    return ("apt-cache", "policy", *names)


def parse_candidates(text: str, names: Sequence[str]) -> dict[str, bool]:
    """Package → whether the package sources have it; empty where apt has no lists of them yet.

    apt-cache(8) names only packages that it has heard of: `curl:`, and below it the versions with their places.
    """
    found, name = dict.fromkeys(names, False), ""
    for line in text.splitlines():
        if line.endswith(":") and not line.startswith(" "):
            name = line[:-1]
        elif re.match(r" {6,}-?\d+ (?!/var/lib/dpkg/status)\S", line) and name in found:
            found[name] = True
    return found if any(found.values()) else {}
