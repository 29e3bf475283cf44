"""Every noun and verb of `qrm`: reading verbs declared here, the rest made from the operations."""
from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from qrm_tui.core.kinds import WORDS
from qrm_tui.core.operations.arguments import Argument
from qrm_tui.core.operations.declarations import Operation
from qrm_tui.core.operations.registry import OPERATIONS


class Verb(NamedTuple):
    """One command. `handler` is `module:function` in this package, imported when it is run."""

    noun: str
    name: str
    summary: str
    arguments: tuple[Argument, ...]
    example: str
    handler: str
    operation: Operation | None = None


#: What the nouns are; one with operations that is missing here is listed without a word.
NOUNS = {
    "farm": "the farm as a whole",
    "resource": "the machines of the rack",
    "ve": "virtual environments",
    "partition": "slices of virtualization hosts",
    "host": "virtualization hosts: what they have left, and what runs there",
    "domain": "what runs on virtualization hosts and is none of ours",
    "image": "filesystem-images",
    "boot-image": "kernels that machines boot, with their initrds",
    "storage": "storage servers",
    "component": "services that the server is made of",
    "install": "the server's base configuration",
    "console": "machines' consoles: recorded, watched, typed into",
    "user": "who logs in by name and password",
    "job": "what runs, waits and has run",
    "journal": "who did what, when and why",
    "practice": "a simulated farm to try everything on",
}

_LIST = (
    Argument("filter", "text", "only rows that fit, as `/` on screen: state=error size>5G name~^cust not web"),
    Argument("sort", "text", "by these fields: size,-name (- for descending)"),
    Argument("limit", "count", "at most so many rows"),
    Argument("offset", "text", "leave out so many rows first (a whole number from 0 on)"),
)
#: How an object of a kind is named on the command line: the argument's type.
_NAMED_BY = {"journal": "count"}
_JOB = Argument("name", "job", "the job's number", required=True, positional=True)
_FARM = Argument("farm", "name", "which simulated farm", default="small")


def kinds() -> list[str]:
    """Kinds of objects that can be listed and shown."""
    return list(WORDS)


def _reading(kind: str) -> list[Verb]:
    name = Argument("name", _NAMED_BY.get(kind, kind), "which", required=True, positional=True)
    some = {"job": "12", "journal": "40", "storage": "lvm-nfs", "image": "webserver", "resource": "r1",
            "ve": "customer1", "partition": "r3-1", "host": "r3", "domain": "esx1.web", "boot-image": "debian12",
            "component": "dhcpd", "user": "anna"}.get(kind, "NAME")
    verbs = [
        Verb(kind, "list", "list them", _LIST, f"qrm {kind} list --sort name --limit 20", "reading:list_rows"),
        Verb(kind, "show", "show one with all its fields", (name,), f"qrm {kind} show {some}", "reading:show"),
    ]
    if kind != "journal":
        verbs.append(Verb(kind, "why", "why it is in its state, since when, and what next", (name,),
                          f"qrm {kind} why {some}", "reading:why"))
    return verbs


#: Commands of one word.
ALONE: Mapping[str, Verb] = {verb.noun: verb for verb in (
    Verb("login", "", "log in by name and password, for this terminal's commands",
         (Argument("name", "user", "who", positional=True),
          Argument("password_file", "file", "its first line is the password; without it, you are asked"),
          Argument("new_password_file", "file", "where it is your first log-in: its first line is your own password")),
         "qrm login anna", "log_in:log_in"),
    Verb("logout", "", "end the session", (), "qrm logout", "log_in:log_out"),
    Verb("whoami", "", "who you are to the server, and what you may", (), "qrm whoami", "log_in:who_am_i"),
)}
#: The operation that is also about oneself.
OWN = "user.password"
#: Operations that are more than a plan to look at.
_HANDLERS = {OWN: "log_in:password"}

