"""Threads for libvirt, whose calls block: one for its events in the process, and a few for each host.

A host that hangs holds its own threads and nobody else's. All are daemons: one that hangs for ever holds up no end.
"""
from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import libvirt

_log = logging.getLogger("qrmd.libvirt")
T = TypeVar("T")

_begun = threading.Lock()
_events: threading.Thread | None = None


def _run_events() -> None:
    while True:
        try:
            libvirt.virEventRunDefaultImpl()
        except libvirt.libvirtError:
            _log.exception("libvirt's event loop")
            threading.Event().wait(1.0)


def start_events() -> None:
    """libvirt's event loop runs in a thread; must be so before the first connection is opened."""
    global _events
    with _begun:
        if _events is None:
            # else every error is printed to standard error besides
            libvirt.registerErrorHandler(lambda context, error: None, None)
            libvirt.virEventRegisterDefaultImpl()
            _events = threading.Thread(target=_run_events, name="libvirt events", daemon=True)
            _events.start()


class Overdue(Exception):
    """A call did not end in time; `begun`: a thread was free for it, and its effect is not known."""

    def __init__(self, *, begun: bool) -> None:
        super().__init__()
        self.begun = begun


class _Call:
    """A function that a thread is to run; `ended` is called on the loop when that is over, awaited or not."""

    def __init__(self, function: Callable[[], Any], ended: Callable[[], None]) -> None:
        self.function, self.ended = function, ended
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[Any] = self.loop.create_future()
        self.begun = False

    def _settle(self, result: Any, error: BaseException | None) -> None:
        self.ended()
        if self.future.done():
            return
        if error is None:
            self.future.set_result(result)
        else:
            self.future.set_exception(error)

    def run(self) -> None:
        """In a thread."""
        result, error = None, None
        if not self.future.cancelled():
            self.begun = True
            try:
                result = self.function()
            except BaseException as raised:
                error = raised
        with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits any more
            self.loop.call_soon_threadsafe(self._settle, result, error)


class Workers:
    """At most so many threads that run blocking calls of one host."""

    def __init__(self, name: str, most: int) -> None:
        self._name, self._most = name, most
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._unfinished = 0

    async def run(self, function: Callable[[], T], seconds: float | None) -> T:
        """Its result; Overdue after so many seconds. A call that was begun goes on in its thread."""
        call = self._begin(function)
        try:
            done, _ = await asyncio.wait((call.future,), timeout=seconds)
            if not done:
                raise Overdue(begun=call.begun)
            return call.future.result()  # type: ignore[no-any-return]
        finally:
            call.future.cancel()

    def begin(self, function: Callable[[], T]) -> asyncio.Future[T]:
        """It is done as soon as a thread is free; its result, for whoever waits."""
        return self._begin(function).future

    def _begin(self, function: Callable[[], T]) -> _Call:
        call = _Call(function, self._finished)
        self._unfinished += 1
        if len(self._threads) < min(self._most, self._unfinished):
            thread = threading.Thread(target=self._work, name=f"libvirt {self._name}", daemon=True)
            self._threads.append(thread)
            thread.start()
        self._calls.put(call)
        return call

    def _finished(self) -> None:
        self._unfinished -= 1

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            call.run()
            del call  # while it waits for the next, it must not hold a connection

    def end(self) -> None:
        """Each thread ends after its last call."""
        for _ in self._threads:
            self._calls.put(None)
        self._threads = []
