"""The table of what each virtualization technology can do, and how clocks become a scheduler's parameters."""
from __future__ import annotations

from typing import get_args

import pytest

from qrm_tui.backends.virtualization import Verb, refusal, require, schedule, technologies, technology_of
from qrm_tui.core.errors import Refused
from qrm_tui.core.partitionings import NETBOOTING, TECHNOLOGIES, technology_on, word_of
from qrm_tui.core.partitions import Technology


def test_the_table_holds_each_technology_and_known_verbs() -> None:
    assert set(technologies()) == set(get_args(Technology))
    for name, found in technologies().items():
        assert set(found.refuses) <= set(get_args(Verb)), name


def test_what_was_seen_to_work_is_not_refused() -> None:
    for name in ("kvm", "qemu"):
        assert not technologies()[name].refuses
    assert set(technologies()["xen-pv"].refuses) == {"reset"}


@pytest.mark.parametrize("technology", ["lxc", "esx"])
def test_others_are_listed_and_switched_only(technology: str) -> None:
    for verb in get_args(Verb):
        word = refusal(technology, verb)
        assert bool(word) == (verb not in ("start", "shutdown", "statistics")), verb
        assert not word or word.startswith(f"a partition of type {technologies()[technology].label} ")
    with pytest.raises(Refused, match="never tried"):
        require(technology, "define")


def test_each_way_to_slice_machines_has_technologies_that_boot_as_the_table_says() -> None:
    offered = {technology for known in TECHNOLOGIES.values() for technology in known}
    assert {name for name in offered if technologies()[name].boots == "network"} == NETBOOTING
    for known in TECHNOLOGIES.values():
        assert len({technologies()[technology].driver for technology in known}) == 1


@pytest.mark.parametrize(("partitioning", "seen", "word"), [
    ("xen", "xen-pv", "xen"), ("kvm", "kvm", "kvm"), ("kvm", "qemu", "qemu"), ("kvm", "", "kvm"),
    ("kvm", "test", "kvm"),
])
def test_a_host_without_kvm_is_called_what_it_is(partitioning: str, seen: str, word: str) -> None:
    assert word_of(technology_on(partitioning, seen)) == word


def test_what_nobody_knows_can_nothing() -> None:
    assert refusal("bhyve", "start") and technology_of("bhyve", kvm=False) == ""
    assert [technology_of(driver, kvm=kvm) for driver, kvm in (("xen", False), ("qemu", True), ("qemu", False))] == [
        "xen-pv", "kvm", "qemu"]


@pytest.mark.parametrize(("technology", "cpus", "mhz", "expected"), [
    ("xen-pv", 1, 400, {"weight": 43, "cap": 17}),          # a sixth of a CPU
    ("xen-pv", 4, 1200, {"weight": 512, "cap": 200}),       # Xen's cap is that of all CPUs together
    ("xen-pv", 2, 9999, {"weight": 512, "cap": 0}),         # more than there is: no limit
    ("xen-pv", 2, 0, {"weight": 512, "cap": 0}),
    ("kvm", 4, 1200, {"cpu_shares": 200, "vcpu_period": 100_000, "vcpu_quota": 50_000}),
    ("qemu", 1, 1, {"cpu_shares": 2, "vcpu_period": 100_000, "vcpu_quota": 1000}),
    ("kvm", 1, 0, {"cpu_shares": 100, "vcpu_period": 100_000, "vcpu_quota": -1}),
    ("lxc", 1, 400, {}),
])
def test_clocks_become_a_cap_and_a_weight(technology: str, cpus: int, mhz: int, expected: dict[str, int]) -> None:
    assert schedule(technology, cpus=cpus, mhz=mhz, host_mhz=2400) == expected


def test_nothing_is_limited_where_the_hosts_clock_is_not_known() -> None:
    assert schedule("xen-pv", cpus=1, mhz=400, host_mhz=0) == {}
