"""One connection of the price stream: subscribe, read, reconnect. Never ends on its own and never disturbs another."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, WebSocketException

from core import tasks
from core.clock import Clock
from core.flight import FlightRecorder
from core.logs import get_logger
from core.settings import Settings
from market.quotes import Tick
from net.stream import open_stream
from net.tls import Trust
from scanners.prices.retries import Backoff, Pace, cause_of
from yahoo.stream import ORIGIN, FrameParser, subscribe_text

log = get_logger(__name__)

RESUBSCRIBE_S = 30.0
"""Subscriptions are reported to lapse unless repeated; a repeat costs 1 kB and brings a fresh snapshot."""
CANARY_ALIVE_S = 60.0
LONGEST_PATIENCE_S = 960.0
"""A list cut off each time is opened anew after 1, 2, 4 ... minutes, at most 16: what is left of it is heard."""


class ShardConnection:
    """Keeps one list of tickers subscribed and hands each tick to `on_tick`."""

    def __init__(
        self,
        number: int,
        tickers: tuple[str, ...],
        *,
        settings: Settings,
        trust: Trust,
        clock: Clock,
        pace: Pace,
        on_tick: Callable[[Tick], None],
        on_failure: Callable[[str], None],
        flight: FlightRecorder | None = None,
    ) -> None:
        self.number, self.tickers = number, tickers
        self._prices, self._proxy = settings.prices, settings.network.proxy
        self._trust, self._clock, self._pace = trust, clock, pace
        self._on_tick, self._on_failure, self._flight = on_tick, on_failure, flight
        self._canary = settings.prices.canary
        self._asked = (*(ticker for ticker in tickers if ticker != self._canary), self._canary)
        self._wanted = frozenset(self._asked)
        self._backoff = Backoff()
        self._patience_s = CANARY_ALIVE_S
        self._open: ClientConnection | None = None
        self._aborted_for = ""
        self.parser = FrameParser()
        self.heard: set[str] = set()
        """Symbols heard since the connection was opened."""
        self.last_tick_s: float | None = None
        self.canary_heard_s: float | None = None
        self.opened_s: float | None = None
        self._proven_s = clock.monotonic_s()
        self.losses: Counter[str] = Counter()

    def proven(self, *, now_s: float) -> bool:
        """True while the last symbol of the list is heard: nothing of it was cut off and data flows."""
        return self.canary_heard_s is not None and now_s - self.canary_heard_s <= CANARY_ALIVE_S

    def is_failing(self, *, now_s: float) -> bool:
        """True after a minute without a proof, counted from the start."""
        return now_s - self._proven_s > CANARY_ALIVE_S

    def watch(self, *, now_s: float) -> None:
        """Drop a connection that is open and no good; `run` then opens a new one.

        Pongs and frames that hold no price are no proof of life: data is.
        """
        if self.opened_s is None or self._aborted_for:
            return
        if now_s - max(self.opened_s, self.last_tick_s or 0.0) > self._prices.stall_timeout_s:
            self._abort("stalled")
        elif self.heard and now_s - (self.canary_heard_s or self.opened_s) > self._patience_s:
            self._patience_s = min(LONGEST_PATIENCE_S, 2 * self._patience_s)
            self._abort("truncated")

    def _abort(self, cause: str) -> None:
        assert self._open is not None
        self._aborted_for = cause
        self._open.transport.abort()

    async def run(self) -> None:
        """Stay connected until cancelled."""
        while True:
            await self._clock.sleep(self._pace.turn_s(self._clock.monotonic_s()))
            began_s = self._clock.monotonic_s()
            cause = await self._until_lost()
            self.losses[cause] += 1
            wait_s = self._backoff.wait_s(began_s=began_s, now_s=self._clock.monotonic_s(), jitter=random.random())
            counts = {"asked": len(self._asked), "heard": len(self.heard)}
            log.info("stream_connection_lost", shard=self.number, cause=cause, **counts, retry_s=round(wait_s, 2))
            await self._clock.sleep(wait_s)

    async def _until_lost(self) -> str:
        """Connect and read until the connection is gone; return why."""
        self._aborted_for = ""
        self.heard.clear()
        try:
            await self._session()
        except (OSError, WebSocketException) as error:
            cause = self._aborted_for or cause_of(error)
            self._on_failure(f"{cause}: {error}")
            return cause
        raise AssertionError("the reader ends only by an error")

    async def _session(self) -> None:
        url = self._prices.stream_url
        async with open_stream(url, trust=self._trust, proxy=self._proxy, origin=ORIGIN) as stream:
            self._open = stream
            self.opened_s = self._clock.monotonic_s()
            repeating = tasks.spawn(self._subscribe(stream), name=f"subscribe-{self.number}", on_error=_told_by_read)
            recv, on_frame = stream.recv, self._on_frame
            try:
                while True:
                    on_frame(await recv(decode=False))
            finally:
                self._open = self.opened_s = self.canary_heard_s = None
                await tasks.cancel_all([repeating])

    async def _subscribe(self, stream: ClientConnection) -> None:
        text = subscribe_text(self._asked)
        while True:
            await stream.send(text)
            await self._clock.sleep(RESUBSCRIBE_S)

    def _on_frame(self, frame: bytes) -> None:
        if self._flight is not None:
            self._flight.frame(self.number, frame)
        tick = self.parser.parse(frame)
        if tick is None:
            return
        ticker = tick.ticker
        if ticker in self._wanted:  # what nobody asked for proves nothing
            self.last_tick_s = now_s = self._clock.monotonic_s()
            self.heard.add(ticker)
            if ticker == self._canary:
                self.canary_heard_s = self._proven_s = now_s
                self._patience_s = CANARY_ALIVE_S
                if ticker not in self.tickers:
                    return
        self._on_tick(tick)


def _told_by_read(error: BaseException) -> None:
    """A failed send is the same loss that the reader reports."""
    if not isinstance(error, ConnectionClosed):
        log.error("subscribe_failed", error=str(error))
