"""Enlistment: a machine that has booted says what it is, shows that it is the one, and gets a token for this boot.

All that wait while the database writes go into it together, in one transaction. Who may:

- an unknown MAC becomes a new resource, in maintenance;
- a known one shows its nonce, once: then the next one is made, and the former is good until `Rack.nonce_kept` says that
  its boot files give the new one (power may fail in between), and in the same boot (its answer may get lost);
- or it shows the token that it has, which stays good in the same boot.
"""
from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import secrets
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from qrm_tui.core.enlistment import check_request, what_got_worse
from qrm_tui.core.errors import BadInput, Broken
from qrm_tui.core.farm import Farm
from qrm_tui.core.model import Item
from qrm_tui.core.names import printable
from qrm_tui.core.node_wire import Enlisted, EnlistRequest
from qrm_tui.core.resources import ResourceSeen, ResourceWanted
from qrm_tui.daemon.newcomers import Newcomers
from qrm_tui.daemon.rack import Rack, Upkeep
from qrm_tui.daemon.records import Records
from qrm_tui.db.store import Entry, Write

_log = logging.getLogger("qrmd.enlisting")

#: Machines in one transaction, and machines that may wait.
TOGETHER, MOST_WAITING = 500, 20_000
#: Digits that make a boot's word hard to guess: it tells a machine whose answer got lost from another.
_UNGUESSED = 16
#: Seconds in which one more who shows a wrong nonce is not told again.
_WARNED = 60.0


