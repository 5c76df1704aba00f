"""The whole market at 8,782 messages a second on 89 TLS connections, for `bench.stream`: delays, processor, memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.flight import cpu_s
from bench.stream_control import Control, control
from bench.stream_market import BURST, EVEN, Told, full_market, tickers
from bench.stream_peers import ENOUGH, listening, lists_of
from bench.stream_scanner import SHIPPED, Scanner, scanning
from bench.stream_watch import delays_s, watching
from core.clock import SystemClock, pause

SETTLE_S = 4.0
AFTER_S = 2.0
"""So soon after the end the table holds each ticker's last tick."""
FLOAT32 = 1e-7
PER_CONNECTION = 99
PICOWS = "bench.stream_picows"
SHAPES = {"even": EVEN, "burst": BURST}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One run of a scanner. `shape`: of SHAPES; `module`: what is started."""

    shape: str
    flush_s: float
    module: str = SHIPPED

    @property
    def transport(self) -> str:
        return "websockets" if self.module == SHIPPED else "picows"


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What it came to. `wrong`: tickers whose last tick is not in the table; `unseen`: ticks that never came there.

    Shares of a core; `cpu_us`: processor time a message; `market_late_s`: how late the market sent.
    """

    rate: float
    cpu: float
    cpu_us: float
    market_cpu: float
    peak_mb: float
    delays_s: list[float]
    unseen: int
    wrong: int
    control: Control
    market_late_s: list[float]


def quantile(ordered: Sequence[float], share: float) -> float:
    """Return the value that `share` of them do not exceed; infinity of none."""
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)] if ordered else math.inf


def load(folder: Path, case: Case, seconds: float) -> Load:
    """Run one scanner against the full market; measure `seconds` of it."""
    clock = SystemClock()
    with (
        full_market(_made(folder / "market"), slices=SHAPES[case.shape]) as market,
        scanning(folder / "scanner", market, {"flush_interval_s": case.flush_s}, module=case.module) as scanner,
    ):
        scanner.wait_until_priced(len(tickers()))
        with watching(scanner.file) as watcher:
            market.go()
            pause(SETTLE_S)
            used, market_used, began_s = scanner.cpu_s(), cpu_s(market.process), clock.monotonic_s()
            began = clock.utc_now().timestamp()
            beside = control(seconds)
            took_s = clock.monotonic_s() - began_s
            cpu, market_cpu = scanner.cpu_s() - used, cpu_s(market.process) - market_used
            ended = clock.utc_now().timestamp()
            told = market.stop()
            wrong = _wrong_after(scanner, told, clock)
            writes = watcher.stop()
        first, last = math.ceil(began), math.floor(ended) - 1
        delays = delays_s(writes, told, first=first, last=last)
        return Load(
            rate=told.messages / len(told.sent),
            cpu=cpu / took_s,
            cpu_us=1e6 * cpu / max(1.0, told.messages_within(began, ended)),
            market_cpu=market_cpu / took_s,
            peak_mb=scanner.peak_mb(),
            delays_s=delays,
            unseen=len(told.slots) * (last - first + 1) - len(delays),
            wrong=wrong,
            control=beside,
            market_late_s=told.late_s(),
        )


def _wrong_after(scanner: Scanner, told: Told, clock: SystemClock) -> int:
    """Return how many tickers' last tick is not in the table 2 s after the last one was sent."""
    ended = max(row[-1] for row in told.sent.values() if row)
    pause(ended + AFTER_S - clock.utc_now().timestamp())
    table = scanner.table()
    return sum(not _is_there(table.get(ticker), *said) for ticker, said in told.last.items())


def _is_there(row: tuple[float, int] | None, price: float, second: int) -> bool:
    return row is not None and row[1] == second and math.isclose(row[0], price, rel_tol=FLOAT32)


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerLoad:
    """yfinance's listener under the same load: it writes to no table."""

    rate: float
    cpu: float
    cpu_us: float
    peak_mb: float
    control: Control


def peer_load(folder: Path, shape: str, seconds: float) -> PeerLoad:
    """Run 89 of yfinance's listeners in one process against the full market."""
    clock = SystemClock()
    lists = lists_of(tickers(), PER_CONNECTION)
    with (
        full_market(_made(folder / "market"), slices=SHAPES[shape]) as market,
        listening(folder / "peer", market, lists) as peer,
    ):
        peer.wait_for(ENOUGH)
        pause(1.0)
        market.go()
        pause(SETTLE_S)
        used, began = peer.cpu_s(), clock.utc_now().timestamp()
        beside = control(seconds)
        cpu, ended = peer.cpu_s() - used, clock.utc_now().timestamp()
        told = market.stop()
        return PeerLoad(
            rate=told.messages / len(told.sent),
            cpu=cpu / (ended - began),
            cpu_us=1e6 * cpu / max(1.0, told.messages_within(began, ended)),
            peak_mb=peer.peak_mb(),
            control=beside,
        )


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder
