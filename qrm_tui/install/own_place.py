"""Where qrmd itself keeps what it knows: what holds its database is not taken from under it."""
from __future__ import annotations

import contextlib
from collections.abc import Collection

import msgspec

from qrm_tui.core import data_place
from qrm_tui.core.data_place import Place
from qrm_tui.core.facts import Reading
from qrm_tui.core.plan import HERE
from qrm_tui.install.setting_up import present

#: Where qrmd says that its data lie now; a plan that asks for them has this file read.
NOTE = f"{data_place.USUAL}/{data_place.NOTE}"


def places(reading: Reading) -> list[Place]:
    """Now, and from its next start on."""
    note = reading.file(HERE, NOTE)
    found = []
    with contextlib.suppress(msgspec.DecodeError):
        found.append(msgspec.json.decode(note.content, type=Place) if note else Place())
    wanted = present(reading.farm).get("qrmd")
    return [*found, Place.of(wanted.settings)] if wanted else found


def held(reading: Reading, names: Collection[str]) -> list[str]:
    """Why these components cannot stop, or go: qrmd's own database would."""
    return ["qrmd's own database lies in MariaDB here: qrm component configure qrmd database=sqlite, and systemctl "
            "restart qrmd"] if "mysql" in names and any(place.here for place in places(reading)) else []
