"""What a storage server is asked when it is looked at, as commands, and its facts from the answers."""
from __future__ import annotations

from collections.abc import Mapping, Sequence

from qrm_tui.backends import lvm, mounts, nfs
from qrm_tui.core.facts import File, MachineFacts

#: Says of each path: absent, empty (a folder with nothing in it) or used.
PATHS_SCRIPT = ('for p; do if [ ! -e "$p" ] && [ ! -L "$p" ]; then echo absent; '
                'elif [ -d "$p" ] && [ -z "$(ls -A -- "$p")" ]; then echo empty; else echo used; fi; done')

#: What is known of versions: words → the command that tells; the last word that looks like a version counts.
VERSIONS: Mapping[str, tuple[str, ...]] = {
    "kernel": ("uname", "-r"),
    "lvm": ("lvm", "version"),
    "nfs": ("dpkg-query", "-W", "-f", "${Version}", "nfs-kernel-server"),
    "systemd": ("systemctl", "--version"),
    "python": ("python3", "--version"),
    "rsync": ("rsync", "--version"),
    "e2fsprogs": ("dpkg-query", "-W", "-f", "${Version}", "e2fsprogs"),
}
#: A storage server cannot do without these; what to install on Debian and Ubuntu.
NEEDED: Mapping[str, str] = {"lvm": "lvm2", "nfs": "nfs-kernel-server", "systemd": "systemd", "python": "python3"}


def paths_argv(paths: Sequence[str]) -> tuple[str, ...]:
    return ("sh", "-c", PATHS_SCRIPT, "qrm", *paths)


def parse_paths(text: str, paths: Sequence[str]) -> dict[str, str]:
    """Path → absent, empty or used."""
    return dict(zip(paths, text.split(), strict=True))


def packages_argv(names: Sequence[str]) -> tuple[str, ...]:
    return ("dpkg-query", "-W", "-f", "${db:Status-Status} ${Package} ${Version}\\n", *names)


def parse_packages(text: str, names: Sequence[str]) -> dict[str, str]:
    """Package → version; empty where it is not installed (dpkg-query(1) names only those that it knows)."""
    found = dict.fromkeys(names, "")
    for line in text.splitlines():
        words = line.split(" ")
        if len(words) == 3 and words[0] == "installed" and words[1] in found:
            found[words[1]] = words[2]
    return found


def downloads_argv(names: Sequence[str]) -> tuple[str, ...]:
    return ("apt-get", "--yes", "--no-install-recommends", "--print-uris", "install", *names)


def parse_downloads(text: str) -> dict[str, int]:
    """Packages that apt would fetch → bytes (apt-get(8), --print-uris): `'URL' curl_7.88.1_amd64.deb 315764 HASH`."""
    words = [line.split() for line in text.splitlines() if line.startswith("'")]
    return {line[1].partition("_")[0]: int(line[2]) for line in words if len(line) >= 3 and line[2].isdigit()}


def units_argv(names: Sequence[str]) -> tuple[str, ...]:
    return ("systemctl", "show", "--property", "Id,LoadState,ActiveState,UnitFileState", "--", *names)


def parse_units(text: str, names: Sequence[str]) -> dict[str, str]:
    """Unit → ActiveState (systemctl(1): active, inactive, failed ...); empty where there is no such unit."""
    return _unit_property(text, names, "ActiveState")


def parse_enabled(text: str, names: Sequence[str]) -> dict[str, str]:
    """Unit → UnitFileState (systemctl(1): enabled, disabled, generated ...); empty where there is no such unit."""
    return _unit_property(text, names, "UnitFileState")


def _unit_property(text: str, names: Sequence[str], wanted: str) -> dict[str, str]:
    found = dict.fromkeys(names, "")
    # a block a name, in the order in which they were asked for; Id is another one where the name is an alias
    for name, block in zip(names, text.split("\n\n"), strict=False):
        fields = dict(line.partition("=")[::2] for line in block.splitlines())
        if fields.get("LoadState") != "not-found":
            found[name] = fields.get(wanted, "")
    return found


def parse_version(text: str) -> str:
    """The first word of the answer that looks like a version: `LVM version:     2.03.16(2) (2022-05-18)`."""
    for word in text.replace("(", " ").split():
        if word[0].isdigit() or (word[0] == "v" and word[1:2].isdigit()):
            return word.strip("(),")[:40]
    return ""


def missing(versions: Mapping[str, str]) -> tuple[str, ...]:
    """A line for each thing that a storage server needs and does not have."""
    return tuple(f"{package} is not installed there: apt-get install {package}"
                 for what, package in NEEDED.items() if not versions.get(what))


def facts(*, volumes: str, group: str, mounted: str, exports: str, files: Mapping[str, File | None],
          paths: Mapping[str, str], versions: Mapping[str, str], troubles: Sequence[str]) -> MachineFacts:
    """Facts from what the commands printed; an empty text is a command that failed, told by its trouble."""
    return MachineFacts(
        volumes=lvm.parse_volumes(volumes) if volumes else {}, group=lvm.parse_group(group) if group else None,
        mounts=mounts.parse_mounts(mounted) if mounted else {}, exports=nfs.parse_exports(exports),
        files=dict(files), paths=dict(paths), versions=dict(versions), troubles=tuple(troubles),
    )
