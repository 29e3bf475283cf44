"""The rows of the installer's lab: a fresh machine, its serial console, and somebody who presses keys there."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

from qrm_tui.client.connection import Client
from qrm_tui.client.installer import UNIT
from qrm_tui.core.time_left import amount_words
from qrm_tui.install.steps import INSTALL_SCRIPT
from tests.lab.machine import Machine
from tests.lab.manager import ADDRESS, GROUP, INTERFACE, Manager
from tests.lab.namespace import Namespace
from tests.lab.netboot_farm import NetbootFarm
from tests.lab.netboot_rows import KERNEL
from tests.lab.rows import Rows
from tests.lab.serial_line import SerialLine
from tests.lab.server_inventory import difference, inventory, state
from tests.lab.uml import DATA_DEVICE
from tests.on_terminal import OnTerminal
from tests.services.command_line import CommandLine, Row, until

ENTER, ESCAPE, TAB, SPACE, DOWN = "\r", "\x1b", "\t", " ", "\x1b[B"
ANSWERS = "/etc/qrm/answers.toml"
CHOSEN = ("apache", "dhcpd", "lvm-mgmt", "nfs", "node", "qrmd", "sshlogin", "tftpd")
"""What is chosen where nobody chooses."""
SERVICES = ("apache2", "isc-dhcp-server", "nfs-server", "qrm-node", "qrmd", "tftpd-hpa")
NFS = r"""
ss -H -ltn 'sport = :2049'
ls /etc/nfs.conf.d/qrm.conf 2>/dev/null || true
dpkg-query -W -f '${db:Status-Status}\n' nfs-kernel-server 2>/dev/null || true
"""
"""What is there of it."""
AT_WORK = f"systemctl show --property MainPID --value {UNIT}; pidof -s apt-get"
"""The processes of the installer's qrmd and of apt."""
APT = "apt-get", INSTALL_SCRIPT
"""Words of steps that are apt's time."""
OWN_MARIADB = r"""
mkdir -p /etc/mysql/mariadb.conf.d
printf '[mariadbd]\ninnodb_buffer_pool_size_max=256M\n' >/etc/mysql/mariadb.conf.d/99-small.cnf
"""
"""The admin's own: user-mode-linux has not the 8 TiB of addresses that MariaDB would reserve for a pool that grows."""
PASSWORD = "pine tree and 1 lamp"
SCREEN_SECONDS = 60.0
"""Until the next screen must be there: Python starts slowly in user-mode-linux, and the machine is looked at."""
INSTALL_SECONDS = 600.0


