"""Writes the daily group: facts of a company that change rarely. Never lets an older answer replace a newer one.

Rules, for each ticker in one transaction:
- a field that the answer leaves out, or that is refused, keeps its value; `daily_stale_field` says since when it was
  not given, and after `drop_after_days` it becomes NULL;
- an answer whose price and previous close are both not those that the table holds is of another ticker: refused whole;
- a quantity far from what the table holds of it is refused until that is dropped, or a split explains it;
- a number that is not finite and a value of a wrong type count as not said.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import select

from market.eastern import local_date
from market.fading import settle
from market.fundamental_rules import past_refusals, without
from market.fundamentals import FIELDS, Decoded, Witness
from market.quality import agree
from storage.refusals import add_in
from storage.schema import daily_stale_field, stocks_stock
from storage.values import holds, is_words
from storage.writer import Transaction, Writer

ENDPOINT = "summary"
OTHER_ENDPOINT = "other_endpoint"
HELD = ("current_price", "previous_close", "daily_updated_at")


@dataclass(frozen=True, slots=True, kw_only=True)
class FundamentalsResult:
    """In tickers, but `refused`: (ticker, field, rule), and `dropped`: fields that were emptied."""

    written: int
    unknown: int
    older: int
    contradicting: tuple[str, ...]
    refused: tuple[tuple[str, str, str], ...]
    dropped: int


class _Batch:
    """What one transaction is going to write."""

    def __init__(self) -> None:
        self.changed: list[dict[str, Any]] = []
        self.confirmed: list[dict[str, Any]] = []
        self.stale: list[dict[str, Any]] = []
        self.forgotten: list[dict[str, Any]] = []
        self.witnesses: list[dict[str, Any]] = []
        self.refused: list[tuple[str, str, str]] = []
        self.contradicting: list[str] = []
        self.unknown = self.older = self.dropped = 0

    def write(self, tx: Transaction, session_date: date) -> FundamentalsResult:
        tx.wrote(tx.execute_many("write_fundamentals", [row | {"seq": tx.seq} for row in self.changed]))
        tx.execute_many("confirm_fundamentals", self.confirmed)
        tx.execute_many("forget_stale_fields", self.forgotten)
        tx.execute_many("put_stale_field", self.stale)
        tx.execute_many("put_witness", self.witnesses)
        refused = [*self.refused, *((ticker, "answer", OTHER_ENDPOINT) for ticker in self.contradicting)]
        examples = {rule: f"{ticker} {name}" for ticker, name, rule in refused}
        add_in(tx, session_date, ENDPOINT, Counter(rule for _, _, rule in refused), examples=examples)
        return FundamentalsResult(
            written=len(self.changed) + len(self.confirmed),
            unknown=self.unknown,
            older=self.older,
            contradicting=tuple(self.contradicting),
            refused=tuple(refused),
            dropped=self.dropped,
        )


def write_fundamentals(
    writer: Writer, answers: Sequence[Decoded], *, at: datetime, session_date: date, drop_after_days: int
) -> FundamentalsResult:
    """Write what each answer of `at` says, its age rules applied, and what it witnesses of the session's prices."""
    newest = {
        answer.fundamentals.ticker: _possible(answer) for answer in answers if is_words(answer.fundamentals.ticker)
    }

    def body(tx: Transaction) -> FundamentalsResult:
        held, stale = _held(tx, list(newest)), _stale(tx, list(newest))
        batch = _Batch()
        for ticker in sorted(newest):
            _add(batch, newest[ticker], held.get(ticker), stale[ticker], at, session_date, drop_after_days)
        return batch.write(tx, session_date)

    return writer.run(body, source="daily")


def _add(
    batch: _Batch,
    answer: Decoded,
    held: Mapping[str, Any] | None,
    stale: Mapping[str, date],
    at: datetime,
    session_date: date,
    drop_after_days: int,
) -> None:
    ticker = answer.fundamentals.ticker
    if held is None:
        batch.unknown += 1
        return
    before = held["daily_updated_at"]
    if before is not None and before > at:
        batch.older += 1
        return
    if _is_foreign(answer.witness, held):
        batch.contradicting.append(ticker)
        return
    past = past_refusals(answer.fundamentals, held, today=session_date)
    batch.refused += [(ticker, name, rule) for name, rule in (*answer.refused, *past)]
    settled = settle(
        without(answer.fundamentals, {name for name, _ in past}),
        held,
        stale,
        last_seen=min(local_date(before), session_date) if before else session_date,
        today=session_date,
        keep_days=drop_after_days,
    )
    batch.dropped += len(settled.dropped)
    row = {"ticker": ticker, "at": at}
    if any(settled.values[name] != held[name] for name in FIELDS):
        batch.changed.append(settled.values | row)
    else:
        batch.confirmed.append(row)
    if stale != settled.stale:
        batch.forgotten.append({"ticker": ticker})
        batch.stale += [
            {"ticker": ticker, "field": name, "last_seen": seen} for name, seen in sorted(settled.stale.items())
        ]
    if answer.witness.price is not None:
        batch.witnesses.append(_witness_row(answer.witness, ticker, session_date, at))


def _witness_row(told: Witness, ticker: str, session_date: date, at: datetime) -> dict[str, Any]:
    prices = {"open": told.open, "high": told.high, "low": told.low, "close": told.price, "volume": told.volume}
    return prices | {"ticker": ticker, "session": session_date, "price_time": told.price_time, "at": at}


def _is_foreign(told: Witness, held: Mapping[str, Any]) -> bool:
    """True if the answer's prices are both known and both not this ticker's."""
    pairs = ((told.price, held["current_price"]), (told.previous_close, held["previous_close"]))
    known = [(one, other) for one, other in pairs if one and other]
    return len(known) == len(pairs) and not any(agree(one, other) for one, other in known)


def _possible(answer: Decoded) -> Decoded:
    facts = answer.fundamentals
    wrong = {field.name for field in fields(facts) if not holds(stocks_stock, field.name, getattr(facts, field.name))}
    return replace(answer, fundamentals=without(facts, wrong)) if wrong else answer


def _held(tx: Transaction, tickers: list[str]) -> dict[str, Mapping[str, Any]]:
    columns = [stocks_stock.c[name] for name in ("ticker", *HELD, *FIELDS)]
    wanted = select(*columns).where(stocks_stock.c.ticker.in_(tickers))
    return {row["ticker"]: dict(row) for row in tx.connection.execute(wanted).mappings()}


def _stale(tx: Transaction, tickers: list[str]) -> defaultdict[str, dict[str, date]]:
    found: defaultdict[str, dict[str, date]] = defaultdict(dict)
    columns = daily_stale_field.c
    wanted = select(columns.ticker, columns.field, columns.last_seen).where(columns.ticker.in_(tickers))
    for ticker, name, last_seen in tx.connection.execute(wanted):
        found[ticker][name] = last_seen
    return found
