"""Runs one scan: loads the universe, fetches what is stale, evaluates in blocks, writes the log. Reads no database.

An error of one block or one fetch is one entry of the log; the rest of the scan goes on.
"""

from __future__ import annotations

import math
import threading
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from core.clock import Clock, SystemClock
from core.errors import TickerdError
from core.logs import get_logger
from core.settings import Screener
from market.tickers import BadTicker, normalise_ticker
from screener.cube.bars import date_of
from screener.jobs import hits, priority, stopping
from screener.jobs.executor import choose
from screener.jobs.families import limited
from screener.jobs.feed import Feed, NoFeed, batches, merged
from screener.jobs.hits import Detail
from screener.jobs.market import Market, Matrix
from screener.jobs.ordering import Chances, Order, keys_known_before, work_order
from screener.jobs.priority import Places
from screener.jobs.progress import STAGES, Tracker
from screener.jobs.request import Plan, Request, plan
from screener.jobs.results import ResultLog
from screener.jobs.stopping import Counts
from screener.jobs.tally import Tally
from screener.jobs.times import History, Kind

log = get_logger(__name__)

FIRST_BLOCK = 256
"""Tickers that are evaluated first, so that the first result does not wait for all."""
PROGRESS_EVERY_S = 0.1
SECONDS_A_CELL = 5e-10
"""Of one field over one bar of one ticker: what decides whether more cores pay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What the scans of one process share."""

    settings: Screener
    history: History
    chances: Chances = field(default_factory=Chances)
    detail: Detail | None = None
    feed: Feed = field(default_factory=NoFeed)
    clock: Clock = field(default_factory=SystemClock)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a scan ended. `ended`: reason, exact, coverage, skipped, ...; `accuracy`: share of the signals that stood in
    the first fifth of the order."""

    status: str
    results: list[dict[str, Any]]
    errors: list[dict[str, Any]]
    timings: dict[str, dict[str, Any]]
    ended: dict[str, Any]
    biased: tuple[str, ...]
    accuracy: float | None
    data_as_of: str | None
    counts: dict[str, int]
    progress: dict[str, Any]
    """As it stood at the end; `measured`: for the metrics."""


class Scan:
    """One scan; `cancel` may be called from any thread and stops the work at the next block or fetch."""

    def __init__(
        self, scan_id: str, request: Request, load: Callable[[], Market], tools: Tools, out: ResultLog
    ) -> None:
        self.scan_id, self.request, self._load, self._tools, self._out = scan_id, request, load, tools, out
        self._tracker = Tracker(scan_id, {}, now_s=self._now_s())
        self._cancelled = threading.Event()
        self._said_s, self._tally = -math.inf, Tally()
        self._results: list[dict[str, Any]] = []
        self._errors: list[dict[str, Any]] = []
        self._counts = Counts()
        self._hits: list[bool] = []
        self._reason: str | None = None
        self._fetched = self._to_fetch = 0
        self._asked = np.zeros(0, np.bool_)
        self._order = Order(places=np.zeros(0, np.intp), armed=np.zeros(0, np.bool_))

    def cancel(self) -> None:
        self._cancelled.set()

    def payload(self) -> dict[str, Any]:
        """Return the progress as of now."""
        return self._tracker.payload(self._now_s())

    def run(self) -> Outcome:
        """Do the whole scan. A TickerdError (a wrong expression, no bars) ends it as failed and is raised on."""
        try:
            return self._run()
        except BaseException as error:
            if not self._out.complete:
                self._fail(error)
            raise

    def _fail(self, error: BaseException) -> None:
        self._tracker.finish("failed", now_s=self._now_s())
        pointed = error.pointed() if hasattr(error, "pointed") else str(error)
        self._out.append("error", {"stage": self._tracker.current, "error": str(error)}, at_s=self._now_s())
        self._out.append("complete", {**self.payload(), "error": pointed}, at_s=self._now_s())

    def _run(self) -> Outcome:
        self._begin("universe_loading", total=1)
        market = self._load()
        plan_ = plan(self.request, market.vocabulary, market.bars)
        market = self._universe(plan_, limited(market, plan_.fields, self.request.limits))
        kind = Kind(name=_kind_name(plan_), tickers=int(self._asked.sum()), warm=market.has(plan_.fields))
        if (known := self._tools.history.of(kind)) is not None:
            self._tracker.learn(known.seconds, known.spread)
        closed = market if self._feed(plan_).stale(market.bars).any() else market.before()
        order = work_order(plan_, market, closed, self._tools.chances, prioritise=self._prioritises)
        self._order = order.among(self._asked, most=self.request.max_symbols)
        self._tracker.stages["symbol_scanning"].total = len(self._order.places)
        self._tracker.advance(1)
        self._end()
        self._work(plan_, market)
        return self._finalise(plan_, market, kind)

    def _universe(self, plan_: Plan, market: Market) -> Market:
        """Return the market asked for; a ticker that is not there is an entry of the log."""
        if plan_.days is not None and not plan_.is_range:
            market = market.until(plan_.days[1])
        if not market.tickers:
            self._error("universe_loading", "", "the database holds no bars yet, the daily scanner writes them")
        self._asked = np.ones(market.tickers, np.bool_)
        if not self.request.tickers:
            return market
        found = np.array(self._places_of_asked(market.bars.tickers), dtype=np.intp)
        if not plan_.market_wide:
            self._asked = np.ones(len(found), np.bool_)
            return market.take(found)
        self._asked = np.zeros(market.tickers, np.bool_)  # a place in the market is one among all of it
        self._asked[found] = True
        return market

    def _places_of_asked(self, tickers: Sequence[str]) -> list[int]:
        places = {ticker: place for place, ticker in enumerate(tickers)}
        found: dict[int, None] = {}
        for raw in self.request.tickers:
            try:
                found[places[raw if raw in places else normalise_ticker(raw)]] = None
            except KeyError:
                self._error("universe_loading", raw, "no bars of it are known")
            except BadTicker as error:
                self._error("universe_loading", raw, str(error))
        return list(found)

    def _work(self, plan_: Plan, market: Market) -> None:
        """What is fresh is scanned first, it costs nothing; then what must be fetched, the likeliest first."""
        feed = self._feed(plan_)
        places = self._order.places
        is_stale = feed.stale(market.bars)[places]
        self._to_fetch = int(is_stale.sum())
        self._begin("data_fetching", total=self._to_fetch)
        if plan_.market_wide:
            market = self._fetch_all(market, places[is_stale], feed)
            self._end()
            self._begin("symbol_scanning", total=len(places))
            self._evaluate(plan_, market, places)
        else:
            if self._to_fetch:
                self._evaluate(plan_, market, places[~is_stale])
                self._fetch(plan_, market, self._fetch_order(plan_, market, places[is_stale]), feed)
            self._end()
            self._begin("symbol_scanning", total=len(places))
            if not self._to_fetch:
                self._evaluate(plan_, market, places)
        self._end()

    def _feed(self, plan_: Plan) -> Feed:
        """Nothing is fetched for the past."""
        return self._tools.feed if plan_.days is None else NoFeed()

    def _fetch_order(self, plan_: Plan, market: Market, places: Places) -> Places:
        """For the best so many by a key that is known, the best first: then the first that fire are the best."""
        keys = keys_known_before(plan_, market) if self.request.top else None
        return places if keys is None else places[np.argsort(-keys[places], kind="stable")]

    def _fetch(self, plan_: Plan, market: Market, places: Places, feed: Feed) -> None:
        """Scan what has come at once: the first signal waits for one request, not for all."""
        keys = keys_known_before(plan_, market) if self.request.top else None
        for batch in batches(places, feed.batch):
            if self._stop_now():
                return
            fetched = self._fetched_part(market, batch, feed)
            if fetched is not None:
                self._take(plan_, market.with_bars(fetched), np.arange(len(batch)))
            best = [result["key"] for result in self._results if result["key"] is not None]
            rest = places[self._fetched :]
            if keys is not None and len(rest) and self._is_certain(best, float(keys[rest].max())):
                self._reason = "top"
                return

    def _is_certain(self, best: list[float], bound: float) -> bool:
        sign = -1.0 if self.request.ascending else 1.0
        return stopping.top_is_certain(sign * np.array(best), self.request.top, bound)

    def _fetch_all(self, market: Market, places: Places, feed: Feed) -> Market:
        """A ranking is among all: nothing can be told before the last one has come."""
        parts = []
        for batch in batches(places, feed.batch):
            if self._stop_now():
                break
            fetched = self._fetched_part(market, batch, feed)
            if fetched is not None:
                parts.append((batch, fetched))
        return market.with_bars(merged(market.bars, parts)) if parts else market

    def _fetched_part(self, market: Market, batch: Places, feed: Feed) -> Any:
        """Return the batch's bars with what was fetched; None if that failed, which is an entry of the log."""
        part = market.bars.columns(batch)
        try:
            return feed.fetch(part)
        except TickerdError as error:
            self._error("data_fetching", ", ".join(part.tickers[:3]), str(error))
            self._count(processed=len(batch))
            self._hits += [False] * len(batch)
            return None
        finally:
            self._fetched += len(batch)
            self._tracker.advance(self._fetched)

    def _evaluate(self, plan_: Plan, market: Market, places: Places) -> None:
        rows = hits.rows_of(plan_, market)
        if plan_.market_wide or plan_.is_range or market.has(plan_.fields):
            market.prepare(plan_.fields, rows + plan_.look_back)
            if not self._stop_now():
                self._take(plan_, market, places)
            return
        for part, within in self._parts(plan_, market, places):
            if self._stop_now():
                return
            self._take(plan_, part, within)

    def _parts(self, plan_: Plan, market: Market, places: Places) -> Iterator[tuple[Market, Places]]:
        """The first few, then the rest: on more cores if there is that much to do."""
        first, rest = places[:FIRST_BLOCK], places[FIRST_BLOCK:]
        yield market.take(first), np.arange(len(first))
        if not len(rest):
            return
        rows = 1 + plan_.look_back
        estimated_s = SECONDS_A_CELL * len(plan_.fields) * len(rest) * market.bars.rows
        executor = choose(estimated_s=estimated_s, max_workers=self._tools.settings.max_workers)
        if executor.workers == 1:
            market.prepare(plan_.fields, rows)  # the whole market in one go, kept for the scans to come
            yield market, rest
            return

        market.prepare([name for name in plan_.fields if not market.vocabulary[name].dated], 1)  # workers read nothing
        pieces = np.array_split(rest, executor.workers)

        def computed(piece: Places) -> dict[str, Matrix]:
            return market.of_bars(market.bars.columns(piece), plan_.fields, rows)

        for place, matrices in executor.run(computed, pieces, self._cancelled.is_set):
            part = market.take(pieces[place])
            part.adopt(matrices, rows)
            yield part, np.arange(len(pieces[place]))

    def _take(self, plan_: Plan, market: Market, places: Places) -> None:
        """Evaluate tickers of `market` and write what was found, up to the criterion that the block reaches."""
        try:
            found = hits.find(plan_, market, places, self._tools.detail)
        except (TickerdError, ArithmeticError, ValueError, MemoryError) as error:
            log.warning("scan_block_failed", scan_id=self.scan_id, tickers=len(places), error=repr(error))
            self._error("symbol_scanning", ", ".join(market.bars.tickers[p] for p in places[:3]), repr(error))
            self._hits += [False] * len(places)
            self._count(processed=len(places))
            return
        ratings = np.full(len(places), np.nan)
        ratings[found.positions] = found.ratings
        processed, criteria = len(places), self.request.criteria
        if self._tools.settings.early_termination and criteria.any:
            processed = stopping.cut(found.hit, ratings, criteria, self._counts)
        self._hits += found.hit[:processed].tolist()
        self._write(found, processed)

    def _write(self, found: hits.Found, processed: int) -> None:
        written = bisect_left(found.positions, processed)
        results = found.results[:written]
        if self._prioritises:
            for result, position in zip(results, found.positions, strict=False):
                place = self._counts.processed + position
                result["priority_tier"] = priority.tier_at(place, len(self._order.places))
        self._results += results
        if self._streams:
            self._emit(results)
        high = sum((result[hits.RATING] or 0.0) > stopping.HIGH_VALUE_RATING for result in results)
        self._count(processed=processed, signals=written, high=high)
        if written:
            self._tracker.scanned(self._counts.processed, ticker=self._results[-1]["ticker"])

    @property
    def _prioritises(self) -> bool:
        return self._tools.settings.prioritization and self.request.prioritization

    @property
    def _streams(self) -> bool:
        """Results go out as they are found, unless only the best of all are asked for."""
        return self._tools.settings.streaming and self.request.streaming and not self.request.top

    def _emit(self, results: Sequence[dict[str, Any]]) -> None:
        """What goes out stays as it is: a rank that is known only at the end is not written into it."""
        numbers = self._out.extend("result", [result.copy() for result in results], at_s=self._now_s())
        for result, seq in zip(results, numbers, strict=True):
            result["seq"] = seq
        if results:
            self._tally.found(self._now_s() - self._tracker.started_s)

    def _count(self, *, processed: int, signals: int = 0, high: int = 0) -> None:
        had = self._counts
        self._counts = Counts(
            signals=had.signals + signals,
            high_value=had.high_value + high,
            processed=had.processed + processed,
            elapsed_s=self._now_s() - self._tracker.started_s,
        )
        self._tracker.signals, self._tracker.high_value = self._counts.signals, self._counts.high_value
        self._tracker.scanned(self._counts.processed)
        elapsed_s, stage = self._counts.elapsed_s, self._tracker.stages["symbol_scanning"]
        left_s = self._tracker.eta_s(self._tracker.started_s + elapsed_s)
        self._tally.advanced(share=stage.share, elapsed_s=elapsed_s, left_s=left_s)
        self._say()

    def _stop_now(self) -> bool:
        if self._cancelled.is_set():
            self._reason = "cancelled"
        elif self._tools.settings.early_termination and self._reason is None:
            self._reason = stopping.reason_to_stop(self.request.criteria, self._counts)
        return self._reason is not None

    def _finalise(self, plan_: Plan, market: Market, kind: Kind) -> Outcome:
        self._begin("finalization", total=1)
        self._stop_now()
        self._rank(plan_)
        if not self._streams:
            self._emit(self._results)
        self._tracker.advance(1)
        self._end()
        ended, status = self._account()
        measured = self._measured()
        now_s = self._now_s()
        self._tracker.finish(status, now_s=now_s, terminated=None if status == "complete" else ended)
        timings, told = self._tracker.timings(now_s), self._tracker.payload(now_s)
        if status == "complete":
            self._tools.history.learn(kind, {name: timings[name]["elapsed_s"] for name in STAGES})
        self._out.append("complete", {**told, "ended": ended}, at_s=now_s)
        market.forget()
        newest = market.bars.newest_day
        return Outcome(
            status=status,
            results=self._results,
            errors=self._errors,
            timings=timings,
            ended=ended,
            biased=plan_.biased,
            accuracy=priority.accuracy(np.array(self._hits, np.bool_)) if ended["coverage"] == 1.0 else None,
            data_as_of=str(date_of(newest)) if newest else None,
            counts=self._summary(market),
            progress={**told, "measured": measured},
        )

    def _measured(self) -> dict[str, Any]:
        return self._tally.told(
            self._hits if self._prioritises else None,
            took_s=self._now_s() - self._tracker.started_s,
            total=len(self._order.places),
            fetched=self._fetched,
        )

    def _rank(self, plan_: Plan) -> None:
        if plan_.order is not None:
            sign = 1 if self.request.ascending else -1
            self._results.sort(key=lambda r: math.inf if r["key"] is None else sign * r["key"])
        if self.request.top:
            self._results = self._results[: self.request.top]
        for place, result in enumerate(self._results, start=1):
            result["rank"] = place

    def _account(self) -> tuple[dict[str, Any], str]:
        processed, total = self._counts.processed, len(self._order.places)
        whole = processed >= total and self._fetched >= self._to_fetch
        status = "complete"
        if self._reason == "cancelled":
            status = "cancelled"
        elif not whole:
            status = "terminated_early"
        ended = stopping.account(
            reason=self._reason if self._reason and not whole else "all",
            processed=processed,
            total=total,
            armed_processed=int(self._order.armed[:processed].sum()),
            armed=int(self._order.armed.sum()),
            exact=whole or self._reason == "top",
            fetches=(self._fetched, self._to_fetch),
        )
        return ended, status

    def _summary(self, market: Market) -> dict[str, int]:
        """Return how many tickers were looked at, and why the others were not."""
        return {
            "universe": int(self._asked.sum()),
            "scanned": self._counts.processed,
            "not_current": int((self._asked & ~market.current()).sum()),
            "signals": len(self._results),
            "high_value": self._counts.high_value,
            "errors": len(self._errors),
        }

    def _begin(self, stage: str, *, total: int) -> None:
        self._tracker.start(stage, total=total, now_s=self._now_s())
        log.info("scan_stage_started", scan_id=self.scan_id, stage=stage)
        self._say(always=True)

    def _end(self) -> None:
        stage = self._tracker.current
        took_s = self._tracker.end(now_s=self._now_s())
        log.info("scan_stage_completed", scan_id=self.scan_id, stage=stage, took_s=round(took_s, 6))

    def _say(self, *, always: bool = False) -> None:
        now_s = self._now_s()
        if always or now_s - self._said_s >= PROGRESS_EVERY_S:
            self._said_s = now_s
            self._out.append("progress", self._tracker.frozen(now_s), at_s=now_s)

    def _error(self, stage: str, ticker: str, error: str) -> None:
        entry = {"stage": stage, "ticker": ticker, "error": error}
        self._errors.append(entry)
        self._out.append("error", entry, at_s=self._now_s())

    def _now_s(self) -> float:
        return self._tools.clock.monotonic_s()


def _kind_name(plan_: Plan) -> str:
    return "range" if plan_.is_range else "now" if plan_.days is None else "past"
