"""The farm in memory: every object by kind and name, with revisions, and who is told when one changes."""
from __future__ import annotations

import difflib
import time
from collections import defaultdict
from collections.abc import Callable, Iterable

from qrm_tui.core import states
from qrm_tui.core.errors import NotFound
from qrm_tui.core.kinds import WORDS
from qrm_tui.core.model import FINISHED, Item

Listener = Callable[[str, str, "Item | None"], None]


class Farm:
    """All objects. Not thread-safe: it belongs to qrmd's event loop.

    `clock` is what people call the time, and may be set by anybody at any moment; `steady` measures how long something
    takes.
    """

    def __init__(self, clock: Callable[[], float] = time.time,
                 steady: Callable[[], float] = time.monotonic) -> None:
        self.clock: Callable[[], float] = clock
        self.steady: Callable[[], float] = steady
        self.revision = 0
        #: the ssh key that machines must accept which the server logs in to
        self.public_key = ""
        #: its machines are simulated
        self.practice = False
        self._items: dict[str, dict[str, Item]] = defaultdict(dict)
        self._clones: dict[str, set[str]] = defaultdict(set)
        self._images: dict[str, set[str]] = defaultdict(set)
        self._open_jobs: dict[str, set[str]] = defaultdict(set)
        #: virtual environments by the images and boot-images that they use
        self._users: dict[str, set[str]] = defaultdict(set)
        self._macs: dict[str, str] = {}
        #: partitions by their host
        self._hosted: dict[str, set[str]] = defaultdict(set)
        self._listeners: list[Listener] = []

    # reading

    def all(self, kind: str) -> Iterable[Item]:
        """Every object of a kind, oldest first."""
        return self._items[kind].values()

    def count(self, kind: str) -> int:
        return len(self._items[kind])

    def find(self, kind: str, name: str) -> Item | None:
        return self._items[kind].get(name)

    def get(self, kind: str, name: str) -> Item:
        """The object; NotFound names the ones that sound like it."""
        item = self._items[kind].get(name)
        if item is None:
            close = difflib.get_close_matches(name, self._items[kind], 1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise NotFound(f"there is no {WORDS.get(kind, kind)} {name!r}{hint}")
        return item

    def clones(self, image: str) -> list[str]:
        """Names of the images that are clones of this one."""
        return sorted(self._clones.get(image, ()))

    def open_jobs(self, object: str) -> list[str]:
        """Numbers of the jobs on this object that have not ended."""
        return sorted(self._open_jobs.get(object, ()), key=int)

    def images_on(self, storage: str) -> list[Item]:
        """The images of a storage server."""
        return [self._items["image"][name] for name in sorted(self._images.get(storage, ()))]

    def ves_with(self, kind: str, name: str) -> list[str]:
        """Names of the virtual environments that use this image or boot-image."""
        return sorted(self._users.get(f"{kind}/{name}", ()))

    def partitions_on(self, host: str) -> list[Item]:
        """The partitions of a virtualization host."""
        return [self._items["partition"][name] for name in sorted(self._hosted.get(host, ()))]

    def partitions_up(self, host: str) -> list[Item]:
        """Those of them that run, or stand still in its memory."""
        return [item for item in self.partitions_on(host) if item.state in ("running", "paused")]

    def resource_of(self, mac: str) -> Item | None:
        """The resource that boots from the network card with this address."""
        name = self._macs.get(mac)
        return self._items["resource"][name] if name else None

    # changing

    def listen(self, listener: Listener) -> Callable[[], None]:
        """`listener(kind, name, item or None)` is called for each change; the answer ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def put(self, item: Item) -> None:
        """An object is new or changed; its state is judged anew, and that of those that depend on it."""
        former = self._items[item.kind].get(item.name)
        if former is not None:
            self._unlink(former)
        self._items[item.kind][item.name] = item
        self._link(item)
        self._judge(item)
        self._tell(item.kind, item.name, item)
        self._judge_others(item)

    def delete(self, kind: str, name: str) -> None:
        item = self._items[kind].pop(name, None)
        if item is not None:
            self._unlink(item)
            self._tell(kind, name, None)
            self._judge_others(item)

    def _judge(self, item: Item) -> bool:
        state = states.judge(item, self).state
        if state == item.state and item.since:
            return False
        item.state, item.since = state, self.clock()
        return True

    def judge_again(self, kind: str, name: str) -> None:
        """Time went by: the state may be another one now."""
        item = self.find(kind, name)
        if item is not None and self._judge(item):
            self._tell(kind, name, item)
            self._judge_others(item)

    def _judge_others(self, item: Item) -> None:
        for kind, name in _related(item):
            other = self.find(kind, name)
            if other is not None and self._judge(other):
                self._tell(kind, name, other)
                if kind == "resource":  # and what runs on it
                    self._judge_others(other)
        if item.kind == "host" or (item.kind == "resource" and self._hosted.get(item.name)):
            for partition in sorted(self._hosted.get(item.name, ())):
                self.judge_again("partition", partition)
        if item.kind == "host":
            for domain in [other for other in self.all("domain") if other.wanted.host == item.name]:
                self.judge_again("domain", domain.name)
        if item.kind == "storage":
            for image in self.images_on(item.name):
                if self._judge(image):
                    self._tell("image", image.name, image)

    def _tell(self, kind: str, name: str, item: Item | None) -> None:
        self.revision += 1
        for listener in self._listeners:
            listener(kind, name, item)

    def _link(self, item: Item) -> None:
        if item.kind == "image":
            self._images[item.wanted.storage].add(item.name)
            if item.wanted.origin:
                self._clones[item.wanted.origin].add(item.name)
        elif item.kind == "job" and item.wanted.state not in FINISHED:
            for held in (item.wanted.object, *item.wanted.holds):
                self._open_jobs[held].add(item.name)
        elif item.kind == "resource":
            self._macs[item.wanted.mac] = item.name
        elif item.kind == "partition":
            self._hosted[item.wanted.host].add(item.name)
        elif item.kind == "ve":
            for used in _used(item):
                self._users[used].add(item.name)

    def _unlink(self, item: Item) -> None:
        if item.kind == "job":
            for held in (item.wanted.object, *item.wanted.holds):
                self._open_jobs[held].discard(item.name)
        elif item.kind == "image":
            self._images[item.wanted.storage].discard(item.name)
            self._clones[item.wanted.origin].discard(item.name)
        elif item.kind == "resource":
            self._macs.pop(item.wanted.mac, None)
        elif item.kind == "partition":
            self._hosted[item.wanted.host].discard(item.name)
        elif item.kind == "ve":
            for used in _used(item):
                self._users[used].discard(item.name)


def _used(ve: Item) -> set[str]:
    wanted = ve.wanted
    return {f"boot-image/{wanted.boot_image}", f"image/{wanted.image}",
            *(f"image/{assigned.image}" for assigned in wanted.assigned)}


def _related(item: Item) -> list[tuple[str, str]]:
    """The objects whose state may follow from this one's, by kind and name."""
    wanted = item.wanted
    if item.kind == "job":
        return [(kind, name) for kind, _, name in (held.partition("/") for held in (wanted.object, *wanted.holds))]
    if item.kind == "image":
        return [("image", wanted.origin)] if wanted.origin else []
    if item.kind == "resource":
        return [("ve", wanted.ve)] if wanted.ve else []
    if item.kind == "ve":
        return [("resource", assigned.resource) for assigned in wanted.assigned] + [
            ("image", assigned.image) for assigned in wanted.assigned] + [("boot-image", wanted.boot_image)]
    if item.kind == "partition":
        return [("resource", item.name)]
    return []
