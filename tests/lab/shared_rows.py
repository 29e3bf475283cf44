"""Rows of the netboot lab about a root that is the same for all: golden itself, for both machines."""

from __future__ import annotations

import time
from collections.abc import Mapping

from tests.lab.machine import Machine
from tests.lab.manager import ADDRESS, GROUP
from tests.lab.netboot_farm import NetbootFarm
from tests.lab.rows import Rows

VE = "farm"
LOOK = 'cat /proc/sys/kernel/hostname /etc/machine-id; echo "$1" >/root/mark; cat /root/mark; findmnt -n -o FSTYPE /'
"""In one go: an emulated processor takes seconds for an ssh login."""
WRITE = 'mount -i -t nfs -o "rw,vers=4.2,addr=$1" "$1:$2" /mnt && touch /mnt/root/mark; echo "$?"; umount /mnt'


def share(rows: Rows, farm: NetbootFarm, names: Mapping[Machine, str], content: str) -> None:
    """Both machines run from golden, one after the other, and leave one by one; `content`: its digest so far."""
    line, manager = farm.line, farm.manager
    with rows.row("H15", "a VE whose root is golden itself, the same for all machines") as row:
        line.qrm_json("ve", "create", VE, "--boot-image", "debian12", "--image", "golden", "--same-for-all")
        line.qrm_json("ve", "create", "writer", "--boot-image", "debian12", "--image", "customer1")
        told = farm.all("ve")
        assert (told[VE]["same_for_all"], told["writer"]["same_for_all"]) == (True, False)
        began = time.monotonic()
        farm.done(("ve", "start", VE))
        row.proof(f"{', '.join(farm.all('ve')[VE]['resources'])} active after {time.monotonic() - began:.0f} s")
    with rows.row("H18", "a second machine comes while the first one runs; each has its own parts") as row:
        boots = farm.all("ve")[VE]["resources"]
        farm.done(("ve", "add-resource", VE))
        members = farm.all("ve")[VE]["resources"]
        assert members == [*boots, next(name for name in names.values() if name not in boots)], members
        marks = {name: farm.system(name).ssh("sh", "-ec", LOOK, "sh", name).split() for name in members}
        assert all(marks[name][0] == marks[name][2] == name for name in members), marks
        assert all(marks[name][3] == "overlay" for name in members), marks
        assert len({mark[1] for mark in marks.values()}) == len(members), "machine ids"
        again = {name: farm.system(name).ssh("cat", "/root/mark").strip() for name in members}
        assert again == {name: name for name in members}
        row.proof(f"{' and '.join(members)} wrote into one path, and each finds its own")
    with rows.row("H18", "nobody writes into what they share") as row:
        path = f"/{GROUP}/golden"
        said = farm.system(members[0]).ssh("sh", "-c", f"{{ {WRITE}; }} 2>&1", "sh", ADDRESS, path)
        assert "Read-only file system" in said and "\n1\n" in f"\n{said}", said
        line.qrm_json("ve", "edit", "writer", "--image", "golden")
        for verb in (("ve", "start", "writer"), ("image", "allow", "golden", "10.77.0.99"),
                     ("image", "copy", "customer1", "golden"), ("ve", "edit", VE, "--same-for-all", "no")):
            row.proof(f"{' '.join(verb[:2])} refused: {line.refused(*verb).splitlines()[0][:120]}")
        assert farm.digest("golden") == content, "golden was changed"
    with rows.row("H18", "one leaves, the other runs on; then the VE stops") as row:
        farm.done(("ve", "remove-resource", VE, members[0]))
        addresses = {name: fields["address"] for name, fields in farm.all("resource").items()}
        exported = manager.ssh("exportfs", "-s").stdout
        assert addresses[members[1]] in exported and addresses[members[0]] not in exported, exported
        assert farm.all("ve")[VE]["state"] == "active"
        assert farm.system(members[1]).ssh("cat", "/root/mark").strip() == members[1]
        farm.done(("ve", "stop", VE))
        for machine in names:
            farm.await_resource(machine, "idle")
        assert farm.digest("golden") == content, "golden was changed"
        for name in (VE, "writer"):
            line.qrm_json("ve", "remove", name, "--yes")
        row.proof("golden is as it was")
