"""What the installer's screens ask of a server besides plans: packages of components, and the draft of what was
chosen."""
from __future__ import annotations

from typing import Any

import msgspec

from qrm_tui.client.connection import Client
from qrm_tui.core.setup import Draft

_DRAFT = ("v1", "install", "draft")


async def packages(client: Client, component: str) -> dict[str, Any]:
    """`{"packages", "others", "fetched", "conflicts"}` of a component on that server; apt takes a second."""
    return await client.ask("GET", ("v1", "install", "packages", component))


async def kept_draft(client: Client) -> tuple[Draft, float] | None:
    """The draft and when it was made; None: there is none that counts."""
    answer = await client.ask("GET", _DRAFT)
    return (msgspec.convert(answer["draft"], Draft), float(answer["at"])) if answer["draft"] else None


async def keep_draft(client: Client, draft: Draft) -> None:
    """What was chosen so far, for whoever opens the installer next."""
    await client.ask("PUT", _DRAFT, body=msgspec.to_builtins(draft))


async def forget_draft(client: Client) -> None:
    """Begin anew."""
    await client.ask("DELETE", _DRAFT)
