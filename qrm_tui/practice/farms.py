"""Practice farms: simulated machines and the operations that fill them, as data (data/practice/*.toml) or generated."""
from __future__ import annotations

import re
import time
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qrm_tui.core.errors import BadInput
from qrm_tui.core.places import data_folder
from qrm_tui.core.plan import HERE
from qrm_tui.core.units import parse_size
from qrm_tui.install.recording import decode
from qrm_tui.practice.host import Seed
from qrm_tui.practice.machine import SimulatedMachine
from qrm_tui.practice.node import Model
from qrm_tui.practice.packages import plant_server
from qrm_tui.practice.rack import read_models
from qrm_tui.practice.recorded import RecordedMachine
from qrm_tui.practice.volumes import Filesystem, SimulatedGroup, SimulatedVolume, first_used

Clock = Callable[[], float]
#: Entries of a farm's `fill` that are no operations: push these machines' buttons, one after the other; and wait until
#: objects (`kind`, `names`) are in a `state`.
POWER_ON, AWAIT = "power-on", "await"
#: What there is more of where many machines are wanted.
MORE = Model("more", "Supermicro", "SYS-5019S", "Intel Xeon E3-1230 v6", 4, 3500, 16 << 30, disks=(240 << 30,))
#: The server's address in the practice farm's network.
SERVER_ADDRESS = "192.168.88.1"
#: `big-STORAGESxIMAGES`: a farm that is generated.
_BIG = re.compile(r"big-([1-9][0-9]{0,2})x([1-9][0-9]{0,4})")
_CLONES_OF_ONE = 50


@dataclass(slots=True)
class PracticeFarm:
    """Machines by address, and what is to be run to fill the farm, through real planners."""

    name: str
    machines: dict[str, SimulatedMachine]
    fill: list[tuple[str, dict[str, Any]]]
    #: the one that qrmd itself serves from
    server: SimulatedMachine
    #: seconds that a command takes, and the pace of long ones, once the farm is filled
    delay: float = 0
    pace: float = 0
    #: kinds of machines in the rack, and how many of each
    models: list[tuple[Model, int]] = field(default_factory=list)
    #: virtualization hosts that are nobody's machine of the rack: name, address, domains
    foreign: list[dict[str, Any]] = field(default_factory=list)

    def begin(self) -> None:
        """The farm is filled: from now on commands take their time, so that one can watch jobs."""
        for machine in (*self.machines.values(), self.server):
            machine.delay, machine.pace = self.delay, self.pace

    def machine(self, name: str) -> SimulatedMachine:
        """A machine by name or address."""
        for machine in self.machines.values():
            if name in (machine.name, machine.address):
                return machine
        raise BadInput(f"the practice farm has no machine {name!r}; it has "
                       f"{', '.join(machine.name for machine in self.machines.values())}")


def farm_names() -> list[str]:
    """The farms that are there as data."""
    return sorted(path.stem for path in (data_folder() / "practice").glob("*.toml") if path.stem != "trees")


def load_farm(name: str, folder: Path, clock: Clock = time.monotonic, *, nodes: int = 0) -> PracticeFarm:
    """A farm by name, its machines in `folder`, and so many more in its rack; BadInput lists what there is."""
    farm = _load(name, folder, clock)
    if nodes:
        farm.models.append((MORE, nodes))
    return farm


def _load(name: str, folder: Path, clock: Clock) -> PracticeFarm:
    big = _BIG.fullmatch(name)
    if big:
        return generate(int(big[1]), int(big[2]), folder, clock)
    if name not in farm_names():
        raise BadInput(f"there is no practice farm {name!r}; there are {', '.join(farm_names())}, and big-SxI for one "
                       "with S storage servers and I images")
    with (data_folder() / "practice" / f"{name}.toml").open("rb") as file:
        data = tomllib.load(file)
    machines = [_machine(entry, folder, clock) for entry in data["machine"]]
    return PracticeFarm(name, {machine.address: machine for machine in machines},
                        [(entry["operation"], entry["arguments"]) for entry in data.get("fill", [])],
                        make_server(folder, clock, data.get("prefix", 24)), data.get("delay", 0), data.get("pace", 0),
                        read_models(data.get("node", [])), data.get("foreign", []))


