"""How far a scan is: stages, throughput, time left, one number that never goes back. Reads no clock, prints nothing.

Without history the stages have set weights. Once earlier scans of the kind have shown what each stage takes, progress
is the share of the time: t / (t + time left).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

STAGES = ("universe_loading", "data_fetching", "symbol_scanning", "finalization")
WEIGHTS: Mapping[str, float] = dict(zip(STAGES, (0.05, 0.20, 0.70, 0.05), strict=True))
SHRINK = 0.15
"""How much of a known pace, as a share of the whole, stands against what is seen of this scan."""
MOST_BY_CLOCK = 0.95
"""The clock alone never says that a stage is over."""
FIRST_SPREAD = 0.3
"""How far, as a share of it, the time left may be off before anything was learned."""


@dataclass(slots=True)
class Stage:
    """Times in monotonic seconds; `expected_s` None: never seen before.

    `steady`: how well the items done told the time in earlier scans: 1 = each took as long as the next, 0 = all of it
    was one piece of work, which only the clock can follow.
    """

    name: str
    expected_s: float | None = None
    started_s: float | None = None
    ended_s: float | None = None
    done: int = 0
    total: int = 0
    steady: float = 1.0
    moved_s: float = 0.0
    area_s: float = 0.0
    """The share over time, summed up: half the time for a stage that goes on evenly."""

    def copy(self) -> Stage:
        return replace(self)

    def move(self, done: int, now_s: float) -> None:
        """Say how many items are done, whether or not the stage has begun."""
        if self.state == "running":
            self.area_s += self.share * (now_s - self.moved_s)
            self.moved_s = now_s
        self.done = max(self.done, done)

    def was_steady(self) -> float:
        """Return, of a stage that is over, how evenly its items were done."""
        took_s = self.elapsed_s(0.0)
        return 1.0 - min(1.0, 2 * abs(self.area_s / took_s - 0.5)) if took_s > 0 else 0.0

    def reckoned(self, now_s: float) -> float:
        """Return the share that is done by count and clock, as far as each is to be believed; 0 to 1."""
        if self.state != "running" or not self.expected_s:
            return self.share
        by_clock = min(self.elapsed_s(now_s) / self.expected_s, MOST_BY_CLOCK)
        return self.share + (1 - self.steady) * max(0.0, by_clock - self.share)

    @property
    def share(self) -> float:
        """0 to 1."""
        if self.ended_s is not None:
            return 1.0
        return min(1.0, self.done / self.total) if self.total else 0.0

    @property
    def state(self) -> str:
        if self.started_s is None:
            return "pending"
        return "running" if self.ended_s is None else "complete"

    def elapsed_s(self, now_s: float) -> float:
        if self.started_s is None:
            return 0.0
        return (self.ended_s if self.ended_s is not None else now_s) - self.started_s


class Tracker:
    """Follows one scan. `expected_s`: what each stage took in earlier scans of its kind; empty: no history."""

    def __init__(
        self, scan_id: str, expected_s: Mapping[str, float], *, now_s: float, spread: float = FIRST_SPREAD
    ) -> None:
        known = len(expected_s) == len(STAGES)
        self.scan_id, self.learned, self.spread = scan_id, known, spread
        self.stages = {name: Stage(name, expected_s.get(name) if known else None) for name in STAGES}
        self.started_s, self.current = now_s, STAGES[0]
        self.status, self.message, self.ticker = "pending", "", ""
        self.signals = self.high_value = 0
        self.terminated: Mapping[str, Any] | None = None
        self._reached = 0.0
        self._earlier: tuple[Tracker, float] | None = None

    def learn(self, expected_s: Mapping[str, float], spread: float, steady: Mapping[str, float]) -> None:
        """Say what the stages of earlier scans took, once it is known what kind of scan this is."""
        self.learned, self.spread = True, spread
        for name, stage in self.stages.items():
            stage.expected_s, stage.steady = expected_s[name], steady.get(name, 1.0)

    def start(self, name: str, *, total: int, now_s: float) -> None:
        """Begin a stage; one that runs ends, its whole share counted. What was done ahead of it stays done."""
        if self.stages[self.current].state == "running":
            self.end(now_s=now_s)
        stage = self.stages[name]
        stage.started_s = stage.moved_s = now_s
        stage.total = total
        self.current, self.status = name, "running"
        self.message = name.replace("_", " ").capitalize()

    def advance(self, done: int, *, now_s: float) -> None:
        """Say how many of the current stage's items are done."""
        self.stages[self.current].move(done, now_s)

    def scanned(self, done: int, *, now_s: float, ticker: str = "") -> None:
        """Say how many tickers are scanned, in whatever stage: what has been fetched is scanned at once."""
        stage = self.stages["symbol_scanning"]
        stage.move(done, now_s)
        if ticker:
            self.ticker = ticker
            self.message = f"Scanning {ticker} ({stage.done}/{stage.total})"

    def end(self, *, now_s: float) -> float:
        """End the current stage; return its seconds."""
        stage = self.stages[self.current]
        stage.move(stage.done, now_s)
        stage.ended_s = now_s
        return stage.elapsed_s(now_s)

    def finish(self, status: str, *, now_s: float, terminated: Mapping[str, Any] | None = None) -> None:
        """End the scan: "complete", "terminated_early", "cancelled" or "failed"."""
        if self.stages[self.current].state == "running":
            self.end(now_s=now_s)
        self.status, self.terminated = status, terminated
        self.message = status.replace("_", " ").capitalize()

    @property
    def ended(self) -> bool:
        return self.status not in ("pending", "running")

    def weights(self) -> dict[str, float]:
        """Return each stage's share of the whole."""
        if not self.learned:
            return dict(WEIGHTS)
        whole = self._expected_s() or 1.0
        return {name: (stage.expected_s or 0.0) / whole for name, stage in self.stages.items()}

    def overall(self, now_s: float) -> float:
        """Return 0-100, never less than before; 100 only at the end."""
        for still, at_s in self._earlier_ones():
            self._reached = still._reached = max(self._reached, still._capped(at_s))
            still._earlier = None
        self._earlier = None
        self._reached = max(self._reached, self._capped(now_s))
        return self._reached

    def _earlier_ones(self) -> list[tuple[Tracker, float]]:
        """Return what was frozen and not read yet, oldest first."""
        found, earlier = [], self._earlier
        while earlier is not None:
            found.append(earlier)
            earlier = earlier[0]._earlier
        return found[::-1]

    def _capped(self, now_s: float) -> float:
        return min(100.0, self._whole(now_s))

    def _whole(self, now_s: float) -> float:
        if self.ended:
            return 100.0 if self.status != "failed" else self._reached
        if not self.learned:
            weights = self.weights()
            return 100.0 * math.fsum(weights[name] * stage.share for name, stage in self.stages.items())
        elapsed_s, left_s = now_s - self.started_s, self.eta_s(now_s) or 0.0
        return 100.0 * elapsed_s / (elapsed_s + left_s) if elapsed_s + left_s > 0 else 0.0

    def eta_s(self, now_s: float) -> float | None:
        """Return the seconds left; None while nothing tells."""
        if self.ended:
            return 0.0
        if self.learned:
            left_s = self._stage_left_s(now_s) or 0.0
            return left_s + self._speed(now_s) * self._future_s()
        share = self._whole(now_s) / 100
        return (now_s - self.started_s) * (1 - share) / share if share > 0 else None

    def _stage_left_s(self, now_s: float) -> float | None:
        """Between the pace of this stage so far and what earlier scans took, trusting the pace as it shows."""
        stage = self.stages[self.current]
        share, elapsed_s = stage.reckoned(now_s), stage.elapsed_s(now_s)
        if stage.expected_s is None:
            return elapsed_s * (1 - share) / share if share > 0 else None
        if stage.state == "pending":
            return stage.expected_s * self._speed(now_s)
        trust = share / (share + SHRINK)
        by_pace_s = elapsed_s * (1 - share) / (share + SHRINK)  # = trust * elapsed * (1 - share) / share, whole at 0
        return by_pace_s + (1 - trust) * stage.expected_s * (1 - share) * self._speed(now_s)

    def _speed(self, now_s: float) -> float:
        """Return how much slower than expected this scan is, 1 = as expected."""
        seen_s = known_s = 0.0
        for stage in self.stages.values():
            if stage.state != "pending":
                seen_s += stage.elapsed_s(now_s)
                known_s += (stage.expected_s or 0.0) * stage.reckoned(now_s)
        prior_s = SHRINK * self._expected_s()
        return (seen_s + prior_s) / (known_s + prior_s) if known_s + prior_s > 0 else 1.0

    def _expected_s(self) -> float:
        return math.fsum(stage.expected_s or 0.0 for stage in self.stages.values())

    def _future_s(self) -> float:
        current = self.current
        return math.fsum(
            stage.expected_s or 0.0
            for stage in self.stages.values()
            if stage.state == "pending" and stage.name != current
        )

    def frozen(self, now_s: float) -> Callable[[], dict[str, Any]]:
        """Return what makes the payload of now, at any later time: most are never read, and cost next to nothing.

        What was frozen before counts even so: progress never goes back, read or not.
        """
        still = Tracker.__new__(Tracker)
        stages = {name: stage if stage.ended_s is not None else stage.copy() for name, stage in self.stages.items()}
        still.__dict__ = self.__dict__ | {"stages": stages}
        self._earlier = still, now_s
        return partial(still.payload, now_s)

    def payload(self, now_s: float) -> dict[str, Any]:
        """Return what a client is told: seed names first, then what is more."""
        stage, weights = self.stages[self.current], self.weights()
        eta_s, stage_eta_s = self.eta_s(now_s), None if self.ended else self._stage_left_s(now_s)
        overall = self.overall(now_s)
        scanned = self.stages["symbol_scanning"]
        elapsed_s = now_s - self.started_s
        return {
            "scan_id": self.scan_id,
            "status": self.status,
            "current_stage": self.current,
            "stages": {name: _stage_payload(each, weights[name], now_s) for name, each in self.stages.items()},
            "overall_progress": round(overall, 2),
            "overall_eta": _rounded(eta_s),
            "overall_eta_formatted": duration_text(eta_s),
            "stage_progress": round(100 * stage.share, 2),
            "stage_eta": _rounded(stage_eta_s),
            "stage_eta_formatted": duration_text(stage_eta_s),
            "stage_throughput": _throughput(stage, now_s),
            "message": self.message,
            "ts": round(now_s, 6),
            "elapsed": round(elapsed_s, 6),
            "eta_low": _rounded(None if eta_s is None else eta_s / (1 + self.spread)),
            "eta_high": _rounded(None if eta_s is None else eta_s * (1 + self.spread)),
            "processed": scanned.done,
            "total": scanned.total,
            "signals": self.signals,
            "high_value": self.high_value,
            "coverage": scanned.done / scanned.total if scanned.total else 0.0,
            "terminated": self.terminated,
            # seed 000's names of the same
            "progress_percent": round(overall, 2),
            "current_ticker": self.ticker,
            "processed_tickers": scanned.done,
            "total_tickers": scanned.total,
            "results_found": self.signals,
            "execution_time": round(elapsed_s, 6),
        }

    def steady(self) -> dict[str, float]:
        """Return how evenly the items of each stage were done."""
        return {name: stage.was_steady() for name, stage in self.stages.items()}

    def timings(self, now_s: float) -> dict[str, dict[str, Any]]:
        """Return for each stage its seconds, items and items a second."""
        return {
            name: {"elapsed_s": stage.elapsed_s(now_s), "done": stage.done, "per_s": _throughput(stage, now_s)}
            for name, stage in self.stages.items()
            if stage.started_s is not None
        }


def _stage_payload(stage: Stage, weight: float, now_s: float) -> dict[str, Any]:
    return {
        "weight": round(weight, 4),
        "progress": round(100 * stage.share, 2),
        "state": stage.state,
        "done": stage.done,
        "total": stage.total,
        "elapsed": round(stage.elapsed_s(now_s), 6),
        "expected": stage.expected_s,
    }


def _throughput(stage: Stage, now_s: float) -> float:
    elapsed_s = stage.elapsed_s(now_s)
    return round(stage.done / elapsed_s, 2) if elapsed_s > 0 else 0.0


def _rounded(value_s: float | None) -> float | None:
    return None if value_s is None else round(value_s, 3)


def duration_text(duration_s: float | None) -> str:
    """Return `1m 30s`, `45s`, `2h 5m`; "unknown" for None."""
    if duration_s is None:
        return "unknown"
    whole = int(duration_s + 0.5)  # half a second counts: 120.5 is 2m 1s
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60}s"
    return f"{whole // 3600}h {whole % 3600 // 60}m"
