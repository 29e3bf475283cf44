"""What a storage server is registered with."""
from __future__ import annotations

import pytest

from qrm_tui.backends.storage_servers import wanted_of
from qrm_tui.core.components import ComponentWanted
from qrm_tui.core.errors import BadInput
from qrm_tui.core.farm import Farm
from qrm_tui.core.model import Item

ASKED = {"type": "lvm-nfs", "address": "10.77.0.2", "user": "root", "port": 22, "env": {}}


def farm(group: str) -> Farm:
    """A server that was set up with this volume group."""
    made = Farm()
    for name, settings in (("dhcpd", {"address": "10.77.0.2"}), ("lvm-mgmt", {"group": group})):
        made.put(Item(kind="component", name=name, wanted=ComponentWanted(settings=settings)))
    return made


def test_this_server_has_the_volume_group_that_it_was_set_up_with() -> None:
    assert wanted_of(farm("vol"), ASKED).group == "vol"
    assert wanted_of(farm("vol"), {**ASKED, "env": {"SERVER_VOL": "other"}}).group == "other"


@pytest.mark.parametrize(("group", "address"), [("", "10.77.0.2"), ("vol", "10.77.0.3")])
def test_of_another_one_it_must_be_said(group: str, address: str) -> None:
    with pytest.raises(BadInput, match="SERVER_VOL is needed"):
        wanted_of(farm(group), {**ASKED, "address": address})
