"""How true progress and time left are, and what telling them costs.

Two kinds of scan, each learned from LEARNED runs and then looked at for the next: one that computes its fields anew,
asked each millisecond from another thread; one that fetches, from a feed that takes as long as a slow host does, with
stalls. Progress is compared with the share of the time that has passed, the time left with what was left, between 5 and
95 % of the scan. Time is the process's own CPU time, and what the feed says that it waited: what else the machine does
is not in it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from time import perf_counter, process_time

import numpy as np

from core.clock import SystemClock
from core.settings import Screener
from screener.cube.bars import Bars
from screener.jobs.families import arms, families
from screener.jobs.feed import Stale
from screener.jobs.market import Market
from screener.jobs.ordering import Chances
from screener.jobs.request import Request
from screener.jobs.results import ResultLog
from screener.jobs.scan import Scan, Tools
from screener.jobs.times import History

LEARNED, LOOKED_AT = 20, 10
FIELDS = "tech_rating > 50 and adx14 > 20 and mfi14 < 80 and stoch_k < 60 and squeeze_on and cci20 < 100"
REQUESTS, USUAL_S, STALL_S, STALLS = 88, 0.5, 5.0, 0.02
"""Of a fetching scan: requests, what one takes, what a stall adds and how many stall."""
LOOK_S, HOST_LOOK_S = 0.001, 0.1
BOUNDS = {"progress_error": 0.05, "eta_error_share": 0.30, "back_steps": 0.0, "progress_share": 0.01}


class Cpu(SystemClock):
    """The process's CPU time, and what was waited for."""

    waited_s = 0.0

    def monotonic_s(self) -> float:
        return process_time() + self.waited_s


class SlowHost:
    """Tomorrow's bars, a request at a time, each as long as a host takes; `look` is called while one waits."""

    def __init__(self, bars: Bars, seed: int, clock: Cpu) -> None:
        self.batch = -(-bars.width // REQUESTS)
        self._luck, self._clock = np.random.default_rng(seed), clock
        self.look: Callable[[], None] = lambda: None

    def stale(self, bars: Bars, *, max_age_s: float) -> Stale:
        return Stale(np.ones(bars.width, np.bool_))

    def fetch(self, bars: Bars, stopped: Callable[[], bool]) -> Bars:
        took_s = USUAL_S * float(self._luck.lognormal(0.0, 0.4))
        if self._luck.random() < STALLS:
            took_s += STALL_S
        while took_s > 0:
            self._clock.waited_s += min(HOST_LOOK_S, took_s)
            took_s -= HOST_LOOK_S
            stopped()
            self.look()
        return bars

    def close(self) -> None:
        pass


@dataclass(frozen=True, slots=True)
class Made:
    scan: Scan
    clock: Cpu
    host: SlowHost


def looked_at(made: Made) -> list[tuple[float, float, float | None]]:
    """Run it; return (share of the time, progress, share left) as it was told meanwhile."""
    told: list[tuple[float, float, float | None]] = []
    over, begun_s = threading.Event(), made.clock.monotonic_s()

    def look() -> None:
        payload = made.scan.payload()
        told.append((made.clock.monotonic_s() - begun_s, payload["overall_progress"] / 100, payload["overall_eta"]))

    def asking() -> None:
        while not over.wait(LOOK_S):
            look()

    made.host.look = look
    thread = threading.Thread(target=asking)
    thread.start()
    made.scan.run()
    whole_s = made.clock.monotonic_s() - begun_s
    over.set()
    thread.join()
    return [(at_s / whole_s, progress, None if left_s is None else left_s / whole_s) for at_s, progress, left_s in told]


def errors(make: Callable[[int], Made]) -> tuple[float, float, int]:
    """Return mean |progress - share of time|, mean |error| of the time left as a share of it, steps back."""
    for number in range(LEARNED):
        make(number).scan.run()
    apart, left, back = [], [], 0
    for number in range(LOOKED_AT):
        told = looked_at(make(LEARNED + number))
        apart += [abs(progress - at) for at, progress, _ in told if at < 1]
        left += [abs(e - (1 - at)) / (1 - at) for at, _, e in told if 0.05 <= at <= 0.95 and e is not None]
        shown = [progress for _, progress, _ in told]
        back += sum(later < earlier for earlier, later in pairwise(shown))
    return float(np.mean(apart)), float(np.mean(left)), back


def making(bars: Bars, *, fetches: bool) -> Callable[[int], Made]:
    clock = Cpu()
    tools = Tools(settings=Screener(), history=History(None), chances=Chances(arms=arms()), clock=clock)
    request = Request(expression="close crosses_above sma50" if fetches else FIELDS, max_age_s=60.0 if fetches else 0.0)

    def one(number: int) -> Made:
        host = SlowHost(bars, number, clock)
        given = replace(tools, feed=host)
        log = ResultLog("scan_bench")
        return Made(Scan("scan_bench", request, lambda: Market(bars, families(), None), given, log), clock, host)

    return one


def telling(bars: Bars) -> float:
    """Return the share of a scan's time that goes into saying how far it is: one that computes its fields."""
    said, spent = Scan._say, [0.0]

    def timed(self: Scan, *, always: bool = False) -> None:
        begun_s = perf_counter()
        said(self, always=always)
        spent[0] += perf_counter() - begun_s

    make = making(bars, fetches=False)
    try:
        Scan._say = timed  # type: ignore[method-assign]
        begun_s = perf_counter()
        for number in range(LOOKED_AT):
            make(number).scan.run()
        return spent[0] / (perf_counter() - begun_s)
    finally:
        Scan._say = said  # type: ignore[method-assign]


def figures(bars: Bars) -> dict[str, float]:
    found = []
    for kind, fetches in (("computes", False), ("fetches", True)):
        apart, left, back = errors(making(bars, fetches=fetches))
        print(
            f"  a scan that {kind}: |progress - time| {apart:.3f}, time left off by {left:.2f} of it, {back} steps back"
        )
        found.append((apart, left, float(back)))
    worst = dict(zip(("progress_error", "eta_error_share", "back_steps"), np.max(found, axis=0).tolist(), strict=True))
    return worst | {"progress_share": telling(bars)}


if __name__ == "__main__":
    from bench.scan_backtest import generated

    print(SystemClock().utc_now())
    print(figures(generated(8782, 260)))
