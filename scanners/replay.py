"""Recorded frames and answers on the product's own way to the table: what each came to. Writes nothing, asks nobody."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

from core.errors import RetryLater
from core.flight import Kind, Record
from market.quality import why_refused
from market.quotes import Quote
from market.sessions import Calendar, Session
from net.client import Answer
from scanners.prices.book import PriceBook, Seen, sessions_at
from scanners.sweep import kind_of
from storage.prices import PriceRow
from yahoo.quote import URL
from yahoo.session import quotes_of
from yahoo.stream import FrameParser

MOST_REFUSALS = 1000
"""So many are kept one by one; all are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One thing that did not reach the table. `record`: its number in `file`, from 1; `ticker` empty if not known."""

    file: str
    record: int
    kind: Kind
    ticker: str
    cause: str


class Replay:
    """Takes records in the order of their time; every ticker counts as listed."""

    def __init__(self, calendar: Calendar) -> None:
        self._calendar = calendar
        self._parser = FrameParser()
        self._book = PriceBook([])
        self._sessions: tuple[Session, ...] = ()
        self._sessions_at: datetime | None = None
        self._where: Mapping[str, Any] = {}
        self.frames: Counter[str] = Counter(records=0, ticks=0, accepted=0)
        self.answers: Counter[str] = Counter(records=0, quotes=0, accepted=0, missing=0, foreign=0)
        self.causes: dict[Kind, Counter[str]] = {"frame": Counter(), "answer": Counter()}
        self.refusals: list[Refusal] = []
        self.quotes: dict[str, Quote] = {}

    def offer(self, record: Record, *, file: str, number: int) -> None:
        """Take one record, the `number`th of `file`."""
        self._where = {"file": file, "record": number, "kind": record.kind}
        if record.kind == "frame":
            self._frame(record)
        else:
            self._answer(record)

    def prices(self, ticker: str) -> tuple[PriceRow, ...]:
        """Return the newest accepted price of each kind: regular, pre, post."""
        seen = self._book.seen.get(ticker)
        return tuple(seen.waiting.values()) if seen else ()

    def _frame(self, record: Record) -> None:
        self.frames["records"] += 1
        self._parser.skipped.clear()
        tick = self._parser.parse(record.raw)
        if tick is None:
            self._refuse("", *self._parser.skipped)
            return
        self.frames["ticks"] += 1
        self._book.refused.clear()
        seen = self._book.seen.setdefault(tick.ticker, Seen())
        before = dict(seen.waiting)
        self._book.offer(tick, self._sessions_of(record.at), now=record.at, now_s=record.at.timestamp())
        accepted = any(row is not before.get(kind) for kind, row in seen.waiting.items())
        self.frames["accepted"] += accepted
        # A jump is told when a later trade does not confirm it; until then it is neither refused nor accepted.
        self._refuse(tick.ticker, *(self._book.refused or ([] if accepted else ["doubted"])))

    def _answer(self, record: Record) -> None:
        self.answers["records"] += 1
        asked = _symbols(record.source)
        if asked is None:
            self._refuse("", "unknown_address")
            return
        answer = Answer(status=record.status or 0, headers={}, body=record.raw)
        try:
            found = quotes_of(answer, asked=asked, at=record.at)
        except RetryLater as error:
            self._refuse("", kind_of(error))
            return
        self.answers.update(quotes=len(found.quotes), missing=len(found.missing), foreign=len(found.foreign))
        for quote in found.quotes:
            self._quote(quote, at=record.at)

    def _quote(self, quote: Quote, *, at: datetime) -> None:
        rule = why_refused(quote, at=at)
        if rule is not None:
            self._refuse(quote.ticker, rule)
            return
        self.answers["accepted"] += 1
        self.quotes[quote.ticker] = quote

    def _refuse(self, ticker: str, *causes: str) -> None:
        for cause in causes:
            self.causes[self._where["kind"]][cause] += 1
            if len(self.refusals) < MOST_REFUSALS:
                self.refusals.append(Refusal(ticker=ticker, cause=cause, **self._where))

    def _sessions_of(self, at: datetime) -> tuple[Session, ...]:
        second = at.astimezone(UTC).replace(microsecond=0)
        if second != self._sessions_at:
            self._sessions, self._sessions_at = sessions_at(self._calendar, second), second
        return self._sessions


def _symbols(address: str) -> list[str] | None:
    """Return the tickers that were asked, None if this is no address of quotes."""
    base, _, query = address.partition("?")
    return parse_qs(query).get("symbols", [""])[0].split(",") if base == URL else None
