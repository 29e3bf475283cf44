"""A rack of 10,000 machines that are switched on together, then beat 2,000 times a second; qrmd-node and qrmd are real.

    .venv/bin/python tests/bench/nodes.py [MACHINES] [SECONDS]

Each request is a connection of its own, as busybox's wget makes them. Beside it: the same heartbeats to a bare uvicorn
application, and what a person at the screen would feel meanwhile. Budgets: none lost, p99 of enlistment 10 s; both
processes together well under one core at 2,000 heartbeats a second.
"""
from __future__ import annotations

import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from qrm_tui.client.connection import Client

ROOT = Path(__file__).parents[2]
MACHINES, SECONDS, RATE = 10_000, 8.0, 2000
PATIENCE = 120.0
BARE_PORT = 18640
#: The word with which this file measures what a person feels.
FEEL = "feel"

BARE = """
import sys, uvicorn
async def app(scope, receive, send):
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"19")]})
    await send({"type": "http.response.body", "body": b"beat 10\\norder stay\\n"})
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), http="httptools", access_log=False, log_level="error",
            lifespan="off", ws="none", backlog=4096)
"""


class _Request(asyncio.Protocol):
    """One request; `done` gets the answer when the connection ends."""

    def __init__(self, request: bytes, done: asyncio.Future[bytes]) -> None:
        self._request, self._done, self._got = request, done, b""

    def connection_made(self, transport: Any) -> None:
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._got += data

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._done.done():
            self._done.set_result(self._got)


async def ask(port: int, request: bytes) -> bytes:
    """The whole answer; empty if there was none."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[bytes] = loop.create_future()
    try:
        await loop.create_connection(lambda: _Request(request, done), "127.0.0.1", port)
    except OSError:
        return b""
    return await done


def post(path: str, body: dict[str, Any], token: str = "") -> bytes:
    """A request as busybox's wget sends it."""
    content = json.dumps(body)
    shown = f"Authorization: Bearer {token}\r\n" if token else ""
    head = (f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: Wget\r\nConnection: close\r\n{shown}"
            f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(content)}\r\n\r\n")
    return (head + content).encode()


def inventory(number: int) -> dict[str, Any]:
    """What an ordinary server says."""
    return {"cpus": 16, "mhz": 2400, "model": "Intel(R) Xeon(R) Silver 4210R CPU @ 2.40GHz", "memory": 64 << 30,
            "disks": [{"name": "sda", "size": 480 << 30}, {"name": "sdb", "size": 480 << 30}],
            "nics": [{"name": f"eth{at}", "mac": mac(number, at)} for at in range(2)], "vendor": "Dell Inc.",
            "product": "PowerEdge R640", "serial": f"S{number:07d}", "firmware": "uefi"}


def mac(number: int, card: int = 0) -> str:
    return f"52:54:{card:02x}:{number >> 16 & 255:02x}:{number >> 8 & 255:02x}:{number & 255:02x}"


def boot(number: int) -> str:
    return f"{number:032x}"


async def enlist(port: int, number: int) -> tuple[float, int, str]:
    """Seconds until it was enlisted, how often it asked, its token."""
    begun, tries = time.perf_counter(), 0
    request = post("/v1/enlist", {"mac": mac(number), "boot": boot(number), "nonce": "", "stage": "agent",
                                  "runs": "idle", "inventory": inventory(number)})
    while time.perf_counter() - begun < PATIENCE:
        tries += 1
        answer = await ask(port, request)
        if answer.startswith(b"HTTP/1.1 200"):
            return time.perf_counter() - begun, tries, answer.rpartition(b"token ")[2].split(b"\n")[0].decode()
        if answer and not answer.startswith(b"HTTP/1.1 503"):
            raise SystemExit(f"machine {number}: {answer!r}")
        retry = answer.partition(b"retry-after: ")[2].split(b"\r\n")[0]
        await asyncio.sleep(float(retry or 1))
    return PATIENCE, tries, ""


def processor(pid: int) -> float:
    """Seconds of processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(pid: int) -> float:
    """MiB."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def share(values: list[float], part: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * part))] if values else float("nan")


async def at_rate(rate: int, seconds: float,
                  work: Callable[[int], Coroutine[Any, Any, bytes]]) -> tuple[int, int, float]:
    """Begin `work` so often a second: how many, how many of them well, and seconds that it took."""
    tasks: set[asyncio.Task[bytes]] = set()
    good = [0]

    def ended(task: asyncio.Task[bytes]) -> None:
        tasks.discard(task)
        good[0] += task.result().startswith(b"HTTP/1.1 200")

    begun, number = time.perf_counter(), 0
    while (now := time.perf_counter() - begun) < seconds:
        while number < now * rate:
            task = asyncio.create_task(work(number))
            tasks.add(task)
            task.add_done_callback(ended)
            number += 1
        await asyncio.sleep(0.005)
    await asyncio.gather(*tasks)
    return number, good[0], time.perf_counter() - begun


async def timed(call: Callable[[], Coroutine[Any, Any, Any]], until: asyncio.Event, pause: float) -> list[float]:
    """Milliseconds of a call, again and again."""
    found = []
    while not until.is_set():
        begun = time.perf_counter()
        await call()
        found.append((time.perf_counter() - begun) * 1000)
        await asyncio.sleep(pause)
    return found


async def feel(path: str, seconds: float) -> None:
    """What a person feels for some seconds, as JSON: times of `list`, and of the least request."""
    client, other = Client(path), Client(path)
    ends = asyncio.Event()
    asyncio.get_running_loop().call_later(seconds, ends.set)
    print(json.dumps(await asyncio.gather(
        timed(lambda: client.list("resource", filter="state=idle", limit=50), ends, 0.5),
        timed(other.hello, ends, 0.02))))


