"""Notes who changed what, from where. Decides nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import HTTPConnection

from api.auth.accounts import From
from api.context import context_of
from api.principals import principal_of

AGENT_LENGTH = 200


def origin_of(connection: HTTPConnection) -> From:
    """Return where a request comes from."""
    address = connection.client.host if connection.client else ""
    return From(address=address, agent=connection.headers.get("user-agent", "")[:AGENT_LENGTH])


async def audit(connection: HTTPConnection, action: str, detail: Mapping[str, Any] | None = None) -> None:
    """Note what the one who asks has done."""
    principal = principal_of(connection)
    said = dict(detail or {}) | ({"with": principal.credential_id} if principal.kind == "key" else {})
    await context_of(connection).accounts.note(principal.name, action, origin_of(connection).address, said)
