"""For all tests."""
from __future__ import annotations

import gc

import pytest

# here, for all folders: a fixture that two modules import for themselves is two fixtures, and two servers
from tests.lab.fixtures import lab_namespace, storage_server

__all__ = ["lab_namespace", "storage_server"]

# CPython 3.11 can fail in the middle of compiling a module when the collector runs just then ("AST constructor
# recursion depth mismatch"), and pytest compiles every test module itself: so no collection until all are compiled.
gc.disable()


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    gc.enable()
