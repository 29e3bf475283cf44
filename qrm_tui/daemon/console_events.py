"""Events of consoles: what the patterns found becomes a machine's event, as often as people can read.

The same thing found again on one console, within an hour, is the same event with a count: it is told at once, and then
not more often than every few seconds, however fast a machine panics in a loop.
"""
from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from qrm_tui.core.farm import Farm
from qrm_tui.core.resources import ConsoleEvent, ResourceSeen, is_over, standing_event
from qrm_tui.daemon.console_patterns import Hit

#: Seconds between two tellings of the same event, and after which it is another one.
PACE, ANOTHER = 5.0, 3600.0

_log = logging.getLogger("qrmd.consoles")

#: Something was seen of a resource: into the farm, and into the database soon.
Show = Callable[..., Any]


class ConsoleEvents:
    """By the names of machines."""

    def __init__(self, farm: Farm, show: Show, pace: float = PACE) -> None:
        self._farm, self._show, self._pace = farm, show, pace
        #: by machine and pattern: no more than there are patterns
        self._events: dict[str, dict[str, ConsoleEvent]] = {}
        #: when each was told (steady clock), and what waits to be
        self._told: dict[tuple[str, str], float] = {}
        self._waiting: dict[str, asyncio.TimerHandle] = {}

    def found(self, machine: str, hits: Sequence[Hit]) -> None:
        """Found on its console just now."""
        item = self._farm.find("resource", machine)
        if item is None:
            return
        events = self._of(machine, item.seen)
        for hit in hits:
            name = hit.pattern.name
            before = events.pop(name, None)
            if before is not None and item.seen is not None and is_over(before, item.seen):
                before = None
            if before is None and hit.whole:
                continue  # it has been seen to meanwhile
            event = self._event(hit, before, item.seen)
            events[name] = event  # the newest last
            if event is before:
                continue
            if event.count > 1:
                self._later(machine, name)
            elif hit.whole:
                self._tell(machine)
            else:
                if event.severity == "alert":
                    _log.warning("console of %s: %s: %s", machine, event.name, event.text)
                self._tell(machine)

    def seen(self, machine: str, who: str) -> None:
        """Somebody who may type has opened its console, or types there."""
        item = self._farm.find("resource", machine)
        event = standing_event(item.seen) if item is not None else None
        if event is not None:
            self._events.pop(machine, None)
            self._show(machine, event=msgspec.structs.replace(event, seen_by=who))

    def forget(self, machine: str) -> None:
        """Its console is gone."""
        self._events.pop(machine, None)
        if timer := self._waiting.pop(machine, None):
            timer.cancel()
        for key in [key for key in self._told if key[0] == machine]:
            del self._told[key]

    def stop(self) -> None:
        """Tell what waits."""
        for machine in list(self._waiting):
            self._waiting[machine].cancel()
            self._tell(machine)

    def _of(self, machine: str, seen: ResourceSeen | None) -> dict[str, ConsoleEvent]:
        events = self._events.get(machine)
        if events is None:
            event = seen.event if seen is not None else None
            events = self._events[machine] = {event.name: event} if event and not event.seen_by else {}
        return events

    def _event(self, hit: Hit, before: ConsoleEvent | None, seen: ResourceSeen | None) -> ConsoleEvent:
        now, boot = self._farm.clock(), seen.boot if seen is not None else ""
        pattern = hit.pattern
        if before is not None and hit.whole:
            # what is typed behind a prompt is nobody's business
            more = pattern.severity == "alert" and hit.text != before.text
            return msgspec.structs.replace(before, text=hit.text) if more else before
        if before is not None and now - before.at < ANOTHER:
            return msgspec.structs.replace(before, text=hit.text, at=now, count=before.count + 1, boot=boot)
        return ConsoleEvent(name=pattern.name, severity=pattern.severity, text=hit.text, next=pattern.next, since=now,
                            at=now, boot=boot)

    def _later(self, machine: str, name: str) -> None:
        """Tell it now, or when it was not told for a while."""
        wait = self._told.get((machine, name), 0.0) + self._pace - self._farm.steady()
        if wait <= 0:
            self._tell(machine)
        elif machine not in self._waiting:
            self._waiting[machine] = asyncio.get_running_loop().call_later(wait, self._tell, machine)

    def _tell(self, machine: str) -> None:
        if timer := self._waiting.pop(machine, None):
            timer.cancel()
        events = self._events.get(machine)
        if events:
            name, event = next(reversed(events.items()))
            self._told[(machine, name)] = self._farm.steady()
            self._show(machine, event=event)
