"""Programs that run in other machines' initramfs are shell, which nothing checks before it runs: so it is here."""
from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent.parent / "templates/initramfs"


@pytest.mark.parametrize("name", ["init", "agent", "bridge", "nfs", "shared", "private", "udhcpc"])
def test_shellcheck_finds_nothing(name: str) -> None:
    done = subprocess.run(["shellcheck", FOLDER / name], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", ["init", "agent", "bridge", "nfs", "shared", "private", "udhcpc"])
def test_the_shell_that_runs_it_can_read_it(name: str) -> None:
    done = subprocess.run(["/bin/busybox", "sh", "-n", FOLDER / name], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["fetch.sh", "filter.sh"])
def test_shellcheck_finds_nothing_in_what_a_host_runs(name: str) -> None:
    script = FOLDER.parent / "libvirt" / name
    done = subprocess.run(["shellcheck", "--shell=sh", script], capture_output=True, text=True, check=False,
                          timeout=120)
    assert done.returncode == 0, done.stdout
