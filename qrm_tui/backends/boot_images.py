"""Boot-images: planners that make and remove them, and what a look at their files says.

A program of its own makes them on the server (qrm_tui.bootimage): fetching and packing a kernel takes its time.
"""
from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from qrm_tui.backends.boot import IMAGES
from qrm_tui.backends.planning import Call, Draft, Probe
from qrm_tui.core import names
from qrm_tui.core.environments import BootImageSeen, BootImageWanted
from qrm_tui.core.errors import BadInput, Refused
from qrm_tui.core.farm import Farm
from qrm_tui.core.model import Item
from qrm_tui.core.plan import HERE, Change, Check, Inverse, Lock, Record, Run, Undo
from qrm_tui.core.resources import IDLE

#: The program, run by the same Python as this one.
PROGRAM = (sys.executable, "-m", "qrm_tui.bootimage")
LOOK_ARGV = (*PROGRAM, "look")
#: reads the files whole, and not only their sizes
DEEP_LOOK_ARGV = (*LOOK_ARGV, "--deep")
_MODULE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


def place(name: str) -> str:
    """The folder of a boot-image."""
    return f"{IMAGES}/{name}"


def _argv(verb: str, name: str, identity: str, *more: str) -> tuple[str, ...]:
    return (*PROGRAM, verb, "--id", identity, *more, "--", name)


def check_of(name: str, identity: str) -> Check:
    """Whether its files are all there, as they were made."""
    return Check(argv=_argv("check", name, identity), otherwise=f"boot-image {name} is not as it was made")


def _modules(asked: Sequence[str]) -> list[str]:
    wrong = [f"modules: {names.printable(word)!r} is no module's name" for word in asked if not _MODULE.fullmatch(word)]
    if wrong:
        raise BadInput(*wrong)
    return [word for text in asked for word in ("--module", text)]


def _checked(argument: str, word: str) -> str:
    """A package's name, or a file on the server."""
    if word.startswith("-"):
        raise BadInput(f"{argument}: {names.printable(word)!r} is none")
    if word.startswith("/"):
        try:
            return names.check_path(word)
        except ValueError as error:
            raise BadInput(f"{argument}: {error}") from None
    return word


def _source(arguments: Mapping[str, Any]) -> tuple[str, str]:
    package, kernel = arguments["package"], arguments["kernel"]
    if bool(package) == bool(kernel):
        raise BadInput("package, kernel: one of them: a kernel package (linux-image-amd64), or the version of a kernel "
                       "that is installed on the server (uname -r)")
    return ("--package", _checked("package", package)) if package else ("--kernel", _checked("kernel", kernel))


def _change(name: str, wanted: BootImageWanted | None, former: BootImageWanted | None) -> Change:
    return Change(kind="boot-image", name=name, wanted=msgspec.to_builtins(wanted) if wanted else None,
                  former=msgspec.to_builtins(former) if former else None)


def _record(name: str, wanted: BootImageWanted | None, former: BootImageWanted | None, summary: str) -> Record:
    return Record(summary=summary, changes=(_change(name, wanted, former),))


def probe_image(farm: Farm, arguments: Mapping[str, Any]) -> list[Probe]:
    """What lies in its place."""
    return [Probe(HERE, paths=(place(str(arguments["name"])),))]


