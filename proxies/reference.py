"""What Yahoo says to this host itself, to compare with: one small request, rarely. Uses no proxy of the pool."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from core.clock import Clock
from core.errors import RetryLater
from core.logs import get_logger
from net.budget import Budget
from net.client import Getter
from yahoo.chart import QUERY, Chart, parse_chart, url_of

log = get_logger(__name__)

LONGEST_WAIT_S = 10.0
"""For a slot of the budget: scanners come first."""
OLDEST_S = 3600.0
AGAIN_S = 30.0
"""After a failure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    chart: Chart
    at_s: float


class DirectReference:
    """Charts asked by the direct lane, inside the rate that all processes share."""

    def __init__(self, http: Getter, budget: Budget, clock: Clock) -> None:
        self._http, self._budget, self._clock = http, budget, clock
        self._kept: dict[str, _Kept] = {}
        self._asking = asyncio.Lock()
        self._failed_s = -AGAIN_S

    async def chart(self, symbol: str, *, max_age_s: float) -> Chart | None:
        """Return what Yahoo says; an older chart where it cannot be asked now, None where there is none."""
        async with self._asking:
            now_s = self._clock.monotonic_s()
            kept = self._kept.get(symbol)
            if kept is not None and now_s - kept.at_s <= max_age_s:
                return kept.chart
            if now_s - self._failed_s >= AGAIN_S:
                await self._ask(symbol)
            kept = self._kept.get(symbol)
            return kept.chart if kept is not None and now_s - kept.at_s <= OLDEST_S else None

    async def _ask(self, symbol: str) -> None:
        try:
            chart = await self._asked(symbol)
        except RetryLater as error:
            self._failed_s = self._clock.monotonic_s()
            log.warning("proxy_reference_missed", symbol=symbol, error=str(error), retry_s=AGAIN_S)
            return
        if chart is not None and chart.symbol == symbol:
            self._kept[symbol] = _Kept(chart=chart, at_s=self._clock.monotonic_s())

    async def _asked(self, symbol: str) -> Chart | None:
        now_s = self._clock.monotonic_s()
        if self._budget.lane().next_free_s - now_s > LONGEST_WAIT_S:
            raise RetryLater("the direct lane is busy", where=url_of(symbol))
        await self._clock.sleep(self._budget.reserve(now_s=now_s))
        answer = await self._http.get(url_of(symbol), QUERY)
        if answer.status == 429:
            self._budget.refuse(now_s=self._clock.monotonic_s())
        if answer.status != 200:
            raise RetryLater(f"status {answer.status}", where=url_of(symbol))
        return parse_chart(answer.body)
