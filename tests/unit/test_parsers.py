"""Parsers, on captured output of the real tools (tests/fixtures/index.tsv says which)."""
from __future__ import annotations

from pathlib import Path

import pytest

from qrm_tui.backends import lvm, mounts, nfs, probing
from qrm_tui.core.errors import StepFailed

FIXTURES = Path(__file__).parent.parent / "fixtures"


def _text(name: str) -> str:
    return (FIXTURES / name).read_text()


def _volumes(name: str) -> dict[str, lvm.Volume]:
    # captured with more fields than we ask for, and without the one added since
    return lvm.parse_volumes(_text(name).replace('"lv_path"', '"origin_size":"","lv_path"'))


def test_classic_snapshots() -> None:
    volumes = _volumes("lvs-classic-snapshot.json")
    assert volumes["customer1"].origin == "golden"
    assert volumes["customer1"].data == pytest.approx(0.8248)
    assert volumes["customer1"].kind == "s" and not volumes["customer1"].lost
    assert volumes["customer2"].lost
    assert "qrm" in volumes["customer1"].tags


def test_thin_volumes() -> None:
    thin = [volume for volume in _volumes("lvs-thin.json").values() if volume.pool]
    assert thin and all(volume.kind == "V" for volume in thin)
    pools = [volume for volume in _volumes("lvs-thin.json").values() if volume.kind == "t"]
    assert pools and pools[0].metadata is not None


def test_a_group() -> None:
    group = lvm.parse_group(_text("vgs.json"))
    assert group.name == "vol" and 0 < group.free <= group.size and group.extent == 4 << 20


@pytest.mark.parametrize("text", ["", "{", "[]", '{"report": []}', '{"report": [{"lv": 5}]}'[:-1]])
def test_a_report_that_is_none_is_told(text: str) -> None:
    with pytest.raises(StepFailed, match="no report"):
        lvm.parse_volumes(text)


def test_exports_as_the_server_has_them() -> None:
    exports = nfs.parse_exports(_text("etab.txt"))
    assert exports["/srv/one"] == ("127.0.0.1", "10.77.0.20")
    assert nfs.parse_exports("/a\\040b\t*(rw)\n# x\n\n") == {"/a b": ("*",)}


def test_mounts() -> None:
    flat = '{"filesystems": [{"target": "/vol/x", "source": "/dev/mapper/vol-x", "fstype": "ext4", ' \
           '"options": "rw,nosuid", "size": 100, "used": 7}, ' \
           '{"target": "/proc", "source": "proc", "fstype": "proc", "options": "rw", "size": null, "used": null}]}'
    found = mounts.parse_mounts(flat)
    assert found["/vol/x"].used == 7 and "nosuid" in found["/vol/x"].options
    assert found["/proc"].size == 0
    with pytest.raises(StepFailed):
        mounts.parse_mounts("nothing")


@pytest.mark.parametrize(("path", "unit"), [
    ("/vol/customer1", "vol-customer1.mount"), ("/vol/a-b", "vol-a\\x2db.mount"),
    ("/vol/xen_host", "vol-xen_host.mount"), ("/vol/a.b", "vol-a.b.mount"), ("/.x", "\\x2ex.mount"),
])
def test_unit_names_are_systemds(path: str, unit: str) -> None:
    # systemd-escape --path --suffix=mount PATH prints these
    assert mounts.unit_name(path) == unit


@pytest.mark.parametrize(("text", "version"), [
    ("  LVM version:     2.03.16(2) (2022-05-18)\n  Library version: 1.02.185", "2.03.16"),
    ("systemd 252 (252.39-1~deb12u1)", "252"), ("Python 3.11.2", "3.11.2"), ("1:2.6.2-4+deb12u1", "1:2.6.2-4+deb12u1"),
    ("6.1.0-38-amd64", "6.1.0-38-amd64"), ("nothing here", ""),
])
def test_versions(text: str, version: str) -> None:
    assert probing.parse_version(text) == version


def test_an_image_that_nobody_may_mount_has_no_line_at_all() -> None:
    # exports(5): a path without a client is everybody's
    lines = [line for line in nfs.export_text("web", "/vol/web", "x-y", ()).splitlines() if line.strip()]
    assert all(line.startswith("#") for line in lines)


def test_an_export_names_its_machines_and_its_own_id() -> None:
    text = nfs.export_text("web", "/vol/web", "11111111-1111-4111-8111-111111111111", ("10.0.0.2", "10.0.0.1"))
    line = [line for line in text.splitlines() if line and not line.startswith("#")]
    options = "rw,sync,no_root_squash,no_subtree_check,mountpoint,fsid=11111111-1111-4111-8111-111111111111"
    assert line == [f"/vol/web 10.0.0.1({options}) 10.0.0.2({options})"]
