"""Bars: what one is, how it is kept small, how a day is cut into minutes. Knows no ticker, reads no clock."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterable, Sequence
from typing import NamedTuple

MINUTE_S = 60
TAPE_MINUTES = 480
"""A tape keeps the minutes of a regular session; in an endless one the older ones melt into one bar."""
_BAR = struct.Struct("<I4fQ")


class Bar(NamedTuple):
    """`at_s`: the first second it covers."""

    at_s: int
    open: float
    high: float
    low: float
    close: float
    volume: int


def merged(bars: Sequence[Bar]) -> Bar:
    """Return one bar for these, which are at least one and in order."""
    return Bar(
        at_s=bars[0].at_s,
        open=bars[0].open,
        high=max(bar.high for bar in bars),
        low=min(bar.low for bar in bars),
        close=bars[-1].close,
        volume=sum(bar.volume for bar in bars),
    )


def restated(price: float, ratio: float, digits: int) -> float:
    """Return a price as it stands after a split of `ratio` new shares for one: in whole ticks, as the quote's are."""
    return max(round(price / ratio, digits), 10.0**-digits)


def scaled(bar: Bar, ratio: float, digits: int) -> Bar:
    """Return the bar as it stands after a split of `ratio` new shares for one."""
    at_s, *prices, volume = bar
    opened, high, low, close = (restated(price, ratio, digits) for price in prices)
    return Bar(at_s, opened, high, low, close, round(volume * ratio))


def packed(bars: Iterable[Bar]) -> bytes:
    """Return 28 bytes a bar; prices become single precision, as Yahoo's are."""
    return b"".join(_BAR.pack(*bar) for bar in bars)


def unpacked(data: bytes | bytearray) -> list[Bar]:
    return [Bar(*each) for each in _BAR.iter_unpack(data)]


class Tape:
    """One ticker's trades of a session as bars of a minute. `before`: the day up to the tape's first minute."""

    __slots__ = ("_close", "_data", "_ends_s", "_high", "_low", "_open", "_volume", "before")

    def __init__(self, before: Bar | None = None) -> None:
        self.before = before
        self._data = bytearray()
        self._ends_s = 0
        self._open = self._high = self._low = self._close = 0.0
        self._volume = 0

    def add(self, price: float, size: int, at_s: int) -> None:
        if at_s >= self._ends_s:
            self._turn(at_s)
            self._open = self._high = self._low = price
        elif price > self._high:
            self._high = price
        elif price < self._low:
            self._low = price
        self._close = price
        self._volume += size

    def bars(self) -> list[Bar]:
        """Return the minutes that had a trade, the newest unfinished."""
        return [*unpacked(self._data), *self._newest()]

    def rescale(self, ratio: float, digits: int) -> None:
        """Restate everything after a split."""
        bars = [scaled(bar, ratio, digits) for bar in self.bars()]
        self.before = self.before and scaled(self.before, ratio, digits)
        self._data[:] = packed(bars[:-1])
        if bars:
            _, self._open, self._high, self._low, self._close, self._volume = bars[-1]

    def _newest(self) -> list[Bar]:
        if not self._ends_s:
            return []
        return [Bar(self._ends_s - MINUTE_S, self._open, self._high, self._low, self._close, self._volume)]

    def _turn(self, at_s: int) -> None:
        self._data += packed(self._newest())
        if len(self._data) > TAPE_MINUTES * _BAR.size:
            oldest = unpacked(self._data[: _BAR.size])
            self.before = merged([self.before, *oldest] if self.before else oldest)
            del self._data[: _BAR.size]
        self._ends_s = at_s - at_s % MINUTE_S + MINUTE_S
        self._volume = 0


def minutes_of(day: Bar, *, from_s: int, until_s: int, trades: int, digits: int, dice: random.Random) -> list[Bar]:
    """Cut `day` into minutes of [from_s, until_s) that merge into it again; without volume there is none.

    `trades`: about how many the day had; a minute without one has no bar.
    """
    starts = range(from_s - from_s % MINUTE_S, until_s, MINUTE_S)
    count = min(len(starts), trades, day.volume)
    if count < 1:
        return []
    chosen = sorted(dice.sample(starts, count))
    path = _path(day, count, digits, dice)
    volumes = _shares(day.volume, count, dice)
    found = [
        Bar(at_s, before, max(before, after), min(before, after), after, volume)
        for at_s, before, after, volume in zip(chosen, path[:-1], path[1:], volumes, strict=True)
    ]
    top = max(range(count), key=lambda index: found[index].high)
    found[top] = found[top]._replace(high=day.high)
    bottom = min(range(count), key=lambda index: found[index].low)
    found[bottom] = found[bottom]._replace(low=day.low)
    return found


def _path(day: Bar, count: int, digits: int, dice: random.Random) -> list[float]:
    """Return `count` + 1 prices from the day's open to its close, between its low and high."""
    step = (day.high - day.low) / max(1.0, count**0.5)
    drift, noise = 0.0, [0.0]
    for _ in range(count):
        drift += dice.uniform(-step, step)
        noise.append(drift)
    path = []
    for index, value in enumerate(noise):
        share = index / count
        price = day.open + (day.close - day.open) * share + value - drift * share
        path.append(min(day.high, max(day.low, round(price, digits))))
    path[0], path[-1] = day.open, day.close
    return path


def _shares(volume: int, count: int, dice: random.Random) -> list[int]:
    """Return `count` whole numbers of at least 1 that add up to `volume`."""
    weights = [dice.uniform(0.2, 1.8) for _ in range(count)]
    spare, total = volume - count, sum(weights)
    found = [1 + int(spare * weight / total) for weight in weights]
    found[0] += volume - sum(found)
    return found
