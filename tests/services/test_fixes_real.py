"""Fixes' files with the real tools: nftables takes our rules, packets pass, and the check sees it; who has a port."""
from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from qrm_tui.backends.firewalls import CHAIN, Port, nftables_mark, nftables_text, parse_chains
from qrm_tui.backends.static_address import KEEP_SCRIPT
from qrm_tui.core.facts import Answered
from qrm_tui.install.server import Server
from qrm_tui.install.steps import WHY_SCRIPT
from tests.unit.machines import recorded

PORTS = [Port("udp", 67), Port("udp", 69), Port("tcp", 80), Port("tcp", 8640), Port("tcp", 2049)]


class Room:
    """A network namespace with a card."""

    def __init__(self) -> None:
        self._holder = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo; exec sleep 300"],
                                        stdout=subprocess.PIPE, text=True)
        assert self._holder.stdout
        self._holder.stdout.readline()

    def run(self, *argv: str, input: str = "") -> str:
        return subprocess.run(["nsenter", "--target", str(self._holder.pid), "--net", *argv], input=input, text=True,
                              capture_output=True, check=True).stdout

    def end(self) -> None:
        self._holder.kill()
        self._holder.wait()


@pytest.fixture
def room() -> Iterator[Room]:
    made = Room()
    made.run("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "peer0")
    made.run("ip", "link", "set", "eth0", "up")
    yield made
    made.end()


@pytest.mark.lab
def test_rules_are_taken_twice_and_the_check_sees_that_nothing_is_closed(room: Room, tmp_path: Path) -> None:
    machine = recorded("debian12-nftables")
    file = machine.files["/etc/nftables.conf"]
    assert file is not None
    room.run("nft", "--file", "-", input=file.content)
    ruleset = room.run("nft", "--json", "list", "ruleset")
    chains = parse_chains(ruleset)
    assert [(chain.family, chain.table, chain.name) for chain in chains] == [("inet", "filter", "input")]
    ours = tmp_path / "firewall.nft"
    ours.write_text(nftables_text(chains, PORTS, "eth0"))
    for _ in range(2):
        room.run("nft", "--check", "--file", str(ours))
        room.run("nft", "--file", str(ours))
    assert nftables_mark(PORTS, "eth0") in room.run("nft", "list", "table", "inet", "filter")
    after = msgspec.structs.replace(machine, asked={
        **machine.asked, "nftables": Answered(out=room.run("nft", "--json", "list", "ruleset"))})
    assert Server(after, "eth0").firewall.closed == ()
    assert Server(after, "eth7").firewall.closed, "on another card they are as closed as before"
    room.run("nft", f"flush chain inet filter {CHAIN}")


@pytest.mark.lab
def test_a_lent_address_stays(room: Room) -> None:
    room.run("ip", "address", "add", "192.168.88.143/24", "dev", "eth0", "valid_lft", "60", "preferred_lft", "60")
    assert json.loads(room.run("ip", "-json", "address", "show", "dev", "eth0"))[0]["addr_info"][0]["dynamic"]
    room.run("sh", "-c", KEEP_SCRIPT, "qrm", "eth0", "192.168.88.143/24")
    (kept,) = [entry for entry in json.loads(room.run("ip", "-json", "address", "show", "dev", "eth0"))[0]["addr_info"]
               if entry["family"] == "inet"]
    assert "dynamic" not in kept


def test_why_a_service_does_not_start_tells_who_has_its_port_and_what_it_lacks(tmp_path: Path) -> None:
    """systemd is played; who listens is asked of the kernel."""
    (tmp_path / "systemctl").write_text("#!/bin/sh\nprintf 'web.service\\n  data.mount\\n'\n")
    (tmp_path / "journalctl").write_text('#!/bin/sh\nfor unit; do :; done; echo "the last words of $unit"\n')
    for program in tmp_path.iterdir():
        program.chmod(0o755)
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        ports = [str(one.getsockname()[1]) for one in (taken, free)]
        said = subprocess.run(["sh", "-c", WHY_SCRIPT, "qrm", "web.service", *ports], capture_output=True, text=True,
                              check=True, env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}).stdout
    name = Path("/proc/self/comm").read_text().strip()
    assert said.splitlines() == ["the last words of data.mount",
                                 f"port {ports[0]} is held by {name} (process {os.getpid()})",
                                 "the last words of web.service"]
