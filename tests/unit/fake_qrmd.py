"""A canned server for wire-level cases only: HTTP over a real unix socket, answers set by the test.

`FakeQrmd` is Starlette on uvicorn in a thread. `RawServer` writes bytes as they are, for what no HTTP server would
say. Run as a program it stands in for `python -m qrm_tui.daemon.main --practice …`.
"""
from __future__ import annotations

import argparse
import json
import socket
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

STORAGE = {"name": "lvm-nfs", "state": "ok", "since": 1_790_000_000.0, "seen_at": 1_790_000_000.0, "revision": 1,
           "type": "lvm-nfs", "address": "192.168.88.179", "env": {"SERVER_VOL": "vol"}, "size": 1 << 40,
           "free": 1 << 39, "images": 2}
IMAGE = {"name": "webserver", "state": "ready", "since": 1_790_000_000.0, "seen_at": 1_790_000_000.0, "revision": 2,
         "storage": "lvm-nfs", "path": "/vol/webserver", "size": 5000 << 20, "used": None, "origin": None,
         "fill": None, "full_at": None, "used_by": ["10.0.0.7", "10.0.0.8"]}
JOB = {"name": "12", "id": 12, "operation": "image.clone", "object": "image/customer1", "arguments": {},
       "state": "running", "step": 0, "steps": 2, "doing": "make the snapshot", "progress": None, "who": "root",
       "reason": "", "asked": 1_790_000_000.0, "started": 1_790_000_000.0, "ended": None, "error": "",
       "waits_for": "", "since": 1_790_000_000.0}
PLAN = {"id": "p1", "operation": "image.clone", "object": "image/customer1", "arguments": {}, "sort": "job",
        "steps": [
            {"machine": "lvm-nfs", "kind": "run", "summary": "make the snapshot", "undo": "lvremove vol/customer1",
             "argv": ["lvcreate", "-s", "-n", "customer1", "vol/web server"], "done_already": True},
            {"machine": "lvm-nfs", "kind": "write", "summary": "export it", "undo": "remove it",
             "diff": "--- /dev/null\n+++ /etc/exports.d/customer1.exports\n@@ -0,0 +1 @@\n+/vol/customer1\t10.0.0.7",
             "done_already": False},
            {"machine": "qrmd", "kind": "record", "summary": "note it", "undo": "", "done_already": False,
             "records": ["keep image customer1"]},
        ],
        "warnings": ["the group is nearly full"], "notes": ["lvm-nfs is the only storage server"], "no_return": 2,
        "destructive": False, "confirm": "customer1", "command": "qrm image clone webserver customer1"}
HELLO = {"version": "0.1.0", "server": "demo", "farm": "lab", "practice": False, "user": "root",
         "role": "administrator", "revision": 7, "pid": 1, "started": 1_790_000_000.0}
FARM = {"farm": "lab", "server": "demo", "practice": True, "version": "0.1.0", "started": 1_790_000_000.0,
        "counts": {"image": {"total": 2, "ready": 1, "error": 1}}, "public_key": "ssh-ed25519 AAAA",
        "capacity": [{"storage": "lvm-nfs", "size": 1 << 40, "free": 1 << 39}],
        "alerts": [{"kind": "image", "name": "customer9", "state": "error", "why": "it is not mounted",
                    "next": "look at its .mount unit", "since": 1_790_000_000.0}]}


