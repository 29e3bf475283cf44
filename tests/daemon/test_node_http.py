"""qrmd-node over real HTTP: what machines say well, and everything that they can say wrongly."""
from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from qrm_tui.core.node_wire import MOST_BEAT, MOST_ENLIST
from qrm_tui.node.limits import MOST_HEADERS, Limits
from tests.daemon.rackroom import HAS, MAC, Http, Room, lines_of, new_boot, parse, read_all, serving

BOOT = "ab" * 16


@pytest_asyncio.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    made = Room(tmp_path)
    await made.open()
    yield made
    await made.close()


@pytest_asyncio.fixture
async def http(room: Room) -> AsyncIterator[Http]:
    async with serving(room.socket) as made:
        await made.connected()
        yield made


async def _until(holds: Any) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.01)


async def test_a_machine_enlists_beats_and_gets_its_order(room: Room, http: Http) -> None:
    status, headers, body = await http.post("/v1/enlist", {
        "mac": MAC, "boot": BOOT, "nonce": "", "stage": "agent", "runs": "idle", "from the future": [1],
        "inventory": {**msgspec.to_builtins(HAS), "more": {}}})
    told = lines_of(body)
    assert (status, headers["content-type"]) == (200, "text/plain; charset=utf-8")
    assert (told["name"], told["beat"], told["order"], len(told["token"])) == ("r1", "10", "stay", 64)
    assert (room.item().state, room.seen().address, room.seen().inventory) == ("idle", "127.0.0.1", HAS)
    beat = {"boot": BOOT, "stage": "agent", "runs": "idle", "load": 0.12}
    # at once: the table is there before the answer is
    assert await http.post("/v1/beat", beat, told["token"]) == (200, headers | {"content-length": "19"},
                                                                "beat 10\norder stay\n")
    await _until(lambda: room.seen().load == 0.12)
    await room.rack._order("r1", "reboot", BOOT)
    await _until(lambda: http.app._machines.find(room.seen().token).order == "reboot")
    assert (await http.post("/v1/beat", beat, told["token"]))[2] == "beat 2\norder reboot\n"
    assert (await http.post("/v1/beat", {**beat, "bye": "reboot"}, told["token"]))[0] == 200
    await _until(lambda: room.item().state == "booting")


