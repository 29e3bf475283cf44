"""The bridge of machines with partitions, as the initramfs makes it: its functions, run by busybox, with `ip` noted."""
from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent.parent / "templates/initramfs"
MAC, OTHER = "52:54:00:77:00:30", "52:54:00:77:00:31"


class Shell:
    """busybox's shell with a /sys of the test's own; `ip` writes down what it is told, or fails at a word."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for card, mac in (("eth0", MAC), ("eth1", OTHER)):
            self.write(f"sys/class/net/{card}/address", f"{mac}\n")

    def write(self, path: str, text: str) -> None:
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).write_text(text)

    def run(self, call: str, *, refused: str = "no word") -> tuple[int, list[str]]:
        """Exit status, and what `ip` was told."""
        log = self.folder / "ip"
        log.write_text("")
        noted = f'ip() {{ echo "$*" >>{log}; case "$*" in *"{refused}"*) return 1;; esac; }}'
        script = f"set -f; . {FOLDER}/bridge; {noted}; "
        done = subprocess.run(["/bin/busybox", "sh", "-c", script + call], check=False, text=True, capture_output=True,
                              env={"QRM_INIT_SYS": f"{self.folder}/sys", "QRM_INIT_RUN": f"{self.folder}/run"})
        assert done.stderr == ""
        return done.returncode, log.read_text().splitlines()


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def test_it_has_the_cards_mac_before_it_has_the_card(shell: Shell) -> None:
    assert shell.run("bridge_over qrm0 eth0") == (0, [
        "link add name qrm0 type bridge", f"link set qrm0 address {MAC}", "link set eth0 master qrm0",
        "link set qrm0 up"])


def test_the_next_card_takes_the_place_of_one_that_got_no_answer(shell: Shell) -> None:
    shell.write("sys/class/net/qrm0/brif/eth0/state", "3\n")
    assert shell.run("bridge_over qrm0 eth1") == (0, [
        "link set eth0 nomaster", f"link set qrm0 address {OTHER}", "link set eth1 master qrm0", "link set qrm0 up"])


def test_asked_again_of_the_same_card_it_stays(shell: Shell) -> None:
    shell.write("sys/class/net/qrm0/brif/eth0/state", "3\n")
    assert not [line for line in shell.run("bridge_over qrm0 eth0")[1] if "nomaster" in line or "link add" in line]


@pytest.mark.parametrize("refused", ["type bridge", "address", "master qrm0", "qrm0 up"])
def test_what_the_kernel_refuses_is_told(shell: Shell, refused: str) -> None:
    status, said = shell.run("bridge_over qrm0 eth0", refused=refused)
    assert status != 0 and refused in said[-1], "nothing goes on without it"


def test_udev_leaves_both_alone(shell: Shell) -> None:
    shell.run("keep_links qrm0 eth0")
    (file,) = (shell.folder / "run/systemd/network").iterdir()
    # before any other: the first file that matches counts (systemd.link(5))
    assert file.name == "00-qrm.link"
    assert file.read_text() == "[Match]\nOriginalName=qrm0 eth0\n\n[Link]\nMACAddressPolicy=none\n"
