"""The lab's fixtures for its own tests."""

from tests.lab.fixtures import lab_namespace, storage_server

__all__ = ["lab_namespace", "storage_server"]
