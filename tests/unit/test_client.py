"""The client over a real unix socket: calls, streams, and every way in which a line can fail."""
from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse

from qrm_tui.client import connection
from qrm_tui.client.connection import Client
from qrm_tui.client.where import SshHost, UnixSocket, default_where, parse_where
from qrm_tui.core import errors
from tests.unit.fake_qrmd import HELLO, JOB, FakeQrmd, RawServer, ok, until_gone


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeQrmd]:
    with FakeQrmd(tmp_path / "s") as server:
        yield server


@pytest.fixture
async def client(fake: FakeQrmd) -> AsyncIterator[Client]:
    async with Client(fake.path, patience=20) as made:
        yield made


async def events_of(stream: AsyncIterator[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event async for event in stream]


# where

@pytest.mark.parametrize(("text", "place"), [
    ("/run/qrm/qrmd.sock", UnixSocket("/run/qrm/qrmd.sock")),
    ("./qrmd.sock", UnixSocket("./qrmd.sock")),
    ("ssh://demo", SshHost("demo")),
    ("ssh://root@demo.example.org:2222", SshHost("demo.example.org", "root", 2222)),
    ("ssh://[fe80::1%eth0]:22/", SshHost("fe80::1%eth0", "", 22)),
    ("ssh://my_alias", SshHost("my_alias")),
])
def test_where_is_understood(text: str, place: object) -> None:
    assert parse_where(text) == place


@pytest.mark.parametrize(("text", "word"), [
    ("", "empty"),
    ("demo", "ssh://demo"),
    ("http://demo/", "nothing else"),
    ("ssh://-oProxyCommand=evil", "is not ssh://"),
    ("ssh://-x@demo", "is not ssh://"),
    ("ssh://root:secret@demo", "no password"),
    ("ssh://demo/run/other.sock", "no path"),
    ("ssh://demo:0", "port"),
    ("ssh://demo:70000", "port"),
    ("ssh:demo", "is not ssh://"),
    ("ssh://", "is not ssh://"),
    ("/tmp/" + "x" * 103, "at most 107"),
    ("/tmp/a\0b", "NUL"),
])
def test_a_wrong_where_is_refused_with_a_word(text: str, word: str) -> None:
    with pytest.raises(errors.BadInput, match=word):
        parse_where(text)


def test_where_without_an_option() -> None:
    assert default_where({}) == "/run/qrm/qrmd.sock"
    assert default_where({"QRM_CONNECT": ""}) == "/run/qrm/qrmd.sock"
    assert default_where({"QRM_CONNECT": "ssh://demo"}) == "ssh://demo"


# calls

async def test_calls_ask_what_the_contract_says(fake: FakeQrmd, client: Client) -> None:
    assert await client.hello() == HELLO
    await client.list("image", filter="size>5G & x", sort="-size", limit=3, offset=6)
    await client.list("image")
    await client.plan("image.clone", {"source": "webserver", "env": {"A": "ü"}}, "because")
    await client.run("p1", "because")
    await client.job_plan(12)
    await client.verify_journal()
    assert fake.calls[1:] == [
        ("GET", "/v1/list/image", {"filter": "size>5G & x", "sort": "-size", "limit": "3", "offset": "6"}, None),
        ("GET", "/v1/list/image", {}, None),
        ("POST", "/v1/plan", {}, {"operation": "image.clone", "reason": "because",
                                  "arguments": {"source": "webserver", "env": {"A": "ü"}}}),
        ("POST", "/v1/run", {}, {"plan": "p1", "reason": "because"}),
        ("GET", "/v1/job/12/plan", {}, None),
        ("GET", "/v1/journal/verify", {}, None),
    ]


async def test_a_strange_name_stays_one_part_of_the_path(tmp_path: Path) -> None:
    with RawServer(tmp_path / "s", ok({})) as server:
        async with Client(server.path) as client:
            await client.show("image", "../../x?y#z %")
    assert server.requests[0].startswith(b"GET /v1/show/image/..%2F..%2Fx%3Fy%23z%20%25 HTTP/1.1\r\n")


async def test_calls_share_one_connection(fake: FakeQrmd, client: Client) -> None:
    for _ in range(3):
        await client.hello()
    fake.refuse("GET /v1/show/image/x", "refused", "no")
    with pytest.raises(errors.Refused):
        await client.show("image", "x")
    await client.farm()
    assert len(set(map(id, fake.connections))) == 1


async def test_a_call_does_not_wait_for_a_slow_one(fake: FakeQrmd, client: Client) -> None:
    slow_is_there, answered = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    async def slow(request: Request) -> Response:
        loop.call_soon_threadsafe(slow_is_there.set)
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(answered.wait(), loop))
        return JSONResponse({"id": "p1"})

    fake.answers["POST /v1/plan"] = slow
    planning = asyncio.create_task(client.plan("image.clone", {}))
    await slow_is_there.wait()
    assert (await client.hello())["farm"] == "lab"
    answered.set()
    assert (await planning)["id"] == "p1"
    await client.hello()


