"""Answers to requests that carry a key of their own, so that one sent twice is done once. Knows no HTTP."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, delete, insert, select, update

from storage.schema import api_idempotency
from storage.writer import Transaction, Writer

SOURCE = "api"
KEPT = timedelta(hours=24)
UNDER_WAY = timedelta(minutes=5)
"""Longer than any answer takes: what has none by then was broken off, with its process or its database."""
TABLE = api_idempotency.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A request: who asks, the key it gave, what it asks and the hash of its body."""

    principal: str
    key: str
    method_path: str
    body_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What came of the first one. `status` None: it is still under way; `same`: it asked for the same."""

    same: bool
    status: int | None
    headers: str
    body: bytes


def begin(writer: Writer, given: Given, *, at: datetime) -> Known | None:
    """Note that a request is under way; return what is known of an earlier one with its key, if there was one."""

    def body(tx: Transaction) -> Known | None:
        broken_off = TABLE.status.is_(None) & (TABLE.created_at < at - UNDER_WAY)
        tx.connection.execute(delete(api_idempotency).where((TABLE.created_at < at - KEPT) | broken_off))
        row = tx.connection.execute(select(api_idempotency).where(_is(given))).mappings().first()
        if row is None:
            values = {"method_path": given.method_path, "body_hash": given.body_hash, "created_at": at}
            who = {"principal": given.principal, "key": given.key}
            tx.connection.execute(insert(api_idempotency).values(who | values))
            return None
        same = (row["method_path"], row["body_hash"]) == (given.method_path, given.body_hash)
        return Known(same=same, status=row["status"], headers=row["headers"] or "", body=row["body"] or b"")

    return writer.run(body, source=SOURCE, durable=True)


def finish(writer: Writer, given: Given, *, status: int, headers: str, body: bytes) -> None:
    """Keep the answer."""
    kept = update(api_idempotency).where(_is(given)).values(status=status, headers=headers, body=body)
    writer.run(lambda tx: tx.connection.execute(kept), source=SOURCE)


def forget(writer: Writer, given: Given) -> None:
    """Have the next request with this key be the first."""
    writer.run(lambda tx: tx.connection.execute(delete(api_idempotency).where(_is(given))), source=SOURCE)


def _is(given: Given) -> ColumnElement[bool]:
    return (TABLE.principal == given.principal) & (TABLE.key == given.key)
