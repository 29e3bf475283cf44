"""A real qrmd and command line with a real storage server: classic volumes, from registering to nothing left."""
from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.namespace import Namespace
from tests.lab.storage_server import StorageServer
from tests.services.command_line import Row, until
from tests.services.farm import RealFarm
from tests.services.real_server import FOREIGN_EXPORT, digests, inventory, make_foreign, remove_foreign, sweep

pytestmark = pytest.mark.xdist_group("real")

MIB = 1 << 20
IMAGE_FIELDS = {"name", "state", "storage", "path", "size", "used", "origin", "fill", "full_at", "used_by"}
STORAGE_FIELDS = {"name", "type", "address", "env", "size", "free", "state"}
JOB_FIELDS = {"id", "operation", "object", "state", "step", "steps", "progress", "who", "reason", "started", "ended",
              "error"}
#: A Debian-like system that is RHEL-like, too, as far as sealing cares.
GOLDEN_FILES = r"""
cd /vol/base
mkdir -p etc/ssh etc/sysconfig var/lib/dbus
echo golden >etc/hostname
printf 'NETWORKING=yes\nHOSTNAME=golden.example.org\n' >etc/sysconfig/network
printf '127.0.0.1\tlocalhost\n127.0.1.1\tgolden\n' >etc/hosts
echo 0123456789abcdef0123456789abcdef | tee etc/machine-id >var/lib/dbus/machine-id
echo secret | tee etc/ssh/ssh_host_rsa_key >etc/ssh/ssh_host_rsa_key.pub
echo 'PermitRootLogin no' >etc/ssh/sshd_config
dd if=/dev/urandom of=content bs=1M count=5 status=none
sync
"""


@pytest.fixture(scope="module")
def before(storage_server: StorageServer) -> Iterator[set[str]]:
    """What the server holds before qrm comes, a foreign volume, mount and export among it."""
    make_foreign(storage_server)
    there = inventory(storage_server)
    yield there
    if inventory(storage_server) != there:  # only after a failure
        sweep(storage_server)
    remove_foreign(storage_server)


@pytest.fixture(scope="module")
def foreign(before: set[str], storage_server: StorageServer) -> str:
    """The digests of what is not ours."""
    return digests(storage_server)


@pytest.fixture(scope="module")
def farm(lab_namespace: Namespace, storage_server: StorageServer, foreign: str) -> Iterator[RealFarm]:
    """A farm with the server's volume group as storage server `store`."""
    farm = RealFarm(lab_namespace, storage_server, "storage")
    farm.start()
    farm.qrm_json("storage", "add", "store", "--type", "lvm-nfs", "--address", storage_server.address, "--env",
                  "SERVER_VOL=vol")
    yield farm
    farm.stop()


@pytest.fixture(scope="module")
def base(farm: RealFarm) -> RealFarm:
    """The farm with the golden images `base` (ext4) and `old` (ext3)."""
    farm.together(("image", "add", "base", "--size", "300M"),
                  ("image", "add", "old", "--storage", "store", "--size", "64M", "--fs", "ext3"))
    farm.server.shell(GOLDEN_FILES)
    return farm


@pytest.fixture(scope="module")
def clones(base: RealFarm) -> RealFarm:
    """The farm with the clones `shop1` and `shop2` of `base`."""
    base.together(("image", "clone", "base", "shop1", "--hostname", "www.shop1.example"),
                  ("image", "clone", "base", "shop2"))
    return base


def volume(server: StorageServer, name: str, field: str) -> str:
    shown = server.ssh("lvs", "--noheadings", "--units", "b", "--nosuffix", "-o", field, f"vol/{name}").stdout
    return str(shown).strip()


def filesystem_id(server: StorageServer, name: str) -> str:
    return str(server.ssh("blkid", "-p", "-s", "UUID", "-o", "value", f"/dev/vol/{name}").stdout).strip()


def content(server: StorageServer, path: str) -> str:
    return str(server.ssh("cat", path).stdout)


