"""For all tests."""
from __future__ import annotations

import gc
import signal

import pytest

# here, for all folders: a fixture that two modules import for themselves is two fixtures, and two servers
from tests.lab.fixtures import lab_namespace, storage_server

__all__ = ["lab_namespace", "storage_server"]

# CPython 3.11 can fail in the middle of compiling a module when the collector runs just then ("AST constructor
# recursion depth mismatch"), and pytest compiles every test module itself: so no collection until all are compiled.
gc.disable()

# Where the tests are started in the background of a script, SIGINT is ignored, and every program that they start
# would ignore it, too: some tests press ctrl+c.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    gc.enable()
