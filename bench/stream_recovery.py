"""How soon data comes again after each fault, for `bench.stream`: the shipped scanner and yfinance's listener.

Both stand on the same market when the fault strikes. The scanner has 89 connections and its flight recorder says when
each frame came; yfinance has one connection of 99 tickers and a canary. Both are started anew each time.
"""

from __future__ import annotations

import math
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

from bench.stream_control import control
from bench.stream_market import tickers
from bench.stream_peers import FIRST, listening, lists_of
from bench.stream_scanner import Scanner, scanning
from core.clock import SystemClock, pause
from core.flight import Record, read_flight, segments
from simulator.testing import PracticeProcess

PER_CONNECTION = 99
FLIGHT_MB = 200
STALL_S = 5.0
SETTLE_S = 2.0
"""Every subscription is in place, and every connection proven."""
WATCH_S = 7.0
"""yfinance tries again each 3 s: twice in this time."""
FROZEN_S, QUICK_FROZEN_S, AWAY_S = 30.0, 6.0, 5.0
ECHO_S = 0.02
"""What was on its way when the fault struck."""
CUT_LIST, CUT_AT = 120, 100
CUT_WITHIN_S = 90.0

Strike = Callable[[PracticeProcess], float]
"""Lets the fault happen; returns the moment from which data may come again (seconds since 1970)."""


def _now_s() -> float:
    return SystemClock().utc_now().timestamp()


def _closed(code: int) -> Strike:
    def strike(market: PracticeProcess) -> float:
        market.fault("close", code=code)
        return _now_s()

    return strike


def _reset(market: PracticeProcess) -> float:
    market.fault("reset")
    return _now_s()


def _mute(market: PracticeProcess) -> float:
    """Those that are open fall silent for good; a new one is served."""
    numbers = [str(each.number) for each in market.connections() if each.symbols and each.closed_at_s is None]
    market.fault("mute", connections=numbers)
    return _now_s()


def _frozen(seconds: float) -> Strike:
    def strike(market: PracticeProcess) -> float:
        """Stop the whole process: not even a handshake or a pong."""
        market.process.send_signal(signal.SIGSTOP)
        pause(seconds)
        market.process.send_signal(signal.SIGCONT)
        return _now_s()

    return strike


def _away(market: PracticeProcess) -> float:
    """Lose every connection, and refuse each new one for a while."""
    market.fault("refuse")
    market.fault("reset")
    pause(AWAY_S)
    market.clear("refuse")
    return _now_s()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """`within_s`: until the middle one of the connections has data again, in the median of all times or, with `each`,
    each time."""

    name: str
    strike: Strike
    within_s: float
    each: bool = True
    prices: Mapping[str, float] = field(default_factory=dict)
    watch_s: float = WATCH_S


def faults(*, quick: bool) -> list[Fault]:
    frozen_s = QUICK_FROZEN_S if quick else FROZEN_S
    return [
        Fault(name="close (1000)", strike=_closed(1000), within_s=1.0, each=False),
        Fault(name="going away (1001)", strike=_closed(1001), within_s=1.0, each=False),
        Fault(name="reset", strike=_reset, within_s=1.0, each=False),
        Fault(
            name=f"mute, limit {STALL_S:g} s",
            strike=_mute,
            within_s=STALL_S + 1.0,
            prices={"stall_timeout_s": STALL_S},
            watch_s=STALL_S + WATCH_S,
        ),
        Fault(name=f"frozen {frozen_s:g} s", strike=_frozen(frozen_s), within_s=2.0),
        Fault(name=f"server away {AWAY_S:g} s", strike=_away, within_s=3.0),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Healed:
    """Seconds from the fault to data again: first, middle and last of the connections; yfinance's (infinity: never).

    `awake_late_s`: the latest that an empty loop woke meanwhile.
    """

    first_s: float
    middle_s: float
    last_s: float
    peer_s: float
    awake_late_s: float


def heal(folder: Path, market: PracticeProcess, fault: Fault) -> Healed:
    """Start both, let it happen, watch."""
    lists = lists_of(tickers()[:PER_CONNECTION], PER_CONNECTION)
    with (
        scanning(folder / "scanner", market, {"flight_recorder_mb": FLIGHT_MB, **fault.prices}) as scanner,
        listening(folder / "peer", market, lists, heard=True) as peer,
    ):
        scanner.wait_until_priced(int(0.99 * len(tickers())))
        peer.wait_for(FIRST)
        pause(SETTLE_S)
        pause(0.5 - _now_s() % 1.0)  # the market speaks at the beginning of each second: nothing is on its way now
        pause(1.0)
        at = fault.strike(market)
        late_s = control(fault.watch_s).late_s[-1]
        scanner.stop()
        market.clear()
        gaps, peer_s = sorted(gaps_s(scanner, at)), _first_after(peer.heard_at(), at)
        return Healed(first_s=gaps[0], middle_s=median(gaps), last_s=gaps[-1], peer_s=peer_s, awake_late_s=late_s)


def gaps_s(scanner: Scanner, at: float) -> list[float]:
    """Return for each connection how long after `at` its next frame came, infinity if none did."""
    next_s: dict[str, float] = {}
    for path in segments(scanner.folder / "flight/prices"):
        for record in read_flight(path):
            if isinstance(record, Record) and record.kind == "frame":
                next_s.setdefault(record.source, math.inf)
                since = record.at.timestamp() - at
                if ECHO_S < since < next_s[record.source]:
                    next_s[record.source] = since
    return list(next_s.values())


def _first_after(heard_at: Sequence[float], at: float) -> float:
    return next((each - at for each in heard_at if each > at + ECHO_S), math.inf)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """Lists of 121 symbols that the server cuts at 100: how many of them were found out, after which times.

    `said`: the log says how many were asked and how many heard. `peer_heard`, `peer_asked`: yfinance's symbols.
    """

    lists: int
    found_s: list[float]
    said: bool
    peer_heard: int
    peer_asked: int


def cut(folder: Path, market: PracticeProcess) -> Cut:
    """Start both with lists that are too long, and wait until the scanner has found every one."""
    count = -(-len(tickers()) // CUT_LIST)
    asked = tickers()[:CUT_LIST]
    with (
        scanning(folder / "scanner", market, {"symbols_per_connection": CUT_LIST}) as scanner,
        listening(folder / "peer", market, lists_of(asked, CUT_LIST)) as peer,
    ):
        clock, began_at = SystemClock(), _now_s()
        end_s = clock.monotonic_s() + CUT_WITHIN_S
        while len(lost := _truncated(scanner)) < count and clock.monotonic_s() < end_s:
            pause(1.0)
        peer_heard = peer.stop()
    return Cut(
        lists=count,
        found_s=sorted(datetime.fromisoformat(line["@timestamp"]).timestamp() - began_at for line in lost),
        said=bool(lost) and all(line["heard"] <= CUT_AT < line["asked"] for line in lost),
        peer_heard=peer_heard,
        peer_asked=len(asked) + 1,
    )


def _truncated(scanner: Scanner) -> list[dict[str, Any]]:
    """Return the first loss of each list that was called by its name."""
    lost = [line for line in scanner.events("stream_connection_lost") if line["cause"] == "truncated"]
    return list({line["shard"]: line for line in reversed(lost)}.values())
