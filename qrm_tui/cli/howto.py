"""The openQRM how-to's commands under their old names and options, on the same operations as `qrm`."""
from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from qrm_tui.core.errors import BadInput, Refused
from qrm_tui.core.operations.arguments import Argument, check_arguments

_LVM, _CLI = "qrm-lvm-manage-images", "qrm-cli"
#: What openQRM knew; an image of today tells its architecture itself.
_ARCHITECTURES = ("Any", "Opteron", "Xeon", "i686")

_IMAGE = Argument("image", "image-name", "the filesystem-image's name", required=True, positional=True)
_ANY_IMAGE = Argument("image", "image-name", "only this one and its snapshots", positional=True)
_GROUP = Argument("volume-group", "name", "the storage server's volume group", required=True)
_MEGABYTES = Argument("megabytes", "count", "size in MB", required=True)
_ROOM = Argument("megabytes", "count", "room for the snapshot's changes in MB (a fifth of the image without it)")
_SNAPSHOT = Argument("snapshot", "image-name", "what the snapshot is called", required=True)
_ADDRESS = Argument("address", "address", "the storage server's address, where several have that volume group")
_SHORTS = {"volume-group": "-v", "megabytes": "-m", "snapshot": "-s", "address": "-i",
           "username": "-u", "password": "-p", "name": "-n", "storage": "-s", "path": "-i", "architecture": "-a"}

#: By command: what it does, its arguments.
_LVM_VERBS: Mapping[str, tuple[str, tuple[Argument, ...]]] = {
    "add": ("make an empty image", (_IMAGE, _GROUP, _MEGABYTES, _ADDRESS)),
    "remove": ("remove an image and all that is in it", (_IMAGE, _GROUP, _ADDRESS)),
    "snap": ("clone an image", (_IMAGE, _GROUP, _SNAPSHOT, _ROOM, _ADDRESS)),
    "list": ("list images", (_ANY_IMAGE, _GROUP, _ADDRESS)),
}
_FILESYSTEM_ADD = (
    Argument("username", "name", "who asks (not needed where the server knows this account by its groups)"),
    Argument("password", "text", "others can read it in the process list: `qrm login` asks for it"),
    Argument("name", "image-name", "what the image is called", required=True),
    Argument("storage", "storage", "on which storage server it lies", required=True),
    Argument("path", "path", "where on that server", required=True),
    Argument("architecture", "choice", "for which machines", default="Any", choices=_ARCHITECTURES),
)


def lvm_manage_images() -> None:
    """The command `qrm-lvm-manage-images`."""
    from qrm_tui.cli.main import guarded

    sys.exit(guarded(_LVM, run_lvm_manage_images, sys.argv[1:]))


def qrm_cli() -> None:
    """The command `qrm-cli`."""
    from qrm_tui.cli.main import guarded

    sys.exit(guarded(_CLI, run_qrm_cli, sys.argv[1:]))


def run_lvm_manage_images(line: Sequence[str]) -> int:
    """`add|remove|snap|list IMAGE -v VG [-m MB] [-s SNAPSHOT] [-i ADDRESS]`; the exit code."""
    from qrm_tui.cli.command_line import nearest, take_apart
    from qrm_tui.cli.session import Session
    from qrm_tui.cli.shared_options import split_options
    from qrm_tui.cli.terminal import emit, harmless

    options, words = split_options(line)
    if options.help or options.version:
        emit(_help(_LVM, _LVM_VERBS))
        return 0
    if not words or words[0] not in _LVM_VERBS:
        close = f": {harmless(words[0])!r} is none of them{nearest(words[0], _LVM_VERBS)}" if words else ""
        raise BadInput(f"say add, remove, snap or list{close} ({_LVM} --help)")
    command, arguments = words[0], _LVM_VERBS[words[0]][1]
    given = take_apart(words[1:], arguments, _shorts(arguments))
    checked = _check(arguments, given)
    with Session(options) as session:
        storage = _storage_server(session, checked["volume-group"], checked["address"])
        return _COMMANDS[command](session, storage, given)


def run_qrm_cli(line: Sequence[str]) -> int:
    """`-u USER -p PASSWORD filesystem add -n NAME -s STORAGE -i /PATH -a ARCH`; the exit code."""
    from qrm_tui.cli.command_line import take_apart
    from qrm_tui.cli.session import Session
    from qrm_tui.cli.shared_options import split_options
    from qrm_tui.cli.terminal import emit, talk

    options, words = split_options(line)
    if options.help or options.version:
        emit(_help(_CLI, {"filesystem add": ("register an image that is there already", _FILESYSTEM_ADD)}))
        return 0
    noun_and_verb = Argument("command", "text", "filesystem add", positional=True, many=True)
    given = take_apart(words, (noun_and_verb, *_FILESYSTEM_ADD), _shorts(_FILESYSTEM_ADD))
    if given.pop("command", []) != ["filesystem", "add"]:
        raise BadInput(f"only `filesystem add` is known here; `qrm --help` lists all that can be done ({_CLI} --help)")
    checked = _check(_FILESYSTEM_ADD, given)
    if checked["password"]:
        talk(f"{_CLI}: warning: a password on the command line can be read by everybody on this machine (ps); leave "
             "-p out, and log in with qrm login where that is needed")
    with Session(options) as session:
        stranger = session.call(lambda client: client.hello()).get("role") == "nobody"
        if stranger and checked["username"] and checked["password"]:
            answer = session.call(lambda client: client.log_in(checked["username"], checked["password"]))
            if answer["must_change"]:
                session.call(lambda client: client.log_out())
                raise Refused(f"{answer['user']} needs a password of their own first: qrm login {answer['user']}")
        try:
            return _operate(session, "image.add", {"name": given["name"], "storage": given["storage"],
                                                   "register_only": given["path"]})
        finally:
            if stranger:
                session.call(lambda client: client.log_out())