def test_a_server_is_looked_at_and_its_key_pinned(farm: RealFarm, storage_server: StorageServer) -> None:
    (row,) = farm.qrm_json("storage", "list")
    assert row.keys() >= STORAGE_FIELDS
    assert (row["name"], row["type"], row["state"], row["address"]) == ("store", "lvm-nfs", "ok", "10.77.0.2")
    assert row["env"] == {"SERVER_VOL": "vol"}
    group = storage_server.ssh("vgs", "--noheadings", "--units", "b", "--nosuffix", "-o", "vg_size,vg_free", "vol")
    assert [row["size"], row["free"]] == [int(word) for word in group.stdout.split()]
    assert row["host_key"] == storage_server.host_key
    kernel = storage_server.ssh("uname", "-r").stdout.strip()
    assert row["versions"]["kernel"] == kernel and row["versions"]["lvm"].startswith("2.03")
    assert "is storage server store already" in farm.refused(
        "storage", "add", "again", "--address", storage_server.address, "--env", "SERVER_VOL=vol")
    assert "not SHA256:AAAA" in farm.refused(
        "storage", "add", "spied", "--address", storage_server.address, "--env", "SERVER_VOL=vol2", "--host-key",
        "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
    assert len(farm.qrm_json("storage", "list")) == 1


def test_what_others_have_is_in_the_way(farm: RealFarm) -> None:
    assert "volume vol/foreign on store is in the way" in farm.refused("image", "add", "foreign", "--size", "16M")
    assert "there is no /srv/nowhere on storage server store" in farm.refused(
        "image", "add", "nowhere", "--register-only", "/srv/nowhere")
    said = farm.refused("image", "add", "big", "--size", "100G")
    assert "needs 100G" in said and "vgextend" in said
    assert farm.images() == {}


def test_what_lies_there_can_be_registered_only(farm: RealFarm, before: set[str]) -> None:
    farm.do("image", "add", "theirs", "--register-only", "/srv/foreign")
    row = farm.images()["theirs"]
    assert (row["path"], row["state"], row["managed"]) == ("/srv/foreign", "ready", False)
    assert "only registered" in farm.refused("image", "allow", "theirs", "10.77.0.50")
    farm.do("image", "remove", "theirs")
    assert farm.images() == {} and inventory(farm.server) == before


def test_images_are_volumes_of_our_own(base: RealFarm, storage_server: StorageServer) -> None:
    images = base.images()
    for name, kind in (("base", "ext4"), ("old", "ext3")):
        assert volume(storage_server, name, "lv_tags").split(",") == ["qrm", f"qrm.image.{images[name]['id']}"]
        source, found, options = storage_server.ssh(
            "findmnt", "--noheadings", "-o", "SOURCE,FSTYPE,OPTIONS", f"/vol/{name}").stdout.split()
        assert (source, found) == (f"/dev/mapper/vol-{name}", kind)
        assert {"nosuid", "nodev", "noexec"} <= set(options.split(","))
        assert storage_server.ssh("systemctl", "is-enabled", f"vol-{name}.mount").stdout.strip() == "enabled"
    assert filesystem_id(storage_server, "base") != filesystem_id(storage_server, "old")


def test_a_clone_shares_no_identity(clones: RealFarm, storage_server: StorageServer) -> None:
    names = ("base", "shop1", "shop2")
    images = clones.images()
    assert [volume(storage_server, name, "origin") for name in names] == ["", "base", "base"]
    assert [images[name]["origin"] for name in names] == [None, "base", "base"]
    for identity in ("export_id", "id", "volume_id"):
        assert len({images[name][identity] for name in names}) == 3
    assert len({filesystem_id(storage_server, name) for name in names}) == 3
    for name, hostname in (("shop1", "www.shop1.example"), ("shop2", "shop2")):
        etc = f"/vol/{name}/etc"
        assert content(storage_server, f"{etc}/hostname") == f"{hostname}\n"
        assert content(storage_server, f"{etc}/sysconfig/network") == f"NETWORKING=yes\nHOSTNAME={hostname}\n"
        assert content(storage_server, f"{etc}/hosts") == f"127.0.0.1\tlocalhost\n127.0.1.1\t{hostname}\n"
        assert content(storage_server, f"{etc}/machine-id") == ""
        left = storage_server.shell(f"ls {etc}/ssh /vol/{name}/var/lib/dbus").stdout.split()
        assert "sshd_config" in left and not {"ssh_host_rsa_key", "ssh_host_rsa_key.pub", "machine-id"} & set(left)
    assert content(storage_server, "/vol/base/etc/hostname") == "golden\n"
    assert content(storage_server, "/vol/base/etc/ssh/ssh_host_rsa_key") == "secret\n"
    storage_server.ssh("cmp", "/vol/base/content", "/vol/shop1/content")


def test_lists_say_what_the_server_says(clones: RealFarm, storage_server: StorageServer) -> None:
    def used() -> dict[str, int]:
        lines = storage_server.shell("df -B1 --output=target,used /vol/*").stdout.splitlines()[1:]
        return {target.removeprefix("/vol/"): int(count) for target, count in map(str.split, lines)}

    def told() -> dict[str, Row] | None:
        images = clones.images()
        return images if {name: row["used"] for name, row in images.items()} == used() else None

    images = until("the images' use is what df tells", told, 60)
    assert all(row.keys() >= IMAGE_FIELDS for row in images.values())
    assert used()["base"] > 5 * MIB
    assert [images[name]["size"] for name in ("base", "old", "shop1")] == [300 * MIB, 64 * MIB, 300 * MIB]
    for name in ("base", "old"):
        assert images[name]["size"] == int(volume(storage_server, name, "lv_size")) and images[name]["fill"] is None
    shop = images["shop1"]
    assert shop["reserve"] == int(volume(storage_server, "shop1", "lv_size")) == 60 * MIB
    assert abs(shop["fill"] - float(volume(storage_server, "shop1", "data_percent")) / 100) < 0.02
    assert [images[name]["state"] for name in ("base", "old", "shop1", "shop2")] == ["frozen", *["ready"] * 3]
    jobs = clones.qrm_json("job", "list")
    assert all(row.keys() >= JOB_FIELDS for row in jobs) and {row["state"] for row in jobs} == {"done"}


def test_an_origin_is_frozen(clones: RealFarm) -> None:
    for words in (("remove", "base"), ("resize", "base", "--size", "400M"), ("copy", "old", "base")):
        said = clones.refused("image", *words)
        assert "image base is frozen: shop1, shop2 are clones of it" in said, said


def test_each_machine_mounts_and_writes_its_own(clones: RealFarm, storage_server: StorageServer) -> None:
    """The server itself is the client; the kernel that the tests run on has no NFS."""
    server = storage_server

    def mount(name: str) -> int:
        options = "vers=4.2,soft,timeo=50,retrans=1"
        argv = ("timeout", "30", "mount", "-t", "nfs", "-o", options, f"{server.address}:/vol/{name}", f"/mnt/{name}")
        return int(server.ssh(*argv, check=False).returncode)

    server.shell("mkdir -p /mnt/shop1 /mnt/shop2")
    clones.together(("image", "allow", "shop1", server.address), ("image", "allow", "shop2", "10.77.0.50"))
    exports = server.ssh("exportfs", "-s").stdout
    assert f"/vol/shop1  {server.address}(" in exports and "/vol/shop2  10.77.0.50(" in exports
    assert FOREIGN_EXPORT.split("(")[0].replace(" ", "  ") in exports and "/vol/base" not in exports
    assert (mount("shop1"), mount("shop2")) == (0, 32)
    clones.do("image", "allow", "shop2", server.address)
    try:
        assert mount("shop2") == 0
        server.shell("for i in 1 2; do echo written by $i >/mnt/shop$i/mine; echo $i >/mnt/shop$i/only$i; done; sync")
        assert server.shell("cat /vol/shop?/mine").stdout == "written by 1\nwritten by 2\n"
        assert server.shell("ls -d /vol/*/only*").stdout.split() == ["/vol/shop1/only1", "/vol/shop2/only2"]
        clones.together(("image", "revoke", "shop1", server.address),
                        ("image", "revoke", "shop2", server.address, "10.77.0.50"))
        assert "/vol/" not in server.ssh("exportfs", "-s").stdout
        assert server.ssh("timeout", "30", "touch", "/mnt/shop1/late", check=False).returncode == 1
        server.ssh("test", "!", "-e", "/vol/shop1/late")
    finally:
        server.shell("for i in 1 2; do timeout 30 umount -f -l /mnt/shop$i || :; rmdir /mnt/shop$i; done")


def test_nothing_is_left(clones: RealFarm, storage_server: StorageServer, before: set[str], foreign: str) -> None:
    clones.together(("image", "remove", "shop1"), ("image", "remove", "shop2"), ("image", "remove", "old"))
    assert "--yes" in clones.qrm("image", "remove", "base").stderr
    assert list(clones.images()) == ["base"]
    assert "has images: base" in clones.refused("storage", "remove", "store")
    clones.do("image", "remove", "base")
    clones.qrm_json("storage", "remove", "store", "--yes")
    assert clones.images() == {} and clones.qrm_json("storage", "list") == []
    assert inventory(storage_server) == before
    assert digests(storage_server) == foreign
    assert clones.qrm("journal", "verify").returncode == 0
