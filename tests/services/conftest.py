"""Services: a libvirtd of the tests' own, and what a failed test against the real server needs to be understood."""
from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

import pytest

from tests.lab.fixtures import requirements
from tests.lab.libvirtd import PROGRAMS, Libvirtd
from tests.lab.namespace import Namespace
from tests.lab.storage_server import StorageServer
from tests.services.farm import RealFarm


@pytest.fixture(scope="module")
def libvirtd(lab_namespace: Namespace) -> Iterator[Libvirtd]:
    """One of a module, with QEMU."""
    if lacking := requirements(PROGRAMS):
        pytest.fail("libvirt needs:\n" + "\n".join(lacking), pytrace=False)
    made = Libvirtd(lab_namespace)
    made.start()
    yield made
    made.end()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        arguments: dict[str, Any] = getattr(item, "funcargs", {})
        for value in arguments.values():
            if isinstance(value, RealFarm):
                report.sections.append(("qrmd's log", value.log_tail()))
                report.sections.append(("console of the storage server", value.server.console_tail()))
            elif isinstance(value, StorageServer):
                report.sections.append(("what failed there", _failures(value)))
    return report


def _failures(server: StorageServer) -> str:
    try:
        return str(server.ssh("journalctl", "--no-pager", "-o", "short-monotonic", "-n", "30", timeout=20).stdout)
    except Exception as error:  # the server may be what is broken
        return f"its journal cannot be read: {error}"