def _check(arguments: Sequence[Argument], given: dict[str, Any]) -> dict[str, Any]:
    """The arguments, parsed; BadInput calls them as they are typed here: `-i (path)`."""
    try:
        return check_arguments(arguments, given)
    except BadInput as error:
        named = {argument.name: f"{_SHORTS[argument.name]} ({argument.name})" for argument in arguments
                 if argument.name in _SHORTS and not argument.positional}
        told = (reason.partition(": ") for reason in error.reasons)
        raise BadInput(*(f"{named.get(name, name)}{sign}{what}" for name, sign, what in told)) from None


def _operate(session: Any, operation: str, arguments: dict[str, Any]) -> int:
    from qrm_tui.cli.follow import carry_out
    from qrm_tui.core.operations.registry import find

    return carry_out(session, find(operation), arguments)


def _add(session: Any, storage: str, given: dict[str, Any]) -> int:
    return _operate(session, "image.add", {"name": given["image"], "storage": storage,
                                           "size": f"{given['megabytes']}M"})


def _remove(session: Any, storage: str, given: dict[str, Any]) -> int:
    _on_that_server(session, storage, given["image"])
    return _operate(session, "image.remove", {"name": given["image"]})


def _snap(session: Any, storage: str, given: dict[str, Any]) -> int:
    row = _on_that_server(session, storage, given["image"])
    arguments = {"source": given["image"], "name": given["snapshot"]}
    if "megabytes" in given and row.get("size"):
        arguments["reserve"] = f"{math.ceil(int(given['megabytes']) * 100 * (1 << 20) / row['size'])}%"
    return _operate(session, "image.clone", arguments)


def _list(session: Any, storage: str, given: dict[str, Any]) -> int:
    from qrm_tui.cli.output import emit_rows

    image = given.get("image")
    wanted = f"storage={storage}" + (f" (name={image} or origin={image})" if image else "")
    rows = session.call(lambda client: client.list("image", filter=wanted, sort="name"))["rows"]
    emit_rows("image", rows, session.options)
    return 0


_COMMANDS = {"add": _add, "remove": _remove, "snap": _snap, "list": _list}


def _storage_server(session: Any, group: str, address: str | None) -> str:
    """The one storage server with that volume group (and address); Refused if there is none or more than one."""
    rows = session.call(lambda client: client.list("storage"))["rows"]
    fitting = [row for row in rows if (row.get("env") or {}).get("SERVER_VOL", "vol") == group
               and address in (None, row.get("address"))]
    at = f" at {address}" if address else ""
    if not fitting:
        raise Refused(f"no storage server{at} has the volume group {group}; see `qrm storage list`, or add it: "
                      f"qrm storage add NAME --address {address or 'ADDRESS'} --env SERVER_VOL={group}")
    if len(fitting) > 1:
        some = ", ".join(f"{row['name']} ({row.get('address')})" for row in fitting)
        raise Refused(f"{len(fitting)} storage servers have the volume group {group}{at}: {some}; "
                      "say which: -i ADDRESS")
    return str(fitting[0]["name"])


def _on_that_server(session: Any, storage: str, image: str) -> dict[str, Any]:
    row: dict[str, Any] = session.call(lambda client: client.show("image", image))
    if row.get("storage") != storage:
        raise Refused(f"image {image} is on storage server {row.get('storage')}, not on {storage}; "
                      "see `qrm image list`")
    return row


def _shorts(arguments: Sequence[Argument]) -> dict[str, str]:
    return {_SHORTS[argument.name]: argument.name for argument in arguments if argument.name in _SHORTS}


def _help(program: str, commands: Mapping[str, tuple[str, tuple[Argument, ...]]]) -> str:
    from qrm_tui.cli.help import argument_lines, option_lines, usage

    lines = [f"usage: {program} {command} {usage(arguments, _shorts(arguments))}"
             for command, (_, arguments) in commands.items()]
    for command, (summary, arguments) in commands.items():
        lines += ["", f"{command}: {summary}", *argument_lines(arguments, _shorts(arguments))[:-1]]
    return "\n".join([*lines, "", *option_lines()])
