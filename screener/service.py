"""Runs scans for one process: gives each its number, tools and log, and keeps how it ended. Schedules nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from secrets import token_hex
from typing import Any

import msgspec
import numpy as np

from core.clock import Clock
from core.logs import get_logger
from core.settings import Settings
from screener import export
from screener.backtest import kept
from screener.backtest.rates import HitRate
from screener.backtest.run import Stopped
from screener.jobs import score
from screener.jobs.detail import allot, of_patterns
from screener.jobs.families import arms
from screener.jobs.feed import Feed, NoFeed
from screener.jobs.market import Market
from screener.jobs.ordering import Chances
from screener.jobs.request import Request
from screener.jobs.results import ResultLog, Streams
from screener.jobs.scan import Outcome, Scan, Tools
from screener.jobs.times import History
from screener.store import Store
from storage import scans
from storage.writer import Writer

log = get_logger(__name__)

MEMORY_DAYS = 30
TIMES = "scan_times.json"
RATES = "hit_rates.json"


def new_id(at: datetime) -> str:
    """Return `scan_20251029_143022_a1b2c3d4`: sorts by time, is never given twice."""
    return f"scan_{at:%Y%m%d_%H%M%S}_{token_hex(4)}"


@dataclass(slots=True)
class Running:
    """A scan that runs, so that it can be cancelled and asked how far it is."""

    scan: Scan
    log: ResultLog


@dataclass
class Service:
    """`streams`: the logs of this process's scans, for any number of readers."""

    settings: Settings
    store: Store
    clock: Clock
    feed: Feed = field(default_factory=NoFeed)
    rates: dict[tuple[str, int], HitRate] = field(default_factory=dict)

    def __post_init__(self) -> None:
        screener = self.settings.screener
        self.streams = Streams(most=screener.max_concurrent_streams, keep_s=screener.stream_timeout_s)
        self.running: dict[str, Running] = {}
        self._lock, self.stopping = threading.Lock(), threading.Event()
        self._rates_file = Path(self.settings.state.dir) / RATES
        self._rates_day = 0
        self.rates |= kept.known(self._rates_file)
        history = History(Path(self.settings.state.dir) / TIMES)
        self._tools = Tools(
            settings=screener,
            history=history,
            chances=Chances(arms=arms(), memory=self._memory),
            detail=of_patterns(self.settings.risk, self.rates),
            feed=self.feed,
            clock=self.clock,
        )

    def run(self, request: Request, *, scan_id: str, load: Callable[[], Market]) -> Outcome:
        """Run a scan to its end in this thread; TickerdError if it cannot be run."""
        out = self.streams.open(scan_id, now_s=self.clock.monotonic_s())
        running = Running(Scan(scan_id, request, load, self._tools, out), out)
        with self._lock:
            self.running[scan_id] = running
            if self.stopping.is_set():
                running.scan.cancel()
        log.info("scan_started", scan_id=scan_id, expression=request.whole_text())
        try:
            outcome = running.scan.run()
        except Exception as error:
            log.warning("scan_failed", scan_id=scan_id, error=str(error))
            raise
        finally:
            with self._lock:
                del self.running[scan_id]
        allot(outcome.results, self.settings.risk)
        log.info("scan_ended", scan_id=scan_id, status=outcome.status, **outcome.counts)
        return outcome

    def cancel(self, scan_id: str) -> bool:
        """Have a running scan stop at its next block or fetch; False if it does not run here."""
        with self._lock:
            running = self.running.get(scan_id)
        if running is not None:
            running.scan.cancel()
        return running is not None

    def renew_rates(self) -> None:
        """Have the hit rates be those of the newest completed session: the back-test runs once a day."""
        market = self.store.closed()
        if market.tickers and market.bars.newest_day != self._rates_day:
            with suppress(Stopped):  # the next process computes them
                self.rates |= kept.current(self._rates_file, market.bars, stopped=self.stopping.is_set)
                self._rates_day = market.bars.newest_day

    def stop(self) -> None:
        """Have all that runs here end at its next block or fetch."""
        self.stopping.set()
        self.store.stop()
        with self._lock:
            for running in self.running.values():
                running.scan.cancel()

    def close(self) -> None:
        """Let go of Yahoo and the database; nothing runs any more."""
        self.feed.close()
        self.store.close()

    def save_times(self) -> None:
        self._tools.history.save()

    def keep(self, writer: Writer, scan_id: str, request: Request, outcome: Outcome) -> None:
        """Keep how a scan ended, and write its file if one was asked for."""
        file = None
        if request.export:
            folder = Path(self.settings.screener.results_dir)
            file = export.write_file(folder, scan_id, request.export, about(scan_id, request, outcome), outcome.results)
        ended = scans.Ended(
            status=outcome.status,
            values=columns(outcome) | {"file": str(file) if file else None},
            results=outcome.results,
            errors=outcome.errors,
        )
        scans.end(writer, scan_id, ended, at=self.clock.utc_now())

    def keep_failure(self, writer: Writer, scan_id: str, error: BaseException) -> None:
        """Keep that a scan could not be run, or not be kept, and why."""
        said = error.pointed() if hasattr(error, "pointed") else str(error) or repr(error)
        failure = {"stage": "universe_loading", "ticker": None, "error": str(error) or repr(error)}
        ended = scans.Ended(status="failed", values={"error": said}, results=[], errors=[failure])
        scans.end(writer, scan_id, ended, at=self.clock.utc_now())

    def _memory(self, tickers: Sequence[str]) -> score.Past:
        known = scans.read_memory(self.store.engine, at=self.clock.utc_now(), days=MEMORY_DAYS)
        past = score.Past.empty(len(tickers))
        for place, ticker in enumerate(tickers):
            if ticker in known:
                rate, rating, days = known[ticker]
                past.signal_rate[place], past.days[place] = min(rate, 1.0), days
                past.rating[place] = np.nan if rating is None else rating
        return past


def columns(outcome: Outcome) -> dict[str, Any]:
    """Return the columns of `scans` that say how it ended."""
    ended = outcome.ended
    return {
        "data_as_of": date.fromisoformat(outcome.data_as_of) if outcome.data_as_of else None,
        "total": outcome.counts["scanned"] + ended["skipped"],
        "processed": outcome.counts["scanned"],
        "signals": outcome.counts["signals"],
        "high_value": outcome.counts["high_value"],
        "exact": ended["exact"],
        "coverage": ended["coverage"],
        "reason": ended["reason"],
        "accuracy": outcome.accuracy,
        "biased": list(outcome.biased) or None,
        "timings": outcome.timings,
        "progress": outcome.progress,
    }


def about(scan_id: str, request: Request, outcome: Outcome) -> dict[str, Any]:
    """Return what is said of a scan beside its results."""
    return {
        "scan_id": scan_id,
        "request": msgspec.to_builtins(request),
        "status": outcome.status,
        "data_as_of": outcome.data_as_of,
        "biased": list(outcome.biased),
        "counts": outcome.counts,
        "ended": outcome.ended,
        "accuracy": outcome.accuracy,
        "timings": outcome.timings,
        "errors": outcome.errors,
    }
