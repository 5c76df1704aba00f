"""The prices: one random walk a ticker, seeded. Time is an argument. Never does I/O, never encodes anything."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from market.sessions import Calendar
from simulator.hours import hours_at
from simulator.listings import Listing, canary

SESSION_S = 23_400
"""09:30 to 16:00."""
TRADE_USD = 5_000
"""Mean size of one trade: AAPL then trades in every second, a ticker of 1 M USD a day each two minutes."""
NEVER_PER_S = 0.5 / SESSION_S
"""Below half a trade a session a ticker keeps its last price."""
DAY_SWING = 0.02
"""Standard deviation of a day's return."""
PULL = 0.0005
"""Share of the way back to the previous close that a trade goes: keeps weeks of practice near the start prices."""


@dataclass(slots=True, kw_only=True)
class Stock:
    """One ticker's day so far; always `low <= open, price <= high`. Tests may set the fields.

    `value`: the price before rounding, or a cheap ticker would never leave its tick.
    `trades_per_s`: the chance of a trade in a second; 0 = never. `swing`: spread of one trade as a fraction.
    """

    listing: Listing
    digits: int
    value: float
    price: float
    previous_close: float
    open: float
    high: float
    low: float
    volume: int
    trade_time_s: int
    trades_per_s: float
    swing: float
    last_size: int = 0

    @property
    def change(self) -> float:
        return round(self.price - self.previous_close, 4)

    @property
    def change_percent(self) -> float:
        return 100 * (self.price - self.previous_close) / self.previous_close

    def print_trade(self, *, value: float, size: int, at_s: int) -> None:
        """Print one trade of `size` shares at `value`, rounded to a tick."""
        self.value = value
        self.price = max(round(value, self.digits), 10.0**-self.digits)
        self.high = max(self.high, self.price)
        self.low = min(self.low, self.price)
        self.volume += size
        self.last_size = size
        self.trade_time_s = at_s

    def begin_session(self, *, at_s: int) -> None:
        """Make the last price the previous close and print the opening auction at that price."""
        self.previous_close = self.open = self.high = self.low = self.price
        self.digits = digits_of(self.price)
        self.volume = self.last_size = 1 + self.listing.daily_volume // 100
        self.trade_time_s = at_s


class Market:
    """Every ticker's last true values. `advance` moves them on; nothing else does."""

    def __init__(
        self,
        listings: Iterable[Listing],
        *,
        calendar: Calendar,
        seed: int,
        now: datetime,
        canary_interval_s: int = 2,
    ) -> None:
        self._dice = random.Random(seed)
        self._calendar = calendar
        self._canary_interval_s = canary_interval_s
        self.now_s = int(now.timestamp())
        self.hours = hours_at(calendar, now)
        last_s = self.now_s if self.is_open else self.hours.close_s
        self.stocks = {
            listing.symbol: _begun(listing, opened_s=self.hours.open_s, last_s=last_s, dice=self._dice)
            for listing in listings
        }
        coin = canary()
        self.canary = _begun(coin, opened_s=self.now_s, last_s=self.now_s, dice=self._dice)
        self.stocks[coin.symbol] = self.canary
        self.canary.trades_per_s = 0.0  # its own rhythm, day and night

    @property
    def is_open(self) -> bool:
        return self.hours.is_open(self.now_s)

    @property
    def phase(self) -> str:
        """Return Yahoo's marketState: PRE, REGULAR, POST or CLOSED."""
        return self.hours.phase(self.now_s)

    def advance(self, now: datetime) -> list[Stock]:
        """Move to the whole second of `now` and return who traded in it; nobody twice in one second."""
        second = int(now.timestamp())
        if second <= self.now_s:
            return []
        canary_ticks = second // self._canary_interval_s > self.now_s // self._canary_interval_s
        self.now_s = second
        traded = self._session_trades(now)
        if canary_ticks:
            self._trade(self.canary)
            traded.append(self.canary)
        return traded

    def _session_trades(self, now: datetime) -> list[Stock]:
        if self.now_s >= self.hours.next_open_s:
            self.hours = hours_at(self._calendar, now)
            return self._opening_auction()
        if not self.is_open:
            return []
        chance = self._dice.random
        traded = [stock for stock in self.stocks.values() if chance() < stock.trades_per_s]
        for stock in traded:
            self._trade(stock)
        return traded

    def _opening_auction(self) -> list[Stock]:
        stocks = [stock for stock in self.stocks.values() if stock is not self.canary]
        for stock in stocks:
            stock.begin_session(at_s=self.hours.open_s)
        return stocks

    def _trade(self, stock: Stock) -> None:
        roll = self._dice.random
        # The sum of three even rolls is near enough to a bell and a third of random.gauss's time.
        bell = 2 * (roll() + roll() + roll() - 1.5)
        value = stock.value * (1 + bell * stock.swing) + (stock.previous_close - stock.value) * PULL
        stock.print_trade(value=value, size=1 + int(2 * roll() * TRADE_USD / stock.price), at_s=self.now_s)


def digits_of(price: float) -> int:
    """Return the decimals of a price: ticks are 0.01 USD, below 1 USD 0.0001 (SEC Rule 612)."""
    return 2 if price >= 1 else 4


def _begun(listing: Listing, *, opened_s: int, last_s: int, dice: random.Random) -> Stock:
    """Return the ticker in the middle of a day that fits its last price, change and volume."""
    digits = digits_of(listing.price)
    price = max(round(listing.price, digits), 10.0**-digits)
    previous_close = round(price - listing.change, digits)
    if previous_close <= 0:
        previous_close = price
    opened = round(previous_close + 0.3 * (price - previous_close), digits)
    per_s = min(1.0, listing.daily_volume * price / TRADE_USD / SESSION_S)
    trades_per_s = per_s if per_s >= NEVER_PER_S else 0.0
    age_s = int(dice.expovariate(trades_per_s)) if trades_per_s else last_s
    return Stock(
        listing=listing,
        digits=digits,
        value=price,
        price=price,
        previous_close=previous_close,
        open=opened,
        high=max(opened, price),
        low=min(opened, price),
        volume=listing.daily_volume,
        trade_time_s=max(opened_s, last_s - age_s),
        trades_per_s=trades_per_s,
        swing=DAY_SWING / (SESSION_S * max(per_s, NEVER_PER_S)) ** 0.5,
    )
