"""The kernel's NFS server: one file an image in /etc/exports.d, read back from the server's own list.

exports(5): a path without a client is exported to everybody, so an image that no machine may mount has no line at
all. `mountpoint` keeps the empty folder under an unmounted image from being exported in its place. Clones share
their file system's UUID until it is renewed, and the server tells exports apart by it: each gets an fsid of its own.
"""
from __future__ import annotations

from collections.abc import Sequence

from qrm_tui.backends.rendering import render
from qrm_tui.core.plan import Check, Run, Tell

#: The list that exportfs(8) keeps and mountd(8) answers from.
LIST_ARGV = ("cat", "/var/lib/nfs/etab")
RELOAD_ARGV = ("exportfs", "-r")
#: Expires the kernel's NFSv4 clients at the given addresses (Linux, fs/nfsd/nfs4state.c: client_ctl_write).
DROP_SCRIPT = ('for info in /proc/fs/nfsd/clients/*/info; do [ -e "$info" ] || continue; for a; do '
               'grep -qF -e "address: \\"$a:" -e "address: \\"[$a]:" "$info" || continue; '
               'echo expire >"${info%/info}/ctl"; done; done')


def export_path(image: str) -> str:
    """The file of one image's export."""
    return f"/etc/exports.d/{image}.exports"


def _access(read_only: bool) -> str:
    return "ro" if read_only else "rw"


def export_text(image: str, path: str, export_id: str, allowed: Sequence[str], *, read_only: bool = False) -> str:
    """The file's content: one line for all machines that may mount the image, or none."""
    return render("nfs/image.exports.j2", image=image, path=path, export_id=export_id, allowed=sorted(allowed),
                  access=_access(read_only))


def parse_exports(text: str) -> dict[str, tuple[str, ...]]:
    """Path → clients, from etab: `PATH\\tCLIENT(OPTIONS)` a line; `*` is everybody."""
    exports: dict[str, list[str]] = {}
    for line in text.splitlines():
        path, tab, client = line.partition("\t")
        if tab and not line.startswith("#"):
            exports.setdefault(_unescape(path), []).append(client.partition("(")[0] or "*")
    return {path: tuple(clients) for path, clients in exports.items()}


def _unescape(path: str) -> str:
    # etab writes blanks and the like as \ooo (nfs-utils, support/nfs/xio.c)
    parts = path.split("\\")
    return parts[0] + "".join(chr(int(part[:3], 8)) + part[3:] if part[:3].isdigit() else "\\" + part
                              for part in parts[1:])


def reload(machine: str, path: str, allowed: Sequence[str], *, read_only: bool = False) -> Tell:
    """The server takes the files as they are now, and then exports `path` to these machines, or not at all.

    exportfs ends with 1 when any file of anybody is wrong, and with 0 when a name cannot be found: neither tells. Its
    list has `ro` or `rw` as the first option (nfs-utils, support/nfs/exports.c: putexportent).
    """
    access, how = _access(read_only), " to be read alone" if read_only else ""
    proofs = tuple(Check(argv=LIST_ARGV, expect="line", text=f"{path}\t{address}({access},",
                         otherwise=f"{path} is not exported to {address}{how}") for address in allowed)
    nobody = Check(argv=LIST_ARGV, expect="no line", text=f"{path}\t", otherwise=f"{path} is exported still")
    return Tell(machine=machine, summary="let the NFS server take its exports anew", argv=RELOAD_ARGV,
                proofs=proofs or (nobody,))


def drop_sessions(machine: str, addresses: Sequence[str]) -> Run:
    """NFSv4 clients at these addresses lose what they hold open: a machine that is off still holds it for a day."""
    return Run(machine=machine, summary=f"drop the NFS sessions of {', '.join(addresses)}",
               argv=("sh", "-c", DROP_SCRIPT, "qrm", *addresses))
