"""The farm in memory: every object by kind and name, with revisions, and who is told when one changes."""
from __future__ import annotations

import difflib
import time
from collections import defaultdict
from collections.abc import Callable, Iterable

from qrm_tui.core import states
from qrm_tui.core.errors import NotFound
from qrm_tui.core.model import FINISHED, Item

#: What people call the kinds.
WORDS = {"storage": "storage server", "image": "filesystem-image", "job": "job", "journal": "journal entry"}

Listener = Callable[[str, str, "Item | None"], None]


class Farm:
    """All objects. Not thread-safe: it belongs to qrmd's event loop."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self.revision = 0
        self._items: dict[str, dict[str, Item]] = defaultdict(dict)
        self._clones: dict[str, set[str]] = defaultdict(set)
        self._images: dict[str, set[str]] = defaultdict(set)
        self._open_jobs: dict[str, set[str]] = defaultdict(set)
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

    # changing

    def listen(self, listener: Listener) -> None:
        """`listener(kind, name, item or None)` is called for each change."""
        self._listeners.append(listener)

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

    def _judge_others(self, item: Item) -> None:
        related: list[Item] = []
        if item.kind == "storage":
            related = self.images_on(item.name)
        elif item.kind == "job":
            worked_on = self.find(*item.wanted.object.split("/", 1))
            related = [worked_on] if worked_on else []
        elif item.kind == "image" and item.wanted.origin:
            origin = self.find("image", item.wanted.origin)
            related = [origin] if origin else []
        for other in related:
            if self._judge(other):
                self._tell(other.kind, other.name, other)

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
            self._open_jobs[item.wanted.object].add(item.name)

    def _unlink(self, item: Item) -> None:
        if item.kind == "job":
            self._open_jobs[item.wanted.object].discard(item.name)
        if item.kind == "image":
            self._images[item.wanted.storage].discard(item.name)
            self._clones[item.wanted.origin].discard(item.name)