async def test_what_busybox_sends(http: Http) -> None:
    body = json.dumps({"mac": MAC, "boot": BOOT})
    status, _, text = await http.raw(
        f"POST /v1/enlist HTTP/1.0\r\nHost: 10.0.0.1:8640\r\nUser-Agent: Wget\r\nConnection: close\r\nContent-Type: "
        f"application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
    assert status == 200 and lines_of(text)["name"] == "r1"
    head = "POST /v1/enlist HTTP/1.1\r\nHost: n\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert (await http.raw(f"{head}{len(body):x}\r\n{body}\r\n0\r\n\r\n".encode()))[0] == 200


BAD_BODIES = [
    b"", b"{", b"null", b"[]", b'"x"', b"\xff\xfe", b'{"mac": 5, "boot": "ab"}', b'{"boot": "abababab"}',
    b"[" * 60_000, b'{"mac":"\\ud800"}',
    *(json.dumps({"mac": MAC, "boot": BOOT, **said}).encode() for said in (
        {"mac": "nonsense"}, {"mac": None}, {"boot": 7}, {"stage": "kernel"}, {"inventory": []},
        {"inventory": {"cpus": "many"}}, {"inventory": {"cpus": -2}}, {"inventory": {"memory": 10 ** 40}},
        {"inventory": {"memory": 1e308}}, {"inventory": {"disks": "vda"}}, {"inventory": {"disks": [{"name": 1}]}},
        {"inventory": {"disks": [{"name": "vda", "size": -5}]}}, {"runs": "../.."}, {"nonce": {"a": 1}})),
]


@pytest.mark.parametrize("body", BAD_BODIES, ids=lambda body: repr(body[:40]))
async def test_what_cannot_be_read_is_told_in_one_line(room: Room, http: Http, body: bytes) -> None:
    status, _, text = await http.post("/v1/enlist", body)
    assert status == 400 and text.endswith("\n") and text[:-1].isprintable() and len(text) < 400
    assert room.farm.count("resource") == 0


@pytest.mark.parametrize("said", [{}, {"boot": 3}, {"boot": BOOT, "load": "much"}, {"boot": BOOT, "stage": "loader"},
                                  {"boot": BOOT, "bye": "maybe"}, {"boot": BOOT, "runs": "a b"}, [], None])
async def test_bad_heartbeats(room: Room, http: Http, said: Any) -> None:
    token = lines_of((await http.enlist(boot=BOOT))[2])["token"]
    before = room.seen()
    status, _, text = await http.post("/v1/beat", said, token)
    assert status == 400 and text[:-1].isprintable()
    http.link.flush()
    assert room.seen() == before


async def test_tokens_of_others(room: Room, http: Http) -> None:
    mine = lines_of((await http.enlist(boot=BOOT))[2])["token"]
    other = lines_of((await http.enlist("52:54:00:77:00:21", boot="cd" * 16))[2])["token"]
    assert (await http.post("/v1/beat", {"boot": BOOT}, mine))[0] == 200
    for token in ("", "0" * 64, mine[:-1], mine + "0", mine.upper() + "'", other):
        assert (await http.post("/v1/beat", {"boot": BOOT}, token))[0] == 401
    # what is kept of a token is no token
    assert (await http.post("/v1/beat", {"boot": BOOT}, room.seen("r1").token))[0] == 401
    # and with another's nothing is enlisted, though it is a good one for its own machine
    await room.keep_nonce("r1")
    status, _, text = await http.enlist(token=other)
    assert status == 403 and "no nonce" in text
    assert (await http.post("/v1/beat", {"boot": BOOT}, mine))[0] == 200


@pytest.mark.parametrize(("line", "status"), [
    ("GET /v1/hello", 200), ("GET /v1/beat", 405), ("POST /", 404), ("GET /v1/../etc/passwd", 404),
    ("DELETE /v1/enlist", 405), ("GET /%2e%2e/%00", 404), ("CONNECT x:1", 400), ("POST *", 404), ("NONSENSE", 400),
    ("GET http://[/", 400),
])
async def test_other_requests(http: Http, line: str, status: int) -> None:
    answer = await http.raw(f"{line} HTTP/1.1\r\nHost: n\r\nContent-Length: 0\r\n\r\n".encode())
    assert answer[0] == status and "Traceback" not in answer[2]


@pytest.mark.parametrize(("path", "most"), [("/v1/enlist", MOST_ENLIST), ("/v1/beat", MOST_BEAT)])
async def test_ten_megabytes_are_not_read(http: Http, path: str, most: int) -> None:
    size, sent = 10 << 20, 0
    for length in (f"Content-Length: {size}", "Transfer-Encoding: chunked"):
        reader, writer = await http.connect()
        writer.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 << 10)
        answer = asyncio.create_task(read_all(reader))
        writer.write(f"POST {path} HTTP/1.1\r\nHost: n\r\n{length}\r\n\r\n".encode())
        part = b"x" * (32 << 10)
        sent = 0
        with contextlib.suppress(ConnectionError):
            while sent < size and not answer.done():
                writer.write(part if "chunked" not in length else b"8000\r\n" + part + b"\r\n")
                await writer.drain()
                sent += len(part)
                assert http.app.held <= most
        status, _, text = parse(await answer)
        assert sent < 4 << 20, "the line is cut long before the end"
        assert status in (413, 0) and (not text or str(most) in text)
        writer.close()
    # one that asks before it sends is told at once
    status, _, text = await http.raw(f"POST {path} HTTP/1.1\r\nHost: n\r\nExpect: 100-continue\r\n"
                                     f"Content-Length: {size}\r\n\r\n".encode())
    assert status == 413 and str(most) in text
    await _until(lambda: http.app.held == 0 and http.limits.connections == 0)
    assert (await http.enlist())[0] == 200


