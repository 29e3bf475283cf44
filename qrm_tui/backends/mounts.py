"""Mounts of images: one systemd .mount unit each (systemd.mount(5)), read back with findmnt(8)."""
from __future__ import annotations

import json
from collections.abc import Sequence

from qrm_tui.backends.rendering import render
from qrm_tui.core.errors import StepFailed
from qrm_tui.core.facts import Mount
from qrm_tui.core.plan import Check, Run, Tell, Undo

LIST_ARGV = ("findmnt", "--json", "--bytes", "--list", "--output", "TARGET,SOURCE,FSTYPE,OPTIONS,SIZE,USED")
RELOAD_ARGV = ("systemctl", "daemon-reload")
#: what must accept a unit before it is put in place; `{file}` is where it lies then
CHECKER = ("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", "{file}")
#: What is inside belongs to a customer: nothing of it runs or becomes a device on the server.
#: nofail: without it a missing volume holds up local-fs.target, and with it ssh, for 90 s.
_OPTIONS = ("nosuid", "nodev", "noexec", "nofail")
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:_.")


def unit_name(path: str) -> str:
    """The unit of a mount at `path`: systemd-escape --path, as systemd.unit(5) describes it."""
    escaped = []
    for at, char in enumerate(path.strip("/")):
        if char == "/":
            escaped.append("-")
        elif char in _PLAIN and not (char == "." and at == 0):
            escaped.append(char)
        else:
            escaped.extend(f"\\x{byte:02x}" for byte in char.encode())
    return "".join(escaped) + ".mount"


def unit_path(path: str) -> str:
    """The unit's file."""
    return f"/etc/systemd/system/{unit_name(path)}"


def unit_text(image: str, device: str, path: str, filesystem: str, options: Sequence[str] = ()) -> str:
    """The unit: wanted, not required, by boot, so that one image that fails blocks nothing."""
    return render("systemd/image.mount.j2", image=image, device=device, path=path, filesystem=filesystem,
                  options=",".join((*_OPTIONS, *options)))


def parse_mounts(text: str) -> dict[str, Mount]:
    """Mounts by target, the uppermost where several lie on one another."""
    try:
        rows = json.loads(text)["filesystems"]
    except (ValueError, KeyError, TypeError):
        raise StepFailed(f"findmnt printed nothing that can be read: {text[:80]!r}") from None
    return {
        row["target"]: Mount(target=row["target"], source=row["source"] or "", filesystem=row["fstype"] or "",
                             options=tuple((row["options"] or "").split(",")), size=int(row["size"] or 0),
                             used=int(row["used"] or 0))
        for row in rows
    }


def reload(machine: str) -> Tell:
    """systemd reads its units again."""
    return Tell(machine=machine, summary="let systemd take its units anew", argv=RELOAD_ARGV)


def _enable(unit: str) -> tuple[str, ...]:
    return ("systemctl", "enable", "--now", "--", unit)


def _disable(unit: str) -> tuple[str, ...]:
    # its file goes right after, and systemd reads its units anew then
    return ("systemctl", "disable", "--no-reload", "--now", "--", unit)


def _explain(unit: str) -> tuple[str, ...]:
    # systemctl only says that a job failed; mount(8)'s own words are in the journal
    return ("journalctl", "--quiet", "--no-pager", "--output", "cat", "--lines", "6", "--unit", unit)


# enable makes systemd read its units anew by itself. Both are harmless when said again, and neither
# has a `done`: mounted alone would not tell that it is enabled.


def mount(machine: str, path: str) -> Run:
    """Mounted now and at every boot."""
    unit = unit_name(path)
    return Run(machine=machine, summary=f"mount {path}, now and at every boot", argv=_enable(unit),
               explain=_explain(unit), undo=Undo(argv=_disable(unit)))


def unmount(machine: str, path: str) -> Run:
    """No longer mounted, and not at the next boot."""
    unit = unit_name(path)
    return Run(machine=machine, summary=f"unmount {path}, for good", argv=_disable(unit),
               explain=_explain(unit), undo=Undo(argv=_enable(unit)))


def forget(machine: str, path: str) -> Tell:
    """systemd forgets that the unit failed, if it did; otherwise the whole server counts as degraded."""
    unit = unit_name(path)
    return Tell(machine=machine, summary=f"let systemd forget {unit}", argv=("systemctl", "reset-failed", "--", unit),
                tolerant=True)


def make_folder(machine: str, path: str) -> Run:
    """The folder to mount on."""
    return Run(machine=machine, summary=f"make the folder {path}", argv=("mkdir", "-p", "--", path),
               done=Check(argv=("test", "-d", path)),
               undo=Undo(argv=("rmdir", "--", path), done=Check(argv=("test", "!", "-e", path))))


def remove_folder(machine: str, path: str) -> Run:
    """The empty folder that it was mounted on goes."""
    return Run(machine=machine, summary=f"remove the empty folder {path}", argv=("rmdir", "--", path),
               done=Check(argv=("test", "!", "-e", path)))
