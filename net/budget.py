"""The request rate that all processes of this host share, in a locked file. Never sends anything, never waits.

Rate control is AIMD: each good answer adds a little, each refusal halves and cools down (RFC 5681 section 3.1). As in
RFC 9438 the rate of the last refusal is remembered: up to near it the way is quick, past it slow, far beyond it quick.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import msgspec

from core.files import BINARY, FileLock, writing

INCREASE_PER_S = 0.02
"""Added to the rate by each good answer: 88 of them lead from the default 0.25/s to 2/s."""
CAREFUL_PER_S = 0.0007
"""The same near the rate that was refused before: it grows by 0.07 % a second, and meets the limit now and then."""
NEAR = (0.88, 1.05)
"""Times the rate that was refused."""
NEAR_KEPT, NEAR_COOL_DOWN_S = 0.75, 10.0
"""What a refusal there costs, if good answers came since the last: it was the price of knowing the limit."""
EASED = 0.7
"""What is left of the rate after an error that is no refusal: the upstream may be overloaded."""
COOL_DOWN_S = 30.0
"""After the first refusal; after each further one without a good answer in between twice as long."""
MOST_REFUSALS = 8
"""More are not counted: the silence is then at its longest."""
SLOWEST_PER_S = 0.02
LONGEST_SILENCE_S = 600.0
"""However long a Retry-After asks for."""
RESTART_S = 60.0
"""Readings of two processes differ by milliseconds; one so far back is of a monotonic clock that began anew."""
WRITE = os.O_WRONLY | os.O_CREAT | BINARY
EARLY_WAKING_S = 0.001
"""A sleeper may wake by a rounding error before the end of a silence; that is no reason to wait for another slot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """One exit's state: `rate_per_s` requests a second; next free slot, last use and the end of the silence after a
    refusal in monotonic seconds. `refused_per_s`: the rate that was refused last, 0 = none; `refusals`: in a row."""

    rate_per_s: float
    next_free_s: float = 0.0
    used_at_s: float = 0.0
    quiet_until_s: float = 0.0
    refused_per_s: float = 0.0
    refusals: int = 0


def reserved(lane: Lane, *, now_s: float) -> tuple[Lane, float]:
    """Return the lane with one slot taken and the seconds to wait for that slot."""
    lane = _since_start(lane, now_s)
    slot_s = max(now_s, lane.next_free_s)
    return replace(lane, next_free_s=slot_s + 1.0 / lane.rate_per_s, used_at_s=now_s), slot_s - now_s


def given_back(lane: Lane, *, slot_s: float) -> Lane:
    """Return the lane without the slot at `slot_s` if it was the last one given: else others stand behind it."""
    is_last = abs(lane.next_free_s - 1.0 / lane.rate_per_s - slot_s) < EARLY_WAKING_S
    return replace(lane, next_free_s=slot_s) if is_last else lane


def praised(lane: Lane, *, max_per_s: float) -> Lane:
    """Return the lane after a good answer."""
    increase_per_s = CAREFUL_PER_S if _is_near(lane) else INCREASE_PER_S
    return replace(lane, rate_per_s=min(max_per_s, lane.rate_per_s + increase_per_s), refusals=0)


def _is_near(lane: Lane) -> bool:
    """Whether the rate is close to the one that was refused last."""
    least, most = (share * lane.refused_per_s for share in NEAR)
    return least <= lane.rate_per_s < most


def eased(lane: Lane) -> Lane:
    """Return the lane after an error that is no refusal."""
    return replace(lane, rate_per_s=max(SLOWEST_PER_S, EASED * lane.rate_per_s))