async def test_headers_without_end(http: Http) -> None:
    reader, writer = await http.connect()
    answer = asyncio.create_task(read_all(reader))
    writer.write(b"GET /v1/hello HTTP/1.1\r\n")
    sent = 0
    with contextlib.suppress(ConnectionError):
        while not answer.done() and sent < 1 << 20:
            writer.write(b"X-More: " + b"y" * 500 + b"\r\n")
            await asyncio.sleep(0)  # the other end lives in this loop
            sent += 510
    assert sent < 256 << 10 and parse(await answer)[0] in (431, 0)
    writer.close()
    assert (await http.raw(b"GET /v1/hello HTTP/1.1\r\nX: " + b"y" * MOST_HEADERS + b"\r\n\r\n"))[0] == 431
    assert (await http.raw(b"GET /" + b"y" * 20_000 + b" HTTP/1.1\r\n\r\n"))[0] == 431
    assert (await http.raw(b"GET /v1/hello HTTP/1.1\r\nHost: n\r\n\r\n"))[0] == 200


@pytest.mark.parametrize("sent", [
    b"", b"POST /v1/enl", b"POST /v1/enlist HTTP/1.1\r\nHost: n\r\nX-Slow: ",
    b"POST /v1/enlist HTTP/1.1\r\nHost: n\r\nContent-Length: 50\r\n\r\n{",
    b"POST /v1/enlist HTTP/1.1\r\nHost: n\r\nTransfer-Encoding: chunked\r\n\r\nfff\r\n{",
])
async def test_one_who_dawdles_is_not_waited_for(room: Room, sent: bytes) -> None:
    async with serving(room.socket, Limits(patience=0.3)) as http:
        await http.connected()
        reader, writer = await http.connect()
        answer = asyncio.create_task(read_all(reader))
        writer.write(sent)
        with contextlib.suppress(ConnectionError):
            while not answer.done():
                if sent:
                    writer.write(b"a")  # a byte now and then gains nothing
                    await writer.drain()
                await asyncio.sleep(0.05)
        assert parse(await answer)[0] == 408
        writer.close()
        await _until(lambda: http.limits.connections == 0 and http.app.held == 0)


async def test_there_are_only_so_many_connections(room: Room) -> None:
    async with serving(room.socket, Limits(most=3)) as http:
        await http.connected()
        held = [await http.connect() for _ in range(3)]
        await _until(lambda: http.limits.connections == 3)
        status, headers, _ = await http.raw(b"")
        assert status == 503 and 5 <= int(headers["retry-after"]) <= 30
        held.pop()[1].close()
        await _until(lambda: http.limits.connections == 2)
        assert (await http.raw(b"GET /v1/hello HTTP/1.1\r\nHost: n\r\n\r\n"))[0] == 200
        for _, writer in held:
            writer.close()


def test_one_address_has_not_all_connections() -> None:
    limits = Limits(most=100, most_of_one=2)
    assert [limits.take("10.0.0.7") for _ in range(3)] == [True, True, False]
    assert limits.take("10.0.0.8") and limits.take("127.0.0.1")
    limits.give_back("10.0.0.7")
    assert limits.take("10.0.0.7")
    for address in ("10.0.0.7", "10.0.0.7", "10.0.0.8", "127.0.0.1"):
        limits.give_back(address)
    assert limits.connections == 0 and not limits.of


async def test_bodies_are_held_only_so_many(room: Room) -> None:
    async with serving(room.socket, most_held=100_000) as http:
        await http.connected()
        _, writer = await http.connect()
        writer.write(b"POST /v1/enlist HTTP/1.1\r\nHost: n\r\nContent-Length: 60000\r\n\r\n{")
        await _until(lambda: http.app.held == 60_000)
        status, headers, text = await http.enlist(inventory={"model": "x" * 50_000})
        assert status == 503 and "retry-after" in headers and "come again" in text
        writer.close()
        await _until(lambda: http.app.held == 0)
        assert (await http.enlist())[0] == 200


async def test_too_many_enlist_at_once(room: Room) -> None:
    async with serving(room.socket, most_enlisting=0) as http:
        await http.connected()
        answers = [await http.enlist() for _ in range(20)]
        assert {status for status, _, _ in answers} == {503}
        assert len({headers["retry-after"] for _, headers, _ in answers}) > 1, "they come again spread out"


