"""The universe in the table: what a look at the sources changed, renames, and a log of it. Judges nothing itself."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Engine

from core.logs import get_logger
from market.listings import Known, Seen, Verdict
from storage.histories import DayRow, read_history
from storage.queries import query
from storage.schema import parameter
from storage.writer import Transaction, Writer

log = get_logger(__name__)

LOOKED_AT = "universe_looked_at"
USER = "user"
"""In `listed_by`: on a list of the user's own."""
COMMON_SESSIONS = 10
DISTINCT_CLOSES = 8
"""What two histories must share to be one: a blank check company trades for months at two or three prices."""
SAME_SHARE = 0.9
SAME_USD, SAME_RELATIVE = 0.0051, 1e-5
"""A close may be told rounded to cents, or as a 32-bit float."""
RENAMED_WITHIN = timedelta(days=60)


def read_known(engine: Engine, *, opened_at: datetime, all_kept: bool) -> list[Known]:
    """Return every ticker of the table; `opened_at`: of the session in which a trade counts.

    `all_kept`: the whole universe is a list of the user's.
    """
    since = parameter(opened_at, engine.dialect.name)
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(query("read_known", engine.dialect.name)).mappings().all()
    return [
        Known(
            ticker=row["ticker"],
            is_listed=bool(row["is_listed"]),
            kept=all_kept or row["listed_by"] == USER,
            traded=row["price_time"] is not None and row["price_time"] >= since,
            price=row["current_price"],
            security_type=row["security_type"],
            seen_by=frozenset((row["seen_by"] or "").split()),
            missing_since=_day(row["missing_since"]),
            missing_sessions=row["missing_sessions"] or 0,
        )
        for row in rows
    ]


def read_looked_at(engine: Engine) -> date | None:
    """Return the session after which the sources were last looked at; None before the first look."""
    with engine.connect() as connection:
        found = connection.exec_driver_sql(query("read_meta", engine.dialect.name), {"key": LOOKED_AT})
        return _day(found.scalar_one_or_none())


def read_missing(engine: Engine) -> dict[str, date]:
    """Return the listed tickers that the sources no longer name, and since when, sorted."""
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(query("read_missing", engine.dialect.name)).all()
    return {ticker: date.fromisoformat(str(since)) for ticker, since in sorted(rows)}


def _day(value: Any) -> date | None:
    return date.fromisoformat(value) if isinstance(value, str) else value


def apply_verdict(writer: Writer, verdict: Verdict, *, session_date: date, at: datetime) -> None:
    """Bring the table to what was judged, and note that the session was looked at, in one transaction."""

    def body(tx: Transaction) -> None:
        events = _Events(tx, session_date, at)
        for old, new in verdict.renamed:
            _rename(tx, events, old, new, "one name left a list and came back as another")
        tx.wrote(tx.execute_many("list_new", [_new_row(seen, session_date, tx, at) for seen in verdict.new]))
        named = [*verdict.seen, *verdict.found, *verdict.back]
        tx.wrote(tx.execute_many("note_seen", [_seen_row(seen, tx) for seen in named]))
        missing = [
            {"ticker": each.ticker, "since": each.since, "sessions": each.sessions, "seq": tx.seq}
            for each in verdict.missing
        ]
        tx.wrote(tx.execute_many("note_missing", missing))
        _unlist(tx, verdict.gone, session_date)
        events.of("listed", (seen.listing.ticker for seen in verdict.new))
        events.of("back", (seen.listing.ticker for seen in (*verdict.found, *verdict.back)))
        events.of("suspect", (each.ticker for each in verdict.missing if each.sessions == 1))
        for ticker, reason in verdict.gone.items():
            events.of("unlisted", [ticker], reason=reason)
        tx.execute("put_meta", {"key": LOOKED_AT, "value": session_date.isoformat()})

    # Bars move with a renamed ticker, and the readers of bars follow this source.
    writer.run(body, source="daily_bars" if verdict.renamed else "universe")


