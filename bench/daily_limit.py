"""The product's own rate against a hidden limit that moves, in virtual time, for `bench.daily`.

The limit is a sliding window: so many answers in the last ten seconds, whatever was refused; each refusal is counted.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from net.budget import Lane, praised, quiet_s, refused, reserved

WINDOW_S = 10.0


@dataclass(slots=True)
class HiddenLimit:
    """`phases`: (seconds, requests a second), one after the other; the last one stays."""

    phases: Sequence[tuple[float, float]]
    taken_s: deque[float] = field(default_factory=deque)

    def at(self, now_s: float) -> float:
        for lasts_s, per_s in self.phases[:-1]:
            if now_s < lasts_s:
                return per_s
            now_s -= lasts_s
        return self.phases[-1][1]

    def admits(self, now_s: float) -> bool:
        while self.taken_s and self.taken_s[0] <= now_s - WINDOW_S:
            self.taken_s.popleft()
        if len(self.taken_s) >= self.at(now_s) * WINDOW_S:
            return False
        self.taken_s.append(now_s)
        return True


def least_s(requests: int, phases: Sequence[tuple[float, float]]) -> float:
    """Return the time in which the limit allows so many requests."""
    passed_s, left = 0.0, float(requests)
    for lasts_s, per_s in phases[:-1]:
        if left <= lasts_s * per_s:
            return passed_s + left / per_s
        passed_s, left = passed_s + lasts_s, left - lasts_s * per_s
    return passed_s + left / phases[-1][1]


def run(
    requests: int,
    phases: Sequence[tuple[float, float]],
    *,
    start_per_s: float,
    max_per_s: float,
    latency_s: float,
    seed: int,
) -> tuple[float, int]:
    """Return the seconds until all are answered and how many were refused. Latency has a tail, as a network has."""
    limit, lane, dice = HiddenLimit(phases), Lane(rate_per_s=start_per_s), random.Random(seed)
    now_s, done, wrong = 0.0, 0, 0
    under_way: deque[tuple[float, float, bool]] = deque()
    refused_s = -1.0
    while done < requests:
        lane, wait_s = reserved(lane, now_s=now_s)
        slot_s = now_s + wait_s
        while under_way and under_way[0][0] <= slot_s:
            at_s, sent_s, good = under_way.popleft()
            if good:
                lane, done = praised(lane, max_per_s=max_per_s), done + 1
            else:
                wrong += 1
                if sent_s >= refused_s:  # requests that were under way together are refused once
                    lane, refused_s = refused(lane, now_s=at_s, retry_after_s=None), at_s
        now_s = slot_s
        if (silence_s := quiet_s(lane, now_s=now_s)) > 0:
            now_s += silence_s
            lane = Lane(
                rate_per_s=lane.rate_per_s,
                used_at_s=now_s,
                next_free_s=now_s,
                refused_per_s=lane.refused_per_s,
                refusals=lane.refusals,
            )
            continue
        answered_s = now_s + latency_s * dice.uniform(0.7, 2.0)
        under_way.append((answered_s, now_s, limit.admits(now_s)))
        under_way = deque(sorted(under_way))
    return now_s, wrong
