"""How many numbers were refused, by session, endpoint and rule. Judges none of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from sqlalchemy import Engine, select

from storage.schema import quality_refusal
from storage.writer import Transaction, Writer


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """`example`: the newest one met, a ticker and what of it."""

    session_date: date
    endpoint: str
    rule: str
    refused: int
    example: str | None


def add_refusals(
    writer: Writer,
    session_date: date,
    endpoint: str,
    counts: Mapping[str, int],
    *,
    examples: Mapping[str, str] | None = None,
) -> None:
    """Add rule -> how many to what is counted of the session; `examples`: rule -> one of them."""
    if any(counts.values()):
        writer.run(lambda tx: add_in(tx, session_date, endpoint, counts, examples=examples or {}), source="quality")


def add_in(
    tx: Transaction, session_date: date, endpoint: str, counts: Mapping[str, int], *, examples: Mapping[str, str]
) -> None:
    """The same inside a transaction."""
    rows = [
        {
            "session": session_date,
            "endpoint": endpoint,
            "rule": rule,
            "refused": counts[rule],
            "example": examples.get(rule),
        }
        for rule in sorted(counts)
        if counts[rule]
    ]
    tx.execute_many("add_refusal", rows)


def read_refusals(engine: Engine, *, since: date) -> list[Refusal]:
    """Return what was refused in sessions from `since` on, the newest session and the most frequent first."""
    columns = quality_refusal.c
    wanted = select(columns.session, columns.endpoint, columns.rule, columns.refused, columns.example)
    ordered = wanted.where(columns.session >= since).order_by(
        columns.session.desc(), columns.refused.desc(), columns.endpoint, columns.rule
    )
    with engine.connect() as connection:
        return [
            Refusal(session_date=session, endpoint=endpoint, rule=rule, refused=refused, example=example)
            for session, endpoint, rule, refused, example in connection.execute(ordered)
        ]
