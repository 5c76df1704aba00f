"""How far the daily refresh of a session is with each ticker, so that the next start goes on. Decides nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime

from sqlalchemy import Engine, select

from storage.queries import query
from storage.schema import daily_progress, parameter, stocks_stock
from storage.writer import Transaction, Writer

SOURCE = "daily_progress"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One listed ticker and what is known of it; the outcomes are those of `session`, None = still to ask.

    `bars_through`: the session up to which its stored bars are complete; `*_at`: when that was last answered.
    """

    ticker: str
    dollar_volume_usd: float | None = None
    current_price: float | None = None
    ex_dividend_date: date | None = None
    session: date | None = None
    quote: str | None = None
    bar: str | None = None
    chart_need: str | None = None
    fundamentals: str | None = None
    chart: str | None = None
    fundamentals_at: datetime | None = None
    chart_at: datetime | None = None
    bars_through: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quoted:
    """`bar`: what became of the session's bar; `chart_need`: why its chart is to be asked for, None = no need."""

    ticker: str
    quote: str
    bar: str | None = None
    chart_need: str | None = None
    bars_through: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What a request for one ticker came to; of fundamentals `chart_need`, of a chart `bars_through`."""

    ticker: str
    outcome: str
    at: datetime
    chart_need: str | None = None
    bars_through: date | None = None


def read_standings(engine: Engine) -> list[Standing]:
    """Return every listed ticker, sorted."""
    stock, progress = stocks_stock.c, daily_progress.c
    of_progress = [progress[name] for name in PROGRESS]
    wanted = (
        select(
            *(stock.ticker, stock.avg_volume_3mon * stock.current_price, stock.current_price),
            *(stock.ex_dividend_date, *of_progress),
        )
        .select_from(stocks_stock.outerjoin(daily_progress, stock.ticker == progress.ticker))
        .where(stock.is_listed)
    )
    with engine.connect() as connection:
        found = [
            Standing(
                ticker=ticker,
                dollar_volume_usd=dollar_volume_usd,
                current_price=current_price,
                ex_dividend_date=ex_dividend_date,
                **dict(zip(PROGRESS, rest, strict=True)),
            )
            for ticker, dollar_volume_usd, current_price, ex_dividend_date, *rest in connection.execute(wanted)
        ]
    return sorted(found, key=lambda each: each.ticker)


PROGRESS = (
    "session",
    "quote",
    "bar",
    "chart_need",
    "fundamentals",
    "chart",
    "fundamentals_at",
    "chart_at",
    "bars_through",
)


def read_last_closes(engine: Engine, session_date: date) -> dict[str, float]:
    """Return ticker -> close of its newest stored bar before the session."""
    with engine.connect() as connection:
        given = {"session": parameter(session_date, engine.dialect.name)}
        rows = connection.exec_driver_sql(query("last_closes", engine.dialect.name), given)
        return {ticker: close for ticker, close in rows if close is not None}


def mark_quoted(writer: Writer, rows: Sequence[Quoted], *, session_date: date) -> None:
    """Note quotes; the first note of a session forgets the outcomes of the one before."""
    _mark(writer, "mark_quoted", rows, session_date)


def mark_fundamentals(writer: Writer, rows: Sequence[Answered], *, session_date: date) -> None:
    """Note answers, and charts that are needed because of them."""
    _mark(writer, "mark_fundamentals", rows, session_date)


def mark_charts(writer: Writer, rows: Sequence[Answered], *, session_date: date) -> None:
    """Note charts, and how far the bars go now."""
    _mark(writer, "mark_chart", rows, session_date)


def _mark(writer: Writer, name: str, rows: Sequence[Quoted] | Sequence[Answered], session_date: date) -> None:
    values = [{each.name: getattr(row, each.name) for each in fields(row)} | {"session": session_date} for row in rows]

    def body(tx: Transaction) -> None:
        tx.execute_many(name, values)

    writer.run(body, source=SOURCE)