async def test_a_cancelled_call_does_not_spoil_the_next(fake: FakeQrmd, client: Client) -> None:
    there = asyncio.Event()
    loop = asyncio.get_running_loop()

    async def never(request: Request) -> Response:
        loop.call_soon_threadsafe(there.set)
        await until_gone(request)
        return JSONResponse({})

    fake.answers["GET /v1/farm"] = never
    await client.hello()
    asking = asyncio.create_task(client.farm())
    await there.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert (await client.hello())["farm"] == "lab"


async def test_a_stale_idle_connection_is_replaced(tmp_path: Path) -> None:
    # the second request on the first connection gets no byte: the server had closed it
    with RawServer(tmp_path / "s", (ok({"a": 1}), b""), ok({"a": 2})) as server:
        async with Client(server.path, patience=10) as client:
            assert await client.hello() == {"a": 1}
            assert await client.hello() == {"a": 2}
    assert len(server.requests) == 3


async def test_a_connection_that_the_server_wants_closed_is_not_used_again(tmp_path: Path) -> None:
    with RawServer(tmp_path / "s", ok({"a": 1}, "Connection: close"), ok({"a": 2})) as server:
        async with Client(server.path, patience=10) as client:
            assert [await client.hello(), await client.hello()] == [{"a": 1}, {"a": 2}]


async def test_a_run_is_never_sent_twice(tmp_path: Path) -> None:
    with RawServer(tmp_path / "s", ok({"a": 1}), b"", ok({"job": {}})) as server:
        async with Client(server.path, patience=10) as client:
            await client.hello()
            with pytest.raises(errors.NoServer, match="qrm job list"):
                await client.run("p1")
    assert [request.split()[1] for request in server.requests] == [b"/v1/hello", b"/v1/run"]


# no server, lost lines

async def test_no_socket(tmp_path: Path) -> None:
    with pytest.raises(errors.NoServer, match=r"no such socket.*systemctl start qrmd.*--connect"):
        await Client(str(tmp_path / "s")).hello()


async def test_nobody_listens(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "s"))
        with pytest.raises(errors.NoServer, match="nobody listens"):
            await Client(str(tmp_path / "s")).hello()