def recorded_farm(recording: Path, folder: Path, pace: float = 1) -> PracticeFarm:
    """A farm with nothing but the server, as it was recorded; BadInput."""
    try:
        text = recording.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{recording}: {getattr(error, 'strerror', None) or 'it is no text'}") from None
    return PracticeFarm(recording.stem, {}, [], RecordedMachine(decode(text), folder / HERE), pace=pace)


def make_server(folder: Path, clock: Clock = time.monotonic, prefix: int = 24) -> SimulatedMachine:
    """The machine that qrmd itself serves from: no volumes, and services that components are made of."""
    machine = SimulatedMachine(HERE, SERVER_ADDRESS, folder / HERE, SimulatedGroup("none", 0), clock=clock)
    plant_server(machine.host, SERVER_ADDRESS, prefix)
    return machine


def _machine(entry: Mapping[str, Any], folder: Path, clock: Clock) -> SimulatedMachine:
    group = SimulatedGroup(entry.get("group", "vol"), parse_size(entry["size"]))
    seeds = {seed["volume"]: Seed(seed.get("tree", ""), _size(seed, "used"), seed.get("fill", 0),
                                  _size(seed, "per_minute") / 60) for seed in entry.get("seed", [])}
    machine = SimulatedMachine(entry["name"], entry["address"], folder / entry["name"], group, clock=clock, seeds=seeds)
    host = machine.host
    if "pool" in entry:
        host.add(SimulatedVolume(entry["pool"]["name"], host.new_id(), "pool", parse_size(entry["pool"]["size"])))
    for foreign in entry.get("volume", []):
        _foreign(machine, foreign)
    for file in entry.get("file", []):
        host.root.write(file["path"], file["text"], file.get("mode", 0o644))
    machine.reboot()
    return machine


def _size(entry: Mapping[str, Any], key: str) -> int:
    return parse_size(entry[key]) if key in entry else 0


def _foreign(machine: SimulatedMachine, entry: Mapping[str, Any]) -> None:
    """A volume of another admin's: not tagged, perhaps with a file system, perhaps mounted."""
    host = machine.host
    volume = SimulatedVolume(entry["name"], host.new_id(), "plain", parse_size(entry["size"]))
    host.add(volume)
    if "filesystem" in entry:
        used = _size(entry, "used") or first_used(entry["filesystem"], volume.size)
        volume.filesystem = Filesystem(entry["filesystem"], entry["id"], volume.size, used)
        (host.content(volume) / "lost+found").mkdir()
    if "mount" in entry:
        host.fstab[f"/dev/{host.group.name}/{volume.name}"] = entry["mount"]


def generate(storages: int, images: int, folder: Path, clock: Clock = time.monotonic) -> PracticeFarm:
    """A farm for load tests: golden images and clones of them, evenly over the storage servers."""
    machines: dict[str, SimulatedMachine] = {}
    fill: list[tuple[str, dict[str, Any]]] = []
    for number in range(storages):
        name, address = f"store{number + 1}", f"10.{number // 250}.{number % 250}.1"
        share = images // storages + (number < images % storages)
        seeds = {_golden(number, at): Seed(tree="tiny") for at in range(0, share, _CLONES_OF_ONE)}
        machines[address] = SimulatedMachine(name, address, folder / name, SimulatedGroup("vol", 100 << 40),
                                             clock=clock, seeds=seeds)
        fill.append(("storage.add", {"name": name, "type": "lvm-nfs", "address": address,
                                     "env": {"SERVER_VOL": "vol"}}))
        for at in range(share):
            golden = _golden(number, at - at % _CLONES_OF_ONE)
            if at % _CLONES_OF_ONE == 0:
                fill.append(("image.add", {"name": golden, "storage": name, "size": "5000M"}))
            else:
                fill.append(("image.clone", {"source": golden, "name": f"customer{number + 1}-{at}"}))
    return PracticeFarm(f"big-{storages}x{images}", machines, fill, make_server(folder, clock))


def _golden(number: int, at: int) -> str:
    return f"golden{number + 1}-{at}"
