"""The house: sizes, names, one place for each thing, and everything that the wheel needs in it."""
from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

from qrm_tui.core.operations.registry import OPERATIONS
from qrm_tui.daemon.planners import JOB_CONTROLS, PLANNERS, SESSIONS

ROOT = Path(__file__).parent.parent.parent
SOURCES = sorted((ROOT / "qrm_tui").rglob("*.py"))
_LONGEST = 500


def test_operations_and_planners_are_the_same_set() -> None:
    assert set(PLANNERS) | JOB_CONTROLS | SESSIONS == set(OPERATIONS)
    assert not set(PLANNERS) & (JOB_CONTROLS | SESSIONS)
    assert {name for name, operation in OPERATIONS.items() if operation.sort == "session"} == SESSIONS


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_has_one_subject_and_says_it_first(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= _LONGEST
    if text.strip():
        assert ast.get_docstring(ast.parse(text)), "its first line says what it is"
    assert not re.search(r"(^|_)(utils?|helpers?|common|managers?)\.py$", path.name)


def test_every_template_and_table_is_used() -> None:
    # components name their templates themselves
    code = "\n".join(path.read_text() for path in [*SOURCES, *(ROOT / "data/components").glob("*.toml")])
    for path in [*(ROOT / "templates").rglob("*"), *(ROOT / "data").glob("*")]:
        if path.is_file():
            below = Path(*path.relative_to(ROOT).parts[1:])
            assert below.as_posix() in code, path


def test_templates_and_data_go_into_the_wheel() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert settings["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"] == {
        "templates": "qrm_tui/_templates", "data": "qrm_tui/_data"}


def test_every_argument_of_a_kind_is_of_a_kind() -> None:
    kinds = {operation.kind for operation in OPERATIONS.values()}
    for operation in OPERATIONS.values():
        for argument in operation.arguments:
            if argument.type in ("storage", "image", "job"):
                assert argument.type in kinds