def plan_create(call: Call) -> Draft:
    """Made beside its place, checked, and put into it at once."""
    name, (option, source) = call.arguments["name"], _source(call.arguments)
    modules = _modules(call.arguments["modules"] or ())
    hypervisor = _checked("hypervisor", call.arguments["hypervisor"] or "")
    if hypervisor and name == IDLE:
        raise Refused(f"boot-image {IDLE} is what machines without work boot: it has no hypervisor")
    call.reading.absent("boot-image", name)
    if call.reading.ask(HERE, "path", place(name)) != "absent":
        raise Refused(f"{place(name)} is there already, and is no boot-image that is known: look at it, and remove it "
                      "or take another name")
    wanted = BootImageWanted(id=call.identity("boot-image"), source=source, type="xen" if hypervisor else "linux",
                             hypervisor=hypervisor,
                             version=source if option == "--kernel" else "")
    creating = msgspec.structs.replace(wanted, life="creating")
    draft = Draft(f"boot-image/{name}", locks=[Lock(f"boot-image/{name}")],
                  inverse=Inverse("boot-image.remove", {"name": name}))
    if name == IDLE:
        draft.notes.append("machines without work, and those that nobody knows yet, boot it from now on")
    fetched = [word for word in (source if option == "--package" else "", hypervisor)
               if word and not word.startswith("/")]
    if fetched:
        draft.notes.append("taken from the package sources of the server (apt-get download), and not installed there: "
                           + ", ".join(fetched))
    draft.steps = [
        _record(name, creating, None, f"note that boot-image {name} is being made"),
        Run(machine=HERE, summary=f"make boot-image {name} from {' and '.join(filter(None, (source, hypervisor)))}",
            long=True, argv=_argv("create", name, wanted.id, option, source,
                                  *(("--hypervisor", hypervisor) if hypervisor else ()), *modules),
            done=check_of(name, wanted.id),
            undo=Undo(argv=_argv("remove", name, wanted.id))),
        _record(name, wanted, creating, f"note that boot-image {name} is there"),
    ]
    return draft


def plan_remove(call: Call) -> Draft:
    """Its files and its record; refused while a virtual environment would boot it."""
    item = call.reading.get("boot-image", call.arguments["name"])
    name, wanted = item.name, item.wanted
    users = call.reading.farm.ves_with("boot-image", name)
    if users:
        raise Refused(f"boot-image {name} is what VE {', '.join(users)} boots: give it another one first (qrm ve edit "
                      f"{users[0]} --boot-image OTHER)")
    jobs = call.reading.farm.open_jobs(f"boot-image/{name}")
    if jobs and wanted.life != "present":
        raise Refused(f"job {jobs[0]} works on boot-image {name}: wait for it, or cancel it (qrm job cancel {jobs[0]})")
    draft = Draft(f"boot-image/{name}", locks=[Lock(f"boot-image/{name}")])
    if name == IDLE:
        draft.warnings.append("machines without work boot it: none of them, and no new one, comes up until there is "
                              f"another boot-image {IDLE}")
    removing = msgspec.structs.replace(wanted, life="removing")
    draft.steps = [_record(name, removing, wanted, f"note that boot-image {name} is being removed")]
    draft.point_of_no_return()
    draft.steps += [
        # no `done`: its folder is out of its place before it is gone
        Run(machine=HERE, summary=f"remove the files of boot-image {name}", argv=_argv("remove", name, wanted.id)),
        _record(name, None, removing, f"forget boot-image {name}"),
    ]
    return draft


def see_images(text: str, items: Iterable[Item]) -> dict[str, BootImageSeen]:
    """What the program's look says of the boot-images that are known, by name; nonsense in it counts as nothing."""
    found: dict[str, dict[str, Any]] = {}
    for line in text.splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and isinstance(row.get("name"), str):
            found[row["name"]] = row
    return {item.name: _seen(item, found.get(item.name)) for item in items}


def _seen(item: Item, row: Mapping[str, Any] | None) -> BootImageSeen:
    if row is None:
        return BootImageSeen(trouble=f"{place(item.name)} is gone")
    trouble, size = names.printable(str(row.get("trouble", "")), 300), row.get("size", 0)
    if not trouble and row.get("id") != item.wanted.id:
        trouble = f"{place(item.name)} is another boot-image than the one that was made here"
    files = row.get("files")
    return BootImageSeen(size=size if isinstance(size, int) else 0, trouble=trouble,
                         files=tuple(names.printable(str(name)) for name in files[:16])
                         if isinstance(files, list) else (),
                         shares=row.get("shares") is True, version=names.printable(str(row.get("version", ""))))