class Console:
    """The rows at the serial console of a fresh machine, in their order."""

    def __init__(self, rows: Rows, namespace: Namespace, manager: Manager, line: SerialLine) -> None:
        self._rows = rows
        self._namespace = namespace
        self._manager = manager
        self._line = line
        self._began = 0.0
        self._bytes = 0
        self._apart = 0
        """Bytes that were sent for what is no part of an installation: the group, and logging in again."""
        self.took = 0.0
        """Seconds from the first key to the last screen."""
        self._job = ""

    def install(self) -> None:
        """From the shell's prompt to the farm, by keys alone."""
        for step in (self.open, self.checks, self.group, self.choose, self.plan, self.drop, self.killed, self.done):
            step()

    def open(self) -> None:
        with self._rows.row("H1", "root logs in on the serial console, and the installer looks at the machine") as row:
            self._line.open(self._manager)
            self._line.log_in()
            self._line.type("tty; echo $TERM; stty size\r")
            self._line.wait_for("/dev/ttyS0", "vt220", "24 80")
            assert not self._manager.shell("ls /run/qrm 2>/dev/null || true").stdout, "something runs here already"
            self._began, self._bytes = time.monotonic(), len(self._line.sent)
            self._line.type("qrm-installer -i -c\r")
            self._sees("[Welcome]", "goes on with what is suggested")
            row.proof(f"there after {time.monotonic() - self._began:.0f} s, TERM=vt220, 80x24")

    def checks(self) -> None:
        with self._rows.row("H1", "its checks: what was found, and what the plan puts right") as row:
            self._press(ENTER)
            self._sees("[Checks]", "volume group", "enter")
            assert not self._lines("WRONG"), self._line.screen()
            row.proof(self._lines("[x]"))

    def group(self) -> None:
        """These keys are not counted: with all defaults no disk is touched."""
        with self._rows.row("H1", "a volume group is made of the free disk, after its name was typed") as row:
            keys, sent = self._line.keys, len(self._line.sent)
            while "there is none; disks" not in self._about():
                self._press(DOWN)
            self._press(SPACE)
            self._sees(f"type {GROUP} to do it")
            self._press("r", *GROUP, ENTER)
            self._line.wait_until(lambda: bool(re.search(r"Job \d+  done", self._line.screen())), "not done",
                                  SCREEN_SECONDS)  # fmt: skip
            self._press(ESCAPE)
            self._sees("[Checks]", f"{GROUP} has", seconds=2 * SCREEN_SECONDS)
            made = self._manager.ssh("vgs", "--noheadings", "-o", "vg_name,pv_name").stdout.split()
            assert made == [GROUP, DATA_DEVICE], made
            row.proof(f"{GROUP} of {DATA_DEVICE}")
            self._line.keys, self._apart = keys, len(self._line.sent) - sent

    def choose(self) -> None:
        with self._rows.row("H2", "components and settings: what is computed is taken") as row:
            self._press(ENTER)
            self._sees("[Components]", "[x] dhcpd", "[x] nfs", "[ ] nagios")
            self._press(ENTER)
            self._sees("[Config]", ADDRESS, INTERFACE)
            row.proof(self._lines("10.77."))

    def plan(self) -> None:
        with self._rows.row("H3", "the plan is shown, and run"):
            self._press(ENTER)
            self._sees("[Plan]", "r run", "$ qrm install run")
            self._press(TAB, ENTER)
            self._sees("[Install]", " running ")

    def drop(self) -> None:
        what = "the line drops; the installer shows the same run on another terminal, and on the console again"
        with self._rows.row("H4", what) as row:
            self._job = self._shown_job(self._line.screen())
            self._line.hang_up(self._manager)
            until("getty is back on the console", self._asked_again)
            argv = self._namespace.argv(self._manager.ssh_argv("qrm-installer", "-i", "-c"))
            argv[argv.index("-T")] = "-tt"
            with OnTerminal(argv, term="vt220") as other:
                other.wait_for("[Install]", " running ", seconds=SCREEN_SECONDS)
                assert self._shown_job(other.screen()) == self._job, other.screen()
                row.proof(f"job {self._job} over ssh, {len(other.sent)} bytes")
            sent = len(self._line.sent)
            self._line.log_in()
            self._apart += len(self._line.sent) - sent
            self._line.type("qrm-tui\r")
            self._sees("[Install]", " running ")
            assert self._shown_job(self._line.screen()) == self._job, self._line.screen()
            row.proof("on the console by qrm-tui")

    def _asked_again(self) -> bool:
        """Whether getty asks for a name on the console."""
        self._line.read(0.1)
        return "login:" in self._line.screen()

    def killed(self) -> None:
        what = "qrmd is killed while apt unpacks: it starts again, and the same run goes on beside the same apt"
        with self._rows.row("H4", what) as row:
            self._line.wait_until(lambda: bool(re.search(r"[1-9]\d* of \d+ packages", self._line.screen())),
                                  "apt unpacks nothing", INSTALL_SECONDS)  # fmt: skip
            before = self._manager.shell(AT_WORK).stdout.split()
            assert len(before) == 2, before
            self._manager.ssh("systemctl", "kill", "--signal=KILL", "--kill-whom=main", UNIT)
            after = until("qrmd is there again", lambda: self._other_process(before[0]))
            assert after[1:] == before[1:], (before, after)
            self._sees("[Install]", " running ")
            assert self._shown_job(self._line.screen()) == self._job, self._line.screen()
            row.proof(f"qrmd {before[0]}, now {after[0]}; apt-get {after[1]}")

    def _other_process(self, former: str) -> list[str]:
        """Processes at work, once qrmd's is another one; empty before."""
        found = self._manager.shell(AT_WORK).stdout.split()
        return found if len(found) == 2 and found[0] not in ("0", former) else []

    def done(self) -> None:
        with self._rows.row("H4", "it is installed, and told what comes next", began=self._began) as row:
            self._sees("[Done]", "The server is set up.", "user qrm, password qrm", seconds=INSTALL_SECONDS)
            self.took = time.monotonic() - self._began
            assert self._line.keys <= 8, f"{self._line.keys} keys"
            sent = len(self._line.sent) - self._bytes - self._apart
            row.proof(f"{self._line.keys} keys with all defaults, {sent} bytes over the line, {self.took:.0f} s")
            self._press(ENTER)
            self._sees("[Farm]")
            self._manager.ssh("systemctl", "is-active", "qrmd.service")
            assert self._manager.ssh("systemctl", "is-active", "qrm-installer.service", check=False).returncode == 3
            row.proof("handed over to qrmd.service")
            self._press("q")
            self._line.wait_until(lambda: self._line.screen().strip().endswith("#"), "no prompt", SCREEN_SECONDS)

    def log_in(self) -> None:
        with self._rows.row("H5", "qrm logs in there with qrm, and has to choose another password first") as row:
            self._line.type("qrm-tui --log-in\r")
            self._sees("Log in to", "password qrm")
            self._type("qrm", ENTER, "qrm", ENTER)
            self._sees("Welcome, qrm", "once more")
            self._type("qrm", ENTER, "qrm", ENTER)
            self._sees(" ! ")
            row.proof(f"the same again: {self._lines(' ! ')}")
            self._type(PASSWORD, ENTER, PASSWORD, ENTER)
            self._sees("[Farm]")
            self._press("q")
            self._line.wait_until(lambda: self._line.screen().strip().endswith("#"), "no prompt", SCREEN_SECONDS)
            self._line.type("qrm-tui --log-in\r")
            self._sees("Log in to")
            self._type("qrm", ENTER, "qrm", ENTER)
            self._sees(" ! ")
            row.proof("qrm is no password any more")
            self._press("\x03")  # ctrl+c
            self._line.wait_until(lambda: self._line.screen().strip().endswith("#"), "no prompt", SCREEN_SECONDS)

    # keys and what is seen

    def _press(self, *keys: str) -> None:
        self._line.press(*keys)

    def _type(self, *words: str) -> None:
        for word in words:
            self._line.type(word)
            self._line.settle()

    def _sees(self, *texts: str, seconds: float = SCREEN_SECONDS) -> None:
        self._line.wait_for(*texts, seconds=seconds)

    def _lines(self, text: str) -> str:
        """The screen's lines with this text in them."""
        return "; ".join(" ".join(line.split()) for line in self._line.screen().splitlines() if text in line)

    def _about(self) -> str:
        """What the check under the cursor says, once it is told."""
        self._line.wait_for("looked at")
        return self._line.screen().rpartition("looked at")[2]

    @staticmethod
    def _shown_job(screen: str) -> str:
        words = screen.partition("Job ")[2].split()
        assert words, screen
        return words[0]


