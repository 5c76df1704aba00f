"""What one process, several processes, threads and async give on this machine for the work of a scan."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np

from core.clock import Clock
from screener.cube.bars import History, align
from screener.jobs.executor import PAYS_FROM_S, Forked, Inline, cores, may_fork
from screener.measures import market as measures

TICKERS, BARS = 8_782, 260
FIELDS = ("rsi14", "atr14", "sma20", "sma50", "sma200")
RUNS = 3
WAITS, WAIT_S = 50, 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """`took_s`: the best of RUNS. `times`: how many times the first way's speed."""

    name: str
    took_s: float
    times: float


def measure(clock: Clock, *, tickers: int = TICKERS, bars: int = BARS, workers: int | None = None) -> list[Measured]:
    """Return what each way takes for the core fields of a generated market, and for waiting as a fetch does."""
    workers = workers or cores()
    market = align(_generated(tickers, bars))
    pieces = [slice(start, start + -(-tickers // workers)) for start in range(0, tickers, -(-tickers // workers))]

    def work(piece: slice) -> float:
        found = measures.compute(market.columns(piece), FIELDS)
        return float(np.nansum(found["rsi14"]))

    def threads() -> None:
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(work, pieces))

    inline = partial(_drain, Inline(), work, [slice(0, tickers)])
    ways: dict[str, Callable[[], object]] = {"compute: one process": inline, f"compute: {workers} threads": threads}
    if may_fork():
        ways[f"compute: {workers} forked processes"] = partial(_drain, Forked(workers), work, pieces)
    waits: dict[str, Callable[[], object]] = {
        f"{WAITS} waits of {WAIT_S * 1000:.0f} ms: one after the other": partial(_one_by_one, clock),
        f"{WAITS} waits of {WAIT_S * 1000:.0f} ms: {WAITS} threads": partial(_in_threads, clock),
        f"{WAITS} waits of {WAIT_S * 1000:.0f} ms: async": partial(_async, clock),
    }
    return [*_compared(ways, clock), *_compared(waits, clock)]


def advice(found: list[Measured]) -> str:
    """Return one line on what to make of it."""
    forked = next((each for each in found if "forked" in each.name), None)
    if forked is None or forked.times < 1.2:
        gain = "more processes give nothing here"
    else:
        gain = f"more processes give {forked.times:.1f} times the speed"
    return f"{gain}; a scan forks from {PAYS_FROM_S:g} s of work on, threads never, waiting is async"


def _generated(tickers: int, bars: int) -> list[History]:
    luck = np.random.default_rng(1)
    days = np.arange(20_000, 20_000 + bars, dtype=np.int32)
    close = 50 * np.exp(np.cumsum(luck.normal(0, 0.02, (tickers, bars)), axis=1))
    return [
        History(f"T{number}", days, row, row * 1.01, row * 0.99, row, np.full(bars, 1e6))
        for number, row in enumerate(close)
    ]


def _drain(executor: Inline | Forked, work: Callable[[slice], float], pieces: list[slice]) -> None:
    list(executor.run(work, pieces, lambda: False))


def _one_by_one(clock: Clock) -> None:
    async def all_of_them() -> None:
        for _ in range(WAITS):
            await clock.sleep(WAIT_S)

    asyncio.run(all_of_them())


def _in_threads(clock: Clock) -> None:
    def one(_number: int) -> None:
        asyncio.run(_wait(clock))

    with ThreadPoolExecutor(WAITS) as pool:
        list(pool.map(one, range(WAITS)))


def _async(clock: Clock) -> None:
    async def all_of_them() -> None:
        await asyncio.gather(*(_wait(clock) for _ in range(WAITS)))

    asyncio.run(all_of_them())


async def _wait(clock: Clock) -> None:
    await clock.sleep(WAIT_S)


def _compared(ways: dict[str, Callable[[], object]], clock: Clock) -> list[Measured]:
    took = {name: min(_timed(run, clock) for _ in range(RUNS)) for name, run in ways.items()}
    first = next(iter(took.values()))
    return [Measured(name=name, took_s=each, times=first / each if each else 1.0) for name, each in took.items()]


def _timed(run: Callable[[], object], clock: Clock) -> float:
    begun_s = clock.monotonic_s()
    run()
    return clock.monotonic_s() - begun_s
