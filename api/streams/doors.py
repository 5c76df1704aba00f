"""Lets streams in and watches those that are open: too many, too slow, no longer allowed. Sends nothing itself."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from api.auth.accounts import Accounts
from api.limits import Streams, TooManyStreams, neighbourhood
from api.principals import Principal
from api.problems import Problem
from api.streams.listener import Listener, Piece
from api.traffic import Durations
from core.clock import Clock
from core.errors import RetryLater
from core.logs import get_logger
from core.settings import Settings

log = get_logger(__name__)

Transport = Literal["websocket", "sse"]
Ending = Literal["", "slow", "auth", "idle"]
ADDRESS_FACTOR = 3
STALLED_S = 30.0
"""So long a client may take no byte: it is gone, or its machine sleeps."""
WATCH_S = 5.0
BEAT_S = 15.0
"""So long an event stream is silent at most: proxies in between close what says nothing."""
VALID_S = 30.0
"""How often it is asked whether who opened a stream may still have it."""


@dataclass(eq=False, slots=True)
class Stream:
    """One open stream. `task`: what sends; `sending_since_s`: when the write that is under way began; `told_s`: when
    something was told last; `of_scan`: it is about one scan alone; `ending`: why it is being closed."""

    principal: Principal
    transport: Transport
    path: str
    listener: Listener
    of_scan: bool = False
    task: asyncio.Task[None] | None = None
    sending_since_s: float | None = None
    told_s: float = 0.0
    checked_s: float = 0.0
    beaten_s: float = 0.0
    is_beat_due: bool = False
    ending: Ending = ""

    def end(self, why: Ending) -> None:
        if not self.ending and self.task is not None:
            self.ending = why
            self.task.cancel()


@dataclass(slots=True)
class Counts:
    """For the metrics. `errors`: by (transport, reason)."""

    messages: Counter[str] = field(default_factory=Counter)
    errors: Counter[tuple[str, str]] = field(default_factory=Counter)
    resumes: Counter[str] = field(default_factory=Counter)
    latency: dict[str, Durations] = field(default_factory=lambda: {"websocket": Durations(), "sse": Durations()})


class Doors:
    """`open`: every stream that is."""

    def __init__(self, accounts: Accounts, settings: Settings, clock: Clock) -> None:
        self._accounts, self.clock = accounts, clock
        self.closing = False
        api = settings.api
        own = api.max_streams_per_user
        self._places = Streams(most=api.max_streams, of_user=own, of_address=own * ADDRESS_FACTOR)
        of_scans = settings.screener.max_concurrent_streams
        self._of_scans = Streams(most=of_scans, of_user=of_scans, of_address=of_scans)
        self._idle_s = settings.screener.stream_timeout_s
        self.open: set[Stream] = set()
        self.counts = Counts()

    @contextmanager
    def opened(self, stream: Stream, address: str) -> Iterator[None]:
        """Hold a place while the body runs; Problem 429 if there is none, 503 if the server stops."""
        if self.closing:
            raise Problem(503, "stopping", "the server stops; come again in some seconds", headers={"Retry-After": "5"})
        principal, near = stream.principal, neighbourhood(address)
        user = str(principal.user_id) if principal.user_id is not None else f"-{near}"
        try:
            with self._places.opened(user, near), self._place_of_scan(user, near, stream.of_scan):
                yield from self._registered(stream)
        except TooManyStreams as error:
            self.counts.errors[stream.transport, "too_many"] += 1
            detail = f"{error.most} streams are open, of {error.of}"
            raise Problem(429, "too_many_streams", detail, headers={"Retry-After": "5"}) from error

    def _registered(self, stream: Stream) -> Iterator[None]:
        stream.checked_s = stream.told_s = self.clock.monotonic_s()
        self.open.add(stream)
        try:
            yield
        finally:
            self.open.discard(stream)
            stream.listener.leave()

    @contextmanager
    def _place_of_scan(self, user: str, near: str, of_scan: bool) -> Iterator[None]:
        if not of_scan:
            yield
            return
        with self._of_scans.opened(user, near):
            yield

    def close(self) -> None:
        """Have every stream end: the server stops."""
        self.closing = True
        for stream in self.open:
            stream.listener.wake()

    async def watch(self) -> None:
        """Close what is too slow or no longer allowed, until cancelled."""
        while True:
            await self.clock.sleep(WATCH_S)
            now_s = self.clock.monotonic_s()
            self.close_slow(now_s)
            self.beat(now_s)
            try:
                await self.close_refused(now_s)
            except RetryLater as error:
                log.debug("streams_not_checked", error=str(error))

    def close_slow(self, now_s: float) -> None:
        """Close each stream whose client has taken nothing for STALLED_S: it goes on elsewhere from its number."""
        for stream in list(self.open):
            since_s = stream.sending_since_s
            if since_s is not None and now_s - since_s > STALLED_S:
                stream.end("slow")
                self.counts.errors[stream.transport, "slow"] += 1
                log.info("stream_closed_slow", path=stream.path, user=stream.principal.name, stalled_s=now_s - since_s)

    def beat(self, now_s: float) -> None:
        """Have silent event streams say that they live, and close those of scans that say nothing any more."""
        for stream in list(self.open):
            silent_s = now_s - stream.told_s
            if stream.of_scan and silent_s > self._idle_s:
                stream.end("idle")
            elif stream.transport == "sse" and now_s - max(stream.told_s, stream.beaten_s) >= BEAT_S - WATCH_S:
                stream.is_beat_due, stream.beaten_s = True, now_s
                stream.listener.wake()

    async def close_refused(self, now_s: float) -> None:
        """Close the streams of those who may no longer have them."""
        due = [stream for stream in self.open if now_s - stream.checked_s >= VALID_S]
        asked: dict[Principal, bool] = {}
        for stream in due:
            if stream.principal not in asked:
                asked[stream.principal] = await self._accounts.holders.still_holds(stream.principal)
            stream.checked_s = now_s
            if not asked[stream.principal]:
                stream.end("auth")
                self.counts.errors[stream.transport, "auth"] += 1

    def told(self, stream: Stream, pieces: Sequence[Piece], took_s: float) -> None:
        """Count what was sent, and how long that took from the hub to the socket."""
        for piece in pieces:
            self.counts.messages["scan" if piece.kind else piece.channel] += 1
        self.counts.latency[stream.transport].add(took_s)
