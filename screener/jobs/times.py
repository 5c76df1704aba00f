"""What the stages of earlier scans took, by kind, size and state of the caches. Keeps one small file.

A file that cannot be read or written costs the history, never a scan.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from core.files import write_atomic
from core.logs import get_logger
from screener.jobs.progress import FIRST_SPREAD, STAGES

log = get_logger(__name__)

NEWEST = 0.2
"""How much the newest scan counts in the running mean."""
MOST_KINDS = 200


class Times(msgspec.Struct, kw_only=True):
    """Seconds of each stage, how evenly its items were done, and how far off the whole was, as a share of it."""

    seconds: dict[str, float]
    steady: dict[str, float] = {}
    spread: float = FIRST_SPREAD
    scans: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What scans are alike. `warm`: the fields that it needs are computed already."""

    name: str
    tickers: int
    warm: bool

    @property
    def key(self) -> str:
        return f"{self.name}/{self.tickers.bit_length()}/{'warm' if self.warm else 'cold'}"


class History:
    """The times learned so far; `file` None: of this process only."""

    def __init__(self, file: Path | None) -> None:
        self._file, self._lock = file, threading.Lock()
        self._times = _read(file)
        self._unsaved = False

    def of(self, kind: Kind) -> Times | None:
        with self._lock:
            return self._times.get(kind.key)

    def learn(self, kind: Kind, seconds: Mapping[str, float], steady: Mapping[str, float]) -> None:
        """Add a scan that ran to its end."""
        if set(seconds) != set(STAGES):
            return
        with self._lock:
            self._times[kind.key] = _learned(self._times.pop(kind.key, None), seconds, steady)
            for oldest in list(self._times)[: len(self._times) - MOST_KINDS]:
                del self._times[oldest]
            self._unsaved = True

    def save(self) -> None:
        """Write what was learned since the last time."""
        with self._lock:
            if self._file is None or not self._unsaved:
                return
            self._unsaved = False
            self._write(self._file)

    def _write(self, file: Path) -> None:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(file, msgspec.json.encode(self._times))
        except OSError as error:
            log.warning("scan_times_not_kept", file=str(file), error=str(error))


def _learned(known: Times | None, seconds: Mapping[str, float], steady: Mapping[str, float]) -> Times:
    if known is None:
        return Times(seconds=dict(seconds), steady=dict(steady), scans=1)
    whole = sum(known.seconds.values())
    off = abs(sum(seconds.values()) - whole) / whole if whole > 0 else known.spread
    return Times(
        seconds=_moved(known.seconds, seconds),
        steady=_moved(known.steady, steady),
        spread=(1 - NEWEST) * known.spread + NEWEST * off,
        scans=known.scans + 1,
    )


def _moved(known: Mapping[str, float], newest: Mapping[str, float]) -> dict[str, float]:
    return {name: (1 - NEWEST) * known.get(name, each) + NEWEST * each for name, each in newest.items()}


def _read(file: Path | None) -> dict[str, Times]:
    if file is None or not file.exists():
        return {}
    try:
        return msgspec.json.decode(file.read_bytes(), type=dict[str, Times])
    except (OSError, msgspec.MsgspecError) as error:
        log.warning("scan_times_not_read", file=str(file), error=str(error))
        return {}
