"""Rows for a table: what a source of rows must offer, and a list of dict rows kept in order by keyed deltas."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

Row = Mapping[str, Any]
RowKey = str | int

_DIGITS = re.compile(r"[0-9]+")
_BULK = 1000  # above this many changes at once one sort is cheaper than moving each row by itself


@dataclass(frozen=True, slots=True)
class Change:
    """What a source tells its watchers: `keys` have new content (None: any may), `moved`: positions changed."""

    keys: frozenset[RowKey] | None
    moved: bool


class RowSource(Protocol):
    """Rows by position, in the order shown. Every method is called while painting: none may wait or walk all rows."""

    key: str
    """Name of the field that holds a row's key; keys are unique in a source."""

    def __len__(self) -> int:
        """Number of rows shown (after filtering)."""
        ...

    def __contains__(self, key: object) -> bool:
        """Whether the row exists, shown or filtered out."""
        ...

    def rows(self, start: int, stop: int) -> Sequence[Row]:
        """The rows at positions start <= i < stop, fewer at the end."""
        ...

    def index(self, key: RowKey) -> int | None:
        """Position of the row, None where it is not shown."""
        ...


@runtime_checkable
class Sortable(Protocol):
    """A source that can put itself in the order of a column; `column` and `reverse` say the present order."""

    column: str | None
    reverse: bool

    def sort(self, column: str | None, reverse: bool = False) -> None: ...


@runtime_checkable
class Watchable(Protocol):
    """A source that says when it changes. `watch` returns the function that ends the watching."""

    def watch(self, changed: Callable[[Change], None]) -> Callable[[], None]: ...


def natural(text: str) -> str:
    """Text to sort by, so that NAME-9 comes before NAME-10 and 10.0.0.9 before 10.0.0.10; case is ignored."""
    return _DIGITS.sub(_padded, text.casefold())


def _padded(run: re.Match[str]) -> str:
    return run[0].zfill(20)


def rank(value: object) -> tuple[int, Any]:
    """A sort key for any cell value: numbers by value, then text in natural order, then what is missing."""
    if isinstance(value, str):
        return 1, natural(value)
    if isinstance(value, int | float):
        return (0, value) if value == value else (2, 0)  # not a number (nan) is missing, too
    return (2, 0) if value is None else (1, natural(str(value)))