def digest_of(token: str) -> str:
    """What is kept of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


@dataclass(slots=True)
class _Asked:
    request: EnlistRequest
    address: str
    shown: str
    answer: asyncio.Future[Enlisted]


@dataclass(slots=True)
class _Batch:
    """What is decided and not yet written."""

    macs: set[str] = field(default_factory=set)
    asked: list[_Asked] = field(default_factory=list)
    new: list[Item] = field(default_factory=list)
    known: list[tuple[str, ResourceSeen]] = field(default_factory=list)
    journal: list[Entry] = field(default_factory=list)
    answers: list[tuple[_Asked, Enlisted, bool]] = field(default_factory=list)
    #: made when the first new machine needs them
    addresses: Iterator[str] | None = None
    serials: dict[str, str] | None = None


class Enlisting:
    """Takes machines in, many at once, in the order that they ask."""

    def __init__(self, farm: Farm, records: Records, rack: Rack, upkeep: Upkeep, *,
                 identity: Callable[[], str] = lambda: str(uuid.uuid4())) -> None:
        self._farm, self._records, self._rack, self._upkeep = farm, records, rack, upkeep
        self._identity = identity
        self._waiting: deque[_Asked] = deque()
        self._worker: asyncio.Task[None] | None = None
        self._newcomers = Newcomers(farm)
        self._warned: dict[str, float] = {}

    async def stop(self) -> None:
        """End; who waits is told to come again."""
        if self._worker:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)
        for asked in self._waiting:
            _answer(asked, Enlisted(0, 503, "qrmd ends"))
        self._waiting.clear()

    def ask(self, request: EnlistRequest, address: str, shown: str = "") -> asyncio.Future[Enlisted]:
        """A machine at `address` asks; `shown` is the digest of the token that it has. The answer has no number."""
        asked = _Asked(request, address, shown, asyncio.get_running_loop().create_future())
        try:
            asked.request = check_request(request)
        except BadInput as error:
            _answer(asked, Enlisted(0, 400, str(error)))
            return asked.answer
        if len(self._waiting) >= MOST_WAITING:
            _answer(asked, Enlisted(0, 503, "too many machines enlist at once: come again"))
            return asked.answer
        self._waiting.append(asked)
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work(), name="enlist machines")
        return asked.answer

    async def appear(self, mac: str, seen: ResourceSeen | None = None) -> str:
        """A machine that nobody knows was seen to boot from the network: a resource, in maintenance, without a token;
        its enlistment takes it over. Its name; empty where no more are taken, or where it enlists just now. Broken if
        it cannot be kept."""
        known = self._farm.resource_of(mac)
        if known is not None:
            return known.name
        if mac in self._newcomers.coming or self._newcomers.is_full():
            return ""
        now, name = self._farm.clock(), self._newcomers.next_name()
        wanted = ResourceWanted(id=self._identity(), mac=mac, address=next(self._newcomers.free_addresses(), ""))
        item = Item(kind="resource", name=name, wanted=wanted, seen=seen, seen_at=now, created=now, revision=1)
        # in memory first: its enlistment may come while the database writes
        self._farm.put(item)
        try:
            await self._rack.store(item)
        except Broken:
            self._farm.delete("resource", name)
            raise
        return name

    async def _work(self) -> None:
        while self._waiting:
            batch, later = _Batch(), []
            while self._waiting and len(batch.macs) < TOGETHER and len(later) < TOGETHER:
                asked = self._waiting.popleft()
                if asked.request.mac in batch.macs:
                    later.append(asked)
                else:
                    batch.macs.add(asked.request.mac)
                    batch.asked.append(asked)
            self._waiting.extendleft(reversed(later))
            try:
                for asked in batch.asked:
                    self._decide(asked, batch)
                await self._write(batch)
            except Broken as error:
                _log.error("%d machines are not enlisted: %s", len(batch.asked), error)
            except Exception:
                _log.exception("machines are not enlisted")
            finally:
                self._newcomers.coming.clear()
                for asked in batch.asked:  # those that have no answer
                    _answer(asked, Enlisted(0, 503, "qrmd is in trouble: come again"))

    async def _write(self, batch: _Batch) -> None:
        seen = [self._farm.get("resource", name) for name, _ in batch.known]
        if seen or batch.new:
            try:
                await self._records.bring(batch.new, Write(seen=seen, entries=batch.journal))
            except Exception:
                for name, before in batch.known:  # nothing that the database does not have is given to anybody
                    self._rack.show(name, token=before.token, nonce=before.nonce, nonce_former=before.nonce_former,
                                    nonce_kept=before.nonce_kept)
                raise
        for asked, answer, nonce_is_new in batch.answers:
            _answer(asked, answer)
            if nonce_is_new:
                self._upkeep.wanted(answer.name)
            if answer.status == 200:
                _log.info("%s enlists as %s from %s", asked.request.mac, answer.name, asked.address)

    def _decide(self, asked: _Asked, batch: _Batch) -> None:
        item = self._farm.resource_of(asked.request.mac)
        if item is None:
            refused = self._newcomers.refusal(asked.address)
            if refused:
                batch.answers.append((asked, Enlisted(0, 503, refused), False))
            else:
                self._new(asked, batch)
            return
        seen = item.seen or ResourceSeen()
        refused_why = self._refusal(asked, seen)
        if refused_why:
            self._refuse(asked, item, refused_why, batch)
        else:
            self._again(asked, item, seen, batch)

    # one that is new

    def _new(self, asked: _Asked, batch: _Batch) -> None:
        request, now, token = asked.request, self._farm.clock(), secrets.token_hex(32)
        name = self._newcomers.next_name()
        if batch.addresses is None:
            batch.addresses = self._newcomers.free_addresses()
        warning = self._former_self(request, batch)
        wanted = ResourceWanted(id=self._identity(), mac=request.mac, address=next(batch.addresses, ""))
        seen = ResourceSeen(token=digest_of(token), nonce=secrets.token_hex(16), warning=warning,
                            beat=self._rack.beat_of(name), **_said(asked, now))
        item = Item(kind="resource", name=name, wanted=wanted, seen=seen, seen_at=now, revision=1)
        self._newcomers.coming[request.mac] = item
        batch.new.append(item)
        batch.journal.append(_entry(asked, item))
        batch.answers.append((asked, Enlisted(0, 200, token=token, name=name, beat=seen.beat), True))

    def _former_self(self, request: EnlistRequest, batch: _Batch) -> str:
        if batch.serials is None:
            batch.serials = self._newcomers.serials()
        return self._newcomers.former_self(request.inventory, batch.serials)

    # one that is known

    def _refusal(self, asked: _Asked, seen: ResourceSeen) -> str:
        """Why it is not believed to be the machine with this MAC; empty: it is."""
        nonce = asked.request.nonce
        if not seen.token:
            return ""  # it was seen to boot, or made known by hand, and has nothing to show yet
        if asked.shown and _same(asked.shown, seen.token):
            return ""
        if seen.nonce and _same(nonce, seen.nonce):
            return ""
        if _same(nonce, seen.nonce_former):
            if not seen.nonce_kept or self._same_boot(asked, seen):
                return ""
            return "a nonce that was used already" if nonce else "no nonce"
        return "a wrong nonce" if nonce else "no nonce"

    @staticmethod
    def _same_boot(asked: _Asked, seen: ResourceSeen) -> bool:
        return len(seen.boot) >= _UNGUESSED and _same(asked.request.boot, seen.boot)

    def _refuse(self, asked: _Asked, item: Item, why: str, batch: _Batch) -> None:
        now = self._farm.clock()
        if now - self._warned.get(item.name, 0) > _WARNED:
            self._warned[item.name] = now
            said = f"{printable(asked.address)} said to be this machine, and showed {why}: it was refused"
            self._rack.show_and_keep(item.name, warning=said)
            _log.warning("%s (%s) enlists from %s with %s: refused", item.name, item.wanted.mac, asked.address, why)
        batch.answers.append((asked, Enlisted(
            0, 403, f"{item.name} is known, and you show {why}: fetch its nonce again, or boot anew"), False))

    def _again(self, asked: _Asked, item: Item, seen: ResourceSeen, batch: _Batch) -> None:
        request, same_boot = asked.request, self._same_boot(asked, seen)
        token = "" if same_boot and asked.shown and _same(asked.shown, seen.token) else secrets.token_hex(32)
        changes = _said(asked, self._farm.clock())
        if token:
            changes["token"] = digest_of(token)
        nonce_is_shown = bool(seen.nonce) and _same(request.nonce, seen.nonce)
        if nonce_is_shown or not seen.nonce:
            changes.update(nonce=secrets.token_hex(16), nonce_former=seen.nonce, nonce_kept=False)
        if same_boot:
            del changes["trouble"]
            if request.stage == seen.stage:
                del changes["stage_at"]
        elif seen.token:
            changes["warning"] = what_got_worse(seen.inventory, request.inventory)
        else:
            changes["warning"] = self._former_self(request, batch)
            batch.journal.append(_entry(asked, item))
        if seen.order_for != request.boot:
            changes.update(order="", order_for="")
        changes["beat"] = self._rack.beat_of(item.name)
        batch.known.append((item.name, seen))
        self._rack.show(item.name, **changes)
        order = seen.order if seen.order_for == request.boot else ""
        batch.answers.append((asked, Enlisted(0, 200, token=token, name=item.name, beat=changes["beat"], order=order),
                              "nonce" in changes or not seen.nonce_kept))


def _entry(asked: _Asked, item: Item) -> Entry:
    """What the journal is told of a machine that enlists for the first time."""
    return Entry(
        who="node", terminal=asked.address, operation="resource.enlist", object=f"resource/{item.name}",
        outcome="done", details={"mac": item.wanted.mac, "address": item.wanted.address,
                                 "inventory": msgspec.to_builtins(asked.request.inventory)})


def _answer(asked: _Asked, answer: Enlisted) -> None:
    if not asked.answer.done():
        asked.answer.set_result(answer)


def _said(asked: _Asked, now: float) -> dict[str, Any]:
    """What is seen of a machine that enlists."""
    request = asked.request
    return {"inventory": request.inventory, "address": asked.address, "stage": request.stage, "stage_at": now,
            "runs": request.runs, "boot": request.boot, "heard": now, "load": None, "filled": None, "off": "",
            "answered": 0.0, "trouble": ""}
