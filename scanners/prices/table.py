"""Writes what the book holds, off the loop. A database that is away costs no price: the newest waits in the book."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime

from core.clock import utc_text
from core.errors import RetryLater
from core.logs import get_logger
from market.sessions import Session
from scanners.context import Context
from scanners.prices.book import PriceBook
from storage.counts import read_price_times
from storage.prices import PriceRow, flush_prices
from storage.writer import Writer

log = get_logger(__name__)


class Table:
    """The way of the book's rows to `stocks_stock`. `written`: tickers since somebody last cleared it."""

    def __init__(self, context: Context, writer: Writer, book: PriceBook) -> None:
        self._context, self._writer, self._book = context, writer, book
        self._clock = context.clock
        self._away_since: datetime | None = None
        self.written: set[str] = set()

    async def flush(self, sessions: Sequence[Session]) -> RetryLater | None:
        """Write what waits; return why it could not be written and still waits."""
        rows, quoted = self._book.take(), self._book.take_quotes()
        if not rows and not quoted:
            return None
        asked_at = self._clock.utc_now()
        try:
            refused = await asyncio.to_thread(self._write, rows, quoted, _opens_at([*rows, *quoted], sessions))
        except RetryLater as error:
            self._book.give_back(rows, heard_at=asked_at)
            self._book.give_quotes_back(quoted, heard_at=asked_at)
            self.away(error)
            return error
        self.written.update(row.ticker for row in [*rows, *quoted] if row.ticker not in refused)
        self._tell_refused(refused)
        self.back()
        return None

    def _write(self, rows: list[PriceRow], quoted: list[PriceRow], opens_at: datetime) -> set[str]:
        """Write both (in a thread) and return the tickers whose price of the stream the table did not take."""
        if quoted:
            flush_prices(self._writer, quoted, price_source="quote", session_opens_at=opens_at)
        if not rows:
            return set()
        result = flush_prices(self._writer, rows, price_source="stream", session_opens_at=opens_at)
        if result.written == len(rows):
            return set()
        kept = self._writer.run(lambda tx: read_price_times(tx, [row.ticker for row in rows]), source="prices")
        return {row.ticker for row in rows if row.kind == "regular" and kept.get(row.ticker) != row.price_time}

    def _tell_refused(self, tickers: set[str]) -> None:
        if tickers:
            self._book.refused["by_table"] += len(tickers)
        for ticker in sorted(tickers):
            if self._context.refusals.is_due(ticker, now_s=self._clock.monotonic_s()):
                log.warning("price_refused", ticker=ticker, reason="the table holds a newer one")

    def away(self, error: RetryLater) -> None:
        """Say since when the database takes nothing."""
        if self._away_since is None:
            self._away_since = self._clock.utc_now()
            log.warning("database_unreachable", error=str(error))
        since = utc_text(self._away_since)
        self._context.pulse.facts["database"] = f"unreachable since {since}: {error}"

    def back(self) -> None:
        """Say that it took something."""
        if self._away_since is not None:
            log.info("database_reached", away_since=utc_text(self._away_since))
            self._away_since = None
            self._context.pulse.facts["database"] = "reachable"


def _opens_at(rows: Sequence[PriceRow], sessions: Sequence[Session]) -> datetime:
    """Return when the session of the newest of `rows` opened: what is older does not belong to its day's range."""
    newest = max(row.price_time for row in rows)
    begun = [session.opens_at for session in sessions if session.opens_at <= newest]
    return max(begun, default=min((session.opens_at for session in sessions), default=newest))
