"""Whatever ends the test process, nothing of the lab stays behind."""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.guard import in_network_namespace
from tests.lab.namespace import BRIDGE_ADDRESS, Namespace

# each group has a worker, and with it a server, of its own
pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("faults")]

OWNER = """
import sys
from tests.lab.namespace import Namespace
namespace = Namespace()
namespace.start()
namespace.popen(["unshare", "--pid", "--kill-child", "--fork", "sleep", "1000"], inside=True)
namespace.popen(["setsid", "sh", "-c", "sleep 1000 & sleep 1000"])
while len(namespace.processes()) < 7:
    pass
print(namespace.keeper, namespace.scratch, flush=True)
sys.stdin.read()
namespace.close()
"""
DEADLINE = 60
"""Seconds"""


@pytest.fixture
def owner() -> Iterator[subprocess.Popen[str]]:
    """A process that has a namespace with programs in it, and prints the keeper and the scratch folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    yield process
    process.kill()
    process.communicate()


def programs(owner: subprocess.Popen[str]) -> tuple[str, Path]:
    assert owner.stdout is not None
    keeper, scratch = owner.stdout.readline().split()
    return str(Path(f"/proc/{keeper}/ns/net").readlink()), Path(scratch)


def guard_of(owner: subprocess.Popen[str]) -> int:
    for process in Path("/proc").glob("[0-9]*"):
        if f"guard.py\0{owner.pid}\0".encode() in (process / "cmdline").read_bytes():
            return int(process.name)
    raise AssertionError("no guard")


def await_end(*descriptors: int) -> None:
    for descriptor in descriptors:
        assert select.select([descriptor], [], [], DEADLINE)[0]


def test_killing_the_owner_leaves_nothing(owner: subprocess.Popen[str]) -> None:
    namespace, scratch = programs(owner)
    held = [os.pidfd_open(pid) for pid in in_network_namespace(namespace)]
    guard = os.pidfd_open(guard_of(owner))
    assert len(held) >= 7
    owner.kill()
    await_end(*held, guard)
    assert not scratch.exists()
    assert in_network_namespace(namespace) == []


def test_killing_the_guard_ends_the_machines_and_close_the_rest(owner: subprocess.Popen[str]) -> None:
    namespace, scratch = programs(owner)
    held = [os.pidfd_open(pid) for pid in in_network_namespace(namespace)]
    os.kill(guard_of(owner), signal.SIGKILL)
    owner.communicate()
    await_end(*held)
    assert not scratch.exists()
    assert in_network_namespace(namespace) == []


def test_the_network_is_apart_and_files_are_the_same(lab_namespace: Namespace, tmp_path: Path) -> None:
    addresses = lab_namespace.run(["ip", "-brief", "address"], capture_output=True, text=True, check=True).stdout
    assert [line.split()[0] for line in addresses.splitlines()][:2] == ["lo", "br0"]
    assert f"{BRIDGE_ADDRESS}/24" in addresses
    (tmp_path / "file").write_text("seen")
    shown = lab_namespace.run(["cat", str(tmp_path / "file")], capture_output=True, text=True, check=True).stdout
    assert shown == "seen"
