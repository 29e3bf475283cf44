"""qrmd's command: options, settings, log, signals."""
from __future__ import annotations

import argparse
import asyncio
import contextlib
import ctypes
import logging
import logging.handlers
import math
import os
import shutil
import signal
import socket
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn

from qrm_tui import __version__
from qrm_tui.backends.components import qrmd_unit
from qrm_tui.core import data_place
from qrm_tui.core.data_place import Place
from qrm_tui.core.errors import BadInput, QrmError
from qrm_tui.core.operations.declarations import Role
from qrm_tui.daemon import moving, peer
from qrm_tui.daemon.api import Api
from qrm_tui.daemon.machines import RealMachines
from qrm_tui.daemon.server import Qrmd
from qrm_tui.daemon.sessions import LogInSettings

if TYPE_CHECKING:
    from qrm_tui.daemon.practice import PracticeServer

SOCKET, STATE = Path("/run/qrm/qrmd.sock"), Path(data_place.USUAL)
LOG, SETTINGS = Path("/var/log/qrm/qrm.log"), Path("/etc/qrm/qrmd.toml")
_SETTINGS = ("name", "groups", "log_in")
#: Of [log_in]; a week is the most.
_MINUTES, _MOST_MINUTES = ("idle", "longest", "lock"), 10080
_LOG_BYTES, _LOG_FILES = 5 << 20, 5
#: Microseconds that one file of its data may take to move.
_MOVES_USEC = 600_000_000
_PR_SET_PDEATHSIG = 1
_log = logging.getLogger("qrmd")


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("qrmd", description="qrm's server: owns the farm, runs its jobs.")
    parser.add_argument("--socket", type=Path, default=SOCKET, help=f"where clients connect ({SOCKET})")
    parser.add_argument("--node-socket", type=Path, help="where qrmd-node connects (node.sock beside the socket; with "
                        "--practice in the state folder)")
    parser.add_argument("--state", type=Path, help=f"database, keys, job logs (where {data_place.FILE} says; {STATE})")
    parser.add_argument("--place", type=Path, metavar="FILE",
                        help=f"says where its data lie, and its database ({data_place.FILE}; with --state none)")
    parser.add_argument("--try-place", nargs=3, metavar=("FOLDER", "DATABASE", "PASSWORD_FILE"),
                        help="say whether its data can lie there, and end")
    parser.add_argument("--log", type=Path, help=f"log file ({LOG}; with --practice in the state folder)")
    parser.add_argument("--settings", type=Path, default=SETTINGS, help=f"settings ({SETTINGS}), may be absent")
    parser.add_argument("--practice", metavar="FARM", help="simulate this farm; nothing real is touched")
    parser.add_argument("--machine", metavar="FILE", type=Path,
                        help="play this recorded machine (qrm install record); nothing real is touched")
    parser.add_argument("--pace", type=_pace, default=1.0,
                        help="how long commands take on a recorded machine: 1 as long as on a real one, 0 no time")
    parser.add_argument("--look", action="store_true", help="look at this machine; what is in --state goes at the end")
    parser.add_argument("--installer", action="store_true",
                        help="it is the installer's own, until qrmd.service takes over")
    parser.add_argument("--nodes", type=int, default=0, help="so many more machines in a practice farm's rack")
    parser.add_argument("--with-parent", action="store_true", help="end when the parent process ends")
    parser.add_argument("--print-unit", action="store_true", help="print a systemd unit for this qrmd, and end")
    parser.add_argument("--version", action="version", version=f"qrmd {__version__}")
    return parser


def _pace(text: str) -> float:
    try:
        pace = float(text)
    except ValueError:
        pace = -1
    if not 0 <= pace <= 100:
        raise argparse.ArgumentTypeError(f"{text} is no number from 0 to 100")
    return pace


def read_settings(path: Path) -> dict[str, Any]:
    """`name` of the farm, `[groups]`: name = role, `[log_in]`. BadInput tells what is wrong in it."""
    if not path.exists():
        return {}
    try:
        settings = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadInput(f"{path}: {error}") from None
    wrong = [f"{path}: there is no setting {key!r}; there are {', '.join(_SETTINGS)}" for key in settings
             if key not in _SETTINGS]
    for group, role in settings.get("groups", {}).items():
        if role not in Role.__members__:
            wrong.append(f"{path}: group {group}: {role!r} is no role; there are {', '.join(Role.__members__)}")
    wrong += [f"{path}: log_in: {trouble}" for trouble in _wrong_in(settings.get("log_in", {}))]
    if wrong:
        raise BadInput(*wrong)
    return settings


def _wrong_in(log_in: Any) -> Iterator[str]:
    if not isinstance(log_in, dict):
        yield "is a table: [log_in]"
        return
    for key, value in log_in.items():
        if key == "allowed":
            if not isinstance(value, bool):
                yield "allowed is true or false"
        elif key not in _MINUTES:
            yield f"there is no {key!r}; there are allowed, {', '.join(_MINUTES)}"
        elif type(value) is not int or not (0 if key == "lock" else 1) <= value <= _MOST_MINUTES:
            yield f"{key} is a whole number of minutes, at most {_MOST_MINUTES}" + ("; 0: never" * (key == "lock"))


