"""A host through libvirt, against its own simulated one; and lines that are lost, or never there."""
from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import asyncssh
import msgspec
import pytest

from qrm_tui.backends.domain_console import DomainConsole
from qrm_tui.backends.domains import render_domain
from qrm_tui.backends.foreign_hosts import uri_of
from qrm_tui.backends.virtualization import schedule
from qrm_tui.core.errors import Broken, GuardRefused, Refused, StepFailed, Unreachable
from qrm_tui.core.partitions import DomainEvent, DomainNic, DomainSeen, DomainWish, HostWanted
from qrm_tui.runners import libvirt_line
from qrm_tui.runners.console import NoLine, NotTaken
from qrm_tui.runners.libvirt import LibvirtHypervisor, LocalReach, SshReach
from qrm_tui.runners.libvirt_console import LibvirtLine, LibvirtSource
from qrm_tui.runners.libvirt_line import PasswordReach
from qrm_tui.runners.libvirt_threads import Overdue, Workers
from qrm_tui.runners.ssh import SshRunner, make_key

UUID = "6695eb01-f6a4-8304-79aa-97f2502e193a"
MAC = "52:54:00:77:00:21"
WISH = DomainWish(name="p1", uuid=UUID, resource="r-17", technology="test", memory=148 << 20, memory_most=512 << 20,
                  cpus_most=4, kernel="/boot/vmlinuz", bridge="qrm", mac=MAC, target="q17")
#: Seconds until something awaited counts as failed.
PATIENCE = 20.0
#: The domain that libvirt's simulated host has from the beginning.
FOREIGN = "6695eb01-f6a4-8304-79aa-97f2502e193f"


class Events:
    """What was told of a host."""

    def __init__(self, host: LibvirtHypervisor) -> None:
        self.all: list[DomainEvent] = []
        self._came = asyncio.Event()
        host.listen(self._hear)

    def _hear(self, event: DomainEvent) -> None:
        self.all.append(event)
        self._came.set()

    async def until(self, event: str) -> None:
        async with asyncio.timeout(PATIENCE):
            while event not in [seen.event for seen in self.all]:
                self._came.clear()
                await self._came.wait()


@pytest.fixture
async def host() -> AsyncIterator[LibvirtHypervisor]:
    made = LibvirtHypervisor("host1", LocalReach("test:///default"))
    events = Events(made)
    await made.define(render_domain(WISH))
    await events.until("defined")
    yield made
    await made.destroy(UUID)
    await made.undefine(UUID)
    await made.close()


async def seen(host: LibvirtHypervisor, uuid: str = UUID) -> DomainSeen:
    return next(domain for domain in (await host.look()).domains if domain.uuid == uuid)


async def test_a_domain_from_its_definition_to_its_end(host: LibvirtHypervisor) -> None:
    events = Events(host)
    assert await seen(host) == DomainSeen(uuid=UUID, name="p1", state="off", cpus=1, memory=148 << 20,
                                          memory_most=512 << 20, resource="r-17", nics=(DomainNic(MAC, "q17"),))
    # each twice: what is so already is success
    for change, state in ((host.start, "running"), (host.suspend, "paused"), (host.resume, "running"),
                          (host.reset, "running"), (host.destroy, "off")):
        await change(UUID)
        if change != host.reset:
            await change(UUID)
        assert (await seen(host)).state == state, change
    for _ in range(2):
        await host.start(UUID, paused=True)
        assert (await seen(host)).state == "paused"
    await host.destroy(UUID)
    for _ in range(2):
        await host.undefine(UUID)
    assert UUID not in [domain.uuid for domain in (await host.look()).domains]
    await events.until("undefined")
    told = [event.event for event in events.all if event.uuid == UUID]
    assert told == ["started", "paused", "resumed", "stopped", "started", "paused", "stopped", "undefined"]


async def test_what_a_host_says_of_itself(host: LibvirtHypervisor) -> None:
    found = await host.look()
    assert (found.technology, found.hypervisor.partition(" ")[0], found.cpus, found.mhz, found.memory) == (
        "test", "TEST", 16, 1400, 3 << 30)
    before = found.memory_free
    await host.start(UUID)
    assert before - (await host.look()).memory_free == 148 << 20
    assert (await seen(host, FOREIGN)).resource == ""


async def test_memory_and_cpus_change_now_and_for_the_next_start(host: LibvirtHypervisor) -> None:
    await host.start(UUID)
    await host.set_memory(UUID, 256 << 20)
    await host.set_cpus(UUID, 3)
    await host.set_schedule(UUID, schedule("test", cpus=3, mhz=700, host_mhz=1400))
    await host.autostart(UUID, True)
    found = await seen(host)
    assert (found.cpus, found.memory) == (3, 256 << 20)
    await host.destroy(UUID)
    found = await seen(host)
    assert (found.state, found.cpus, found.memory) == ("off", 3, 256 << 20)
    with pytest.raises(StepFailed, match="after each start"):
        await host.set_schedule(UUID, {"weight": 1})
    with pytest.raises(StepFailed, match="memory"):
        await host.set_memory(UUID, 4 << 30)