def served(rows: Rows, manager: Manager, line: CommandLine, took: float) -> None:
    """What runs now; `took`: seconds from the first key to the last screen."""
    with rows.row("H4", "its components are seen to be well, and its services run") as row:
        states = until("all components are looked at", lambda: _states(line))
        assert states == list(CHOSEN), states
        row.proof(f"{', '.join(states)} ok")
        running = manager.ssh("systemctl", "is-active", *SERVICES).stdout.split()
        assert running == ["active"] * len(SERVICES), running
        failed = manager.shell("systemctl --failed --plain --no-legend").stdout.strip()
        assert not failed, failed
        row.proof(f"{', '.join(SERVICES)} active, nothing failed")
        (run,) = line.qrm_json("job", "list", "--filter", "operation=install.run")
        job, steps = asyncio.run(_ran(line, run["name"]))
        ran = job["ended"] - job["started"]
        apt = sum(step["ended"] - step["started"] for step in steps if _is_apt(step))
        row.proof(f"all but apt took {took - apt:.0f} s of {took:.0f}; its job of {len(steps)} steps {ran - apt:.0f} s "
                  f"of {ran:.0f}")  # fmt: skip


def _states(line: CommandLine) -> list[str]:
    found = {fields["name"]: fields["state"] for fields in line.qrm_json("component", "list")}
    return sorted(found) if set(found.values()) == {"ok"} else []


