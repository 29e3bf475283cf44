"""For all tests."""
from __future__ import annotations

import gc
import signal

import hypothesis
import pytest

# here, for all folders: a fixture that two modules import for themselves is two fixtures, and two servers
from tests.lab.fixtures import lab_namespace, storage_server
from tests.services.mariadb_room import mariadb

__all__ = ["lab_namespace", "mariadb", "storage_server"]

# CPython 3.11 can fail in the middle of compiling a module when the collector runs just then ("AST constructor
# recursion depth mismatch"), and pytest compiles every test module itself: so no collection until all are compiled.
gc.disable()

# Where the tests are started in the background of a script, SIGINT is ignored, and every program that they start
# would ignore it, too: some tests press ctrl+c.
signal.signal(signal.SIGINT, signal.default_int_handler)


# How long a machine that is busy takes is nothing that a test may fail of.
hypothesis.settings.register_profile("qrm", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("qrm")


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    gc.enable()