async def test_a_definition_is_replaced(host: LibvirtHypervisor) -> None:
    assert (await seen(host)).memory == 148 << 20
    await host.define(render_domain(msgspec.structs.replace(WISH, memory=200 << 20)))
    assert (await seen(host)).memory == 200 << 20
    await host.set_memory(UUID, 300 << 20)
    assert (await seen(host)).memory == 300 << 20


async def test_what_is_not_ours_is_shown_and_never_touched(host: LibvirtHypervisor) -> None:
    before = await seen(host, FOREIGN)
    for call in (host.start, host.resume, host.suspend, host.shutdown, host.destroy, host.reset, host.undefine):
        with pytest.raises(GuardRefused, match="none of ours"):
            await call(FOREIGN)
    with pytest.raises(GuardRefused, match="none of ours"):
        await host.set_memory(FOREIGN, 1 << 20)
    with pytest.raises(GuardRefused, match="none of ours"):
        await host.define(render_domain(msgspec.structs.replace(WISH, uuid=FOREIGN)))
    with pytest.raises(StepFailed, match="no XML"):
        await host.define("<domain>")
    with pytest.raises(GuardRefused, match="no tag"):
        await host.define(render_domain(WISH).replace("r-17", ""))
    with pytest.raises(StepFailed, match="already exists"):  # its name is taken
        await host.define(render_domain(msgspec.structs.replace(WISH, name="test", uuid=UUID[:-1] + "b")))
    assert msgspec.structs.replace(await seen(host, FOREIGN), cpu_time=0) == msgspec.structs.replace(before, cpu_time=0)


async def test_what_is_not_possible_is_said(host: LibvirtHypervisor) -> None:
    other = UUID[:-1] + "c"
    for call in (host.start, host.resume, host.suspend, host.reset):
        with pytest.raises(StepFailed, match="not defined there"):
            await call(other)
    for call in (host.destroy, host.shutdown, host.undefine):
        await call(other)
    for call in (host.resume, host.suspend):
        with pytest.raises(StepFailed, match="libvirt on host1 does not"):
            await call(UUID)
    await host.start(UUID)
    with pytest.raises(StepFailed, match="still runs"):
        await host.undefine(UUID)
    with pytest.raises(NoLine, match="not supported"):
        await LibvirtSource(host, UUID).open(lambda data: None, lambda why: None)


async def test_a_break_that_libvirt_or_the_console_has_not_is_refused_in_words(host: LibvirtHypervisor) -> None:
    line = LibvirtLine(host, lambda data: None, lambda why: None)
    assert line.means == frozenset()
    for ask in (line.send_break, lambda: line.send_sysrq("h")):
        with pytest.raises(NotTaken, match="neither a break nor SysRq"):
            await ask()
    line._domain = await host.line.call("find it", lambda connection: connection.lookupByUUIDString(UUID))
    line._console = DomainConsole(chardev="charserial0")
    assert line.means == {"break", "sysrq"}
    for ask in (line.send_break, lambda: line.send_sysrq("h")):
        with pytest.raises(NotTaken, match=r"its host's libvirt sends no break: .*not supported"):
            await ask()
    await line.close()
    with pytest.raises(NotTaken, match="the line was lost"):
        await line.send_break()


async def test_a_line_that_is_closed_answers_no_more() -> None:
    host = LibvirtHypervisor("host1", LocalReach("test:///default"))
    await host.start_line()
    await host.look()
    await host.close()
    with pytest.raises(Unreachable, match="closed"):
        await host.look()


async def test_a_libvirtd_that_is_not_there(tmp_path: Path) -> None:
    host = LibvirtHypervisor("host1", LocalReach(f"qemu+unix:///system?socket={tmp_path / 'none'}"))
    with pytest.raises(Unreachable, match=r"host1 does not answer: .*No such file"):
        await host.look()
    await host.close()


async def test_a_libvirtd_that_takes_the_line_and_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libvirt_line, "OPENS", 0.02)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        host = LibvirtHypervisor("host1", LocalReach(f"qemu+unix:///system?socket={tmp_path / 's'}"))
        before = threading.active_count()
        for _ in range(5):
            with pytest.raises(Unreachable, match="says nothing"):
                await host.look()
        assert threading.active_count() <= before + 2  # libvirt's own, and the one that waits
        other = LibvirtHypervisor("host2", LocalReach("test:///default"))
        await other.look()
        await other.close()
        await host.close()


