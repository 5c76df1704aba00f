"""Reads what happened to the processes, by number. Never writes: the recorder does.

Writers commit one after the other, so a number is visible only with all before it: who follows them misses nothing.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, func, select

from storage.schema import scanner_event

SHOWN = [column for column in scanner_event.c if column.name not in ("id", "seq")]


def newest(engine: Engine) -> int:
    """Return the number of what happened last, 0 before the first."""
    with engine.connect() as connection:
        return connection.execute(select(func.max(scanner_event.c.id))).scalar() or 0


def happened(engine: Engine, since: int, *, limit: int) -> list[dict[str, Any]]:
    """Return what happened after number `since`, the oldest first: `seq` and the event."""
    wanted = select(scanner_event.c.id.label("seq"), *SHOWN).where(scanner_event.c.id > since)
    with engine.connect() as connection:
        rows = connection.execute(wanted.order_by(scanner_event.c.id).limit(limit)).mappings()
        return [dict(row) for row in rows]