def felt(path: Path, seconds: float) -> subprocess.Popen[str]:
    """The same in a process of its own: this one is busy with being ten thousand machines."""
    return subprocess.Popen([sys.executable, __file__, FEEL, str(path), str(seconds)], stdout=subprocess.PIPE,
                            text=True, cwd=ROOT)


def said(process: subprocess.Popen[str]) -> list[list[float]]:
    return json.loads(process.communicate()[0])  # type: ignore[no-any-return]


async def switched_on(port: int, machines: int, client: Client, pids: tuple[int, int]) -> list[str]:
    """All enlist; their tokens."""
    before = [processor(pid) for pid in pids]
    begun = time.perf_counter()
    found = await asyncio.gather(*(enlist(port, number) for number in range(machines)))
    took = time.perf_counter() - begun
    used = [processor(pid) - was for pid, was in zip(pids, before, strict=True)]
    times, tries = [seconds for seconds, _, _ in found], sum(asked for _, asked, _ in found)
    known = (await client.list("resource", limit=1))["total"]
    lost = sum(not token for _, _, token in found)
    print(f"{machines} machines enlist at once: {lost} lost, qrmd has {known}; {tries - machines} tries more; all in "
          f"{took:.1f} s\n  p50 {share(times, 0.5):.1f} s, p99 {share(times, 0.99):.1f} s (budget 10), processor: "
          f"qrmd-node {used[0]:.1f} s, qrmd {used[1]:.1f} s; resident {resident(pids[0]):.0f} and "
          f"{resident(pids[1]):.0f} MiB")
    return [token for _, _, token in found]


async def beating(port: int, tokens: list[str], seconds: float, path: Path,
                  pids: tuple[int, int]) -> tuple[float, float]:
    """Heartbeats at the rate; the shares of a core that the two take."""
    requests = [post("/v1/beat", {"boot": boot(number), "stage": "agent", "runs": "idle", "load": number % 7 / 10},
                     token) for number, token in enumerate(tokens)]
    quiet = said(felt(path, 3))
    feeling = felt(path, seconds)
    before = [processor(pid) for pid in pids]
    sent, good, took = await at_rate(RATE, seconds, lambda number: ask(port, requests[number % len(requests)]))
    shares = [(processor(pid) - was) / took for pid, was in zip(pids, before, strict=True)]
    busy = said(feeling)
    print(f"{sent / took:.0f} heartbeats/s for {took:.0f} s: {sent - good} not answered; share of a core: qrmd-node "
          f"{shares[0]:.2f}, qrmd {shares[1]:.2f}, together {sum(shares):.2f}")
    for what, was, now in zip(("list, 50 rows of a filter", "hello (the loop's lag in it)"), quiet, busy, strict=True):
        print(f"  {what}: p50 {share(was, 0.5):.1f} ms quiet, {share(now, 0.5):.1f} ms under load; p99 "
              f"{share(was, 0.99):.1f} and {share(now, 0.99):.1f}")
    return shares[0], shares[1]


async def bare(port: int, seconds: float, pid: int) -> float:
    """The share of a core that a bare uvicorn application takes for the same."""
    request = post("/v1/beat", {"boot": boot(1), "stage": "agent", "runs": "idle", "load": 0.1}, "a" * 64)
    while not await ask(port, request):
        await asyncio.sleep(0.1)
    before = processor(pid)
    _, _, took = await at_rate(RATE, seconds, lambda number: ask(port, request))
    return (processor(pid) - before) / took


async def measure(machines: int, seconds: float, path: Path, port: int, pids: tuple[int, int], other: int) -> None:
    """Print figures; nothing is asserted. `pids` of qrmd-node and qrmd; `other` of the bare application."""
    hello = b"GET /v1/hello HTTP/1.1\r\nHost: n\r\n\r\n"
    while b"connected" not in await ask(port, hello):
        await asyncio.sleep(0.1)
    tokens = await switched_on(port, machines, Client(str(path)), pids)
    shares = await beating(port, tokens, seconds, path, pids)
    alone = await bare(BARE_PORT, seconds / 2, other)
    print(f"a bare uvicorn application takes {alone:.2f} of a core for the same: qrmd-node "
          f"{shares[0] / alone:.1f} times that, both {sum(shares) / alone:.1f} times")


def main() -> None:
    """Start the programs, and measure with the numbers given."""
    if sys.argv[1:2] == [FEEL]:
        asyncio.run(feel(sys.argv[2], float(sys.argv[3])))
        return
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    machines = int(sys.argv[1]) if len(sys.argv) > 1 else MACHINES
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else SECONDS
    with tempfile.TemporaryDirectory(prefix="qrm-bench-") as name:
        folder = Path(name)
        path, python = folder / "qrmd.sock", [sys.executable, "-m"]
        server = subprocess.Popen([*python, "qrm_tui.daemon.main", "--socket", path, "--state", folder / "state",
                                   "--log", folder / "log", "--settings", folder / "none", "--with-parent"], cwd=ROOT)
        node = subprocess.Popen([*python, "qrm_tui.node.main", "--listen", "127.0.0.1:0", "--socket",
                                 folder / "node.sock", "--with-parent"], cwd=ROOT, stdout=subprocess.PIPE,
                                stderr=subprocess.DEVNULL, text=True)
        other = subprocess.Popen([sys.executable, "-c", BARE, str(BARE_PORT)])
        try:
            assert node.stdout is not None
            port = int(node.stdout.readline().rpartition(":")[2])
            asyncio.run(measure(machines, seconds, path, port, (node.pid, server.pid), other.pid))
        finally:
            for process in (other, node, server):
                process.terminate()
                process.wait()


if __name__ == "__main__":
    main()
