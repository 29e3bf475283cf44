"""The one filter language, of `/` on screens and of `--filter`.

    web                       a word anywhere in the row
    state=error storage!=s2   a field is, is not (any letter case); lists: contains
    name~^cust                a regular expression
    size>5G fill>=80% since<1h   numbers with units; ages of times
    (state=ready or state=frozen) not customer
Terms side by side are joined by *and*; quotes keep blanks together.
"""
from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import Any

from qrm_tui.core.errors import BadInput
from qrm_tui.core.fields import SIZES, TIMES
from qrm_tui.core.units import parse_size

Predicate = Callable[[Mapping[str, Any]], bool]
_TOKEN = re.compile(r'\s*(?:([()])|("[^"]*")|([A-Za-z_]+)(!=|<=|>=|=|<|>|~)("[^"]*"|[^\s()"]+)|([^\s()"]+))')
_AGE = re.compile(r"([0-9]+(?:\.[0-9]+)?)([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def compile_filter(expression: str, fields: frozenset[str] | None = None,
                   clock: Callable[[], float] = time.time) -> Predicate:
    """A predicate over rows; BadInput tells where the expression goes wrong."""
    if len(expression) > 500:
        raise BadInput("a filter has at most 500 characters")
    parser = _Parser(expression, fields, clock)
    predicate = parser.either()
    if parser.token:
        raise BadInput(f"filter: {parser.token[0].strip()!r} is not expected there")
    return predicate


class _Parser:
    """Recursive descent; depth is bounded by the expression's length."""

    def __init__(self, text: str, fields: frozenset[str] | None, clock: Callable[[], float]) -> None:
        self._text, self._fields, self._clock = text, fields, clock
        self._at = 0
        self._depth = 0
        self.token: re.Match[str] | None = None
        self._next()

    def _next(self) -> None:
        if not self._text[self._at:].strip():
            self.token = None
            return
        self.token = _TOKEN.match(self._text, self._at)
        if self.token is None:
            raise BadInput(f"filter: {self._text[self._at:].strip()!r}: a quote is not closed")
        self._at = self.token.end()

    def _word(self) -> str:
        return self.token[6].lower() if self.token and self.token[6] else ""

    def either(self) -> Predicate:
        self._depth += 1
        if self._depth > 50:
            raise BadInput("filter: too many parentheses")
        parts = [self._all()]
        while self._word() == "or":
            self._next()
            parts.append(self._all())
        self._depth -= 1
        return parts[0] if len(parts) == 1 else lambda row: any(part(row) for part in parts)

    def _all(self) -> Predicate:
        parts = []
        while self.token and self.token[1] != ")" and self._word() != "or":
            if self._word() == "and":
                self._next()
                continue
            parts.append(self._not())
        return parts[0] if len(parts) == 1 else _every(parts)

    def _not(self) -> Predicate:
        if self._word() == "not":
            self._next()
            if self.token is None:
                raise BadInput("filter: 'not' wants a term after it")
            inner = self._not()
            return lambda row: not inner(row)
        token = self.token
        assert token is not None
        if token[1] == "(":
            self._next()
            inner = self.either()
            if not (self.token and self.token[1] == ")"):
                raise BadInput("filter: a parenthesis is not closed")
            self._next()
            return inner
        if token[1] == ")":
            raise BadInput("filter: a parenthesis too many")
        self._next()
        if token[3]:
            return self._compare(token[3], token[4], token[5].strip('"'))
        return _anywhere((token[2] or token[6]).strip('"'))

    def _compare(self, field: str, sign: str, text: str) -> Predicate:
        if self._fields is not None and field not in self._fields:
            raise BadInput(f"filter: there is no field {field!r}; there are {', '.join(sorted(self._fields))}")
        if sign == "~":
            try:
                pattern = re.compile(text, re.IGNORECASE)
            except re.error as error:
                raise BadInput(f"filter: {text!r} is no regular expression: {error}") from None
            return lambda row: any(pattern.search(word) for word in _texts(row.get(field)))
        if sign in ("=", "!="):
            wanted = text.lower()
            number = _number(field, text)

            def same(row: Mapping[str, Any]) -> bool:
                value = row.get(field)
                if isinstance(value, str):  # nearly always: ten thousand rows are asked with each key
                    return value.lower() == wanted
                if number is not None and isinstance(value, (int, float)) and not isinstance(value, bool):
                    return value == number
                return wanted in [word.lower() for word in _texts(value)]

            return same if sign == "=" else lambda row: not same(row)
        if field in TIMES:
            return self._age(field, sign, text)
        bound = _number(field, text)
        if bound is None:
            raise BadInput(f"filter: {text!r} is no number, size or percentage to compare {field} with")
        compare = _COMPARE[sign]
        return lambda row: isinstance(row.get(field), (int, float)) and compare(row[field], bound)

    def _age(self, field: str, sign: str, text: str) -> Predicate:
        match = _AGE.fullmatch(text)
        if not match:
            raise BadInput(f"filter: {text!r} is no age; write 90s, 10m, 2h or 3d")
        seconds, compare, clock = float(match[1]) * _SECONDS[match[2]], _COMPARE[sign], self._clock
        return lambda row: bool(row.get(field)) and compare(clock() - row[field], seconds)


_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<": lambda a, b: a < b, "<=": lambda a, b: a <= b, ">": lambda a, b: a > b, ">=": lambda a, b: a >= b,
}


def _number(field: str, text: str) -> float | None:
    try:
        if text.endswith("%"):
            return float(text[:-1]) / 100
        return float(parse_size(text)) if field in SIZES and not text.isdigit() else float(text)
    except ValueError:
        return None


def _texts(value: Any) -> list[str]:
    if value is None:
        return ["none", ""]
    if isinstance(value, bool):
        return ["yes", "true"] if value else ["no", "false"]
    if isinstance(value, Mapping):
        return [f"{key}={text}" for key, text in value.items()]
    if isinstance(value, (list, tuple)):
        return [str(part) for part in value] or ["none", ""]
    return [str(value)]


def _every(parts: list[Predicate]) -> Predicate:
    def holds(row: Mapping[str, Any]) -> bool:
        for part in parts:  # noqa: SIM110 - `all` with a generator takes twice as long
            if not part(row):
                return False
        return True

    return holds


def _anywhere(word: str) -> Predicate:
    wanted = word.lower()

    def holds(row: Mapping[str, Any]) -> bool:
        for value in row.values():  # noqa: SIM110 - as above
            if isinstance(value, str) and wanted in value.lower():
                return True
        return False

    return holds
