"""For all tests."""
from __future__ import annotations

import gc

import pytest

# CPython 3.11 can fail in the middle of compiling a module when the collector runs just then ("AST constructor recursion
# depth mismatch"), and pytest compiles every test module itself: so no collection until all are compiled.
gc.disable()


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    gc.enable()
