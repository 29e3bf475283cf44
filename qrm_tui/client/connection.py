"""The client of qrmd that the app and the command line share.

Calls go over one connection that is kept; a call made while another one runs gets a connection of its own, and so
does each stream. Errors are those of `core.errors`, as the server told them; NoServer when nothing listens or a line
is lost.
"""
from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from qrm_tui.client.line import Line, LineLost, NotOurs
from qrm_tui.client.where import SshHost, UnixSocket, parse_where
from qrm_tui.core.errors import Broken, NoServer, NotPermitted, QrmError, from_code
from qrm_tui.core.names import printable

if TYPE_CHECKING:
    from qrm_tui.client.tunnel import Tunnel

#: Lines of a stream as they come.
Entries = AsyncGenerator[dict[str, Any], None]
#: Largest answer to a call, in bytes: 100,000 rows of 1 KB.
LARGEST_ANSWER = 128 << 20
#: Largest line of a stream, in bytes: 500 rows, with room.
LARGEST_LINE = 16 << 20
#: Largest error that is read, in bytes.
_LARGEST_ERROR = 1 << 20
#: Seconds of silence in a watch, where the server says `alive` every 10.
_WATCH_PATIENCE = 35.0


class Client:
    """A farm's server. Belongs to one event loop; `close` it at the end.

    `where`: a socket's path or ssh://[user@]host[:port] (BadInput otherwise). `patience`: seconds that a call may stay
    without an answer (planning asks storage servers over ssh). `may_ask`: ssh may ask for a password on the terminal.
    """

    def __init__(self, where: str, *, patience: float = 120.0, may_ask: bool = False) -> None:
        self.where = where
        #: what `log_in` brought; a request shows it, and who asks is then its user
        self.session = ""
        self._place = parse_where(where)
        self._patience = patience
        self._may_ask = may_ask
        self._kept: Line | None = None
        self._tunnel: Tunnel | None = None
        self._tunnelling = asyncio.Lock()
        self._closed = False

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def hello(self) -> dict[str, Any]:
        """Who the server is and who we are to it."""
        return await self._call("GET", "/v1/hello")

    async def log_in(self, name: str, password: str) -> dict[str, Any]:
        """`{"user", "role", "must_change"}`, and a session from now on; NotPermitted says why not."""
        answer = await self._call("POST", "/v1/login", {"name": name, "password": password}, once=True)
        self.session = str(answer.pop("token", ""))
        return answer

    async def log_out(self) -> None:
        """End the session."""
        session, self.session = self.session, ""
        if session:
            await self._call("POST", "/v1/logout", {}, session=session)

    async def unlock(self, password: str) -> None:
        """Prove that it is still the same user; NotPermitted."""
        await self._call("POST", "/v1/unlock", {"password": password}, once=True)

    async def change_password(self, old: str, new: str) -> dict[str, Any]:
        """A password of one's own: `{"user", "role"}`; BadInput says what is wrong with it."""
        return await self._call("POST", "/v1/password", {"old": old, "new": new}, once=True)

    async def farm(self) -> dict[str, Any]:
        """Counts, capacity, alerts."""
        return await self._call("GET", "/v1/farm")

    async def list(self, kind: str, *, filter: str = "", sort: str = "", limit: int | None = None,
                   offset: int = 0) -> dict[str, Any]:
        """`{"rows", "total", "revision"}` of a kind; BadInput for a filter or field that there is not."""
        query = {"filter": filter, "sort": sort, "limit": limit, "offset": offset or None}
        return await self._call("GET", _target("v1", "list", kind, query=query))

    async def show(self, kind: str, name: str) -> dict[str, Any]:
        """One row with `why` and `next`; NotFound."""
        return await self._call("GET", _target("v1", "show", kind, name))

    async def plan(self, operation: str, arguments: Mapping[str, Any], reason: str = "") -> dict[str, Any]:
        """What an operation would do; changes nothing. Refused and its kin with every reason."""
        asked = {"operation": operation, "arguments": dict(arguments), "reason": reason}
        return await self._call("POST", "/v1/plan", asked)

    async def run(self, plan_id: str, reason: str = "") -> dict[str, Any]:
        """Carry out a plan: `{"job"}` or `{"changed", "removed"}`. Never sent twice; Stale when facts changed."""
        return await self._call("POST", "/v1/run", {"plan": plan_id, "reason": reason}, once=True)

    async def job_plan(self, job_id: int | str) -> dict[str, Any]:
        """A job's plan, each step with its state."""
        return await self._call("GET", _target("v1", "job", job_id, "plan"))

    def job_log(self, job_id: int | str, *, follow: bool = False, start: int = 0) -> Entries:
        """A job's log from line `start` on; with `follow` until the job has ended. NoServer when the line is lost."""
        query = {"follow": 1 if follow else None, "from": start or None}
        return self._stream(_target("v1", "job", job_id, "log", query=query), None)

    def watch(self, kinds: Iterable[str], since: int | None = None) -> Entries:
        """Snapshots, then deltas, as they come; NoServer when the line is lost or silent for 35 s."""
        query = {"kinds": ",".join(kinds), "since": since}
        return self._stream(_target("v1", "watch", query=query), _WATCH_PATIENCE)

    async def practise(self, verb: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """What only a practice farm can: `power-on`, `fault`. Refused by any other."""
        return await self._call("POST", _target("v1", "practice", verb), {"arguments": dict(arguments)}, once=True)

    async def install_answers(self, interface: str = "") -> dict[str, Any]:
        """`{"answers"}`: a complete answers file (TOML) with defaults computed for the server."""
        return await self._call("GET", _target("v1", "install", "answers", query={"interface": interface}))

    async def install_checks(self, interface: str = "") -> dict[str, Any]:
        """`{"checks", "interface", "interfaces"}` of the server; it takes some seconds."""
        return await self._call("GET", _target("v1", "install", "checks", query={"interface": interface}))

    async def install_recording(self, what: str = "") -> dict[str, Any]:
        """`{"recording"}`: what the server says of itself, as a document."""
        return await self._call("GET", _target("v1", "install", "recording", query={"what": what}))

    async def verify_journal(self) -> dict[str, Any]:
        """`{"ok", "entries", "trouble"}`."""
        return await self._call("GET", "/v1/journal/verify")

    async def ask(self, method: str, parts: Sequence[str], *, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """A question at a path made of these parts, and its answer; asked again where an idle line was closed."""
        return await self._call(method, _target(*parts), body)

    def pieces(self, parts: Sequence[str], query: Mapping[str, Any]) -> AsyncGenerator[bytes, None]:
        """An endless answer as it comes (a console); NoServer when the line is lost."""
        return self._pieces(_target(*parts, query=query), None)

    async def close(self) -> None:
        """Drop the connection, end the tunnel."""
        self._closed = True
        if self._kept is not None:
            self._kept.close()
            self._kept = None
        if self._tunnel is not None:
            tunnel, self._tunnel = self._tunnel, None
            await tunnel.close()

    async def _call(self, method: str, target: str, body: Mapping[str, Any] | None = None, *,
                    once: bool = False, session: str = "") -> dict[str, Any]:
        """One question and its answer. `once`: what must not be sent a second time goes over a fresh connection."""
        wire = None if body is None else json.dumps(body).encode()
        kept, self._kept = self._kept, None
        if kept is not None and (once or kept.stale):
            kept.close()
            kept = None
        if kept is not None:
            try:
                return await self._exchange(kept, method, target, wire, session)
            except LineLost as lost:
                if lost.heard:
                    raise self._lost(lost) from None
                # closed by the server while it was idle: not a byte came back, so ask again
        try:
            return await self._exchange(await self._connect(), method, target, wire, session)
        except LineLost as lost:
            raise self._lost(lost, sent=once) from None

    async def _exchange(self, line: Line, method: str, target: str, wire: bytes | None,
                        session: str = "") -> dict[str, Any]:
        done = False
        try:
            status = await line.ask(method, target, wire, self._patience, session or self.session)
            limit = LARGEST_ANSWER if status < 400 else _LARGEST_ERROR
            text = bytearray()
            async for piece in line.pieces(self._patience):
                text += piece
                if len(text) > limit:
                    raise Broken(f"qrmd's answer to {method} {_short(target)} has more than {limit >> 20} MB; "
                                 "ask for less (--limit)")
            done = True
        except NotOurs as error:
            raise self._not_ours(str(error)) from None
        finally:
            if done and self._kept is None and not self._closed and line.renew():
                self._kept = line
            else:
                line.close()
        if status >= 400:
            raise _error(status, bytes(text), f"{method} {_short(target)}")
        return _object(bytes(text), f"{method} {_short(target)}")

    async def _stream(self, target: str, patience: float | None) -> Entries:
        rest, asked = bytearray(), f"GET {_short(target)}"
        async with aclosing(self._pieces(target, patience)) as pieces:
            async for piece in pieces:
                rest += piece
                if b"\n" in piece:
                    *whole, rest = rest.split(b"\n")
                    for text in whole:
                        if text.strip():
                            yield _object(bytes(text), asked)
                if len(rest) > LARGEST_LINE:
                    raise Broken(f"qrmd's answer to {asked} has a line of more than {LARGEST_LINE >> 20} MB")
        if rest.strip():
            yield _object(bytes(rest), asked)

    async def _pieces(self, target: str, patience: float | None) -> AsyncGenerator[bytes, None]:
        """An answer as it comes, over a connection of its own; the error that it is, where it is one."""
        line = await self._connect()
        try:
            status = await line.ask("GET", target, None, self._patience, self.session)
            if status < 400:
                async for piece in line.pieces(patience):
                    yield piece
                return
            text = bytearray()
            async for piece in line.pieces(patience or self._patience):
                text += piece
                if len(text) > _LARGEST_ERROR:
                    break
            raise _error(status, bytes(text), f"GET {_short(target)}")
        except LineLost as lost:
            raise self._lost(lost) from None
        except NotOurs as error:
            raise self._not_ours(str(error)) from None
        finally:
            line.close()

    async def _connect(self) -> Line:
        if self._closed:
            raise NoServer("this connection was closed")
        path = await self._socket()
        try:
            return await Line.open(path)
        except (FileNotFoundError, ConnectionRefusedError) as error:
            why = "there is no such socket" if isinstance(error, FileNotFoundError) else "nobody listens there"
            raise NoServer(f"no server at {self._shown}: {why}; start it (systemctl start qrmd), or name another: "
                           "--connect WHERE, QRM_CONNECT") from None
        except PermissionError:
            raise NotPermitted(f"you may not use {self._shown}: be root, or in a group that the server gives a role") \
                from None
        except TimeoutError:
            raise NoServer(f"the server at {self._shown} takes no connection: it hangs or is overloaded; "
                           "journalctl -u qrmd may say why") from None
        except OSError as error:
            raise NoServer(f"no server at {self._shown}: {error.strerror or error}; name another: --connect WHERE") \
                from None

    async def _socket(self) -> str:
        if isinstance(self._place, UnixSocket):
            return self._place.path
        assert isinstance(self._place, SshHost)
        from qrm_tui.client.tunnel import Tunnel  # 15 ms that most starts can do without

        async with self._tunnelling:
            if self._tunnel is not None and not self._tunnel.alive:
                await self._tunnel.close()
                self._tunnel = None
            if self._tunnel is None:
                self._tunnel = await Tunnel.open(self._place, may_ask=self._may_ask)
        return self._tunnel.path

    @property
    def _shown(self) -> str:
        return printable(self.where, 200)

    def _lost(self, lost: LineLost, sent: bool = False) -> NoServer:
        tunnel = self._tunnel
        if tunnel is not None and not tunnel.alive:
            return NoServer(f"the line to {self._shown} was lost: ssh ended ({tunnel.said or 'without a word'}); "
                            "ask again")
        if tunnel is not None and not lost.heard:
            said = f" (ssh: {tunnel.said})" if tunnel.said else ""
            return NoServer(f"ssh reaches {self._place}, but no qrmd answers there{said}; is it running there "
                            "(systemctl status qrmd), and may that account use it?")
        what = "see `qrm job list` for whether it was begun" if sent else "is qrmd still running? then ask again"
        return NoServer(f"the line to {self._shown} was lost: {lost}; {what}")

    def _not_ours(self, why: str) -> NoServer:
        return NoServer(f"what listens at {self._shown} is no qrmd ({printable(why)}); name another: --connect WHERE")


def _target(*parts: str | int, query: Mapping[str, Any] | None = None) -> str:
    path = "".join("/" + quote(str(part), safe="") for part in parts)
    given = {key: value for key, value in (query or {}).items() if value not in (None, "")}
    return f"{path}?{urlencode(given)}" if given else path


def _short(target: str) -> str:
    return target.partition("?")[0]


def _object(text: bytes, asked: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise Broken(f"qrmd's answer to {asked} is not understood ({printable(text[:60].decode(errors='replace'))!r}); "
                     "are it and this client of one version?")
    return value


def _error(status: int, text: bytes, asked: str) -> QrmError:
    """The error that the server told; an answer that is not one of ours becomes Broken."""
    try:
        told = json.loads(text)["error"]
        code, reasons = told["code"], told["reasons"]
    except (ValueError, RecursionError, KeyError, TypeError):
        code, reasons = None, None
    if isinstance(code, str) and isinstance(reasons, list) and all(isinstance(reason, str) for reason in reasons):
        return from_code(code, reasons)
    said = printable(text[:200].decode(errors="replace").strip(), 120)
    return Broken(f"qrmd answered {asked} with status {status}{': ' + said if said else ''}; its log may say why "
                  "(journalctl -u qrmd)")
