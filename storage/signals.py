"""What happened to signals, numbered: each entered, left or changed. Decides nothing about signals.

Writers commit one after the other, so a number is visible only with all before it: who follows them misses nothing.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Engine, func, insert, literal, select, update

from storage.schema import signal_event, signals
from storage.writer import Transaction, Writer

Kind = Literal["entered", "left", "changed"]
SOURCE = "signals"


def note(tx: Transaction, kind: Kind, which: Any, at: datetime) -> None:
    """Number what happens to the signals that `which` (a condition on `signals`) is true of."""
    told = select(signals.c.id, literal(kind), literal(at, signal_event.c.at.type)).where(which).order_by(signals.c.id)
    tx.connection.execute(insert(signal_event).from_select(["signal_id", "kind", "at"], told))


def change_status(writer: Writer, signal_id: int, status: str, *, at: datetime) -> bool:
    """Set what a person says of a signal; False if there is no such signal."""

    def body(tx: Transaction) -> bool:
        which = signals.c.id == signal_id
        over = at if status != "active" else None
        changed = update(signals).where(which).values(status=status, updated_at=at, left_at=over)
        if not tx.connection.execute(changed).rowcount:
            return False
        note(tx, "changed", which, at)
        return True

    return writer.run(body, source=SOURCE, durable=True)


def newest(engine: Engine) -> int:
    """Return the number of what happened last, 0 before the first."""
    with engine.connect() as connection:
        return connection.execute(select(func.max(signal_event.c.id))).scalar() or 0


def happened(engine: Engine, since: int, *, limit: int) -> list[dict[str, Any]]:
    """Return what happened after number `since`, the oldest first: `seq`, `kind`, `at` and the signal as it is now."""
    wanted = (
        select(signal_event.c.id.label("seq"), signal_event.c.kind, signal_event.c.at, *signals.c)
        .join(signals, signals.c.id == signal_event.c.signal_id)
        .where(signal_event.c.id > since)
        .order_by(signal_event.c.id)
        .limit(limit)
    )
    with engine.connect() as connection:
        return [dict(row) for row in connection.execute(wanted).mappings()]
