"""A world of its own for each test."""
from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.daemon.world import World


@pytest_asyncio.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Two storage servers, registered; no images."""
    made = World(tmp_path)
    await made.start()
    await made.add_storage()
    yield made
    await made.stop()