async def _ran(line: CommandLine, job: str) -> tuple[Mapping[str, Any], Sequence[Mapping[str, Any]]]:
    """A job and its steps, with times in seconds."""
    async with Client(str(line.socket)) as client:
        return await client.show("job", job), (await client.job_plan(job))["steps"]


def _is_apt(step: Mapping[str, Any]) -> bool:
    return any(word in APT for word in step.get("argv") or ())


def netboot(rows: Rows, farm: NetbootFarm) -> None:
    """A machine boots into it."""
    with rows.row("H14", "boot-image idle is made"):
        farm.line.do("boot-image", "create", "idle", "--package", KERNEL)
        farm.await_state("boot-image", "idle", "ready")
    began = time.monotonic()
    machine: Machine = farm.bios
    machine.on()
    with rows.row("H6", "a machine netboots into it, is listed and idle", began=began) as row:
        fields = farm.await_resource(machine, "idle")
        row.proof(f"{fields['name']} {fields['address']}, {farm.stages(fields['name'], began)}")


def again(rows: Rows, manager: Manager) -> None:
    """What is so already is not done again."""
    with rows.row("H4", f"a second run of {ANSWERS} changes nothing") as row:
        before = inventory(manager)
        said = manager.qrm("install", "run", "--answers", ANSWERS, "--plan").stdout
        assert "nothing is to be done" in said, said
        manager.qrm("install", "run", "--answers", ANSWERS, "--yes")
        changed = difference(before, inventory(manager))
        assert not changed, changed
        row.proof(f"no steps, {len(before)} facts as before")


def removed(rows: Rows, manager: Manager, line: CommandLine) -> None:
    """One component is taken away again, after the one that needs it."""
    with rows.row("H4", "a component is taken away again, and nothing else") as row:
        said = line.refused("component", "uninstall", "nfs")
        assert "lvm-mgmt" in said, said
        row.proof(f"nfs is refused: {said.strip()}")
        for name in ("lvm-mgmt", "nfs"):
            line.do("component", "uninstall", name)
        there = manager.shell(NFS).stdout.strip()
        assert there in ("", "config-files"), there
        staying = [name for name in CHOSEN if name not in ("lvm-mgmt", "nfs")]
        until("the others are seen to be well", lambda: _states(line) == staying)
        assert "[nfs]" not in manager.ssh("cat", ANSWERS).stdout.replace("# [nfs]", "")
        row.proof(f"nfs answers no more, its package is gone; {', '.join(staying)} ok")