def refused(lane: Lane, *, now_s: float, retry_after_s: float | None) -> Lane:
    """Return the lane after a 429 or a refused crumb: half the rate, and silence for a while."""
    lane = _since_start(lane, now_s)
    is_late = quiet_s(lane, now_s=now_s) > 0  # of another process's request that was under way
    before = lane.refusals - is_late
    is_expected = _is_near(lane) and not before
    kept, cool_down_s = (NEAR_KEPT, NEAR_COOL_DOWN_S) if is_expected else (0.5, COOL_DOWN_S * 2**before)
    silence_s = min(LONGEST_SILENCE_S, max(cool_down_s, retry_after_s or 0.0))
    return Lane(
        rate_per_s=max(SLOWEST_PER_S, kept * lane.rate_per_s),
        next_free_s=max(lane.next_free_s, now_s + silence_s),
        used_at_s=now_s,
        quiet_until_s=max(lane.quiet_until_s, now_s + silence_s),
        refused_per_s=lane.rate_per_s,
        refusals=min(before + 1, MOST_REFUSALS),
    )


def quiet_s(lane: Lane, *, now_s: float) -> float:
    """Return for how long the silence after a refusal still lasts; 0 if there is none."""
    left_s = _since_start(lane, now_s).quiet_until_s - now_s
    return left_s if left_s > EARLY_WAKING_S else 0.0


def idle_in_s(lane: Lane, *, now_s: float) -> float:
    """Return in how many seconds a slot will have passed that nobody took; 0 or less: it has."""
    since_restart = now_s >= lane.used_at_s - RESTART_S
    return lane.next_free_s + 1.0 / lane.rate_per_s - now_s if since_restart and lane.next_free_s else 0.0


def _since_start(lane: Lane, now_s: float) -> Lane:
    """Return the lane without the times of before a restart of the machine."""
    return Lane(rate_per_s=lane.rate_per_s) if now_s < lane.used_at_s - RESTART_S else lane


class Budget:
    """The lane of one exit as a file under the state folder, changed only under its lock."""

    def __init__(self, state_dir: Path, *, start_per_s: float, max_per_s: float, name: str = "direct") -> None:
        self._file = state_dir / f"budget-{name}.json"
        self._lock = FileLock(state_dir / f"budget-{name}.lock")
        self._start = Lane(rate_per_s=min(start_per_s, max_per_s))
        self._max_per_s = max_per_s

    def reserve(self, *, now_s: float) -> float:
        """Take the next slot; return how many seconds to wait before sending."""
        with self._lock:
            lane, wait_s = reserved(self._read(), now_s=now_s)
            self._write(lane)
        return wait_s

    def give_back(self, *, slot_s: float) -> None:
        """Leave the slot at `slot_s` to another: nothing is sent in it."""
        with self._lock:
            self._write(given_back(self._read(), slot_s=slot_s))

    def praise(self) -> None:
        with self._lock:
            self._write(praised(self._read(), max_per_s=self._max_per_s))

    def refuse(self, *, now_s: float, retry_after_s: float | None = None) -> None:
        with self._lock:
            self._write(refused(self._read(), now_s=now_s, retry_after_s=retry_after_s))

    def ease(self) -> None:
        with self._lock:
            self._write(eased(self._read()))

    def quiet_for_s(self, now_s: float) -> float:
        """Return how long all must still be silent, though they hold a slot given before the refusal."""
        return quiet_s(self.lane(), now_s=now_s)

    def lane(self) -> Lane:
        """Return the lane as it stands, for status and tests."""
        with self._lock:
            return self._read()

    def _read(self) -> Lane:
        try:
            lane = msgspec.json.decode(self._file.read_bytes(), type=Lane)
        except (FileNotFoundError, msgspec.MsgspecError):
            return self._start  # new, or torn by a crash: begin at the careful rate
        return replace(lane, rate_per_s=min(self._max_per_s, max(SLOWEST_PER_S, lane.rate_per_s)))

    def _write(self, lane: Lane) -> None:
        # Not atomic and not synced on purpose: it is under the lock, and a torn file means the careful rate. Cut to its
        # length at the end: ext4 writes a file to the disk that was cut to nothing first, which takes milliseconds.
        text = msgspec.json.encode(asdict(lane))
        with writing(self._file), open(os.open(self._file, WRITE, 0o666), "wb", buffering=0) as file:
            file.write(text)
            file.truncate()
