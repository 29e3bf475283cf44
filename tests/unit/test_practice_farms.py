"""Practice farms are data, and generated ones are as large as one says."""
from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from qrm_tui.core.errors import BadInput
from qrm_tui.core.kinds import WORDS
from qrm_tui.core.operations.arguments import check_arguments
from qrm_tui.core.operations.registry import find
from qrm_tui.core.places import data_folder
from qrm_tui.practice import trees
from qrm_tui.practice.farms import AWAIT, POWER_ON, farm_names, generate, load_farm
from qrm_tui.practice.folder import RootFolder


@pytest.mark.parametrize("name", farm_names())
def test_a_farm_loads_and_its_operations_are_declared(name: str, tmp_path: Path) -> None:
    farm = load_farm(name, tmp_path)
    assert farm.name == name and farm.machines
    machines = {f"{model.name}-{number}" for model, count in farm.models for number in range(1, count + 1)}
    for operation, arguments in farm.fill:
        if operation == POWER_ON:
            assert set(arguments["names"]) <= machines
        elif operation == AWAIT:
            assert arguments.keys() == {"kind", "names", "state"} and arguments["kind"] in WORDS
        else:
            check_arguments(find(operation).arguments, arguments)
    assert all(machine.delay == 0 for machine in farm.machines.values())
    farm.begin()
    assert all(machine.delay == farm.delay for machine in farm.machines.values())


def test_what_is_not_ours_is_there_from_the_start(tmp_path: Path) -> None:
    farm = load_farm("small", tmp_path)
    server = farm.machine("lvm-nfs")
    assert server is farm.machines["192.168.88.179"]
    assert server.host.group.volumes["backup"].tags == ()
    assert server.host.offered() == {"/srv/backup": ("192.168.88.10",)}
    assert farm.machine("store2").host.mounts["/srv/media"].type == "xfs"


def test_a_farm_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="there is no practice farm 'moon'; there are small"):
        load_farm("moon", tmp_path)
    with pytest.raises(BadInput, match="it has lvm-nfs, store2"):
        load_farm("small", tmp_path).machine("store3")


def test_a_generated_farm(tmp_path: Path) -> None:
    farm = generate(3, 100, tmp_path)
    kinds = [operation for operation, _ in farm.fill]
    assert len(farm.machines) == 3 and kinds.count("storage.add") == 3
    assert kinds.count("image.add") + kinds.count("image.clone") == 100
    made: set[str] = set()
    for operation, arguments in farm.fill:
        check_arguments(find(operation).arguments, arguments)
        assert operation != "image.clone" or arguments["source"] in made
        made.add(arguments["name"])
    assert load_farm("big-2x10", tmp_path / "b").name == "big-2x10"


def test_every_tree_has_what_sealing_is_about(tmp_path: Path) -> None:
    with (data_folder() / "sealing.toml").open("rb") as file:
        sealed = {row["path"] for row in tomllib.load(file)["seal"]}
    for tree in trees.names():
        trees.plant(tree, tmp_path / tree, "a_name")
        assert (tmp_path / tree / "etc/hostname").read_text() == "a-name\n"
        assert (tmp_path / tree / "etc/machine-id").read_text().strip()
    assert {"/etc/hostname", "/etc/machine-id"} <= sealed


def test_paths_stay_inside(tmp_path: Path) -> None:
    root = RootFolder(tmp_path / "root")
    (root.folder / "a").symlink_to("/b/c")
    (root.folder / "round").symlink_to("round")
    assert root.here("/a/d") == root.folder / "b/c/d"
    assert root.here("/a", follow=False) == root.folder / "a"
    assert root.here("/../../etc") == root.folder / "etc"
    with pytest.raises(OSError, match="symbolic links"):
        root.here("/round")
