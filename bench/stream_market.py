"""A practice market for `bench.stream` in which each of the 8,782 tickers trades each second: a process of its own.

The second is cut into slices, each of which sends its share of the tickers: 200 of them spread the messages evenly, one
is the burst in which a whole second comes at once. Writes when each slice went out, and the last trades.

Usage: python -m bench.stream_market FOLDER SLICES
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from core import logs
from core.clock import SystemClock, pause
from core.files import write_atomic
from market.universe import FIXED_8782
from simulator import testing
from simulator.stream.feed import Feed
from simulator.stream.streams import StreamConnection, Streams
from simulator.world.walk import Market, Stock

EVEN, BURST = 200, 1
"""Slices of a second."""
CANARY_INTERVAL_S = 2
STEP = 0.0005
"""So much of itself a price moves with each trade: down when it stands above the previous close, else up."""
START_S = 20.0
READY, GO, STOP, SENT = "market-ready.json", "go", "stop", "sent.json"

Slot = tuple[list[Stock], set[str]]


def tickers() -> list[str]:
    return FIXED_8782.read_text(encoding="ascii").split()


class Feeder:
    """Trades and sends slice after slice; `sent`: second -> when each of its slices went out."""

    def __init__(self, market: Market, streams: Streams, feed: Feed, *, slices: int) -> None:
        self._market, self._streams, self._feed, self._slices = market, streams, feed, slices
        self._clock = SystemClock()
        self._listeners: dict[str, list[StreamConnection]] = {}
        self._slots: list[Slot] = []
        self.slot_of: dict[str, int] = {}
        self.sent: dict[int, list[float]] = {}
        self.messages = 0

    def _plan(self) -> None:
        """Spread the tickers of each connection over the whole second; a new listener changes no ticker's slot."""
        listeners: defaultdict[str, list[StreamConnection]] = defaultdict(list)
        places: list[tuple[int, int, str]] = []
        for number, connection in enumerate(self._streams.connections):
            for place, symbol in enumerate(connection.subscription.symbols):
                listeners[symbol].append(connection)
                places.append((place, number, symbol))
        self._listeners = listeners
        if self.slot_of:
            return
        canary = self._market.canary.listing.symbol
        ordered = list(dict.fromkeys(symbol for *_, symbol in sorted(places) if symbol != canary))
        self.slot_of = {symbol: index * self._slices // len(ordered) for index, symbol in enumerate(ordered)}
        self._slots = [([], set()) for _ in range(self._slices)]
        for symbol, slot in self.slot_of.items():
            self._slots[slot][0].append(self._market.stocks[symbol])
            self._slots[slot][1].add(symbol)

    def _send(self, slot: Slot, second: int) -> None:
        stocks, wanted = slot
        for stock in stocks:
            way = -STEP if stock.value > stock.previous_close else STEP
            stock.print_trade(value=stock.value * (1 + way), size=100, at_s=second)
        frames = self._feed.frames(stocks, wanted=wanted)
        waiting: defaultdict[StreamConnection, list[bytes]] = defaultdict(list)
        for symbol, frame in frames.items():
            for connection in self._listeners[symbol]:
                waiting[connection].append(frame)
        for connection, own in waiting.items():
            if connection.send(b"".join(own)):
                connection.page.frames += len(own)
                self.messages += len(own)

    async def run(self, stop: Path) -> None:
        """Trade until the file `stop` is there; begins with a whole second."""
        second = int(self._clock.utc_now().timestamp()) + 1
        while not stop.exists():
            self._plan()
            sent = self.sent[second] = []
            for number, slot in enumerate(self._slots):
                await self._clock.sleep(second + number / self._slices - self._clock.utc_now().timestamp())
                sent.append(self._clock.utc_now().timestamp())
                self._send(slot, second)
            second += 1


async def serve(folder: Path, slices: int) -> None:
    """Be the market until the parent ends us."""
    clock = SystemClock()
    async with testing.running(folder, symbols=tickers(), canary_interval_s=CANARY_INTERVAL_S) as practice:
        for stock in practice.market.stocks.values():
            stock.trades_per_s = 0.0  # ours is the only trading
        ready = {"proxy_url": practice.proxy_url}
        write_atomic(folder / READY, json.dumps(ready).encode())
        while not (folder / GO).exists():
            await clock.sleep(0.05)
        feed = Feed(practice.market, practice.faults)
        feeder = Feeder(practice.market, practice.server.streams, feed, slices=slices)
        await feeder.run(folder / STOP)
        stocks = practice.market.stocks
        last = {ticker: (stocks[ticker].price, stocks[ticker].trade_time_s) for ticker in feeder.slot_of}
        document = {"slots": feeder.slot_of, "sent": feeder.sent, "last": last, "messages": feeder.messages}
        write_atomic(folder / SENT, json.dumps(document).encode())
        await asyncio.Event().wait()


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the market did. `sent`: second -> when each slice went out; `last`: ticker -> price and second."""

    slots: dict[str, int]
    sent: dict[int, list[float]]
    last: dict[str, tuple[float, int]]
    messages: int

    def sent_at(self, ticker: str, second: int) -> float:
        return self.sent[second][self.slots[ticker]]

    def messages_within(self, since: float, until: float) -> float:
        """Return how many messages went out between two moments (seconds since 1970): slices carry alike many."""
        slices = [since <= at < until for row in self.sent.values() for at in row]
        return self.messages * sum(slices) / len(slices)

    def late_s(self) -> list[float]:
        """Return how late each slice went out, sorted: the market's own trouble."""
        slices = max(map(len, self.sent.values()))
        each = ((second, number, at) for second, row in self.sent.items() for number, at in enumerate(row))
        return sorted(at - second - number / slices for second, number, at in each)


@dataclass(slots=True)
class FullMarket:
    """The running process; it trades between `go` and `stop`."""

    folder: Path
    process: psutil.Process
    proxy_url: str
    ca_file: Path = field(init=False)

    def __post_init__(self) -> None:
        self.ca_file = self.folder / "practice-ca.pem"

    def go(self) -> None:
        (self.folder / GO).touch()

    def stop(self) -> Told:
        """End the trading; return what was traded."""
        (self.folder / STOP).touch()
        file = self.folder / SENT
        while not file.exists():
            pause(0.01)
        document = json.loads(file.read_bytes())
        return Told(
            slots=document["slots"],
            sent={int(second): row for second, row in document["sent"].items()},
            last={ticker: (price, second) for ticker, (price, second) in document["last"].items()},
            messages=document["messages"],
        )


@contextmanager
def full_market(folder: Path, *, slices: int) -> Iterator[FullMarket]:
    child = subprocess.Popen([sys.executable, "-m", "bench.stream_market", str(folder), str(slices)])
    clock = SystemClock()
    try:
        end_s = clock.monotonic_s() + START_S
        while not (folder / READY).exists():
            if child.poll() is not None or clock.monotonic_s() > end_s:
                raise RuntimeError("the practice market did not start")
            pause(0.02)
        ready = json.loads((folder / READY).read_bytes())
        yield FullMarket(folder, psutil.Process(child.pid), ready["proxy_url"])
    finally:
        child.kill()
        child.wait()


if __name__ == "__main__" and len(sys.argv) == 3:
    logs.configure(service="market", level="error", style="text")
    asyncio.run(serve(Path(sys.argv[1]), int(sys.argv[2])))
