"""Steps that set up the server: packages, folders, copies, the key, units and services."""
from __future__ import annotations

from collections.abc import Collection, Sequence

from qrm_tui.backends import dhcpd, mounts, own_packages
from qrm_tui.core.data_place import Place
from qrm_tui.core.database import MariaDB, preparing
from qrm_tui.core.facts import File
from qrm_tui.core.places import templates_folder
from qrm_tui.core.plan import HERE, Check, RemoveFile, Run, Step, Tell, Undo, Wait, WriteFile

#: Installs packages, and finishes what was left half done; arguments: units that wait meanwhile, and packages.
INSTALL_SCRIPT = (templates_folder() / "apt/install.sh").read_text()
#: Removes packages; arguments: `remove` or `purge`, and their names.
REMOVE_SCRIPT = (templates_folder() / "apt/remove.sh").read_text()
#: Says why a service does not start.
WHY_SCRIPT = (templates_folder() / "systemd/why.sh").read_text()
UPDATE_ARGV = ("apt-get", "--yes", "update")
#: Folders go that nothing is in; arguments: the innermost first.
RMDIR_SCRIPT = 'for path; do [ ! -d "$path" ] || rmdir --ignore-fail-on-non-empty -- "$path"; done'
#: systemd reads its units anew, and services begin again with what they read before.
START_AGAIN_SCRIPT = 'systemctl daemon-reload && systemctl restart -- "$@"'
#: A service ends, and is not called failed for ever because it did not start.
STOP_SCRIPT = 'systemctl stop -- "$1" && { systemctl reset-failed -- "$1" 2>/dev/null || :; }'


def install_packages(packages: Sequence[str], services: Sequence[str], listed: File | None,
                     before: Sequence[Step] = ()) -> list[Step]:
    """Packages are installed; what an interrupted dpkg left half done is finished first (dpkg(1)). `listed`: the list
    of those that qrm installed, as it is; `before`: steps that the plan has already, where apt's lists may be fetched.

    Their `services` do not start before they are set up: tftpd-hpa's first start would hand out another folder on every
    interface, and where the kernel has no IPv6 it fails, and the installation with it. invoke-rc.d starts nothing that
    is masked; the mask is gone with the next boot, whatever happens, and an installation that goes on then masks anew.
    """
    held = ("--runtime", "--", *services)
    made: list[Step] = [] if not services else [
        Run(machine=HERE, summary=f"keep {', '.join(services)} from starting before its time",
            argv=("systemctl", "mask", *held), undo=Undo(argv=("systemctl", "unmask", *held))),
    ]
    if not any(isinstance(step, Run) and step.argv == UPDATE_ARGV for step in before):
        made.append(Run(
            machine=HERE, summary="see what packages there are", argv=UPDATE_ARGV, long=True, progress="apt",
            # apt-get ends well, too, when no source answers; it has other lists, or none
            proof=Check(argv=("apt-get", "download", "-qq", "--print-uris", *packages),
                        otherwise=f"it is not known where {', '.join(packages)} can be had")))
    known = next((step.content for step in reversed(before)
                  if isinstance(step, WriteFile) and step.path == own_packages.INSTALLED), content_of(listed))
    made += list_packages(own_packages.parse_installed(known or "") | set(packages), known, lasting=True)
    made.append(
        # progress on standard output: apt's README.progress-reporting
        Run(machine=HERE, summary=f"install {', '.join(packages)}", long=True, progress="apt",
            argv=("sh", "-c", INSTALL_SCRIPT, "qrm", " ".join(services), *packages),
            done=Check(argv=("dpkg-query", "-W", "-f", "${db:Status-Status}\\n", *packages), expect="equals",
                       text="\n".join(["installed"] * len(packages)))))
    if services:
        made.append(Run(machine=HERE, summary=f"let {', '.join(services)} start", argv=("systemctl", "unmask", *held)))
    return made


def content_of(file: File | None) -> str | None:
    """What a file holds; None: there is none."""
    return file.content if file else None


def list_packages(names: Collection[str], former: str | None, *, lasting: bool = False) -> list[Step]:
    """The list of packages that qrm installed; they stay installed if the job is taken back, and so it is `lasting`."""
    text, path = own_packages.installed_text(names), own_packages.INSTALLED
    if text == (former or ""):
        return []
    if not text:
        return [RemoveFile(machine=HERE, summary=f"remove {path}", path=path, former=former or "")]
    return [WriteFile(machine=HERE, summary=f"note in {path} what qrm installed", path=path, content=text,
                      former=former, lasting=lasting)]


def remove_packages(names: Sequence[str], *, purge: bool) -> list[Step]:
    """Packages go; `purge`: their configuration and data, too."""
    verb = "purge" if purge else "remove"
    return [Run(machine=HERE, summary=f"{verb} {', '.join(names)}", long=True, progress="apt",
                argv=("sh", "-c", REMOVE_SCRIPT, "qrm", verb, *names),
                done=Check(argv=("sh", "-c", own_packages.GONE_SCRIPT, "qrm", *names)))]


