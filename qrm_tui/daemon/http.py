"""What every endpoint needs: requests that are read within limits, answers and troubles as JSON."""
from __future__ import annotations

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from qrm_tui.core.errors import BadInput, QrmError

#: The largest request taken, in bytes.
MOST = 1 << 20


def answer(data: Any, status: int = 200) -> Response:
    """A value as JSON."""
    return Response(msgspec.json.encode(data), status, media_type="application/json")


def trouble(error: QrmError) -> Response:
    """What is wrong, a reason a line."""
    return answer({"error": {"code": error.code, "reasons": list(error.reasons)}}, error.status)


def whole(text: str | None, default: int | None, name: str) -> int | None:
    """A whole number of a query; BadInput."""
    if text in (None, ""):
        return default
    if not text.isdigit() or len(text) > 15:
        raise BadInput(f"{name}: {text!r} is no whole number")
    return int(text)


async def body(request: Request, kind: type, most: int = MOST) -> Any:
    """A request's JSON, of so many bytes at most, as a struct; BadInput."""
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > most:
            raise BadInput(f"this request has at most {most} bytes")
    try:
        return msgspec.json.decode(bytes(content), type=kind)
    except msgspec.MsgspecError as error:
        raise BadInput(f"the request cannot be read: {error}") from None
