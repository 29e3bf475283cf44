"""qrmd-node's command: options, signals, log."""
from __future__ import annotations

import argparse
import asyncio
import contextlib
import ctypes
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import uvicorn

from qrm_tui import __version__
from qrm_tui.core.places import templates_folder
from qrm_tui.node.limits import LimitedProtocol, Limits
from qrm_tui.node.link import Link
from qrm_tui.node.server import NodeApp
from qrm_tui.node.table import Machines

SOCKET, LISTEN = Path("/run/qrm/node.sock"), "0.0.0.0:8640"
#: Connections that may wait to be taken: the kernel's own limit, net.core.somaxconn, is 4,096 by default.
_BACKLOG = 4096
_PR_SET_PDEATHSIG = 1
#: New objects until the next collection (gc): a request makes some ten that stay until its answer.
_COLLECTED = 50_000
_log = logging.getLogger("qrmd-node")


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("qrmd-node", description="Where the rack's machines enlist; passes on to qrmd.")
    parser.add_argument("--listen", metavar="ADDRESS:PORT", default=LISTEN,
                        help=f"the server's address on the netboot network ({LISTEN}); port 0: any, printed")
    parser.add_argument("--socket", type=Path, default=SOCKET, help=f"where qrmd listens ({SOCKET})")
    parser.add_argument("--with-parent", action="store_true", help="end when the parent process ends")
    parser.add_argument("--print-unit", action="store_true", help="print a systemd unit for these options, and end")
    parser.add_argument("--version", action="version", version=f"qrmd-node {__version__}")
    return parser


def print_unit(program: Path, listen: str, path: Path) -> str:
    """The unit's text."""
    # only here: nothing else of a template engine is needed
    import jinja2

    text = (templates_folder() / "systemd/qrm-node.service.j2").read_text()
    template = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True).from_string(text)
    return template.render(program=program, listen=listen, socket=path)


def _split(listen: str) -> tuple[str, int]:
    address, colon, port = listen.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"--listen {listen}: an address and a port, as in 192.168.88.1:8640")
    return address.strip("[]"), int(port)


def open_listener(listen: str) -> socket.socket:
    """The listening socket; ValueError, OSError say why not."""
    address, port = _split(listen)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((address, port))
        listener.listen(_BACKLOG)  # from here on machines wait, and are not turned away
    except OSError as error:
        listener.close()
        raise OSError(f"--listen {listen}: {error.strerror or error}") from None
    listener.setblocking(False)
    return listener


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        _tell_systemd()


def make_server(app: NodeApp, limits: Limits) -> uvicorn.Server:
    """uvicorn with our limits."""
    protocol = partial(LimitedProtocol, limits=limits)
    return _Server(uvicorn.Config(
        app, http=protocol, lifespan="off", log_config=None, access_log=False,  # type: ignore[arg-type]
        proxy_headers=False, server_header=False, date_header=False, timeout_graceful_shutdown=1, ws="none",
        backlog=_BACKLOG))


def _tell_systemd() -> None:
    """sd_notify(3): READY=1, where systemd waits for it."""
    address = os.environ.get("NOTIFY_SOCKET")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.sendto(b"READY=1", "\0" + address[1:] if address.startswith("@") else address)


async def serve(listener: socket.socket, path: Path, limits: Limits) -> None:
    """Until it is told to end."""
    machines = Machines()
    link = Link(path, machines)
    link.start()
    # what is here now stays, and connections go by themselves: collections find nothing, and take a fifth of the time
    gc.freeze()
    gc.set_threshold(_COLLECTED)
    try:
        await make_server(NodeApp(link, machines), limits).serve(sockets=[listener])
    finally:
        link.flush()
        await link.stop()


def _end_with_parent() -> None:
    parent = os.getppid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit("qrmd-node: the parent has ended already")


def main() -> None:
    """Run qrmd-node until it is told to end."""
    options = _options().parse_args()
    if options.with_parent:
        _end_with_parent()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    for chatty in ("uvicorn", "asyncio"):
        logging.getLogger(chatty).setLevel(logging.ERROR)
    try:
        if options.print_unit:
            _split(options.listen)
            print(print_unit(Path(sys.argv[0]).absolute(), options.listen, options.socket), end="")
            return
        with open_listener(options.listen) as listener:
            address, port = listener.getsockname()[:2]
            print(f"{address}:{port}", flush=True)
            asyncio.run(serve(listener, options.socket, Limits.of_process()))
    except (OSError, ValueError) as error:
        sys.exit(f"qrmd-node: {error}")


if __name__ == "__main__":
    main()
