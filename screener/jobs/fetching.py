"""What one scan has fetched: which tickers are to be, batch by batch, and who has traded. Evaluates no condition."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from core.errors import TickerdError
from screener.cube.bars import Bars
from screener.expressions.fields import Bools
from screener.jobs.feed import Feed, FetchStopped, NoFeed, batches, merged
from screener.jobs.market import Market
from screener.jobs.priority import Places
from screener.jobs.request import Plan


class Fetching:
    """`to_fetch`, `fetched`: tickers; `day`: the session that is fetched for, 0 if nothing is."""

    def __init__(self, feed: Feed, plan: Plan, market: Market) -> None:
        """`feed` is asked only for a scan that wants prices no older than so many seconds."""
        wanted = plan.request.max_age_s > 0
        self._feed, self._plan = feed if wanted else NoFeed(), plan
        stale = self._feed.stale(market.bars, max_age_s=plan.request.max_age_s) if wanted else None
        self._stale: Bools = np.zeros(market.tickers, np.bool_) if stale is None else stale.which
        self.day = stale.day if stale is not None and stale.which.any() else 0
        self.to_fetch = self.fetched = 0

    @property
    def any(self) -> bool:
        return bool(self._stale.any())

    def chosen(self, places: Places) -> Bools:
        """Return which of `places` are to be fetched."""
        which = self._stale[places]
        self.to_fetch = int(which.sum())
        return which

    def traded(self, market: Market) -> Bools:
        """Return which tickers there is, or may be, something to find of: the others are halted or gone."""
        if self._plan.is_range:
            return market.bars.counts > 0
        return (self.of_session(market.sessions(1)) | self._stale) if self.any else market.current()

    def of_session(self, sessions: NDArray[np.int32]) -> Bools:
        """Return which tickers have a bar of the session that is fetched for."""
        newest: Bools = sessions[-1] >= self.day
        return newest

    def closed(self, market: Market) -> Market:
        """Return the market before the bars that are scanned; those that are still to be fetched come after it."""
        return market if self.any and not market.is_live else market.before()

    def come(
        self, market: Market, places: Places, is_over: Callable[[], bool]
    ) -> Iterator[tuple[Places, Bars | TickerdError]]:
        """Fetch the tickers at `places` in their order; give each batch with its bars, or with why it has none."""
        for batch in batches(places, self._feed.batch):
            if is_over():
                return
            came: Bars | TickerdError
            try:
                came = self._feed.fetch(market.part(batch), is_over)
            except FetchStopped:
                return
            except TickerdError as error:
                came = error
            self.fetched += len(batch)
            yield batch, came

    @staticmethod
    def joined(market: Market, parts: list[tuple[Places, Bars]]) -> Market:
        """Return the market with what has come."""
        return market.with_bars(merged(market.bars, parts)) if parts else market