async def test_a_call_that_does_not_end_holds_up_its_own_host_alone(host: LibvirtHypervisor) -> None:
    held = threading.Event()
    try:
        for _ in range(libvirt_line.CHANGE_THREADS):
            with pytest.raises(StepFailed, match="did not wait within"):
                await host.line.call("wait", lambda connection: held.wait(), 0.01, changes=True)
        with pytest.raises(Unreachable, match="held up by former calls"):
            await host.line.call("wait", lambda connection: None, 0.01, changes=True)
        assert (await seen(host)).state == "off"  # it is looked at all the same
        other = LibvirtHypervisor("host2", LocalReach("test:///default"))
        assert (await other.look()).technology == "test"
        await other.close()
    finally:
        held.set()


async def test_threads_end_and_what_they_raise_comes_back() -> None:
    workers = Workers("x", 2)
    with pytest.raises(ZeroDivisionError):
        await workers.run(lambda: 1 // 0, 5)
    names = await asyncio.gather(*(workers.run(lambda: threading.current_thread().name, 5) for _ in range(20)))
    assert set(names) == {"libvirt x"}
    held = threading.Event()
    with pytest.raises(Overdue):
        await workers.run(held.wait, 0.01)
    threads = list(workers._threads)
    workers.end()
    held.set()
    for thread in threads:
        await asyncio.to_thread(thread.join, PATIENCE)
        assert not thread.is_alive()


class _NoLibvirt(asyncssh.SSHServer):
    """Lets everybody in, and leads to no socket."""

    def begin_auth(self, username: str) -> bool:
        return False


async def test_a_host_without_libvirtd_over_ssh(tmp_path: Path) -> None:
    host_key = asyncssh.generate_private_key("ssh-ed25519")
    server = await asyncssh.listen("127.0.0.1", 0, server_host_keys=[host_key], server_factory=_NoLibvirt)
    make_key(tmp_path / "key")
    runner = SshRunner("host1", "127.0.0.1", user="root", port=server.get_port(), key_file=tmp_path / "key",
                       host_key=host_key.export_public_key().decode())
    host = LibvirtHypervisor("host1", SshReach(runner, "qemu", tmp_path / "run"))
    with pytest.raises(Unreachable, match="nothing answers at /run/libvirt/libvirt-sock on 127"):
        await host.look()
    await host.close()
    (tmp_path / "file").touch()
    host = LibvirtHypervisor("host1", SshReach(runner, "qemu", tmp_path / "file" / "run"))
    with pytest.raises(Broken, match="no socket can be made"):
        await host.look()
    await host.close()
    await runner.close()
    server.close()
    await server.wait_closed()


async def test_a_table_word_refuses(host: LibvirtHypervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    host.line.technology = "xen-pv"
    with pytest.raises(Refused, match="stopped and started"):
        await host.reset(UUID)
    host.line.technology = "test"


# hosts that were added as they are


def esx(folder: Path, port: int = 1) -> LibvirtHypervisor:
    return LibvirtHypervisor("esx1", PasswordReach(f"esx://root@127.0.0.1:{port}/?no_verify=1", folder / "secret"),
                             foreign=True)


async def test_a_password_comes_from_a_file_that_nobody_else_reads(tmp_path: Path) -> None:
    host = esx(tmp_path)
    with pytest.raises(Refused, match=r"the password cannot be read from .*secret: No such file"):
        await host.look()
    (tmp_path / "secret").write_text("geheim\n")
    (tmp_path / "secret").chmod(0o644)
    with pytest.raises(Refused, match="may be read by others than its owner: chmod 600"):
        await host.look()
    (tmp_path / "secret").chmod(0o600)
    with pytest.raises(Unreachable, match=r"the host esx1 does not answer: .*connect") as refused:
        await host.look()
    assert "geheim" not in str(refused.value)
    await host.close()


def test_where_esx_is() -> None:
    wanted = HostWanted(partitioning="", ve="", address="esx.example", technology="esx", user="a@b/c", secret="/s")
    assert uri_of(wanted) == "esx://a%40b%2Fc@esx.example/"
    assert uri_of(msgspec.structs.replace(wanted, address="fd00::7", unverified=True)) == (
        "esx://a%40b%2Fc@[fd00::7]/?no_verify=1")


async def test_on_a_host_that_was_added_what_is_there_is_switched_and_nothing_else() -> None:
    host = LibvirtHypervisor("old1", LocalReach("test:///default"), foreign=True)
    (found,) = [domain for domain in (await host.look()).domains if domain.uuid == FOREIGN]
    assert (found.state, found.resource) == ("running", "")
    await host.destroy(FOREIGN)
    await host.start(FOREIGN)
    for call in (host.suspend, host.reset, host.undefine):
        with pytest.raises(GuardRefused, match="is none of ours"):
            await call(FOREIGN)
    await host.close()
