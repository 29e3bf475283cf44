"""Plans and their steps: what will be done, as data that can be shown, stored, run, found done, and undone.

A step names its machine and can be run again safely. `done` tells that its effect is already there; `undo` takes the
effect back. What is shown is exactly what runs.
"""
from __future__ import annotations

import difflib
import shlex
from typing import Any, Literal

import msgspec

Expectation = Literal["ok", "fails", "empty", "some", "equals", "line", "no line", "has"]

#: The machine that qrmd itself runs on, and steps that touch only our own records.
HERE = "qrmd"


class Check(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A command that only reads, and what its answer must be."""

    argv: tuple[str, ...]
    #: ok/fails: exit status 0 or not; empty/some: standard output; equals: the text, white space stripped;
    #: line/no line: some, or no, line begins with the text; has: the text is somewhere in it
    expect: Expectation = "ok"
    text: str = ""
    #: what it means when the answer is another one
    otherwise: str = ""


class Undo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How an effect is taken back; `done` holds when there is nothing (left) to take back.

    Without `done` it is run whenever the step may have had an effect, which must be safe."""

    argv: tuple[str, ...]
    done: Check | None = None


class WriteFile(msgspec.Struct, frozen=True, kw_only=True, tag="write", omit_defaults=True):
    """A file gets this content, atomically; its former content is kept in the step."""

    machine: str
    summary: str
    path: str
    content: str
    former: str | None = None
    mode: int = 0o644
    #: must accept the new file before it is put in place; `{file}` is where it lies then
    checker: tuple[str, ...] = ()
    #: said again after an undo, so that the service forgets what it read
    tells: tuple[str, ...] = ()
    #: what it says is so whatever becomes of the job: it is not taken back
    lasting: bool = False


class RemoveFile(msgspec.Struct, frozen=True, kw_only=True, tag="remove", omit_defaults=True):
    """A file of ours goes; its content is kept in the step."""

    machine: str
    summary: str
    path: str
    former: str
    mode: int = 0o644
    tells: tuple[str, ...] = ()


class Run(msgspec.Struct, frozen=True, kw_only=True, tag="run", omit_defaults=True):
    """A command (never a shell string). Without `done` it is run again after a crash, which must be safe."""

    machine: str
    summary: str
    argv: tuple[str, ...]
    done: Check | None = None
    #: asked right before it runs; one that does not hold fails the step
    guards: tuple[Check, ...] = ()
    #: must hold once it has ended well, and does not tell whether it is needed at all
    proof: Check | None = None
    undo: Undo | None = None
    #: runs under a name of its own, so that it outlives qrmd and the line, and is found again
    long: bool = False
    #: how progress, and what went wrong, are read from its output (see runners.steps)
    progress: str = ""
    #: says why, where the command itself does not
    explain: tuple[str, ...] = ()


class EditTree(msgspec.Struct, frozen=True, kw_only=True, tag="edit", omit_defaults=True):
    """Changes inside an image's own tree; every path is resolved inside it."""

    machine: str
    summary: str
    root: str
    edits: tuple[dict[str, Any], ...]


class Tell(msgspec.Struct, frozen=True, kw_only=True, tag="tell", omit_defaults=True):
    """A service reads its files again; calls that wait for the same are made once."""

    machine: str
    summary: str
    argv: tuple[str, ...]
    #: what must hold then; where there are any, they decide, and a bad exit status is only noted: it may be about
    #: somebody else's file
    proofs: tuple[Check, ...] = ()
    #: a bad exit status is only noted
    tolerant: bool = False


class Wait(msgspec.Struct, frozen=True, kw_only=True, tag="wait", omit_defaults=True):
    """Until a check holds; fails after `seconds`."""

    machine: str
    summary: str
    check: Check
    seconds: float = 60


class Change(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One row of our own: `wanted` replaces what is wanted of the object; None deletes the object."""

    kind: str
    name: str
    wanted: dict[str, Any] | None
    #: what an undo puts back; None: there was no such object
    former: dict[str, Any] | None = None


class Record(msgspec.Struct, frozen=True, kw_only=True, tag="record", omit_defaults=True):
    """Rows of our own, in one transaction with the step's journal entry."""

    summary: str
    changes: tuple[Change, ...]
    machine: str = HERE


class Order(msgspec.Struct, frozen=True, kw_only=True, tag="order", omit_defaults=True):
    """A machine of the rack is told something by its agent, at its next heartbeat."""

    summary: str
    resource: str
    order: Literal["reboot", "off", ""] = ""
    #: what it is told when the step is taken back, if it has left the boot that it was in before
    undo: Literal["reboot", "off", ""] = ""
    #: the boot that it is in now
    boot: str = ""
    machine: str = HERE


class Await(msgspec.Struct, frozen=True, kw_only=True, tag="await", omit_defaults=True):
    """Until a machine of the rack is so far; fails after `seconds`, with the stage that it is in."""

    summary: str
    resource: str
    #: `active`: runs the virtual environment with the id `ve`; `idle`: runs nothing; `off`: is seen to be off
    until: Literal["active", "idle", "off"]
    ve: str = ""
    #: a boot that does not count: the one before
    not_boot: str = ""
    seconds: float = 900
    machine: str = HERE


#: What can be asked of a domain (`runners.hypervisor`).
DomainDo = Literal["define", "undefine", "start", "stop", "pause", "resume", "reset", "memory", "cpus", "schedule",
                   "switch-on", "shut-down", "switch-off"]


class Domain(msgspec.Struct, frozen=True, kw_only=True, tag="domain", omit_defaults=True):
    """Something is asked of a virtualization host for one of its domains. What is so already is success."""

    summary: str
    #: the resource that the domain runs on
    host: str
    #: its UUID
    domain: str
    #: switch-on, shut-down (in order), switch-off: of one that is none of ours
    do: DomainDo
    #: of define: the definition; of memory and cpus: bytes, a count; of schedule: parameters
    xml: str = ""
    number: int = 0
    parameters: dict[str, int] = {}
    #: what takes it back, with the definition or number that were before; empty: nothing does
    undo: DomainDo | Literal[""] = ""
    former_xml: str = ""
    former_number: int = 0
    #: asked on the host right before; one that does not hold fails the step
    guards: tuple[Check, ...] = ()
    machine: str = HERE


Step = WriteFile | RemoveFile | Run | EditTree | Tell | Wait | Record | Order | Await | Domain
#: Steps that are not the work of a machine's runner.
OFF_RUNNER = (Record, Order, Await, Domain)


class Lock(msgspec.Struct, frozen=True, order=True):
    """An object held while a job runs; any number share it, or one has it alone."""

    object: str
    shared: bool = False


class Reliance(msgspec.Struct, frozen=True):
    """A question the planner asked, with the digest of the answer; asked again under lock."""

    machine: str
    question: str
    arguments: tuple[Any, ...]
    digest: str


class Inverse(msgspec.Struct, frozen=True):
    """The operation that a person's undo runs."""

    operation: str
    arguments: dict[str, Any]


class Plan(msgspec.Struct, kw_only=True):
    """Everything an operation will do."""

    id: str
    operation: str
    object: str
    arguments: dict[str, Any]
    steps: tuple[Step, ...]
    locks: tuple[Lock, ...] = ()
    relies: tuple[Reliance, ...] = ()
    warnings: tuple[str, ...] = ()
    #: why this and not something else (placement, defaults)
    notes: tuple[str, ...] = ()
    #: index of the first step that cannot be undone; None: all can
    no_return: int | None = None
    inverse: Inverse | None = None
    destructive: bool = False
    #: the name that is typed before it runs
    confirm: str = ""
    #: told when it is done: what no job can do
    afterwards: tuple[str, ...] = ()


def diff_of(step: Step) -> str:
    """A unified diff for steps that change a file; empty for others."""
    if isinstance(step, WriteFile):
        before, after = step.former or "", step.content
    elif isinstance(step, RemoveFile):
        before, after = step.former, ""
    elif isinstance(step, Domain):
        before, after = step.former_xml, step.xml
    else:
        return ""
    path = f"domain {step.domain}" if isinstance(step, Domain) else step.path
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), path if before else "/dev/null",
                                 path if after else "/dev/null", lineterm="", n=3)
    return "\n".join(lines)


