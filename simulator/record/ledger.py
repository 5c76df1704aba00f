"""The practice market's own book of every connection and request. Judges nothing, does no I/O."""

from __future__ import annotations

import sys
from collections import deque
from dataclasses import dataclass, field

DIRECT = "direct"
"""The proxy of what came without one of the fleet."""
REQUESTS = 50_000
CONNECTIONS = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One HTTP request and what it got. `at_s`: since 1970. `fault`: what shaped the answer, or "".

    `number` counts all requests from 1; `connection` is the number of the one that it came over.
    """

    number: int
    at_s: float
    connection: int
    proxy: str
    exit: str
    method: str
    host: str
    path: str
    symbols: str
    status: int
    sent_bytes: int
    fault: str

    @property
    def tickers(self) -> list[str]:
        return self.symbols.split(",") if self.symbols else []


@dataclass(slots=True, kw_only=True)
class Connection:
    """One connection to the market or to a proxy of its fleet; `outcome`: what became of it.

    `symbols`: what a stream listens to, or did at its end. `frames`: true prices sent over it; `spoiled`: frames
    that a fault has made.
    """

    number: int
    opened_at_s: float
    proxy: str
    exit: str
    host: str = ""
    outcome: str = ""
    closed_at_s: float | None = None
    symbols: list[str] = field(default_factory=list)
    frames: int = 0
    spoiled: int = 0


class Ledger:
    """The last so many requests and connections; `*_seen` count all of them."""

    def __init__(self) -> None:
        self.requests: deque[Asked] = deque(maxlen=REQUESTS)
        self.connections: deque[Connection] = deque(maxlen=CONNECTIONS)
        self.requests_seen = 0
        self.connections_seen = 0

    def connect(self, *, at_s: float, proxy: str, exit: str) -> Connection:
        """Open the page of a new connection."""
        self.connections_seen += 1
        page = Connection(number=self.connections_seen, opened_at_s=at_s, proxy=proxy, exit=exit)
        self.connections.append(page)
        return page

    def ask(
        self,
        page: Connection,
        *,
        at_s: float,
        method: str,
        path: str,
        symbols: str,
        status: int,
        sent_bytes: int,
        fault: str,
    ) -> None:
        """Note one HTTP request over the connection of `page`."""
        self.requests_seen += 1
        asked = Asked(
            number=self.requests_seen,
            at_s=at_s,
            connection=page.number,
            proxy=page.proxy,
            exit=page.exit,
            method=method,
            host=page.host,
            path=path,
            symbols=sys.intern(symbols),  # the same batch comes again each cycle: kept once
            status=status,
            sent_bytes=sent_bytes,
            fault=fault,
        )
        self.requests.append(asked)
