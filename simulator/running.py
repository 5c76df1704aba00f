"""What a test can do with a running practice market, in its own process or in another: the Python API.

Everything goes through one order at a time (`simulator.ports.orders`), so that both ways are the same. Blocks for
milliseconds when the market is another process.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from simulator.fleet.listener import Member
from simulator.ports import control_port
from simulator.ports.loopback import split_address
from simulator.record.ledger import DIRECT, Asked, Connection
from simulator.record.truth import Sent, Wrong


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How the market stands. `now_s`: its second; counters run from its start."""

    now_s: int
    phase: str
    tickers: int
    streams: int
    messages_sent: int
    requests: int
    connections: int
    proxies: int
    faults: int
    refused_hosts: dict[str, int]


class RunningMarket(ABC):
    """Orders and questions. An order that is wrong raises TickerdError with what would be right."""

    @abstractmethod
    def ask(self, do: str, **arguments: object) -> Any:
        """Give one order by its name and return what it brings."""

    def fault(self, name: str, **values: object) -> int:
        """Let `name` go wrong: `fault("mute", for_s=30)`, `fault("mute=30s@10s")`; return its number."""
        return int(self.ask("fault", name=name, values=values))

    def clear(self, name: str | None = None, *, number: int | None = None) -> int:
        """End the faults of this name or number, or all; return how many ended."""
        return int(self.ask("clear", name=name, number=number))

    def faults_on(self) -> list[dict[str, Any]]:
        """Return the faults that are on: number, name, values, hits."""
        return list(self.ask("faults"))

    def close_streams(self, code: int | None = None) -> None:
        """Close every stream: with a close code, or with None by a TCP reset."""
        if code is None:
            self.fault("reset")
        else:
            self.fault("close", code=code)

    def event(self, event: str, ticker: str, **details: object) -> None:
        """Let something happen to a ticker: `event("split", "AAPL", new=4, old=1)`."""
        self.ask("event", event=event, ticker=ticker, details=details)

    def proxies(self) -> list[Member]:
        """Return the fleet."""
        return msgspec.convert(self.ask("fleet"), list[Member])

    def add_proxies(self, kind: str, count: int = 1, *, protocol: str = "http", exit: str = "") -> list[Member]:
        """Open more proxies; return the new ones."""
        opened = self.ask("proxies", kind=kind, count=count, protocol=protocol, exit=exit)
        return msgspec.convert(opened, list[Member])

    def turn(self, address: str, kind: str) -> None:
        """Make the proxy at `address` one of another kind."""
        self.ask("turn", address=address, kind=kind)

    def requests(self, since: int = 0, **patterns: str) -> list[Asked]:
        """Return the requests after number `since`; patterns for host, path, proxy and exit may hold * and ?."""
        return msgspec.convert(self.ask("requests", since=since, **patterns), list[Asked])

    def connections(self, since: int = 0, **patterns: str) -> list[Connection]:
        """Return the connections after number `since`; patterns for host and proxy may hold * and ?."""
        return msgspec.convert(self.ask("connections", since=since, **patterns), list[Connection])

    def prices(self) -> dict[str, tuple[float, int]]:
        """Return ticker -> last price of the regular session and the second of that trade."""
        return msgspec.convert(self.ask("prices"), dict[str, tuple[float, int]])

    def price_at(self, ticker: str, at: datetime) -> tuple[float, int] | None:
        """Return the ticker's price as of `at` and the second of its trade; None if that is not known any more."""
        return msgspec.convert(self.ask("price", ticker=ticker, at_s=int(at.timestamp())), tuple[float, int] | None)

    def sent(self, ticker: str, *, since: datetime | None = None) -> list[Sent]:
        """Return when the ticker's price went out, and over which connection."""
        since_s = int(since.timestamp()) if since else 0
        return msgspec.convert(self.ask("sent", ticker=ticker, since_s=since_s), list[Sent])

    def check(self, table: Mapping[str, tuple[float, datetime]], *, lag_s: float = 3.0) -> list[Wrong]:
        """Return the wrong rows of ticker -> (price, time of its trade); `lag_s`: how late a row may be."""
        rows = {ticker: (price, int(at.timestamp())) for ticker, (price, at) in table.items()}
        return msgspec.convert(self.ask("check", table=rows, lag_s=lag_s), list[Wrong])

    def status(self) -> Status:
        return msgspec.convert(self.ask("status"), Status)


class RemoteMarket(RunningMarket):
    """A market in another process; `control`: HOST:PORT of its control port."""

    def __init__(self, control: str) -> None:
        self._address = split_address(control, key="control")

    def ask(self, do: str, **arguments: object) -> Any:
        return control_port.ask(self._address, {"do": do, **arguments})


def repeated(requests: Iterable[Asked], *, within_s: float) -> list[tuple[Asked, Asked]]:
    """Return the pairs of equal questions (host, path, tickers) that both got a 200 within `within_s` seconds."""
    last: dict[tuple[str, str, frozenset[str]], Asked] = {}
    pairs = []
    for asked in requests:
        if asked.status != 200:
            continue
        key = (asked.host, asked.path, frozenset(asked.tickers))
        before = last.get(key)
        if before is not None and asked.at_s - before.at_s < within_s:
            pairs.append((before, asked))
        last[key] = asked
    return pairs


def past_proxy(requests: Iterable[Asked]) -> list[Asked]:
    """Return those that came without a proxy of the fleet."""
    return [asked for asked in requests if asked.proxy == DIRECT]


def busiest(requests: Iterable[Asked], *, window_s: float) -> dict[str, int]:
    """Return exit -> the most requests that it made in any `window_s` seconds."""
    most: dict[str, int] = {}
    recent: dict[str, deque[float]] = {}
    for asked in requests:
        times_s = recent.setdefault(asked.exit, deque())
        times_s.append(asked.at_s)
        while times_s[0] <= asked.at_s - window_s:
            times_s.popleft()
        most[asked.exit] = max(most.get(asked.exit, 0), len(times_s))
    return most