async def test_a_file_that_is_no_socket(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("")
    with pytest.raises(errors.NoServer, match="no server at"):
        await Client(str(tmp_path / "s")).hello()
    with pytest.raises(errors.NoServer, match="no server at"):
        await Client(str(tmp_path / "s" / "below")).hello()


async def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def denied(path: str, limit: int) -> None:   # tests run as root, whom no mode holds back
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(asyncio, "open_unix_connection", denied)
    with pytest.raises(errors.NotPermitted, match="group"):
        await Client(str(tmp_path / "s")).hello()


@pytest.mark.parametrize("answer", [
    b"", b"HTTP/1.1 200 OK\r\nContent-Le", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"a\":",
])
async def test_a_line_lost_within_an_answer(tmp_path: Path, answer: bytes) -> None:
    with RawServer(tmp_path / "s", answer) as server, pytest.raises(errors.NoServer, match="lost"):
        await Client(server.path, patience=10).hello()


async def test_a_server_that_does_not_answer(fake: FakeQrmd) -> None:
    async def never(request: Request) -> Response:
        await until_gone(request)
        return JSONResponse({})

    fake.answers["GET /v1/hello"] = never
    async with Client(fake.path, patience=0.05) as client:
        with pytest.raises(errors.NoServer, match=r"nothing came for 0\.05 seconds"):
            await client.hello()


async def test_what_is_no_http_is_no_server(tmp_path: Path) -> None:
    greeting = b"SSH-2.0-OpenSSH_9.2\r\n\x1b[31m\r\n\r\n"
    with RawServer(tmp_path / "s", greeting) as server, pytest.raises(errors.NoServer, match="is no qrmd") as caught:
        await Client(server.path, patience=10).hello()
    assert "\x1b" not in str(caught.value)


async def test_a_closed_client_asks_nothing(fake: FakeQrmd) -> None:
    client = Client(fake.path)
    await client.hello()
    await client.close()
    with pytest.raises(errors.NoServer):
        await client.hello()


# errors told

@pytest.mark.parametrize(("code", "kind"), [
    ("bad_input", errors.BadInput), ("refused", errors.Refused), ("not_found", errors.NotFound),
    ("not_permitted", errors.NotPermitted), ("stale", errors.Stale), ("unreachable", errors.Unreachable),
    ("broken", errors.Broken), ("of a later version", errors.QrmError),
])
async def test_errors_come_as_the_server_told_them(fake: FakeQrmd, client: Client, code: str, kind: type) -> None:
    fake.refuse("POST /v1/plan", code, "one reason", "another")
    with pytest.raises(errors.QrmError) as caught:
        await client.plan("image.clone", {})
    assert type(caught.value) is kind
    assert caught.value.reasons == ("one reason", "another")


@pytest.mark.parametrize("answer", [
    Response("Internal Server Error\x1b[2J", 500), JSONResponse({"error": "no"}, 500), JSONResponse([], 404),
    JSONResponse({"error": {"code": 5, "reasons": "x"}}, 500), Response(b"\xff\xfe", 502), Response("", 503),
])
async def test_an_error_that_is_not_ours(fake: FakeQrmd, client: Client, answer: Response) -> None:
    fake.answers["GET /v1/farm"] = lambda request: answer
    with pytest.raises(errors.Broken, match=rf"GET /v1/farm with status {answer.status_code}.*journalctl") as caught:
        await client.farm()
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("answer", [HTMLResponse("<html>"), JSONResponse([1]), Response("[" * 100_000), Response("")])
async def test_an_answer_that_is_not_understood(fake: FakeQrmd, client: Client, answer: Response) -> None:
    fake.answers["GET /v1/farm"] = lambda request: answer
    with pytest.raises(errors.Broken, match="one version"):
        await client.farm()
    assert (await client.hello())["farm"] == "lab"


async def test_a_huge_answer_is_not_taken_in(fake: FakeQrmd, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "LARGEST_ANSWER", 1000)
    fake.answers["GET /v1/farm"] = {"x": "y" * 1001}
    with pytest.raises(errors.Broken, match="--limit"):
        await client.farm()
    assert (await client.hello())["farm"] == "lab"


# streams

async def test_a_watch_yields_events_as_they_come(fake: FakeQrmd, client: Client) -> None:
    fake.events = [{"event": "snapshot", "kind": "job", "rows": [JOB] * 500, "first": True, "last": True,
                    "revision": 7}, {"event": "alive", "revision": 7}]
    stream = client.watch(["job", "image"], 5)
    assert [await anext(stream), await anext(stream)] == fake.events
    await client.hello()   # meanwhile, on another connection
    await stream.aclose()
    assert fake.asked("GET /v1/watch") == [{"kinds": "job,image", "since": "5"}]


async def test_a_watch_from_revision_nought(fake: FakeQrmd, client: Client) -> None:
    fake.after_events = "end"
    await events_of(client.watch(["job"], 0))
    await events_of(client.watch(["job"]))
    assert fake.asked("GET /v1/watch") == [{"kinds": "job", "since": "0"}, {"kinds": "job"}]


async def test_a_watch_lost_in_the_middle_of_a_line(fake: FakeQrmd, client: Client) -> None:
    fake.events, fake.after_events = [{"event": "alive", "revision": 7}], "break"
    stream = client.watch(["job"])
    assert await anext(stream) == {"event": "alive", "revision": 7}
    with pytest.raises(errors.NoServer, match="lost"):
        await anext(stream)


async def test_a_watch_that_falls_silent(fake: FakeQrmd, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_WATCH_PATIENCE", 0.05)
    with pytest.raises(errors.NoServer, match="nothing came"):
        await events_of(client.watch(["job"]))


async def test_a_stream_that_is_refused(fake: FakeQrmd, client: Client) -> None:
    fake.refuse("GET /v1/job/9/log", "not_found", "there is no job 9", status=404)
    with pytest.raises(errors.NotFound, match="no job 9"):
        await events_of(client.job_log(9))


async def test_an_endless_line_is_not_taken_in(fake: FakeQrmd, client: Client,
                                               monkeypatch: pytest.MonkeyPatch) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(1000):
            yield b"x" * 1000

    monkeypatch.setattr(connection, "LARGEST_LINE", 10_000)
    fake.answers["GET /v1/job/9/log"] = lambda request: StreamingResponse(endless())
    with pytest.raises(errors.Broken, match="a line of more than"):
        await events_of(client.job_log(9))


async def test_garbage_in_a_stream(fake: FakeQrmd, client: Client) -> None:
    fake.answers["GET /v1/job/9/log"] = lambda request: Response(b'{"n": 0}\n\n{"n": \n')
    stream = client.job_log(9)
    assert await anext(stream) == {"n": 0}
    with pytest.raises(errors.Broken, match="not understood"):
        await anext(stream)


async def test_a_log_is_read_from_a_line_on(fake: FakeQrmd, client: Client) -> None:
    entries = await events_of(client.job_log(12, follow=True, start=4))
    assert entries == fake.log
    assert fake.asked("GET /v1/job/12/log") == [{"follow": "1", "from": "4"}]


async def test_lines_cut_anywhere_come_whole(tmp_path: Path) -> None:
    events = [{"n": number, "text": "ü" * number} for number in range(40)]
    body = b"".join(json.dumps(event, ensure_ascii=False).encode() + b"\n" for event in events)
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(body[at:at + 7]), body[at:at + 7]) for at in range(0, len(body), 7))
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    with RawServer(tmp_path / "s", head + chunks + b"0\r\n\r\n") as server:
        assert await events_of(Client(server.path).job_log(1)) == events


# imports

def test_the_client_stays_thin() -> None:
    script = "import sys, qrm_tui.client.connection; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert not {"textual", "sqlmodel", "asyncssh", "libvirt", "jinja2", "msgspec", "starlette"} & set(loaded)