_OTHERS = (
    Verb("install", "answers", "print a complete answers file, with defaults computed for the server",
         (Argument("interface", "text", "machines boot from this network interface (the default route's otherwise)"),
          Argument("schema", "flag", "print the file's JSON Schema instead")),
         "qrm install answers", "installing:answers"),
    Verb("install", "check", "look at this machine before it is set up: what is wrong, and what would be done",
         (Argument("interface", "text", "machines boot from this network interface (the default route's otherwise)"),
          Argument("machine", "document", "a recorded machine instead")), "qrm install check",
         "installing:check"),
    Verb("install", "record", "print what this machine says of itself, as a document for --machine",
         (Argument("what", "text", "what kind of machine it is, in a line"),),
         "qrm install record", "installing:record"),
    Verb("component", "status", "services of the server, and what is wrong with them",
         (Argument("name", "component", "only this one", positional=True),), "qrm component status",
         "reading:component_status"),
    Verb("farm", "status", "counts, capacity, alerts, server, practice or not", (), "qrm farm status",
         "reading:farm_status"),
    Verb("console", "list", "which consoles there are, and how they stand", (), "qrm console list",
         "consoles:list_rows"),
    Verb("job", "wait", "follow a job until it ends; exit code 1 when it fails", (_JOB,), "qrm job wait 12",
         "follow:wait"),
    Verb("job", "log", "what a job's commands printed",
         (_JOB, Argument("follow", "flag", "go on until the job has ended"),
          Argument("from", "text", "begin with this line (a whole number from 0 on)")),
         "qrm job log 12 --follow", "reading:job_log"),
    Verb("journal", "verify", "prove that no entry was changed or taken out", (), "qrm journal verify",
         "reading:verify_journal"),
    Verb("practice", "start", "start a simulated farm in the background; the last line is WHERE",
         (_FARM, Argument("nodes", "count", "with so many more machines in its rack")),
         "export QRM_CONNECT=$(qrm practice start | tail -n 1)", "practice:start"),
    Verb("practice", "power-on", "push the power buttons of its machines", (
        _FARM, Argument("name", "name", "which, as blade-1", positional=True, many=True),
        Argument("all", "flag", "all of them")), "qrm practice power-on blade-1 blade-2", "practice_controls:power_on"),
    Verb("practice", "fault", "put a fault into one of its machines, or take it out", (
        _FARM, Argument("name", "name", "which machine: of the rack, a storage server, or qrmd", required=True,
                        positional=True),
        Argument("fault", "text", "which fault; an unknown one lists them", required=True, positional=True),
        Argument("arguments", "setting", "what it takes: KEY=VALUE", positional=True, many=True),
        Argument("clear", "flag", "take it out")), "qrm practice fault blade-1 hang stage=kernel",
         "practice_controls:fault"),
    Verb("practice", "stop", "end it and forget all of it", (_FARM,), "qrm practice stop", "practice:stop"),
)


def nouns() -> list[str]:
    """All nouns, in the order in which help lists them."""
    return list(dict.fromkeys([*(noun for noun in NOUNS if noun != "practice"), *kinds(), "practice"]))


def verbs_of(noun: str) -> dict[str, Verb]:
    """A noun's verbs by name; empty if there is no such noun."""
    verbs = _reading(noun) if noun in kinds() else []
    verbs += [verb for verb in _OTHERS if verb.noun == noun]
    verbs += [_of(operation) for operation in OPERATIONS.values() if operation.kind == noun]
    return {verb.name: verb for verb in verbs}


def _of(operation: Operation) -> Verb:
    """An operation as a verb; where it has a secret, one says the file that it is in."""
    handler = _HANDLERS.get(operation.name) or (
        f"consoles:{operation.verb}" if operation.sort == "session" else "follow:operate")
    arguments = operation.arguments
    if any(argument.secret for argument in arguments):
        from qrm_tui.cli.secrets import as_files  # few have one

        arguments = as_files(operation)
    if operation.name == OWN:
        arguments = (arguments[0]._replace(required=False), *arguments[1:], Argument(
            "old_password_file", "file", "of your own: its first line is the present one; without it, you are asked"))
    return Verb(operation.kind, operation.verb, operation.summary, arguments, operation.example, handler, operation)