def make_folder(path: str) -> Run:
    """A folder that all may read."""
    return mounts.make_folder(HERE, path)


def copy(source: str, target: str, *, fresh: bool) -> Run:
    """A file of a package is copied; `fresh`: there was none before."""
    return Run(machine=HERE, summary=f"copy {source} to {target}",
               argv=("install", "-D", "--mode", "0644", "--", source, target),
               done=Check(argv=("cmp", "--silent", "--", source, target)),
               undo=Undo(argv=("rm", "-f", "--", target)) if fresh else None)


def make_key(path: str, fresh: bool) -> Run:
    """The key is made on the server, unless there is one; `fresh`: there was none before."""
    return Run(machine=HERE, summary=f"make the key in {path}, unless it holds one", argv=dhcpd.key_argv(),
               done=Check(argv=("grep", "--quiet", "--extended-regexp", dhcpd.KEY_PATTERN, path),
                          otherwise=f"{path} holds no key"),
               undo=Undo(argv=("rm", "-f", "--", path)) if fresh else None)


def remove_key(path: str) -> Run:
    """The key goes; on the way back another is made."""
    return Run(machine=HERE, summary=f"remove the key in {path}", argv=("rm", "-f", "--", path),
               undo=Undo(argv=dhcpd.key_argv()))


def remove_copies(paths: Sequence[str]) -> Run:
    """Copies of packages' files go."""
    return Run(machine=HERE, summary=f"remove {paths[0]}{f' and {len(paths) - 1} more' if len(paths) > 1 else ''}",
               argv=("rm", "-f", "--", *paths))


def remove_folders(paths: Sequence[str]) -> Run:
    """Folders go that nothing is in."""
    return Run(machine=HERE, summary=f"remove {', '.join(paths)} where they are empty",
               argv=("sh", "-c", RMDIR_SCRIPT, "qrm", *paths))


def remove_data(paths: Sequence[str]) -> Run:
    """Folders go with all that is in them."""
    return Run(machine=HERE, summary=f"remove {', '.join(paths)}, and all in there", long=True,
               argv=("rm", "-rf", "--", *paths))


def reload_units() -> Tell:
    """systemd reads its units anew."""
    return mounts.reload(HERE)


def start_again(units: Sequence[str]) -> tuple[str, ...]:
    """Said after an undo: services begin again with the former files."""
    return ("sh", "-c", START_AGAIN_SCRIPT, "qrm", *units)


def enable(unit: str) -> Run:
    """It starts at every boot."""
    return Run(machine=HERE, summary=f"let {unit} start at every boot", argv=("systemctl", "enable", "--", unit),
               undo=Undo(argv=("systemctl", "disable", "--", unit)))


def restart(unit: str, *, was_active: bool, slow: bool = False, ports: Sequence[str] = ()) -> Run:
    """It begins anew. On the way back one that ran before is told when its files are back.

    `slow`: it takes longer than a short command may; `ports`: those that somebody else may have.
    """
    return Run(machine=HERE, summary=f"{'restart' if was_active else 'start'} {unit}",
               argv=("systemctl", "restart", "--", unit), long=slow,
               explain=("sh", "-c", WHY_SCRIPT, "qrm", unit, *ports),
               undo=None if was_active else Undo(argv=("sh", "-c", STOP_SCRIPT, "qrm", unit)))


def disable(unit: str) -> Run:
    """It ends, and does not start at the next boot."""
    return Run(machine=HERE, summary=f"stop {unit}, for good", argv=("systemctl", "disable", "--now", "--", unit),
               undo=Undo(argv=("systemctl", "enable", "--now", "--", unit)))


def forget_failure(unit: str) -> Run:
    """systemd calls it failed no longer; the step before ended it."""
    return Run(machine=HERE, summary=f"forget that {unit} failed", argv=("systemctl", "reset-failed", "--", unit))


def forget_link(unit: str) -> Run:
    """Its link of the boot goes, which leads to a unit of ours; it runs on."""
    return Run(machine=HERE, summary=f"let {unit} start by its own unit again",
               argv=("systemctl", "disable", "--", unit), undo=Undo(argv=("systemctl", "enable", "--", unit)))


def make_database(server: MariaDB) -> Run:
    """An empty database of qrmd's, unless there is one."""
    return Run(machine=HERE, summary=f"make the database {server.name}, unless it is there", argv=preparing(server))


def try_place(program: str, place: Place) -> Run:
    """qrmd says whether it can keep what it knows there."""
    return Run(machine=HERE, summary=f"see that qrmd can keep what it knows in {place}",
               argv=(program, "--try-place", place.data, place.database, place.password_file))


def answers(name: str, summary: str, check: Check, seconds: float) -> Wait:
    """Until it is seen to work."""
    return Wait(machine=HERE, summary=f"{name}: {summary}", check=check, seconds=seconds)
