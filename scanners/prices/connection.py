"""One connection of the price stream: subscribe, read, reconnect. Never ends on its own and never disturbs another."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, WebSocketException

from core import tasks
from core.clock import Clock
from core.logs import get_logger
from core.settings import Settings
from market.quotes import Tick
from net.stream import open_stream
from net.tls import Trust
from yahoo.stream import ORIGIN, FrameParser, subscribe_text

log = get_logger(__name__)

FIRST_RETRY_S = 0.25
LONGEST_RETRY_S = 30.0
HEALTHY_AFTER_S = 60.0
"""A connection that lived this long starts the backoff anew."""
RESUBSCRIBE_S = 30.0
"""Subscriptions are reported to lapse unless repeated; a repeat costs 1 kB and brings a fresh snapshot."""
CANARY_ALIVE_S = 60.0


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
        on_tick: Callable[[Tick], None],
        on_failure: Callable[[str], None],
    ) -> None:
        self.number, self.tickers = number, tickers
        self._prices, self._proxy = settings.prices, settings.network.proxy
        self._trust, self._clock, self._on_tick, self._on_failure = trust, clock, on_tick, on_failure
        self._parser = FrameParser()
        self._open: ClientConnection | None = None
        self._stalled = False
        self.last_frame_s: float | None = None
        self.canary_heard_s: float | None = None
        self.opened_s: float | None = None
        self.losses: Counter[str] = Counter()

    @property
    def skipped(self) -> Counter[str]:
        """Frames that held no tick, by reason."""
        return self._parser.skipped

    def proven(self, *, now_s: float) -> bool:
        """True while the last symbol of the list is heard: nothing of it was cut off and data flows."""
        return self.canary_heard_s is not None and now_s - self.canary_heard_s <= CANARY_ALIVE_S

    def abort_if_stalled(self, *, now_s: float) -> None:
        """Drop the connection if nothing at all came for too long; `run` then opens a new one."""
        if self._open is None or self.opened_s is None:
            return
        newest_s = max(self.opened_s, self.last_frame_s or 0.0)
        if now_s - newest_s > self._prices.stall_timeout_s:
            self._stalled = True
            self._open.transport.abort()

    async def run(self) -> None:
        """Stay connected until cancelled."""
        ceiling_s = FIRST_RETRY_S
        while True:
            started_s = self._clock.monotonic_s()
            cause = await self._until_lost()
            self.losses[cause] += 1
            if self._clock.monotonic_s() - started_s > HEALTHY_AFTER_S:
                ceiling_s = FIRST_RETRY_S
            wait_s = random.uniform(0.1, 1.0) * ceiling_s
            ceiling_s = min(LONGEST_RETRY_S, ceiling_s * 2)
            log.info("stream_connection_lost", shard=self.number, cause=cause, retry_s=round(wait_s, 2))
            await self._clock.sleep(wait_s)

    async def _until_lost(self) -> str:
        """Connect and read until the connection is gone; return why."""
        try:
            await self._session()
        except (OSError, WebSocketException) as error:
            cause = "stalled" if self._stalled else _cause(error)
            self._on_failure(f"{cause}: {error}")
            return cause
        raise AssertionError("the reader ends only by an error")

    async def _session(self) -> None:
        self._stalled = False
        url = self._prices.stream_url
        async with open_stream(url, trust=self._trust, proxy=self._proxy, origin=ORIGIN) as stream:
            self._open = stream
            self.opened_s = self._clock.monotonic_s()
            repeating = tasks.spawn(self._subscribe(stream), name=f"subscribe-{self.number}", on_error=_told_by_read)
            try:
                while True:
                    self._on_frame(await stream.recv(decode=False))
            finally:
                self._open = self.opened_s = self.canary_heard_s = None
                await tasks.cancel_all([repeating])

    async def _subscribe(self, stream: ClientConnection) -> None:
        canary = self._prices.canary
        text = subscribe_text([*(ticker for ticker in self.tickers if ticker != canary), canary])
        while True:
            await stream.send(text)
            await self._clock.sleep(RESUBSCRIBE_S)

    def _on_frame(self, frame: bytes) -> None:
        self.last_frame_s = self._clock.monotonic_s()
        tick = self._parser.parse(frame)
        if tick is None:
            return
        if tick.ticker == self._prices.canary:
            self.canary_heard_s = self.last_frame_s
            if tick.ticker not in self.tickers:
                return
        self._on_tick(tick)


def _cause(error: BaseException) -> str:
    if isinstance(error, ConnectionClosed):
        return f"closed_{error.rcvd.code}" if error.rcvd else "reset"
    if isinstance(error, ConnectionRefusedError):
        return "refused"
    return "timeout" if isinstance(error, TimeoutError) else "unreachable"


def _told_by_read(error: BaseException) -> None:
    """A failed send is the same loss that the reader reports."""
    if not isinstance(error, ConnectionClosed):
        log.error("subscribe_failed", error=str(error))
