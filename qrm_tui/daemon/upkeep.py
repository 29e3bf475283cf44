"""What the server keeps in order by itself, without plans: nonces, boot files of idle machines, fixed addresses.

A set of names waits to be looked at, and never a queue of events: however often a machine changes, its files are
written once. What fails is tried again, ever more slowly, and told in one place. At its start the server compares
everything, since it may have been killed between a change and its file.
"""
from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

from qrm_tui.backends import boot, dhcpd
from qrm_tui.core.errors import QrmError, StepFailed
from qrm_tui.core.farm import Farm
from qrm_tui.core.model import Item
from qrm_tui.core.netboot import BootSettings, find_boot_settings
from qrm_tui.core.plan import HERE
from qrm_tui.core.resources import ASKING, ResourceSeen
from qrm_tui.daemon.machines import Machines
from qrm_tui.daemon.rack import Rack
from qrm_tui.runners.base import Runner

_log = logging.getLogger("qrmd.upkeep")

#: Machines whose files are written by one command, and addresses that are given side by side.
TOGETHER, SIDE_BY_SIDE = 1000, 4
#: Seconds: the first pause after a failure, doubled up to the longest; and how long a burst of changes may go on until
#: the file of fixed addresses is written, and how long it must have ended.
FIRST_PAUSE, LONGEST_PAUSE, SETTLED, LATEST = 1.0, 60.0, 3.0, 30.0
_FOLDERS = ("pxelinux.cfg", "ipxe", "images", "nonce")
_HOST = re.compile(r"^host (\S+) \{ hardware ethernet (\S+); fixed-address (\S+); \}$", re.MULTILINE)

#: A component's trouble, until when it is shown.
Warn = Callable[[str, str, float], None]


class _Files(NamedTuple):
    """What was written for a machine."""

    mac: str
    nonce: str
    #: it boots idle unless a plan says otherwise
    idle: bool


class _Some(QrmError):
    """Some of the names given could not be helped; the others are done."""

    def __init__(self, failed: dict[str, str]) -> None:
        super().__init__(next(iter(failed.values())))
        self.failed = failed


class _Worker:
    """Names that wait, and what is done with them a few at a time."""

    def __init__(self, what: str, together: int, work: Callable[[list[str]], Awaitable[None]],
                 told: Callable[[str], None]) -> None:
        self.what, self._together, self._work, self._told = what, together, work, told
        self.waiting: dict[str, None] = {}
        #: what went wrong with those that wait to be tried again
        self.troubles: dict[str, str] = {}
        self.pause = FIRST_PAUSE
        self._some, self._idle = asyncio.Event(), asyncio.Event()
        self._idle.set()

    def add(self, name: str) -> None:
        self.waiting[name] = None
        self._some.set()
        self._idle.clear()

    async def empty(self) -> None:
        """Until nothing waits."""
        await self._idle.wait()

    async def run(self) -> None:
        while True:
            await self._some.wait()
            names = list(self.waiting)[: self._together]
            for name in names:
                del self.waiting[name]
            failed = await self._try(names)
            for name in names:
                if name not in failed and self.troubles.pop(name, "") and not self.troubles:
                    _log.info("%s: all is well again", self.what)
            if failed:
                await self._failed(failed)
            else:
                self.pause = FIRST_PAUSE
            if not self.waiting:
                self._some.clear()
                self._idle.set()

    async def _try(self, names: list[str]) -> dict[str, str]:
        """Those that could not be helped, and why."""
        try:
            await self._work(names)
        except _Some as error:
            return error.failed
        except (QrmError, OSError) as error:
            return dict.fromkeys(names, str(error))
        except Exception as error:
            _log.exception("%s: %s", self.what, names[:5])
            return dict.fromkeys(names, repr(error))
        return {}

    async def _failed(self, failed: dict[str, str]) -> None:
        why = next(iter(failed.values()))
        if why not in self.troubles.values():
            _log.error("%s: %s (it is tried again)", self.what, why)
        self.troubles.update(failed)
        self._told(why)
        # behind the others: one that can never be helped holds up nobody
        for name in failed:
            self.waiting.setdefault(name)
        await asyncio.sleep(self.pause)
        self.pause = min(self.pause * 2, LONGEST_PAUSE)