def _start_log(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.handlers.RotatingFileHandler(path, maxBytes=_LOG_BYTES, backupCount=_LOG_FILES)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    for chatty in ("asyncssh", "uvicorn", "alembic"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def _end_with_parent() -> None:
    parent = os.getppid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit("qrmd: the parent has ended already")


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, ends: Callable[[], None]) -> None:
        super().__init__(config)
        self._ends = ends

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._ends()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield


def settle(wants: Path | None, state: Path, installer: bool) -> tuple[Place, str]:
    """Where its data lie, moved to where they are wanted; and why they were not. The installer's own goes on where they
    are, and the service moves."""
    note = state / data_place.NOTE
    if wants is None:
        return Place(data=str(state)), ""
    if installer or not wants.exists():
        return moving.where(note), ""
    try:
        return moving.settle(data_place.read_place(wants.read_text()), note, _tell_moving)
    except (OSError, ValueError) as error:
        _log.error("%s: %s", wants, error)
        return moving.where(note), f"{wants}: {error}"


def _tell_moving(what: str) -> None:
    _log.info("%s", what)
    _tell_systemd(f"STATUS={what}\nEXTEND_TIMEOUT_USEC={_MOVES_USEC}")


def _tell_systemd(what: str = "READY=1") -> None:
    """sd_notify(3), where systemd waits for it."""
    address = os.environ.get("NOTIFY_SOCKET")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.sendto(what.encode(), "\0" + address[1:] if address.startswith("@") else address)


def groups_of(settings: Mapping[str, Any]) -> Mapping[str, Role]:
    """Who may what: the usual groups, and those that the settings name besides (or say otherwise of)."""
    return {**peer.GROUPS, **{group: Role[role] for group, role in settings.get("groups", {}).items()}}


def log_in_of(settings: Mapping[str, Any]) -> LogInSettings:
    """How users log in; the settings name minutes."""
    given = settings.get("log_in", {})
    return LogInSettings(**{key: value if key == "allowed" else value * 60.0 for key, value in given.items()})


async def _serve(options: argparse.Namespace, settings: dict[str, Any], place: Place, trouble: str) -> None:
    with contextlib.ExitStack() as stack:
        if options.look or (options.with_parent and (options.practice or options.machine)):
            # nobody comes back to it, and the parent may have been killed
            stack.callback(shutil.rmtree, options.state, ignore_errors=True)
        practice: PracticeServer | None = None
        if options.practice or options.machine:
            # only here: a real server has no use for simulated machines
            from qrm_tui.daemon.practice import PracticeServer

            practice = PracticeServer(options.practice, options.state, options.nodes, machine=options.machine,
                                      pace=options.pace)
            qrmd = practice.qrmd
        else:
            qrmd = Qrmd(options.state, RealMachines(options.state), name=settings.get("name", "farm"),
                        database=moving.url_of(place), log_in=log_in_of(settings), installer=options.installer)
            if trouble:
                qrmd.watchers.warn("qrmd", trouble, math.inf)
        listener = peer.open_socket(options.socket)
        try:
            await (practice.start() if practice else qrmd.start(options.node_socket
                                                                or options.socket.parent / "node.sock"))
            role_of = partial(peer.role_of, groups=groups_of(settings))
            app = Api(qrmd, role_of, practice.practise if practice else None).app()
            server = _Server(uvicorn.Config(app, http=peer.protocol_for(role_of), lifespan="off", log_config=None,
                                            access_log=False, timeout_graceful_shutdown=1, ws="none"),
                             qrmd.part)
            _tell_systemd()
            await server.serve(sockets=[listener])
        finally:
            listener.close()
            options.socket.unlink(missing_ok=True)
            await (practice or qrmd).stop()
            _log.info("ended")


def main() -> None:
    """Run qrmd until it is told to end."""
    options = _options().parse_args()
    if options.print_unit:
        print(qrmd_unit(str(Path(sys.argv[0]).absolute()), data_place.USUAL), end="")
        return
    if options.with_parent:
        _end_with_parent()
    wants = options.place or (None if options.state else Path(data_place.FILE))
    state = options.state or STATE
    try:
        if options.try_place:
            place = Place(**dict(zip(Place.__struct_fields__, options.try_place, strict=True)))
            moving.try_place(place, state / data_place.NOTE)
            return
        settings = read_settings(options.settings)
        state.mkdir(parents=True, exist_ok=True)
        state.chmod(0o700)
        passing = options.practice or options.machine or options.look
        _start_log(options.log or (state / "qrm.log" if passing else LOG))
        place, trouble = settle(wants, state, options.installer)
        options.state = Path(place.data)
        asyncio.run(_serve(options, settings, place, trouble))
    except (QrmError, OSError) as error:
        if _log.hasHandlers():  # else it would stand there twice
            _log.error("%s", error)
        sys.exit(f"qrmd: {error}")


if __name__ == "__main__":
    main()