class FakeQrmd:
    """Canned answers by `METHOD /path`: a JSON value, or (status, value), or a callable of the request."""

    def __init__(self, path: Path | str) -> None:
        self.path = str(path)
        #: every request: method, path, query, body
        self.calls: list[tuple[str, str, dict[str, str], Any]] = []
        #: the client's connection of every request, to see which were shared
        self.connections: list[Any] = []
        #: lines of the watch; it hangs after them, or breaks off in the middle, or ends in good order
        self.events: list[dict[str, Any]] = []
        self.after_events = "hang"
        self.log = [{"n": 0, "at": 1_790_000_000.0, "step": 0, "stream": "out", "text": "Logical volume created\n"}]
        self.answers: dict[str, Any] = {
            "GET /v1/hello": HELLO, "GET /v1/farm": FARM, "POST /v1/plan": PLAN, "POST /v1/run": {"job": JOB},
            "GET /v1/list/storage": {"rows": [STORAGE], "total": 1, "revision": 7},
            "GET /v1/list/image": {"rows": [IMAGE], "total": 1, "revision": 7},
            "GET /v1/list/job": {"rows": [JOB], "total": 1, "revision": 7},
            "GET /v1/list/journal": {"rows": [], "total": 0, "revision": 7},
            "GET /v1/show/image/webserver": {**IMAGE, "why": "it is there", "next": ""},
            "GET /v1/show/job/12": {**JOB, "state": "done", "ended": 1_790_000_009.0, "why": "all done", "next": ""},
            "GET /v1/job/12/plan": {**PLAN, "steps": [{**PLAN["steps"][0], "state": "done", "error": ""},  # type: ignore[index]
                                                      {**PLAN["steps"][1], "state": "failed", "error": "no room"}]},  # type: ignore[index]
            "GET /v1/journal/verify": {"ok": True, "entries": 3, "trouble": ""},
        }
        self.watched = threading.Event()
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    def refuse(self, what: str, code: str, *reasons: str, status: int = 409) -> None:
        """Answer with an error of ours."""
        self.answers[what] = (status, {"error": {"code": code, "reasons": list(reasons)}})

    def asked(self, what: str) -> list[Any]:
        """Bodies (or queries) of the requests for `METHOD /path`."""
        return [body if body is not None else query for method, path, query, body in self.calls
                if f"{method} {path}" == what]

    async def _answer(self, request: Request) -> Response:
        body = await request.body()
        key = f"{request.method} {request.url.path}"
        self.calls.append((request.method, request.url.path, dict(request.query_params),
                           json.loads(body) if body else None))
        self.connections.append(_connection_of(request))
        if key not in self.answers and request.url.path == "/v1/watch":
            return StreamingResponse(self._watch(request), media_type="application/x-ndjson")
        if key not in self.answers and request.url.path.endswith("/log"):
            return StreamingResponse(self._lines(self.log), media_type="application/x-ndjson")
        answer = self.answers.get(key)
        if callable(answer):
            made = answer(request)
            return made if isinstance(made, Response) else await made
        if answer is None:
            name = request.url.path.rpartition("/")[2]
            answer = (404, {"error": {"code": "not_found", "reasons": [f"there is no {name}; see the list"]}})
        status, value = answer if isinstance(answer, tuple) else (200, answer)
        return JSONResponse(value, status_code=status)

    async def _lines(self, entries: list[dict[str, Any]]) -> AsyncIterator[bytes]:
        for entry in entries:
            yield json.dumps(entry).encode() + b"\n"

    async def _watch(self, request: Request) -> AsyncIterator[bytes]:
        async for line in self._lines(self.events):
            yield line
        self.watched.set()
        if self.after_events == "break":
            yield b'{"event":"del'
            raise ConnectionAbortedError("the test breaks this stream off")
        if self.after_events == "hang":
            await until_gone(request)

    def __enter__(self) -> FakeQrmd:
        app = Starlette(routes=[Route("/{path:path}", self._answer, methods=["GET", "POST"])])
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(self.path)
        self._listening.listen()   # from here on a client can connect: nothing has to be waited for
        config = uvicorn.Config(app, log_level="critical", lifespan="off", timeout_graceful_shutdown=0,
                                timeout_keep_alive=60, access_log=False)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._listening],), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        assert self._server is not None and self._thread is not None
        self._server.should_exit = True
        self._server.force_exit = True
        self._thread.join(10)
        self._listening.close()


async def until_gone(request: Request) -> None:
    """Return when the client has closed the connection; the request's body must have been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _connection_of(request: Request) -> Any:
    """Which connection carries it: uvicorn hands each cycle a receive bound to its connection's transport."""
    cycle = getattr(request.receive, "__self__", None)
    return getattr(cycle, "transport", None)


class RawServer:
    """Accepts connections one after the other and answers each with the next script of bytes, then closes it.

    A script is the bytes for the first request on a connection; a tuple, one a request.
    """

    def __init__(self, path: Path | str, *scripts: bytes | tuple[bytes, ...],
                 before_close: Callable[[], object] | None = None) -> None:
        self.path = str(path)
        self.requests: list[bytes] = []
        self._scripts = [script if isinstance(script, tuple) else (script,) for script in scripts]
        self._before_close = before_close
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(self.path)
        self._listening.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def _serve(self) -> None:
        for script in self._scripts:
            try:
                line, _ = self._listening.accept()
            except OSError:
                return
            with line:
                for answer in script:
                    got = line.recv(65536)
                    if not got:
                        break
                    self.requests.append(got)
                    try:
                        line.sendall(answer)
                    except OSError:
                        break
                if self._before_close is not None:
                    self._before_close()

    def __enter__(self) -> RawServer:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._listening.close()


def job(**fields: Any) -> dict[str, Any]:
    """The job's row with other fields."""
    return {**JOB, **fields}


def delta(**fields: Any) -> dict[str, Any]:
    """An event of the watch: the job's row has changed."""
    return {"event": "delta", "revision": 8, "changed": {"job": [job(**fields)]}, "removed": {}}


def ok(value: Any, *headers: str) -> bytes:
    """A whole HTTP answer, as bytes."""
    body = json.dumps(value).encode()
    head = "\r\n".join(["HTTP/1.1 200 OK", f"Content-Length: {len(body)}", *headers])
    return head.encode() + b"\r\n\r\n" + body


def main() -> None:
    """Stand in for the real server of a practice farm."""
    parser = argparse.ArgumentParser()
    for option in ("--practice", "--socket", "--state"):
        parser.add_argument(option, required=True)
    arguments = parser.parse_args()
    if arguments.practice == "broken":
        raise SystemExit("there is no practice farm 'broken'")
    with FakeQrmd(arguments.socket) as fake:
        assert fake._thread is not None
        fake._thread.join()


if __name__ == "__main__":
    main()