def argv_of(step: Step) -> list[str] | None:
    """The command of a step that has one."""
    if isinstance(step, (Run, Tell)):
        return list(step.argv)
    if isinstance(step, Wait):
        return list(step.check.argv)
    return None


def undo_of(step: Step) -> str:
    """How a step is undone, in a line; empty if it is not."""
    if isinstance(step, Run):
        return shlex.join(step.undo.argv) if step.undo else ""
    if isinstance(step, WriteFile):
        if step.lasting:
            return ""
        return f"put the former {step.path} back" if step.former is not None else f"remove {step.path}"
    if isinstance(step, RemoveFile):
        return f"put {step.path} back"
    if isinstance(step, Record):
        return "put the former records back"
    if isinstance(step, Domain) and step.undo:
        return f"{step.undo} it on {step.host}"
    if isinstance(step, Order) and step.undo:
        return f"tell {step.resource} to {step.undo}, if it has left its present boot"
    return ""


def describe_step(step: Step, done_already: bool = False) -> dict[str, Any]:
    """A step as scripts and screens read it: machine, kind, summary, diff or argv, undo, done_already."""
    shown: dict[str, Any] = {
        "machine": step.machine, "kind": type(step).__struct_config__.tag, "summary": step.summary,
        "undo": undo_of(step), "done_already": done_already,
    }
    argv = argv_of(step)
    if argv is not None:
        shown["argv"] = argv
    elif isinstance(step, EditTree):
        shown["edits"] = [dict(edit) for edit in step.edits]
        shown["root"] = step.root
    elif isinstance(step, Record):
        shown["records"] = [f"{'delete' if change.wanted is None else 'keep'} {change.kind} {change.name}"
                            for change in step.changes]
    elif isinstance(step, (Order, Await)):
        shown["resource"] = step.resource
    elif isinstance(step, Domain):
        shown |= {"resource": step.host, "diff": diff_of(step)}
    else:
        shown["diff"] = diff_of(step)
    if isinstance(step, Run) and step.long:
        shown["long"] = step.progress or True
    return shown
