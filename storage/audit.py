"""The record of who did what through the API, and of sign-ins that failed. Decides nothing about either."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, insert, select

from storage.schema import audit_log
from storage.writer import Writer

SOURCE = "audit"
FAILED = "sign_in_failed"
LARGEST = 2**62


def note(
    writer: Writer, *, actor: str, action: str, address: str, detail: Mapping[str, Any] | None, at: datetime
) -> None:
    """Note what was done. It does not wait for the disk: else wrong passwords would keep it busy for everybody."""
    row = {"actor": actor, "action": action, "address": address, "at": at, "detail": dict(detail or {}) or None}
    writer.run(lambda tx: tx.connection.execute(insert(audit_log).values(row)), source=SOURCE)


def read(engine: Engine, *, limit: int, before: int | None = None) -> list[dict[str, Any]]:
    """Return what was noted, the newest first; `before`: only what has a smaller id."""
    wanted = select(audit_log).where(audit_log.c.id < (before or LARGEST)).order_by(audit_log.c.id.desc())
    with engine.connect() as connection:
        return [dict(row) for row in connection.execute(wanted.limit(limit)).mappings()]


def failures(engine: Engine, *, address: str, since: datetime) -> list[tuple[str, datetime]]:
    """Return (actor, time) of each sign-in that failed from this address, the oldest first."""
    wanted = select(audit_log.c.actor, audit_log.c.at).where(
        audit_log.c.action == FAILED, audit_log.c.at >= since, audit_log.c.address == address
    )
    with engine.connect() as connection:
        return [(row.actor, row.at) for row in connection.execute(wanted.order_by(audit_log.c.id))]
