"""The control beside each figure of `bench.stream`: a loop that does next to nothing says how noisy the machine is."""

from __future__ import annotations

import time
from dataclasses import dataclass
from statistics import median

from core.clock import SystemClock, pause

NAP_S = 0.01
WORK = range(2000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """`late_s`: how late each waking was, sorted; `work_us`: processor time of the same little work each time.

    Processor time grows too when others use the other half of a core: compare figures only where this one is alike.
    """

    late_s: list[float]
    work_us: float


def control(duration_s: float) -> Control:
    """Wake each 10 ms for so long."""
    clock = SystemClock()
    end_s = clock.monotonic_s() + duration_s
    late_s: list[float] = []
    work_us: list[float] = []
    while (now_s := clock.monotonic_s()) < end_s:
        pause(NAP_S)
        late_s.append(clock.monotonic_s() - now_s - NAP_S)
        began_s = time.process_time()
        sum(WORK)
        work_us.append(1e6 * (time.process_time() - began_s))
    return Control(late_s=sorted(late_s), work_us=median(work_us))
