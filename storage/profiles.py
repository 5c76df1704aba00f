"""Writes the daily group: facts of a company that change rarely. Never lets an older answer replace a newer one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime

from storage.schema import stocks_stock
from storage.values import holds, is_words
from storage.writer import Transaction, Writer


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The daily group of one ticker in the units of `stocks_stock`; None = the source did not say."""

    ticker: str
    beta: float | None = None
    one_year_target: float | None = None
    recommendation: str | None = None
    analyst_count: int | None = None
    dividend_rate: float | None = None
    ex_dividend_date: date | None = None
    profit_margin: float | None = None
    revenue_ttm: float | None = None
    ebitda: float | None = None
    free_cash_flow: float | None = None
    float_shares: float | None = None
    employees: int | None = None


def write_profiles(writer: Writer, profiles: Sequence[Profile], *, at: datetime) -> int:
    """Write what each profile says and keep the rest; return how many rows took it.

    A number that is not finite and a value of a wrong type count as not said.
    """
    newest = {profile.ticker: profile for profile in profiles if is_words(profile.ticker)}
    rows = [_possible(asdict(newest[ticker])) | {"at": at} for ticker in sorted(newest)]

    def body(tx: Transaction) -> int:
        written = tx.execute_many("write_profile", [row | {"seq": tx.seq} for row in rows])
        tx.wrote(written)
        return written

    return writer.run(body, source="daily")


def _possible(values: dict[str, object]) -> dict[str, object]:
    return {name: value if holds(stocks_stock, name, value) else None for name, value in values.items()}
