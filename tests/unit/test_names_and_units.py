"""Names, sizes, ages: what is taken and what is refused, with the reason."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qrm_tui.core import names, units

WRONG_NAMES = ["", "a/b", "..", "a..b", "a b", "-v", "x\n", "\x1b[31m", "é", "a" * 300, ".hidden", "end."]


@pytest.mark.parametrize("name", WRONG_NAMES)
def test_wrong_names_are_refused_and_printed_harmlessly(name: str) -> None:
    with pytest.raises(ValueError) as caught:
        names.check_name(name)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("name", ["xen_host", "webserver", "customer-1", "v1.2", "A", "0"])
def test_names_of_the_field_are_taken(name: str) -> None:
    assert names.check_volume_name(name) == name


@pytest.mark.parametrize("name", ["snapshot1", "pvmove0", "a_mlog", "x_tdata", "pool_tmeta"])
def test_names_that_lvm_keeps_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="LVM keeps"):
        names.check_volume_name(name)


@given(st.text(max_size=400))
def test_whatever_is_taken_as_a_name_is_safe_as_a_file_name(text: str) -> None:
    try:
        names.check_name(text)
    except ValueError:
        return
    assert "/" not in text and text not in (".", "..") and text.isascii() and not text.startswith("-")


@pytest.mark.parametrize("address", ["300.1.1.1", "1.2.3", "host name", "a_b", "-x", "1.2.3.4.5", ""])
def test_wrong_addresses_are_refused(address: str) -> None:
    with pytest.raises(ValueError):
        names.check_address(address)


def test_paths_are_absolute_and_straight() -> None:
    assert names.check_path("/vol//webserver/") == "/vol/webserver"
    for path in ("vol/x", "/vol/../etc", "/vol/./x", "/a\nb", ""):
        with pytest.raises(ValueError):
            names.check_path(path)


@pytest.mark.parametrize(("text", "size"), [("5000M", 5000 << 20), ("5G", 5 << 30), ("1.5T", 3 << 39), ("4096", 4096),
                                            ("10 k", 10240), ("1GiB", 1 << 30), ("7b", 7)])
def test_sizes_are_powers_of_1024(text: str, size: int) -> None:
    assert units.parse_size(text) == size


@pytest.mark.parametrize("text", ["0", "-5G", "5X", "", "G", "1e9", "5GG", "0.0001K", "9999999P", "٣G"])
def test_wrong_sizes_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        units.parse_size(text)


@given(st.integers(1, 1 << 50))
def test_a_shown_size_is_near_and_short(size: int) -> None:
    shown = units.format_size(size)
    assert len(shown) <= 5
    assert abs(units.parse_size(shown) - size) <= size * 0.06
    assert units.parse_size(units.write_size(size)) == size


@pytest.mark.parametrize(("seconds", "shown"), [(0, "0s"), (59, "59s"), (60, "1m"), (3599, "59m"), (3600, "1h00m"),
                                                (90000, "25h00m"), (200000, "2d"), (-5, "0s")])
def test_ages(seconds: int, shown: str) -> None:
    assert units.format_age(seconds) == shown


def test_times_go_out_and_in() -> None:
    assert units.format_time(1795345545.7) == "2026-11-22T11:05:45Z"
    assert units.parse_time("2026-11-22T11:05:45Z") == 1795345545
    assert units.format_time(None) is None
