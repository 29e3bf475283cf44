"""The HTTP on top: whatever is sent, an answer that says what is wrong."""
from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from qrm_tui.core.operations.declarations import Role
from qrm_tui.core.operations.registry import OPERATIONS
from qrm_tui.daemon.api import Api
from tests.daemon.world import World


def _client(world: World, role: Role = Role.administrator) -> TestClient:
    return TestClient(Api(world.qrmd, lambda peer: role).app(), raise_server_exceptions=False)


@pytest.mark.parametrize(("path", "status", "code"), [
    ("/v1/list/nothing", 400, "bad_input"), ("/v1/show/image/nothing", 404, "not_found"),
    ("/v1/list/image?limit=x", 400, "bad_input"), ("/v1/list/image?filter=(", 400, "bad_input"),
    ("/v1/list/storage?filter=nofield=1", 400, "bad_input"), ("/v1/list/storage?sort=nofield", 400, "bad_input"),
    ("/v1/watch?kinds=nothing", 400, "bad_input"), ("/v1/watch", 400, "bad_input"),
    ("/v1/job/77/plan", 404, "not_found"), ("/v1/job/x/log", 400, "bad_input"),
    ("/v1/show/journal/77", 404, "not_found"),
])
async def test_wrong_reads(world: World, path: str, status: int, code: str) -> None:
    answer = _client(world).get(path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert all(answer.json()["error"]["reasons"])


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"operation": 5}', b'{"operation": "image.add", "arguments": []}',
                                  b'"' + b"x" * (2 << 20) + b'"', b'{"operation": "image.add", "arguments": {"x": 1}}',
                                  b"{\"operation\": \"image.add\", \"arguments\": {\"name\": \"\\u0000\"}}"])
async def test_wrong_plans(world: World, body: bytes) -> None:
    answer = _client(world).post("/v1/plan", content=body)
    assert answer.status_code == 400 and answer.json()["error"]["code"] == "bad_input"


async def test_a_plan_that_was_never_made(world: World) -> None:
    answer = _client(world).post("/v1/run", json={"plan": "nothing"})
    assert answer.status_code == 409


async def test_strangers_get_hello_and_nothing_else(world: World) -> None:
    client = _client(world, Role.nobody)
    assert client.get("/v1/hello").json()["role"] == "nobody"
    for path in ("/v1/farm", "/v1/list/image", "/openapi.json", "/v1/watch?kinds=image"):
        assert client.get(path).status_code == 401
    assert client.post("/v1/plan", json={"operation": "image.add"}).status_code == 401


async def test_the_document_is_printed_from_the_declarations(world: World) -> None:
    document: dict[str, Any] = _client(world).get("/openapi.json").json()
    assert set(document["components"]["schemas"]) == set(OPERATIONS)
    assert document["components"]["schemas"]["image.clone"]["required"] == ["source", "name"]


async def test_an_empty_list_knows_its_fields_too(world: World) -> None:
    client = _client(world)
    assert client.get("/v1/list/image?filter=nofield=1").status_code == 400
    assert client.get("/v1/list/image?sort=nofield").status_code == 400
    assert client.get("/v1/list/image?filter=state=ready&sort=-size").json()["rows"] == []