class ListSource:
    """Rows in memory, one a key, in order of arrival or sorted by a column, all of them or those a filter lets pass.

    A changed row is moved by bisection: log(n) comparisons and one memmove, never a new sort. `set`, `filter` and a
    sort by another column walk all rows once. Reversing costs nothing: the order is kept ascending and read backwards.
    Rows that were set are shown from the list at once and are indexed when first asked for by key.
    To be used from one thread (the app's event loop). Rows are kept as given and must not be changed in place.
    """

    def __init__(self, key: str = "name", rows: Iterable[Row] = ()) -> None:
        self.key = key
        self.column: str | None = None
        self.reverse = False
        self._unindexed: list[Row] | None = None  # what was set, while nobody has asked for more than positions
        self._rows: dict[RowKey, Row] = {}
        self._arrival: dict[RowKey, int] = {}
        self._next = 0
        self._rank: dict[RowKey, Any] = self._arrival  # what the order is by; unique for each row
        self._all: list[RowKey] = []  # every key, ascending by rank
        self._shown: list[RowKey] = self._all  # the same list while nothing is filtered
        self._predicate: Callable[[Row], bool] | None = None
        self._watchers: list[Callable[[Change], None]] = []
        self.set(rows)

    # What a table asks

    def __len__(self) -> int:
        return len(self._shown if self._unindexed is None else self._unindexed)

    def __contains__(self, key: object) -> bool:
        self._index()
        return key in self._rows

    def rows(self, start: int, stop: int) -> list[Row]:
        """See RowSource."""
        size = len(self)
        start, stop = max(0, start), min(stop, size)
        if start >= stop:
            return []
        part = slice(size - stop, size - start) if self.reverse else slice(start, stop)
        rows = [self._rows[key] for key in self._shown[part]] if self._unindexed is None else self._unindexed[part]
        return rows[::-1] if self.reverse else rows

    def index(self, key: RowKey) -> int | None:
        """See RowSource."""
        if key not in self:
            return None
        position = self._find(self._shown, key)
        if position is None:
            return None
        return len(self._shown) - 1 - position if self.reverse else position

    def row(self, key: RowKey) -> Row | None:
        """The row of this key, shown or not; None where there is none."""
        self._index()
        return self._rows.get(key)

    @property
    def total(self) -> int:
        """Number of rows, shown or not."""
        self._index()
        return len(self._rows)

    # What the owner does

    def set(self, rows: Iterable[Row]) -> None:
        """Replace all rows; order and filter stay as chosen. Keys must be unique."""
        self._unindexed = list(rows)
        if self.column is not None or self._predicate is not None:
            self._index()
        self._tell(None, True)

    def update(self, changed: Iterable[Row] = (), removed: Iterable[RowKey] = ()) -> Change:
        """Apply a delta: first rows go out by key (unknown ones are ignored), then whole rows come in or replace."""
        self._index()
        coming = {row[self.key]: row for row in changed}
        going = [key for key in dict.fromkeys(removed) if key in self._rows]
        bulk = len(coming) + len(going) > _BULK
        moved = bool(going)
        for key in going:
            if not bulk:
                self._take_out(key)
            del self._rows[key], self._arrival[key]
            self._rank.pop(key, None)
        for key, row in coming.items():
            if bulk:
                self._store(key, row)
            else:
                moved = self._put(key, row) or moved
        if bulk:
            before = self._shown
            self._order()
            moved = before != self._shown
        return self._tell(frozenset(coming), moved)

    def sort(self, column: str | None, reverse: bool = False) -> None:
        """Order by the values of a column, ties by key; None is the order of arrival."""
        self._index()
        same, self.column, self.reverse = column == self.column, column, reverse
        if not same:
            self._order()
        self._tell(frozenset(), True)

    def filter(self, predicate: Callable[[Row], bool] | None) -> None:
        """Show only rows for which the predicate holds; None shows all. It is asked again only for rows that change."""
        self._index()
        self._predicate = predicate
        self._sieve()
        self._tell(frozenset(), True)

    def watch(self, changed: Callable[[Change], None]) -> Callable[[], None]:
        """See Watchable."""
        self._watchers.append(changed)
        return lambda: self._watchers.remove(changed)

    # Order

    def _index(self) -> None:
        """Take over the rows that were set."""
        if self._unindexed is None:
            return
        rows, self._unindexed = self._unindexed, None
        self._rows = {row[self.key]: row for row in rows}
        self._arrival = dict(zip(self._rows, range(len(self._rows)), strict=True))
        self._next = len(self._rows)
        self._order()

    def _tell(self, keys: frozenset[RowKey] | None, moved: bool) -> Change:
        change = Change(keys, moved)
        for watcher in tuple(self._watchers):
            watcher(change)
        return change

    def _rank_of(self, key: RowKey, row: Row) -> Any:
        if self.column is None:
            return self._arrival[key]
        if self.column == self.key:
            return (*rank(key), key)
        return (*rank(row.get(self.column)), *rank(key), key)

    def _order(self) -> None:
        """Rank and sort everything."""
        if self.column is None:
            self._rank = self._arrival
            self._all = list(self._rows)  # a dict keeps the order of arrival
        else:
            ranks = {key: self._rank_of(key, row) for key, row in self._rows.items()}
            self._rank = ranks
            self._all = sorted(ranks, key=ranks.__getitem__)
        self._sieve()

    def _sieve(self) -> None:
        rows, passes = self._rows, self._predicate
        self._shown = self._all if passes is None else [key for key in self._all if passes(rows[key])]

    def _find(self, order: list[RowKey], key: RowKey) -> int | None:
        position = self._place(order, key)
        return position if position < len(order) and order[position] == key else None

    def _place(self, order: list[RowKey], key: RowKey) -> int:
        ranks = self._rank
        return bisect_left(order, ranks[key], key=ranks.__getitem__)

    def _store(self, key: RowKey, row: Row) -> None:
        if key not in self._rows:
            self._arrival[key] = self._next
            self._next += 1
        self._rows[key] = row

    def _take_out(self, key: RowKey) -> None:
        """Take a key out of the order, while its old rank still stands."""
        for order in (self._all,) if self._shown is self._all else (self._all, self._shown):
            position = self._find(order, key)
            if position is not None:
                del order[position]

    def _put(self, key: RowKey, row: Row) -> bool:
        """Store one row and give it its place; True if any row's position changed."""
        known = key in self._rows
        shows = self._predicate is None or self._predicate(row)
        if known:
            shown = self._find(self._shown, key) is not None
            if shown == shows and self._rank_of(key, row) == self._rank[key]:
                self._rows[key] = row
                return False
            self._take_out(key)
        self._store(key, row)
        self._rank[key] = self._rank_of(key, row)
        self._all.insert(self._place(self._all, key), key)
        if shows and self._shown is not self._all:
            self._shown.insert(self._place(self._shown, key), key)
        return shows or (known and shown)
