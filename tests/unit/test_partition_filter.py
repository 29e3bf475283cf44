"""What holds a partition to its own addresses: its filter, and the steps that load it and take it back."""
from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from qrm_tui.backends.partition_filter import FILTER_SCRIPT, FOLDER, drop_step, load_step, loaded, render_filter
from qrm_tui.core.errors import Refused
from qrm_tui.core.partitionings import BRIDGE
from qrm_tui.core.partitions import PartitionWanted
from qrm_tui.practice.machine import SimulatedMachine
from tests.unit.practice import make_machine

FIXTURE = Path(__file__).parent.parent / "fixtures" / "partition-filter.nft"
WANTED = PartitionWanted(id="p", host="r1", technology="xen-pv", mac="00:16:3e:1a:2b:3c", target="qrm1a2b3c4d",
                         memory=1 << 28)
ADDRESS = "10.77.0.11"


@pytest.fixture
def machine(tmp_path: Path) -> SimulatedMachine:
    return make_machine(tmp_path)


def test_a_filter_is_written_as_nft_takes_it() -> None:
    assert render_filter("customer1", WANTED, ADDRESS) == FIXTURE.read_text()


@pytest.mark.parametrize(("address", "why"), [
    ("", "it has none"), ("fd00::1", "fd00::1 is none of IPv4"), ("10.0.0.0/8", "is none of IPv4"),
])
def test_a_partition_without_an_address_of_its_own_is_refused(address: str, why: str) -> None:
    with pytest.raises(Refused, match=f"{why}: qrm resource edit customer1 --address ADDRESS"):
        load_step("customer1", WANTED, address)


def test_what_is_loaded_is_asked_for_and_taken_back_on_its_host() -> None:
    step = load_step("customer1", WANTED, ADDRESS)
    where = (f"{FOLDER}/customer1.nft", "qrm1a2b3c4d")
    assert step.machine == drop_step("customer1", WANTED).machine == "resource/r1"
    assert step.argv[3:] == ("sh", "load", *where, BRIDGE, FIXTURE.read_text())
    assert step.done == loaded("customer1", WANTED, ADDRESS)
    assert step.done is not None and step.done.argv[3:] == ("sh", "loaded", *where, BRIDGE, FIXTURE.read_text())
    assert step.undo is not None and step.undo.argv == drop_step("customer1", WANTED).argv
    assert step.undo.argv[3:] == ("sh", "drop", *where)


def test_a_host_without_nft_says_what_it_lacks_and_loses_partitions_nevertheless(tmp_path: Path) -> None:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["/bin/sh", "-ec", FILTER_SCRIPT, "sh", *words], capture_output=True, text=True,
                              check=False, env={"PATH": str(tools)})

    tools, file = tmp_path / "bin", tmp_path / "p" / "customer1.nft"
    tools.mkdir()
    (tools / "rm").symlink_to("/bin/rm")
    done = run("load", str(file), "qrm1a2b3c4d", BRIDGE, "")
    assert done.returncode != 0 and "install nftables in its image" in done.stderr
    assert run("loaded", str(file), "qrm1a2b3c4d", BRIDGE, "").returncode != 0
    file.parent.mkdir()
    file.touch()
    assert run("drop", str(file), "qrm1a2b3c4d").returncode == 0 and not file.exists()


async def test_the_simulated_host_keeps_what_is_loaded(machine: SimulatedMachine) -> None:
    load, check, drop = load_step("p", WANTED, ADDRESS), loaded("p", WANTED, ADDRESS), drop_step("p", WANTED)
    assert (await machine.run(check.argv)).status != 0
    assert (await machine.run(load.argv)).status == 0
    assert (await machine.run(check.argv)).status == 0
    assert (await machine.run(loaded("p", WANTED, "10.77.0.12").argv)).status != 0
    assert machine.host.filters == {WANTED.target: render_filter("p", WANTED, ADDRESS)}
    for _ in range(2):
        assert (await machine.run(drop.argv)).status == 0
    assert machine.host.filters == {} and not machine.host.root.exists(f"{FOLDER}/p.nft")
    assert (await machine.run((*load.argv[:-1], "nonsense"))).status != 0
