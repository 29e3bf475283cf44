"""Which stages of a boot were passed when."""
from __future__ import annotations

import pytest

from qrm_tui.core.fields import outside
from qrm_tui.core.stages import passed


@pytest.mark.parametrize(("before", "stage", "at", "after"), [
    ({}, "dhcp", 1, {"dhcp": 1}),
    ({"dhcp": 1}, "loader", 3, {"dhcp": 1, "loader": 3}),
    ({"dhcp": 1}, "kernel", 5, {"dhcp": 1, "kernel": 5}),
    ({"dhcp": 1, "loader": 3}, "loader", 3, {"dhcp": 1, "loader": 3}),
    ({"dhcp": 1, "loader": 3}, "loader", 90, {"loader": 90}),
    ({"dhcp": 1, "agent": 9}, "dhcp", 90, {"dhcp": 90}),
    ({"dhcp": 1, "agent": 9}, "", 90, {}),
    ({"dhcp": 1}, "lunch", 90, {}),
])
def test_a_stage_goes_with_its_boot(before: dict[str, float], stage: str, at: float, after: dict[str, float]) -> None:
    assert passed(before, stage, at) == after


def test_scripts_read_times() -> None:
    assert outside({"stages": {"dhcp": 0.0}})["stages"] == {"dhcp": "1970-01-01T00:00:00Z"}
