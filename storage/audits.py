"""What the audit of a session compares, and what it found. Compares nothing itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any, Literal

from sqlalchemy import Engine, and_, select

from market.sessions import Calendar, Session, is_price_of
from market.truth import DayNumbers, Held
from storage.schema import stocks_daily_bar, stocks_stock, truth_audit, truth_finding, truth_witness
from storage.writer import Transaction, Writer

Verdict = Literal["exact", "differs", "not_comparable"]
SOURCE = "audit"
NUMBERS = ("open", "high", "low", "close", "volume")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One number that differs, or (`field` "") a ticker that is exact or could not be compared, and why.

    `rule`: why its chart was asked for; None: it was not. Kept of all but those that a second endpoint confirmed.
    """

    ticker: str
    verdict: Verdict
    field: str = ""
    rule: str | None = None
    held: float | None = None
    told: float | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    """In tickers, but `requests`; `asked`: of the chart, `sampled` by chance and as `outliers`; `total`: listed."""

    session: date
    at: datetime
    asked: int
    exact: int
    differs: int
    not_comparable: int
    sampled: int
    outliers: int
    requests: int
    total: int


def read_held(engine: Engine, session: Session, calendar: Calendar, *, before: date | None) -> list[Held]:
    """Return what the table holds of every listed ticker; `before`: the date of the session before."""
    stock, bar, witness = stocks_stock.c, stocks_daily_bar.alias("bar"), truth_witness
    older = stocks_daily_bar.alias("older")
    of_session = and_(bar.c.ticker == stock.ticker, bar.c.session_date == session.session_date)
    of_before = and_(older.c.ticker == stock.ticker, older.c.session_date == before)
    witnessed = and_(witness.c.ticker == stock.ticker, witness.c.session == session.session_date)
    joined = stocks_stock.outerjoin(bar, of_session).outerjoin(older, of_before).outerjoin(witness, witnessed)
    row_columns = (stock.open_price, stock.days_high, stock.days_low, stock.current_price, stock.volume)
    columns = [
        stock.ticker,
        *(column.label(f"row_{name}") for name, column in zip(NUMBERS, row_columns, strict=True)),
        stock.price_time,
        stock.metrics_updated_at,
        *(bar.c[name].label(f"bar_{name}") for name in NUMBERS),
        older.c.close.label("close_before"),
        stock.avg_volume_3mon,
        *(witness.c[name].label(f"witness_{name}") for name in NUMBERS),
        witness.c.price_time.label("witness_time"),
    ]
    wanted = select(*columns).select_from(joined).where(stock.is_listed).order_by(stock.ticker)
    with engine.connect() as connection:
        return [_held(row, session, calendar) for row in connection.execute(wanted).mappings()]


def _held(row: Any, session: Session, calendar: Calendar) -> Held:
    told = row["witness_time"]
    traded = _traded(told, session, calendar)
    return Held(
        ticker=row["ticker"],
        bar=_numbers(row, "bar") if row["bar_close"] is not None else None,
        row=_numbers(row, "row") if _is_of(row, session, calendar) else None,
        witness=_numbers(row, "witness") if traded else None,
        traded=traded,
        told_later=told is not None and traded is None,
        close_before=row["close_before"],
        usual_volume=row["avg_volume_3mon"],
    )


def _traded(told: datetime | None, session: Session, calendar: Calendar) -> bool | None:
    """Whether the ticker traded, by the time of its price; None if that is unknown or of a later session."""
    if told is not None and told < session.opens_at:
        return False
    return True if told is not None and is_price_of(session, told, calendar) else None


def _is_of(row: Any, session: Session, calendar: Calendar) -> bool:
    """True if the row's price and its numbers of the day are those after this session's close."""
    traded_at, told_at = row["price_time"], row["metrics_updated_at"]
    return (
        traded_at is not None
        and is_price_of(session, traded_at, calendar)
        and told_at is not None
        and told_at >= session.closes_at
    )


def _numbers(row: Any, kind: str) -> DayNumbers:
    return DayNumbers(**{name: row[f"{kind}_{name}"] for name in NUMBERS})


def write_findings(writer: Writer, session_date: date, findings: Sequence[Finding]) -> None:
    """Keep what was found of some tickers, in place of what stood of them."""

    def body(tx: Transaction) -> None:
        tx.execute_many("forget_findings_of", [{"session": session_date, "ticker": each.ticker} for each in findings])
        _put(tx, session_date, findings)

    writer.run(body, source=SOURCE)


def write_audit(writer: Writer, audit: AuditRow, findings: Sequence[Finding]) -> None:
    """Keep a session's audit that is over, in place of an earlier one."""

    def body(tx: Transaction) -> None:
        tx.execute("put_audit", asdict(audit))
        tx.execute("drop_findings", {"session": audit.session})
        _put(tx, audit.session, findings)

    writer.run(body, source=SOURCE, durable=True)


def drop_findings(writer: Writer, session_date: date) -> None:
    writer.run(lambda tx: tx.execute("drop_findings", {"session": session_date}) and None, source=SOURCE)


def _put(tx: Transaction, session_date: date, findings: Sequence[Finding]) -> None:
    tx.execute_many("put_finding", [asdict(each) | {"session": session_date} for each in findings])


def read_audit(engine: Engine, session_date: date | None = None) -> AuditRow | None:
    """Return the audit of a session, or the newest one; None if there is none."""
    wanted = select(truth_audit).order_by(truth_audit.c.session.desc()).limit(1)
    if session_date is not None:
        wanted = wanted.where(truth_audit.c.session == session_date)
    with engine.connect() as connection:
        row = connection.execute(wanted).mappings().one_or_none()
    return AuditRow(**row) if row is not None else None


def read_findings(engine: Engine, session_date: date) -> list[Finding]:
    """Return what was found of a session, by ticker and field."""
    columns = truth_finding.c
    wanted = select(
        columns.ticker, columns.verdict, columns.field, columns.rule, columns.held, columns.told, columns.reason
    )
    ordered = wanted.where(columns.session == session_date).order_by(columns.ticker, columns.field)
    with engine.connect() as connection:
        return [Finding(**row) for row in connection.execute(ordered).mappings()]