class _Events:
    """Writes rows of `listing_event` within a transaction."""

    def __init__(self, tx: Transaction, session_date: date, at: datetime) -> None:
        self._tx, self._session_date, self._at = tx, session_date, at

    def of(self, event: str, tickers: Iterable[str], *, former: str | None = None, reason: str | None = None) -> None:
        row = {"session": self._session_date, "at": self._at, "event": event, "former_ticker": former, "reason": reason}
        self._tx.execute_many("put_listing_event", [row | {"ticker": ticker} for ticker in tickers])


def _new_row(seen: Seen, session_date: date, tx: Transaction, at: datetime) -> dict[str, Any]:
    facts = {name: getattr(seen.listing, name) for name in ("company_name", "exchange", "quote_type")}
    return _seen_row(seen, tx) | facts | {"session": session_date, "at": at}


def _seen_row(seen: Seen, tx: Transaction) -> dict[str, Any]:
    return {
        "ticker": seen.listing.ticker,
        "seen_by": " ".join(sorted(seen.seen_by)),
        "security_type": seen.listing.security_type,
        "seq": tx.seq,
    }


def _unlist(tx: Transaction, tickers: Iterable[str], session_date: date) -> None:
    rows = [{"ticker": ticker, "session": session_date, "seq": tx.seq} for ticker in sorted(tickers)]
    tx.wrote(tx.execute_many("unlist_missing", rows))


def note_delisted(writer: Writer, tickers: Collection[str], *, session_date: date, at: datetime) -> list[str]:
    """Unlist those of `tickers`, which Yahoo calls delisted, that no other source names; return them."""

    def body(tx: Transaction) -> list[str]:
        gone = sorted({row.ticker for row in tx.execute("read_delistable")} & set(tickers))
        _unlist(tx, gone, session_date)
        _Events(tx, session_date, at).of("unlisted", gone, reason="Yahoo says delisted")
        return gone

    return writer.run(body, source="universe") if tickers else []


def find_former(engine: Engine, ticker: str, rows: Sequence[DayRow], *, session_date: date) -> str | None:
    """Return the missing ticker whose bars are the past of `rows`, those of a new ticker; None if there is none."""
    closes = {row[0]: row[4] for row in rows}
    given = {"since": parameter(session_date - RENAMED_WITHIN, engine.dialect.name)}
    with engine.connect() as connection:
        suspects = connection.exec_driver_sql(query("read_suspects", engine.dialect.name), given).scalars().all()
    found = [
        each
        for each in suspects
        if each != ticker and is_same_past(closes, {row[0]: row[4] for row in read_history(engine, each)})
    ]
    return found[0] if len(found) == 1 else None


def is_same_past(one: dict[date, float], other: dict[date, float]) -> bool:
    """Whether two histories of closes are of one share."""
    common = one.keys() & other.keys()
    same = [day for day in common if abs(one[day] - other[day]) <= max(SAME_USD, SAME_RELATIVE * one[day])]
    is_enough = len(common) >= COMMON_SESSIONS and len(same) >= SAME_SHARE * len(common)
    return is_enough and len({one[day] for day in same}) >= DISTINCT_CLOSES


def rename(writer: Writer, old: str, new: str, *, session_date: date, at: datetime) -> None:
    """Let the row and the bars of `old` go on as `new`; where both have a bar, that of `new` counts.

    The row is as old as it was, so `new` is to be asked for again.
    """

    def body(tx: Transaction) -> None:
        _rename(tx, _Events(tx, session_date, at), old, new, "the new ticker has its past")
        tx.execute("drop_progress_of", {"old": new})

    writer.run(body, source="daily_bars")


def _rename(tx: Transaction, events: _Events, old: str, new: str, reason: str) -> None:
    names = {"old": old, "new": new}
    tx.execute("drop_younger_row", {"new": new})
    tx.wrote(tx.execute("rename_row", names | {"seq": tx.seq}).rowcount)
    tx.execute("drop_older_bars", names)
    tx.wrote(tx.execute("rename_bars", names).rowcount)
    tx.execute("rename_progress", names)
    tx.execute("drop_progress_of", {"old": old})
    tx.execute("drop_stale_fields_of", {"new": new})
    tx.execute("rename_stale_fields", names)
    tx.execute("drop_witness_of", {"old": old})
    tx.execute("rename_signals", names)
    events.of("renamed", [new], former=old, reason=reason)
    log.info("ticker_renamed", ticker=new, former_ticker=old)
