"""The filter language."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qrm_tui.core.errors import BadInput
from qrm_tui.core.filters import compile_filter

NOW = 1_000_000.0
ROWS = [
    {"name": "webserver", "state": "frozen", "size": 5 << 30, "fill": None, "since": NOW - 30, "used_by": [],
     "thin": False},
    {"name": "customer1", "state": "in use", "size": 5 << 30, "fill": 0.9, "since": NOW - 7200,
     "used_by": ["10.0.0.1", "10.0.0.2"], "thin": False},
    {"name": "customer2", "state": "ready", "size": 1 << 30, "fill": 0.1, "since": NOW - 100, "used_by": [],
     "thin": True},
]


def _found(expression: str) -> list[str]:
    predicate = compile_filter(expression, frozenset(ROWS[0]), lambda: NOW)
    return [str(row["name"]) for row in ROWS if predicate(row)]


@pytest.mark.parametrize(("expression", "names"), [
    ("", ["webserver", "customer1", "customer2"]),
    ("web", ["webserver"]),
    ("WEB", ["webserver"]),
    ("customer ready", ["customer2"]),
    ("state=ready", ["customer2"]),
    ('state="in use"', ["customer1"]),
    ("state!=ready", ["webserver", "customer1"]),
    ("name~^cust.*1$", ["customer1"]),
    ("size>=5G", ["webserver", "customer1"]),
    ("size<5000M", ["customer2"]),
    ("fill>=80%", ["customer1"]),
    ("fill<0.5", ["customer2"]),
    ("since<1h", ["webserver", "customer2"]),
    ("since>1h", ["customer1"]),
    ("used_by=10.0.0.2", ["customer1"]),
    ("used_by=none", ["webserver", "customer2"]),
    ("thin=yes", ["customer2"]),
    ("state=ready or state=frozen", ["webserver", "customer2"]),
    ("not customer", ["webserver"]),
    ("(state=ready or fill>80%) and customer", ["customer1", "customer2"]),
    ("not (state=ready or state=frozen)", ["customer1"]),
])
def test_what_it_finds(expression: str, names: list[str]) -> None:
    assert _found(expression) == names


@pytest.mark.parametrize(("expression", "word"), [
    ("colour=red", "no field 'colour'"), ("name~[", "regular expression"), ('name="x', "quote"), ("(web", "closed"),
    ("web)", "not expected"), ("size>big", "no number"), ("since<soon", "no age"), ("not", "wants a term"),
    ("(" * 60 + "a" + ")" * 60, "too many"), ("x" * 501, "at most"),
])
def test_what_is_wrong_is_told(expression: str, word: str) -> None:
    with pytest.raises(BadInput, match=word.replace("(", r"\(")):
        _found(expression)


@given(st.text(max_size=60))
def test_no_text_breaks_it(text: str) -> None:
    try:
        _found(text)
    except BadInput as error:
        assert error.reasons