class Upkeep:
    """Boot files and fixed addresses as the farm is."""

    def __init__(self, farm: Farm, machines: Machines, rack: Rack, warn: Warn) -> None:
        self._farm, self._machines, self._rack, self._warn = farm, machines, rack, warn
        self._settings: BootSettings | None = None
        #: by resource, what was written by this server; and resources that are gone whose files are not yet
        self._files: dict[str, _Files] = {}
        self._gone: dict[str, set[str]] = {}
        #: by resource, MAC and address as the running dhcpd has them
        self._hosts: dict[str, tuple[str, str]] = {}
        self._hosts_read = False
        self._hosts_text: str | None = None
        self.files = _Worker("boot files", TOGETHER, self._write_files, lambda why: self._tell("tftpd", why))
        self.addresses = _Worker("fixed addresses", SIDE_BY_SIDE, self._give_addresses,
                                 lambda why: self._tell("dhcpd", why))
        self._changed_at = asyncio.Event()
        #: set, and replaced, when dhcpd was told an address
        self._told = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def _runner(self) -> Runner:
        return self._machines.runner(HERE)

    def start(self) -> None:
        """Compare and mend all, and keep it so from now on."""
        self._farm.listen(self._changed)
        self._set_up()
        self._tasks = [asyncio.create_task(work, name=f"upkeep of {what}") for what, work in (
            ("files", self.files.run()), ("addresses", self.addresses.run()), ("hosts", self._keep_hosts()))]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def settle(self) -> None:
        """Until nothing waits."""
        await self.files.empty()
        await self.addresses.empty()

    async def addressed(self, name: str) -> None:
        """Until dhcpd gives this resource its own address, if it has one: what asks before that gets another."""
        while (self._settings is not None and (item := self._farm.find("resource", name)) is not None
               and self._hosts.get(name) != self._host_of(item)):
            await self._told.wait()

    def wanted(self, name: str) -> None:
        """The nonce or the address of this resource is new."""
        item = self._farm.find("resource", name)
        self._changed("resource", name, item)

    def _tell(self, component: str, why: str) -> None:
        self._warn(component, why, self._farm.clock() + 2 * LONGEST_PAUSE)

    # what changed

    def _changed(self, kind: str, name: str, item: Item | None) -> None:
        if kind == "component":
            if find_boot_settings(self._farm) != self._settings:
                self._set_up()
        elif kind == "resource":
            known = self._files.get(name)
            if item is None:
                self._forget(name, known)
                return
            if self._settings is not None and known != self._files_of(item):
                self.files.add(name)
            if self._settings is not None and self._hosts.get(name) != self._host_of(item) and not _is_asking(item):
                self.addresses.add(name)

    def _forget(self, name: str, known: _Files | None) -> None:
        if known is not None:
            del self._files[name]
            self._gone.setdefault(name, set()).add(known.mac)
            self.files.add(name)
        if name in self._hosts:
            self.addresses.add(name)

    def _set_up(self) -> None:
        """The server's addresses are others than before: all files are compared."""
        self._settings = find_boot_settings(self._farm)
        if self._settings is None:
            return
        self._files.clear()
        self.files.add("")
        self.addresses.add("")
        for item in self._farm.all("resource"):
            self.files.add(item.name)
            self.addresses.add(item.name)

    def _files_of(self, item: Item) -> _Files:
        seen = item.seen or ResourceSeen()
        return _Files(item.wanted.mac, seen.nonce, not item.wanted.ve)

    @staticmethod
    def _host_of(item: Item) -> tuple[str, str] | None:
        return (item.wanted.mac, item.wanted.address) if item.wanted.address else None

    # files

    async def _write_files(self, names: list[str]) -> None:
        settings = self._settings
        if settings is None:
            return
        # a nonce that boot files give, and a killed server's database does not know, would lock its machine out
        await self._rack.written()
        if "" in names:
            for folder in _FOLDERS:
                done = await self._runner.run(("mkdir", "-p", "--", f"{boot.ROOT}/{folder}"))
                if done.status != 0:
                    raise StepFailed(done.complaint())
            await self._edit([_write(path, text) for path, text in boot.default_files(settings).items()])
        edits: list[dict[str, Any]] = []
        written: dict[str, _Files] = {}
        for name in names:
            item = self._farm.find("resource", name)
            macs = set(self._gone.get(name, ()))
            if item is not None:
                new, known = self._files_of(item), self._files.get(name)
                macs |= {known.mac} if known and known.mac != new.mac else set()
                edits += self._edits_of(item, new, known, settings)
                written[name] = new
            # a card that another resource has by now is that one's
            edits += [_remove(path) for mac in macs if self._farm.resource_of(mac) is None
                      for path in (*boot.machine_paths(mac), boot.nonce_path(mac))]
        await self._edit(edits)
        for name in names:
            self._gone.pop(name, None)
        for name, files in written.items():
            if self._farm.find("resource", name) is None:  # it went meanwhile
                self._gone.setdefault(name, set()).add(files.mac)
                self.files.add(name)
                continue
            self._files[name] = files
            self._note_nonce(name, files.nonce)
            self.wanted(name)

    def _note_nonce(self, name: str, nonce: str) -> None:
        """Its boot files give this nonce: the one before it is used up."""
        seen = self._farm.get("resource", name).seen
        if nonce and seen is not None and seen.nonce == nonce:
            self._rack.show_and_keep(name, nonce_kept=True)

    def _edits_of(self, item: Item, new: _Files, known: _Files | None, settings: BootSettings) -> list[dict[str, Any]]:
        edits = []
        if known is None or (known.mac, known.nonce) != (new.mac, new.nonce):
            # one that was only seen to boot has none: whatever lies there is of another resource with this card
            path = boot.nonce_path(new.mac)
            edits.append(_write(path, f"{new.nonce}\n") if new.nonce else _remove(path))
        # of a machine that has a virtual environment, or had one a moment ago, plans write them
        if new.idle and (known is None or known.mac != new.mac):
            edits += [_write(path, text) for path, text in boot.machine_files(
                boot.settings_for(settings, item.wanted), item.name, new.mac).items()]
        return edits

    async def _edit(self, edits: Sequence[dict[str, Any]]) -> None:
        if edits:
            await self._runner.edit_tree(boot.ROOT, edits)

    # fixed addresses

    async def _read_hosts(self) -> None:
        """What the running dhcpd began with, as far as its file tells."""
        there = await self._runner.read_file(dhcpd.HOSTS)
        self._hosts_text = there.content if there else None
        known = {name: (mac, address) for name, mac, address in _HOST.findall(self._hosts_text or "")}
        self._hosts = {**known, **self._hosts}
        self._hosts_read = True
        for name in known:
            self.addresses.add(name)

    async def _give_addresses(self, names: list[str]) -> None:
        if self._settings is None:
            return
        if not self._hosts_read:
            await self._read_hosts()
        results = await asyncio.gather(*(self._give_address(name) for name in names), return_exceptions=True)
        failed: dict[str, str] = {}
        for name, result in zip(names, results, strict=True):
            if isinstance(result, (QrmError, OSError)):
                failed[name] = str(result)
            elif isinstance(result, BaseException):
                raise result
        if not failed.keys() == set(names) <= self.addresses.troubles.keys():  # else it is as it was at the last try
            self._changed_at.set()
        if failed:
            raise _Some(failed)

    async def _give_address(self, name: str) -> None:
        if not name:
            return
        item = self._farm.find("resource", name)
        host = self._host_of(item) if item else None
        known = self._hosts.get(name)
        if host == known or (item is not None and _is_asking(item)):
            return
        if host is not None:
            argv = dhcpd.omapi_argv("add", name, host[0], host[1])
        else:
            assert known is not None
            argv = dhcpd.omapi_argv("remove", name, known[0])
        done = await self._runner.run(argv)
        if done.status != 0:
            raise StepFailed(done.complaint())
        if host is not None:
            self._hosts[name] = host
        else:
            del self._hosts[name]
        told, self._told = self._told, asyncio.Event()
        told.set()

    async def _keep_hosts(self) -> None:
        """The file that the next dhcpd starts with, written some seconds after the last change."""
        pause = FIRST_PAUSE
        while True:
            await self._changed_at.wait()
            await self._calm()
            try:
                await self.write_hosts()
                pause = FIRST_PAUSE
            except (QrmError, OSError) as error:
                self._tell("dhcpd", str(error))
                _log.error("fixed addresses for dhcpd's next start: %s (it is tried again)", error)
                self._changed_at.set()
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)

    async def _calm(self) -> None:
        try:
            async with asyncio.timeout(LATEST):
                while self._changed_at.is_set():
                    self._changed_at.clear()
                    await asyncio.sleep(SETTLED)
        except TimeoutError:
            self._changed_at.clear()

    async def write_hosts(self) -> None:
        """Write that file now, if it is another one: from what is wanted, whether dhcpd took it or not."""
        if self._settings is None:  # dhcpd was taken away meanwhile
            return
        text = dhcpd.hosts_text((item.name, *host) for item in self._farm.all("resource")
                                if (host := self._host_of(item)))
        if text != self._hosts_text:
            await self._runner.write_file(dhcpd.HOSTS, text, 0o644, ())
            self._hosts_text = text


def _is_asking(item: Item) -> bool:
    """Whether it may be in the middle of asking for an address.

    dhcpd refuses what it has just offered from the pool once there is a fixed one, and iPXE gives up then. Its next
    stage brings it here again.
    """
    return item.seen is not None and item.seen.stage in ASKING


def _write(path: str, text: str) -> dict[str, Any]:
    # not synced: what a power failure takes is mended at the next start
    return {"do": "write", "path": path.removeprefix(boot.ROOT), "content": text, "mode": 0o644, "sync": False}


def _remove(path: str) -> dict[str, Any]:
    return {"do": "remove", "path": path.removeprefix(boot.ROOT)}