async def test_a_thousand_machines_at_once(room: Room, http: Http) -> None:
    macs = [f"52:54:00:00:{number >> 8:02x}:{number & 255:02x}" for number in range(1000)]
    answers = await asyncio.gather(*(http.enlist(mac, inventory={"cpus": 2}) for mac in macs))
    assert {status for status, _, _ in answers} == {200}
    told = [lines_of(body) for _, _, body in answers]
    assert len({one["name"] for one in told}) == len({one["token"] for one in told}) == 1000
    assert {room.item(one["name"]).wanted.mac: one["name"] for one in told} == dict(
        zip(macs, (one["name"] for one in told), strict=True))
    assert await room.store.verify_journal() == (1000, "")
    assert len(await room.store.objects()) == 1000


async def test_qrmd_is_away_and_comes_back(room: Room, http: Http) -> None:
    token = lines_of((await http.enlist(boot=BOOT))[2])["token"]
    await room.rack._order("r1", "reboot", BOOT)
    await _until(lambda: http.app._machines.find(room.seen().token).order == "reboot")
    await room.nodes.close()
    await _until(lambda: not http.link.connected)
    # known machines are answered, and no order of before is given; nobody is enlisted, and nobody is told off
    for load in range(50):
        assert await http.post("/v1/beat", {"boot": BOOT, "load": load / 10}, token) == (
            200, {"content-type": "text/plain; charset=utf-8", "connection": "close", "content-length": "18"},
            "beat 2\norder stay\n")
    status, headers, text = await http.enlist("52:54:00:77:00:21")
    assert (status, "away" in text) == (503, True) and 5 <= int(headers["retry-after"]) <= 30
    assert (await http.post("/v1/beat", {"boot": BOOT}, "0" * 64))[0] == 503
    assert len(http.link._beats) == 1, "of each machine the newest is kept, no more"
    await room.restart()
    await http.connected()
    await _until(lambda: room.seen().load == 4.9)
    assert (await http.post("/v1/beat", {"boot": BOOT}, token))[2] == "beat 2\norder reboot\n"
    assert (await http.enlist("52:54:00:77:00:21"))[0] == 200


async def test_a_node_that_never_saw_qrmd_sends_nobody_away(tmp_path: Path) -> None:
    async with serving(tmp_path / "nobody.sock") as http:
        assert (await http.post("/v1/beat", {"boot": BOOT}, "0" * 64))[0] == 503
        assert (await http.enlist())[0] == 503
        assert "away" in (await http.raw(b"GET /v1/hello HTTP/1.1\r\nHost: n\r\n\r\n"))[2]


async def test_a_line_that_breaks_while_machines_wait(room: Room, http: Http) -> None:
    async def hang(*_: object) -> None:
        await asyncio.sleep(60)

    room.enlisting._write = hang  # type: ignore[method-assign,assignment]
    asked = asyncio.create_task(http.enlist())
    await _until(lambda: http.link.asked == 1)
    await room.nodes.close()
    assert (await asked)[0] == 503


async def test_beats_that_waited_are_as_old_as_they_are(room: Room, http: Http) -> None:
    token = lines_of((await http.enlist(boot=BOOT))[2])["token"]
    await room.nodes.close()
    await _until(lambda: not http.link.connected)
    assert (await http.post("/v1/beat", {"boot": BOOT, "bye": "off"}, token))[0] == 200
    assert (await http.post("/v1/beat", {"boot": BOOT}, token))[0] == 200
    before = http.link.clock
    http.link.clock = lambda: before() + 25
    room.now += 30
    await room.nodes.open(room.socket)
    await _until(lambda: room.item().state == "off")
    # a good-bye is not lost to a beat after it, and has its age
    assert room.now - 26 < room.seen().heard < room.now - 24


async def test_strangers_on_the_socket(room: Room, http: Http) -> None:
    for sent in (b"GET / HTTP/1.1\r\n\r\n", b"\xff\xff\xff\xff", b"\0\0\0\1\xc1"):
        reader, writer = await asyncio.open_unix_connection(room.socket)
        writer.write(sent)
        await read_all(reader)  # its table, and the end
        writer.close()
    await _until(lambda: room.nodes.connected == 1)
    assert (await http.enlist(boot=new_boot()))[0] == 200
