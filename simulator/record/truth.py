"""What each ticker's price really was, second by second, and which stream was sent it. Bounded; does no I/O.

Ten bytes a trade and two a frame sent: a market in which 8,782 tickers trade each second takes 6 MB a minute.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_right, insort
from collections.abc import Mapping
from dataclasses import dataclass, field
from operator import attrgetter

from simulator.world.walk import Market, Stock

MEGABYTE = 1_000_000
FEW_TICKERS = 60_000
FLOAT32 = 1e-7
"""What a stream's single precision takes off a price, relative."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One true price that went out over a stream; `at_s`: the second that it was sent in."""

    at_s: int
    connection: int
    price: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrong:
    """A table's row that is not the truth; `true_price` and `true_at_s`: what it should hold at least."""

    ticker: str
    price: float
    at_s: int
    true_price: float | None
    true_at_s: int | None
    reason: str


@dataclass(slots=True)
class _Second:
    """What traded in a second, and what each connection was sent in it: indexes of tickers."""

    at_s: int
    tickers: array[int]
    prices: array[float]
    sent: dict[int, array[int]] = field(default_factory=dict)

    @property
    def cost_bytes(self) -> int:
        indexes = [self.tickers, *self.sent.values()]
        return sum(len(each) * each.itemsize for each in indexes) + len(self.prices) * self.prices.itemsize


class Truth:
    """The prices of the last so many seconds as `budget_mb` holds; of older ones each ticker's last."""

    def __init__(self, market: Market, *, budget_mb: float) -> None:
        self._market = market
        self._now_s = market.now_s
        self._budget_bytes = budget_mb * MEGABYTE
        self._used_bytes = 0
        self._index: dict[str, int] = {}
        # Two bytes for an index, unless somebody trades more tickers than the whole US.
        self._code = "H" if len(market.stocks) < FEW_TICKERS else "I"
        # The newest trade of each ticker that is older than all of `_seconds`.
        self._base_s, self._base = array("q"), array("d")
        self._seconds: list[_Second] = []
        self._list_new()

    def trade(self, now_s: int, traded: list[Stock]) -> None:
        """Note what has traded by the second `now_s`."""
        self._now_s = now_s
        self._list_new()
        # An opening auction has another time than the canary's tick of the same second.
        for at_s in sorted({stock.trade_time_s for stock in traded}):
            self._append(at_s, [stock for stock in traded if stock.trade_time_s == at_s])
        while self._used_bytes > self._budget_bytes and len(self._seconds) > 1:
            self._forget(self._seconds.pop(0))

    def sent(self, connection: int, symbols: list[str]) -> None:
        """Note the prices that went over a stream in this second."""
        indexes = self._indexes(symbols)
        if not self._seconds or self._seconds[-1].at_s != self._now_s:
            self._append(self._now_s, [])
        self._seconds[-1].sent.setdefault(connection, array(self._code)).extend(indexes)
        self._used_bytes += len(indexes) * indexes.itemsize

    def price_at(self, ticker: str, at_s: int) -> tuple[float, int] | None:
        """Return the ticker's last price by `at_s` and its second; None if it is unknown or forgotten."""
        index = self._index.get(ticker)
        if index is None:
            return None
        for second in reversed(self._seconds[: self._until(at_s)]):
            if index in second.tickers:
                return second.prices[second.tickers.index(index)], second.at_s
        return (self._base[index], self._base_s[index]) if self._base_s[index] <= at_s else None

    def sent_of(self, ticker: str, *, since_s: int = 0) -> list[Sent]:
        """Return when and over which connection the ticker's price was sent."""
        index = self._index.get(ticker)
        if index is None:
            return []
        found: list[Sent] = []
        price = self._base[index]
        for second in self._seconds:
            if index in second.tickers:
                price = second.prices[second.tickers.index(index)]
            numbers = [number for number, own in second.sent.items() if second.at_s >= since_s and index in own]
            found.extend(Sent(at_s=second.at_s, connection=number, price=price) for number in numbers)
        return found

    def check(self, table: Mapping[str, tuple[float, int]], *, lag_s: float) -> list[Wrong]:
        """Return the rows (ticker -> price, second of its trade) that are wrong, or older than `lag_s` excuses."""
        newest = self._as_of(int(self._now_s - lag_s))
        # Later ones need no excuse: they only have to be trades.
        later = self._trades({at_s for _, at_s in table.values() if at_s > self._now_s - lag_s})
        wrong: list[Wrong] = []
        for ticker, (price, at_s) in table.items():
            index = self._index.get(ticker)
            true, true_s = (None, None) if index is None else newest[index]
            traded = true if at_s == true_s else later.get((at_s, index))
            if reason := _reason(price, at_s, traded=traded, newest_s=true_s):
                row = Wrong(ticker=ticker, price=price, at_s=at_s, true_price=true, true_at_s=true_s, reason=reason)
                wrong.append(row)
        return wrong

    def _list_new(self) -> None:
        """Open a page for each ticker that has none: at the start all, later the new and the renamed ones."""
        for symbol in self._market.stocks.keys() - self._index.keys():
            stock = self._market.stocks[symbol]
            self._index[symbol] = len(self._index)
            self._base_s.append(stock.trade_time_s)
            self._base.append(stock.price)

    def _indexes(self, symbols: list[str]) -> array[int]:
        try:
            return array(self._code, map(self._index.__getitem__, symbols))
        except KeyError:
            self._list_new()
            return array(self._code, map(self._index.__getitem__, symbols))

    def _append(self, at_s: int, traded: list[Stock]) -> None:
        tickers = array(self._code, [self._index[stock.listing.symbol] for stock in traded])
        second = _Second(at_s, tickers, array("d", [stock.price for stock in traded]))
        insort(self._seconds, second, key=attrgetter("at_s"))
        self._used_bytes += second.cost_bytes

    def _forget(self, oldest: _Second) -> None:
        self._used_bytes -= oldest.cost_bytes
        for index, price in zip(oldest.tickers, oldest.prices, strict=True):
            self._base_s[index], self._base[index] = oldest.at_s, price

    def _until(self, at_s: int) -> int:
        """Return how many of the seconds are not after `at_s`."""
        return bisect_right(self._seconds, at_s, key=attrgetter("at_s"))

    def _as_of(self, at_s: int) -> list[tuple[float, int]]:
        """Return each ticker's last price by `at_s` and its second, by index."""
        newest = list(zip(self._base, self._base_s, strict=True))
        missing = set(range(len(newest)))
        for second in reversed(self._seconds[: self._until(at_s)]):
            if found := missing.intersection(second.tickers):
                prices = dict(zip(second.tickers, second.prices, strict=True))
                for index in found:
                    newest[index] = prices[index], second.at_s
                missing -= found
        return newest

    def _trades(self, wanted: set[int]) -> dict[tuple[int, int | None], float]:
        """Return (second, ticker) -> price for all trades of these seconds."""
        return {
            (second.at_s, index): price
            for second in self._seconds
            if second.at_s in wanted
            for index, price in zip(second.tickers, second.prices, strict=True)
        }


def _reason(price: float, at_s: int, *, traded: float | None, newest_s: int | None) -> str:
    """Return what is wrong with a row, or ""."""
    if newest_s is None:
        return "nobody lists this ticker"
    if at_s < newest_s:
        return "older than the last trade"
    if traded is None:
        return "no trade at that second"
    return "" if math.isclose(price, traded, rel_tol=FLOAT32) else "not the price of that trade"
