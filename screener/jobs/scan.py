"""Runs one scan: loads the universe, fetches what is stale, evaluates in blocks, writes the log. Reads no database.

An error of one block or one fetch is one entry of the log; the rest of the scan goes on.
"""

from __future__ import annotations

import math
import threading
from bisect import bisect_left
from collections.abc import Callable, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from core.clock import Clock, SystemClock
from core.errors import TickerdError
from core.logs import get_logger
from core.settings import Screener
from screener.cube.bars import Bars, date_of
from screener.expressions.fields import Bools
from screener.jobs import hits, priority, stopping
from screener.jobs.families import limited
from screener.jobs.feed import Feed, NoFeed
from screener.jobs.fetching import Fetching
from screener.jobs.market import Market
from screener.jobs.ordering import Chances, Order, keys_known_before, work_order
from screener.jobs.pieces import pieces
from screener.jobs.priority import Places
from screener.jobs.progress import STAGES, Tracker
from screener.jobs.request import Plan, Request, plan
from screener.jobs.results import ResultLog
from screener.jobs.stopping import Counts
from screener.jobs.tally import Tally
from screener.jobs.times import History, Kind
from screener.jobs.universe import universe

log = get_logger(__name__)

PROGRESS_EVERY_S = 0.1
_TURN = threading.Lock()
"""Short scans run one after the other: at one time, threads of one interpreter cost each other twice what they take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What the scans of one process share."""

    settings: Screener
    history: History
    chances: Chances = field(default_factory=Chances)
    detail: hits.Detail | None = None
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
        self._log = log.bind(scan_id=scan_id)  # once: binding costs more than a line that is not written
        self._tracker = Tracker(scan_id, {}, now_s=self._now_s())
        self._cancelled = threading.Event()
        self._said_s, self._tally = -math.inf, Tally()
        self._results: list[dict[str, Any]] = []
        self._errors: list[dict[str, Any]] = []
        self._counts = Counts()
        self._hits: list[Bools] = []
        self._reason: str | None = None
        self._asked = self._wanted = np.zeros(0, np.bool_)
        self._order = Order(places=np.zeros(0, np.intp), armed=np.zeros(0, np.bool_))

    def cancel(self) -> None:
        self._cancelled.set()

    def payload(self) -> dict[str, Any]:
        """Return the progress as of now."""
        return self._tracker.payload(self._now_s())

    def run(self) -> Outcome:
        """Do the whole scan. A TickerdError (a wrong expression, no bars) ends it as failed and is raised on."""
        try:
            with _TURN if self.request.is_short else nullcontext():
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
        plan_ = plan(self.request, market.vocabulary, lambda: market.bars)
        chosen = universe(plan_, limited(market, plan_.fields, self.request.limits))
        market, self._asked = chosen.market, chosen.asked
        for ticker, reason in chosen.wrong:
            self._error("universe_loading", ticker, reason)
        kind = Kind(name=plan_.when, tickers=int(self._asked.sum()), warm=market.has(plan_.fields))
        if (known := self._tools.history.of(kind)) is not None:
            self._tracker.learn(known.seconds, known.spread, known.steady)
        fetching = Fetching(self._tools.feed, plan_, market)
        self._wanted, closed = fetching.traded(market), fetching.closed(market)
        order = work_order(plan_, self._wanted, closed, self._tools.chances, prioritise=self._prioritises)
        self._order = order.among(self._asked, most=self.request.max_symbols)
        self._tracker.stages["symbol_scanning"].total = len(self._order.places)
        self._tracker.advance(1, now_s=self._now_s())
        self._end()
        self._work(plan_, market, fetching)
        return self._finalise(plan_, market, kind, fetching)

    def _work(self, plan_: Plan, market: Market, fetching: Fetching) -> None:
        """What is fresh is scanned first, it costs nothing; then what must be fetched, the likeliest first."""
        places = self._order.places
        is_stale = fetching.chosen(places)
        self._begin("data_fetching", total=fetching.to_fetch)
        if plan_.market_wide:
            market = self._fetch_all(market, places[is_stale], fetching)
            self._end()
            self._begin("symbol_scanning", total=len(places))
            traded = fetching.of_session(market.sessions(1))[places]
            self._pass_over(int(np.count_nonzero(~traded)))
            self._evaluate(plan_, market, places[traded])
        else:
            if fetching.to_fetch:
                self._evaluate(plan_, market, places[~is_stale])
                self._fetch(plan_, market, places[is_stale], fetching)
            self._end()
            self._begin("symbol_scanning", total=len(places))
            if not fetching.to_fetch:
                self._evaluate(plan_, market, places)
        self._end()

    def _fetch(self, plan_: Plan, market: Market, places: Places, fetching: Fetching) -> None:
        """Scan what has come at once: the first signal waits for one request, not for all.

        For the best so many by a key that is known, the best come first: then the first that fire are the best.
        """
        keys = keys_known_before(plan_, market) if self.request.top else None
        if keys is not None:
            places = places[np.argsort(-keys[places], kind="stable")]
        for batch, came in fetching.come(market, places, self._is_over):
            if isinstance(came, Bars):
                traded = fetching.of_session(came.session)
                self._pass_over(int(np.count_nonzero(~traded)))
                self._take(plan_, market.with_bars(came), np.flatnonzero(traded))
            else:
                self._not_fetched(market, batch, came)
                self._pass_over(len(batch))
            self._tracker.advance(fetching.fetched, now_s=self._now_s())
            rest = places[fetching.fetched :]
            if keys is not None and len(rest) and self._is_certain(float(keys[rest].max())):
                self._reason = "top"
                return

    def _is_certain(self, bound: float) -> bool:
        best = [result["key"] for result in self._results if result["key"] is not None]
        sign = -1.0 if self.request.ascending else 1.0
        return stopping.top_is_certain(sign * np.array(best), self.request.top, bound)

    def _fetch_all(self, market: Market, places: Places, fetching: Fetching) -> Market:
        """A ranking is among all: nothing can be told before the last one has come."""
        parts = []
        for batch, came in fetching.come(market, places, self._is_over):
            if isinstance(came, Bars):
                parts.append((batch, came))
            else:
                self._not_fetched(market, batch, came)
            self._tracker.advance(fetching.fetched, now_s=self._now_s())
        return fetching.joined(market, parts)

    def _not_fetched(self, market: Market, batch: Places, error: TickerdError) -> None:
        self._error("data_fetching", ", ".join(market.names[place] for place in batch[:3]), str(error))

    def _is_over(self) -> bool:
        """Asked before a fetch and while it waits for its turn: says how far the scan is, and whether it is to end."""
        self._count(processed=0)
        return self._stop_now()

    def _pass_over(self, tickers: int) -> None:
        """Count tickers of which nothing can be told."""
        self._hits.append(np.zeros(tickers, np.bool_))
        self._count(processed=tickers)

    def _evaluate(self, plan_: Plan, market: Market, places: Places) -> None:
        rows, workers = hits.rows_of(plan_, market) + plan_.look_back, self._tools.settings.max_workers
        parts = pieces(plan_, market, places, rows, max_workers=workers, is_over=self._stop_now)
        with closing(parts):
            for part, within in parts:
                if self._stop_now():
                    return
                self._take(plan_, part, within)

    def _take(self, plan_: Plan, market: Market, places: Places) -> None:
        """Evaluate tickers of `market` and write what was found, up to the criterion that the block reaches."""
        try:
            most = stopping.MOST_RESULTS - len(self._results)
            found = hits.find(plan_, market, places, self._tools.detail, most=most)
        except (TickerdError, ArithmeticError, ValueError, MemoryError) as error:
            log = self._log
            log.warning("scan_block_failed", tickers=len(places), error=repr(error))
            self._error("symbol_scanning", ", ".join(market.names[p] for p in places[:3]), repr(error))
            self._pass_over(len(places))
            return
        processed, criteria = len(found.hit), self.request.criteria
        if self._tools.settings.early_termination and criteria.any:
            ratings = np.full(processed, np.nan)
            ratings[found.positions] = found.ratings
            results = np.bincount(np.array(found.positions, np.intp), minlength=processed)
            processed = stopping.cut(results, ratings, criteria, self._counts)
        self._hits.append(found.hit[:processed])
        self._write(found, processed)

    def _write(self, found: hits.Found, processed: int) -> None:
        written = bisect_left(found.positions, processed)
        results = found.results[:written]
        if self._prioritises:
            tiers = priority.tiers(len(self._order.places))
            for result, position in zip(results, found.positions, strict=False):
                result["priority_tier"] = tiers[self._counts.processed + position]
        self._results += results
        if self.request.keeps_best and len(self._results) >= stopping.MOST_RESULTS:
            self._results = hits.best_first(self._results, self.request)
        if self._streams:
            self._emit(results)
        high = sum((result[hits.RATING] or 0.0) > stopping.HIGH_VALUE_RATING for result in results)
        self._count(processed=processed, signals=written, high=high)
        if written:
            self._tracker.scanned(self._counts.processed, now_s=self._now_s(), ticker=self._results[-1]["ticker"])

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
        self._tracker.scanned(self._counts.processed, now_s=self._now_s())
        elapsed_s, stage = self._counts.elapsed_s, self._tracker.stages["symbol_scanning"]
        left_s = self._tracker.eta_s(self._tracker.started_s + elapsed_s)
        self._tally.advanced(share=stage.share, elapsed_s=elapsed_s, left_s=left_s)
        self._say()

    def _stop_now(self) -> bool:
        if self._cancelled.is_set():
            self._reason = "cancelled"
        elif self._tools.settings.early_termination and self._reason is None:
            self._reason = stopping.reason_to_stop(self.request.criteria, self._counts)
        if self._reason is None and len(self._results) >= stopping.MOST_RESULTS:
            self._reason = stopping.TOO_MANY
        return self._reason is not None

    def _finalise(self, plan_: Plan, market: Market, kind: Kind, fetching: Fetching) -> Outcome:
        self._begin("finalization", total=1)
        self._stop_now()
        self._rank(plan_)
        if not self._streams:
            self._emit(self._results)
        self._tracker.advance(1, now_s=self._now_s())
        self._end()
        ended, status = self._account(fetching)
        hit = np.concatenate([np.zeros(0, np.bool_), *self._hits])
        measured, now_s = self._measured(hit, fetching), self._now_s()
        self._tracker.finish(status, now_s=now_s, terminated=None if status == "complete" else ended)
        timings, told = self._tracker.timings(now_s), self._tracker.payload(now_s)
        if status == "complete":
            taken_s = {name: timings[name]["elapsed_s"] for name in STAGES}
            self._tools.history.learn(kind, taken_s, self._tracker.steady())
        self._out.append("complete", {**told, "ended": ended}, at_s=now_s)
        market.forget()
        newest = max(market.newest_day, fetching.day)
        return Outcome(
            status=status,
            results=self._results,
            errors=self._errors,
            timings=timings,
            ended=ended,
            biased=plan_.biased,
            accuracy=priority.accuracy(hit) if ended["coverage"] == 1.0 else None,
            data_as_of=str(date_of(newest)) if newest else None,
            counts=self._summary(),
            progress={**told, "measured": measured},
        )

    def _measured(self, hit: Bools, fetching: Fetching) -> dict[str, Any]:
        return self._tally.told(
            hit if self._prioritises else None,
            took_s=self._now_s() - self._tracker.started_s,
            total=len(self._order.places),
            fetched=fetching.fetched,
        )

    def _rank(self, plan_: Plan) -> None:
        if plan_.order is not None:
            self._results = hits.best_first(self._results, self.request)
        for place, result in enumerate(self._results, start=1):
            result["rank"] = place

    def _account(self, fetching: Fetching) -> tuple[dict[str, Any], str]:
        processed, total = self._counts.processed, len(self._order.places)
        whole = processed >= total and fetching.fetched >= fetching.to_fetch
        status = "complete"
        if self._reason == "cancelled":
            status = "cancelled"
        elif not whole:
            status = "terminated_early"
            if self._reason == stopping.TOO_MANY:
                self._error("symbol_scanning", self._results[-1]["ticker"], stopping.too_many(len(self._results)))
        ended = stopping.account(
            reason=self._reason if self._reason and not whole else "all",
            processed=processed,
            total=total,
            armed_processed=int(self._order.armed[:processed].sum()),
            armed=int(self._order.armed.sum()),
            exact=(whole or self._reason == "top")
            and all(each["stage"] == "universe_loading" for each in self._errors),
            fetches=(fetching.fetched, fetching.to_fetch),
        )
        return ended, status

    def _summary(self) -> dict[str, int]:
        """Return how many tickers were looked at, and why the others were not."""
        return {
            "universe": int(self._asked.sum()),
            "scanned": self._counts.processed,
            "not_current": int((self._asked & ~self._wanted).sum()),
            "signals": len(self._results),
            "high_value": self._counts.high_value,
            "errors": len(self._errors),
        }

    def _begin(self, stage: str, *, total: int) -> None:
        self._tracker.start(stage, total=total, now_s=self._now_s())
        log = self._log
        log.info("scan_stage_started", stage=stage)
        self._say(always=True)

    def _end(self) -> None:
        stage = self._tracker.current
        took_s = self._tracker.end(now_s=self._now_s())
        log = self._log
        log.info("scan_stage_completed", stage=stage, took_s=round(took_s, 6))

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