def by_answers(rows: Rows, manager: Manager, answers: str) -> set[str]:
    """A second fresh machine, without a screen, and with a power cut; the state that it is in then."""
    with rows.row("H4", "another fresh machine from the answers file that was kept") as row:
        began = time.monotonic()
        manager.begin()
        file = manager.folder / "answers.toml"
        file.write_text(answers)
        with manager.line() as line:
            line.do("install", "fix", "group")
            job = line.begin("install", "run", "--answers", str(file), "--fix", "names")
            amount = until("apt unpacks", lambda: _unpacked(line.job(job)), INSTALL_SECONDS)
        manager.power_cut()
        row.proof(f"its power is cut after {time.monotonic() - began:.0f} s, with {amount}")
        manager.boot()
        with manager.line() as line:
            assert line.ended(job)["state"] == "done", line.job_log(job)
        row.proof(f"it goes on by itself, and is done after {time.monotonic() - began:.0f} s")
    return state(manager)


def _unpacked(job: Row) -> str:
    """How many packages apt is through with, once it has begun with them; empty before."""
    amount = job.get("amount") or {"unit": "", "done": 0}
    return amount_words(job) if amount["unit"] == "packages" and amount["done"] >= 1 else ""


def compared(rows: Rows, typed: set[str], answered: set[str]) -> None:
    """The two machines."""
    with rows.row("H4", "it ends in the same state as the one at whose console keys were pressed") as row:
        differs = difference(typed, answered)
        assert not differs, differs
        kinds = [fact.partition(" ")[0] for fact in typed]
        row.proof(", ".join(f"{kinds.count(kind)} {kind}s" for kind in sorted(set(kinds))))




def moved(rows: Rows, manager: Manager, line: CommandLine) -> None:
    """What qrmd knows is moved while the server is at work: into MariaDB, and to another folder."""
    with rows.row("H3", "what qrmd knows moves into MariaDB, which is set up for it, and to another folder") as row:
        before = _known(line)
        manager.shell(OWN_MARIADB)
        file = manager.folder / "answers.toml"
        file.write_text('[qrmd]\ndata = "/data/qrm"\ndatabase = "mariadb"\n[mysql]\n')
        line.do("install", "run", "--answers", str(file))
        began = time.monotonic()
        manager.ssh("systemctl", "restart", "qrmd")
        known = _known(line)
        assert known == {**before, "jobs": [*before["jobs"], "done"]}, (before, known)
        row.proof(f"{time.monotonic() - began:.1f} s until qrmd answers from there")
        held = manager.shell("mariadb qrm --batch --skip-column-names --execute 'select count(*) from job'").stdout
        assert int(held) == len(known["jobs"]), held
        assert not manager.shell("ls /var/lib/qrm/qrm.db* /var/lib/qrm/jobs 2>/dev/null || true").stdout
        assert manager.shell("stat --format %a /data/qrm; ls /data/qrm").stdout.split()[0] == "700"
        whole = line.qrm("journal", "verify")
        assert whole.returncode == 0, whole.stdout + whole.stderr
        row.proof(f"{whole.stdout.strip()}; {held.strip()} jobs in MariaDB, nothing left in /var/lib/qrm")
        line.refused("component", "uninstall", "mysql")
        line.do("component", "configure", "qrmd", "database=sqlite")
        manager.ssh("systemctl", "restart", "qrmd")
        assert len(_known(line)["jobs"]) == len(known["jobs"]) + 1
        line.do("component", "uninstall", "mysql")
        row.proof("and back into a file of its own; MariaDB is refused to go before, and goes then")


def _known(line: CommandLine) -> dict[str, list[str]]:
    """Machines, users, and how jobs ended, the oldest first."""
    rows = until("qrmd answers", lambda: _listed(line, "job"))
    return {"jobs": [row["state"] for row in sorted(rows, key=lambda row: int(row["name"]))],
            "resources": [row["name"] for row in _listed(line, "resource")],
            "users": [row["name"] for row in _listed(line, "user")]}


def _listed(line: CommandLine, kind: str) -> list[Row]:
    """Rows; none while qrmd starts."""
    done = line.qrm(kind, "list", "--json")
    return list(json.loads(done.stdout)) if done.returncode == 0 else []
