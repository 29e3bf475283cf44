"""A root file system on NFS, as the initramfs mounts it: its functions, run by busybox, with `mount` noted."""
from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent.parent / "templates/initramfs"
MAC = "52:54:00:77:00:30"
UNIQUE = "module/nfs/parameters/nfs4_unique_id"


def run(folder: Path, call: str, *, refused: str = "no word") -> list[str]:
    """What `mount` was told and what was said; it fails at a word."""
    noted = f'mount() {{ echo "mount $*"; case "$*" in *"{refused}"*) echo no >&2; return 1;; esac; }}; ' \
            'timeout() { shift 3; "$@"; }; say() { echo "say $*"; }; '
    done = subprocess.run(["/bin/busybox", "sh", "-c", f"set -f; . {FOLDER}/nfs; {noted}{call}"], check=False,
                          text=True, capture_output=True, env={"QRM_INIT_SYS": str(folder)})
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_each_machine_is_a_client_of_its_own(tmp_path: Path) -> None:
    (tmp_path / UNIQUE).parent.mkdir(parents=True)
    (tmp_path / UNIQUE).write_text("")
    assert run(tmp_path, f"name_client {MAC}") == []
    assert (tmp_path / UNIQUE).read_text() == MAC, "the kernel takes each byte, the end of a line too"


def test_a_kernel_that_cannot_is_told_of(tmp_path: Path) -> None:
    (said,) = run(tmp_path, f"name_client {MAC}")
    assert said.startswith("say ") and "nfs4_unique_id" in said


def test_it_is_named_before_anything_is_mounted() -> None:
    """A client keeps the name that it had at its first mount."""
    init = (FOLDER / "init").read_text()
    assert init.index('name_client "$mac"') < init.index("mount_nfs ")


@pytest.mark.parametrize(("refused", "versions"), [
    ("no word", ["vers=4.2"]), ("vers=4.2", ["vers=4.2", "vers=3,nolock"]),
])
def test_version_3_is_for_servers_without_another(tmp_path: Path, refused: str, versions: list[str]) -> None:
    # where it is mounted is a machine's own: so is the file that mount's words go to
    said = run(tmp_path, "mount_nfs 10.0.0.1:/vol/one", refused=refused)
    assert said == [f"mount -i -t nfs -o rw,hard,proto=tcp,{version},addr=10.0.0.1 10.0.0.1:/vol/one /root"
                    for version in versions]
