"""The prices: one random walk a ticker, seeded. Time is an argument. Never does I/O, never encodes anything."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from core.errors import FixByHand
from market.sessions import Calendar
from simulator.world.bars import Bar, Tape, packed, restated, scaled, unpacked
from simulator.world.hours import Earlier, Span, hours_at
from simulator.world.listings import Listing, canary, is_ticker

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
CHEAPEST_USD, DEAREST_USD = 0.0001, 1e7
"""No event may lead out of this: a tick, and ten times the dearest share there is."""
MOST_SHARES = 10**15
"""Of a day's volume: a split may not make more."""


@dataclass(slots=True, kw_only=True)
class Stock:
    """One ticker's day so far; always `low <= open, price <= high`. Tests may set the fields.

    `value`: the price before rounding, or a cheap ticker would never leave its tick.
    `trades_per_s`: the chance of a trade in a second; 0 = never. `swing`: spread of one trade as a fraction.
    `origin`: the symbol that it began with; its facts and its past follow from that one, whatever it is called now.
    `anchor`: the close that the past before the start of the market ends in; 0 = there was none.
    `past`: packed bars of the sessions that have ended since. `lowest`, `highest`: extremes of those.
    `dividends`: (second, USD a share); `splits`: (second, new shares, old shares).
    `in_lists`: the symbol directories and the screener name it.
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
    origin: str = ""
    anchor: float = 0.0
    last_size: int = 0
    listed_s: int = 0
    tape: Tape = field(default_factory=Tape)
    past: bytearray = field(default_factory=bytearray)
    lowest: float = float("inf")
    highest: float = 0.0
    dividends: tuple[tuple[int, float], ...] = ()
    splits: tuple[tuple[int, int, int], ...] = ()
    halted: bool = False
    in_lists: bool = True

    @property
    def change(self) -> float:
        return round(self.price - self.previous_close, 4)

    @property
    def change_percent(self) -> float:
        return 100 * (self.price - self.previous_close) / self.previous_close

    @property
    def split_ratio(self) -> float:
        """Return how many of today's shares one share of the market's start is."""
        ratio = 1.0
        for _, new, old in self.splits:
            ratio *= new / old
        return ratio

    def day(self, at_s: int) -> Bar:
        """Return the session's bar so far; `at_s`: when it opened."""
        return Bar(at_s, self.open, self.high, self.low, self.price, self.volume)

    def print_trade(self, *, value: float, size: int, at_s: int) -> None:
        """Print one trade of `size` shares at `value`, rounded to a tick."""
        self.value = value
        self.price = max(round(value, self.digits), 10.0**-self.digits)
        self.high = max(self.high, self.price)
        self.low = min(self.low, self.price)
        self.volume += size
        self.last_size = size
        self.trade_time_s = at_s
        self.tape.add(self.price, size, at_s)

    def end_session(self, opened_s: int) -> None:
        """Put the day away; the last price is the next day's previous close."""
        self.past += packed([self.day(opened_s)])
        self.lowest, self.highest = min(self.lowest, self.low), max(self.highest, self.high)
        self.previous_close = self.open = self.high = self.low = self.price
        self.digits = digits_of(self.value)
        self.volume = self.last_size = 0
        self.tape = Tape()

    def begin_session(self, *, at_s: int) -> None:
        """Print the opening auction: at the last price, unless something happened over night."""
        self.open = self.high = self.low = max(round(self.value, self.digits), 10.0**-self.digits)
        self.print_trade(value=self.value, size=1 + self.listing.daily_volume // 100, at_s=at_s)

    def split(self, at_s: int, new: int, old: int) -> None:
        """Restate every price and volume, also those of the past."""
        ratio = new / old
        self.splits = (*self.splits, (at_s, new, old))
        self.digits = digits_of(self.price / ratio)
        self.value /= ratio
        self.anchor /= ratio
        for name in ("previous_close", "open", "high", "low", "price", "lowest", "highest"):
            setattr(self, name, restated(getattr(self, name), ratio, self.digits))
        self.volume = round(self.volume * ratio)
        self.dividends = tuple((paid_s, usd / ratio) for paid_s, usd in self.dividends)
        self.past[:] = packed(scaled(bar, ratio, self.digits) for bar in unpacked(self.past))
        self.tape.rescale(ratio, self.digits)


class Market:
    """Every ticker's last true values. `advance` moves them on, and the events by their names do.

    `earlier`: the sessions before the start; `ended`: those that ended since; `delisted`: symbols, by script.
    An event of a closed market shows at the next open, one of an open market at once.
    """

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
        self.seed = seed
        self.now_s = int(now.timestamp())
        self.hours = hours_at(calendar, now)
        self.earlier = Earlier(calendar, self.hours.open_s)
        self.ended: list[Span] = []
        self.delisted: set[str] = set()
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

    def trading_day(self) -> Span:
        """Return the session of Yahoo's `currentTradingPeriod`: before the open already the next one."""
        hours = self.hours
        if self.phase == "PRE":
            hours = hours_at(self._calendar, datetime.fromtimestamp(hours.next_open_s, UTC))
        return Span(hours.open_s, hours.close_s)

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

    def halt(self, symbol: str) -> None:
        """Stop the ticker's trading until `resume`."""
        stock = self._known(symbol)
        stock.halted, stock.trades_per_s = True, 0.0

    def resume(self, symbol: str) -> None:
        stock = self._known(symbol)
        stock.halted, stock.trades_per_s = False, _trades_per_s(stock.listing)[0]

    def gap(self, symbol: str, percent: float) -> None:
        """Let news move the price by `percent` in one trade."""
        stock = self._known(symbol)
        self._jump(stock, stock.value * (1 + percent / 100))

    def pay_dividend(self, symbol: str, amount_usd: float) -> None:
        """Make this session (in a closed market the next) the ex-date: the price falls by the amount."""
        stock = self._known(symbol)
        if not 0 < amount_usd < stock.value:
            raise FixByHand(f"{amount_usd} USD is no dividend", key=symbol, right=f"pay above 0, below {stock.price}")
        self._jump(stock, stock.value - amount_usd)
        stock.dividends = (*stock.dividends, (self._session_open_s, amount_usd))

    def split(self, symbol: str, new: int, old: int) -> None:
        """Give `new` shares for `old` ones: each price of the ticker is restated at once, also its past."""
        stock = self._known(symbol)
        if not 1 <= new <= MOST_SHARES or not 1 <= old <= MOST_SHARES or new == old:
            raise FixByHand(f"{new} for {old} is no split", key=symbol, right="give two different counts from 1 up")
        _check_price(stock, stock.value * old / new)
        if stock.volume * new > MOST_SHARES * old:
            raise FixByHand(f"{new} for {old} makes too many shares", key=symbol, right="give fewer")
        stock.split(self._session_open_s, new, old)
        self._jump(stock, stock.value)

    def list_new(self, listing: Listing) -> None:
        """Let a company go public: no past, and the first trade when its turn comes."""
        self._free(listing.symbol)
        stock = _begun(listing, opened_s=self.now_s, last_s=self.now_s, dice=self._dice)
        stock.listed_s, stock.anchor, stock.tape = self._session_open_s, 0.0, Tape()
        stock.previous_close = stock.open = stock.high = stock.low = stock.price
        stock.volume = 0
        self.stocks[listing.symbol] = stock
        self.delisted.discard(listing.symbol)

    def rename(self, symbol: str, new_symbol: str) -> None:
        """Trade on under another symbol, with the same past; the old one is unknown from now on."""
        self._free(new_symbol)
        stock = self._known(symbol)
        stock.listing = replace(stock.listing, symbol=new_symbol)
        self.stocks = {each.listing.symbol: each for each in self.stocks.values()}
        self.delisted.discard(new_symbol)

    def delist(self, symbol: str) -> None:
        """End the ticker's trading for good."""
        del self.stocks[self._known(symbol).listing.symbol]
        self.delisted.add(symbol)

    def unlist(self, symbol: str) -> None:
        """Leave the ticker out of every list while it trades on, as happens to one that seldom trades."""
        self._known(symbol).in_lists = False

    def relist(self, symbol: str) -> None:
        self._known(symbol).in_lists = True

    @property
    def _session_open_s(self) -> int:
        """Return the open of this session, in a closed market of the next."""
        return self.hours.open_s if self.is_open else self.hours.next_open_s

    def _known(self, symbol: str) -> Stock:
        stock = self.stocks.get(symbol)
        if stock is None or stock is self.canary:
            raise FixByHand(f"{symbol} is not traded here", right="name a ticker of the practice market")
        return stock

    def _free(self, symbol: str) -> None:
        if not is_ticker(symbol):
            raise FixByHand(f"{symbol[:40]!r} is no ticker", right="use printable ASCII without blank and comma")
        if symbol in self.stocks:
            raise FixByHand(f"{symbol} is already traded here", right="choose another symbol")

    def _jump(self, stock: Stock, value: float) -> None:
        """Move the price in one trade; of a closed or halted market the next trade shows it."""
        _check_price(stock, value)
        stock.value = value
        if self.is_open and not stock.halted:
            stock.digits = digits_of(value)
            stock.print_trade(value=value, size=stock.last_size or 1, at_s=self.now_s)

    def _session_trades(self, now: datetime) -> list[Stock]:
        if self.now_s >= self.hours.next_open_s:
            self._end_session()
            self.hours = hours_at(self._calendar, now)
            return self._opening_auction()
        if not self.is_open:
            return []
        chance = self._dice.random
        traded = [stock for stock in self.stocks.values() if chance() < stock.trades_per_s]
        for stock in traded:
            self._trade(stock)
        return traded

    def _end_session(self) -> None:
        self.ended.append(Span(self.hours.open_s, self.hours.close_s))
        for stock in self.stocks.values():
            if stock is not self.canary and stock.listed_s <= self.hours.open_s:
                stock.end_session(self.hours.open_s)

    def _opening_auction(self) -> list[Stock]:
        stocks = [stock for stock in self.stocks.values() if stock is not self.canary and not stock.halted]
        for stock in stocks:
            stock.begin_session(at_s=self.hours.open_s)
        return stocks

    def _trade(self, stock: Stock) -> None:
        roll = self._dice.random
        # The sum of three even rolls is near enough to a bell and a third of random.gauss's time.
        bell = 2 * (roll() + roll() + roll() - 1.5)
        value = stock.value * (1 + bell * stock.swing) + (stock.previous_close - stock.value) * PULL
        stock.print_trade(value=value, size=1 + int(2 * roll() * TRADE_USD / stock.price), at_s=self.now_s)


def _check_price(stock: Stock, price_usd: float) -> None:
    if not CHEAPEST_USD <= price_usd <= DEAREST_USD:  # nor is it a number
        right = f"stay between {CHEAPEST_USD} and {DEAREST_USD:.0f} USD"
        raise FixByHand(f"{price_usd:g} USD is no price", key=stock.listing.symbol, right=right)


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
    trades_per_s, per_s = _trades_per_s(listing)
    age_s = int(dice.expovariate(trades_per_s)) if trades_per_s else last_s
    stock = Stock(
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
        origin=listing.symbol,
        anchor=previous_close,
    )
    stock.tape.before = stock.day(opened_s)
    return stock


def _trades_per_s(listing: Listing) -> tuple[float, float]:
    """Return the chance of a trade in a second, 0 for a ticker too seldom traded, and what it is before that."""
    per_s = min(1.0, listing.daily_volume * listing.price / TRADE_USD / SESSION_S)
    return (per_s if per_s >= NEVER_PER_S else 0.0), per_s
