"""One listener: what it asked for and how far it has got in each channel. Sends nothing and reads no socket.

It keeps numbers, not messages: what it has not been told yet is in the hub or in SQL.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from api.streams.hub import Channel, Hub, Keys, Message, Numbered

QUOTES_A_FRAME = 500
NUMBERED_AT_ONCE = 200
"""So that a frame stays below the mebibyte that clients take, and others get their turn."""
SIGNALS, EVENTS = "signals", "events"


@dataclass(frozen=True, slots=True)
class Piece:
    """`channel` names it; `message` is to be written for a view; `rows`: of quotes, JSON objects with commas between.

    `seq`: of what is numbered, else 0.
    """

    channel: str
    message: Message | None = None
    rows: bytes = b""
    seq: int = 0
    kind: str = ""


class Older(Protocol):
    """Reads from SQL what is no longer at hand."""

    async def read(self, channel: str, since: int, *, most: int) -> list[Message]: ...


Rows = Callable[[Sequence[str], tuple[int, int] | None], bytes]
"""(tickers, range of changes if it is all that changed in it) -> their rows, commas between."""


@dataclass(slots=True)
class Place:
    """How far a listener is in one scan."""

    seq: int
    version: int = 0
    told_end: bool = False


@dataclass(slots=True)
class Wants:
    """What is listened to now; `since`: the number in each numbered channel."""

    quotes: Keys = None
    quotes_since: int | None = None
    states_since: int | None = None
    since: dict[str, int] = field(default_factory=dict)
    scans: dict[str, Place] = field(default_factory=dict)


class Listener:
    """Woken by the hub; `take` gives what is new, as much at a time as one frame holds."""

    def __init__(self, hub: Hub, older: Older, rows: Rows) -> None:
        self._hub, self._older, self._rows = hub, older, rows
        self._has_news = self._is_held = False
        self._waiting: asyncio.Future[None] | None = None
        self.wants = Wants()
        self.marks: dict[str, int] = {}
        """What an event stream has sent of each numbered channel."""

    def wake(self) -> None:
        self._has_news = True
        if self._waiting is not None and not self._is_held and not self._waiting.done():
            self._waiting.set_result(None)

    def hold(self) -> None:
        """Have news wait: what is listened to changes, and the answer to that comes before what it brings."""
        self._is_held = True

    def release(self) -> None:
        self._is_held = False
        if self._has_news:
            self.wake()

    async def news(self) -> None:
        """Wait until a channel has something to say. By hand: an Event of asyncio's costs each listener 600 bytes."""
        if not self._has_news or self._is_held:
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting
            self._waiting = None

    def want_quotes(self, keys: Keys, *, snapshot: bool) -> None:
        """Listen to these tickers, None: all. `snapshot`: begin with their newest quotes."""
        wants = self.wants
        known = wants.quotes_since is not None
        if keys is not None and known and wants.quotes is not None:
            keys = keys | wants.quotes
        wants.quotes = keys
        if snapshot or not known:
            wants.quotes_since = 0 if snapshot else self._hub.quotes.version
        self._listen(self._hub.quotes, keys)

    def want_states(self) -> None:
        """Listen to the states of the scanners; begins with the newest of each."""
        self.wants.states_since = 0
        self._listen(self._hub.scanners)

    def want_numbered(self, name: str, since: int | None) -> None:
        """Listen to signals or events after number `since`; None: to those from now on."""
        channel = self._numbered(name)
        begin = channel.newest if since is None else min(since, channel.newest)
        self.wants.since[name] = self.marks[name] = begin
        self._listen(channel)

    def want_scan(self, scan_id: str, since: int = 0) -> None:
        """Listen to a scan: its results after number `since`, its progress, its end."""
        self.wants.scans[scan_id], self.marks[scan_id] = Place(since), since
        self._listen(self._hub.scan(scan_id))

    def _listen(self, channel: Channel, keys: Keys = None) -> None:
        channel.listeners[self] = keys
        self.wake()

    def drop_quotes(self, keys: Keys) -> None:
        """Stop listening to these tickers, None: to all."""
        held = self.wants.quotes
        left = None if keys is None or held is None else held - keys
        if left:
            self.wants.quotes = left
            self._hub.quotes.listeners[self] = left
        else:
            self.wants.quotes_since = None
            self._hub.quotes.listeners.pop(self, None)

    def drop_states(self) -> None:
        self.wants.states_since = None
        self._hub.scanners.listeners.pop(self, None)

    def drop_numbered(self, name: str) -> None:
        if self.wants.since.pop(name, None) is not None:
            self._numbered(name).listeners.pop(self, None)

    def drop_scan(self, scan_id: str) -> None:
        if self.wants.scans.pop(scan_id, None) is not None:
            self._hub.leave_scan(scan_id, self)

    def leave(self) -> None:
        """Listen to nothing any more."""
        self._hub.leave(self)

    async def take(self) -> list[Piece]:
        """Return what is new, numbered things first; what is left wakes again."""
        self._has_news = False
        pieces: list[Piece] = []
        for name in tuple(self.wants.since):
            pieces += await self._take_numbered(name)
        for scan_id in tuple(self.wants.scans):
            pieces += await self._take_scan(scan_id)
        pieces += self._take_states()
        pieces += self._take_quotes()
        return pieces

    async def _take_numbered(self, name: str) -> list[Piece]:
        messages = await self._after(name, self._numbered(name), self.wants.since[name])
        if messages and name in self.wants.since:
            self.wants.since[name] = messages[-1].seq
        return [Piece(name, message=message, seq=message.seq) for message in messages]

    async def _after(self, name: str, channel: Numbered, since: int) -> list[Message]:
        found = channel.after(since, most=NUMBERED_AT_ONCE)
        if found is None:
            found = await self._older.read(name, since, most=NUMBERED_AT_ONCE)
            if found:
                self.wake()
        elif len(found) == NUMBERED_AT_ONCE:
            self.wake()
        return found

    async def _take_scan(self, scan_id: str) -> list[Piece]:
        """Results first, then how far the scan is; its end only after its last result."""
        scan = self._hub.scan(scan_id)
        version, ended, progress = scan.version, scan.ended, scan.progress  # before the results: they are complete then
        place = self.wants.scans[scan_id]
        messages = await self._after(scan_id, scan, place.seq)
        pieces = [Piece(scan_id, message=message, seq=message.seq, kind="result") for message in messages]
        if messages:
            place.seq = messages[-1].seq
        if progress is None or version == place.version:
            return pieces
        if ended and place.seq < scan.newest:
            self.wake()
            return pieces
        place.version = version
        pieces.append(Piece(scan_id, message=progress, kind="progress"))
        if ended and not place.told_end:
            place.told_end = True
            pieces.append(Piece(scan_id, message=progress, kind="complete"))
        return pieces

    def _take_states(self) -> list[Piece]:
        since = self.wants.states_since
        if since is None:
            return []
        names, self.wants.states_since = self._hub.scanners.newer(since, None, most=QUOTES_A_FRAME)
        return [Piece("scanners", message=self._hub.states[name]) for name in names if name in self._hub.states]

    def _take_quotes(self) -> list[Piece]:
        since = self.wants.quotes_since
        if since is None:
            return []
        tickers, until = self._hub.quotes.newer(since, self.wants.quotes, most=QUOTES_A_FRAME)
        self.wants.quotes_since = until
        if until < self._hub.quotes.version:
            self.wake()
        if not tickers:
            return []
        shared = (since, until) if self.wants.quotes is None else None
        return [Piece("quotes", rows=self._rows(tickers, shared))]

    def _numbered(self, name: str) -> Numbered:
        return self._hub.signals if name == SIGNALS else self._hub.events

    @property
    def subscriptions(self) -> dict[str, object]:
        """Return all that is listened to, as a client is told it."""
        wants = self.wants
        found: dict[str, object] = {name: {"since": seq} for name, seq in wants.since.items()}
        if wants.quotes_since is not None:
            found["quotes"] = ["*"] if wants.quotes is None else sorted(wants.quotes)
        if wants.states_since is not None:
            found["scanners"] = ["*"]
        if wants.scans:
            found["scan"] = {scan_id: {"since": place.seq} for scan_id, place in wants.scans.items()}
        return found

    @property
    def position(self) -> str:
        """Return how far it is in each numbered channel: `signals=812;events=40`."""
        places = {scan_id: place.seq for scan_id, place in self.wants.scans.items()}
        return ";".join(f"{name}={seq}" for name, seq in {**self.wants.since, **places}.items())

    def mark_of(self, piece: Piece) -> str:
        """Return the id of an event: its number, or all numbers where several channels have some."""
        self.marks[piece.channel] = piece.seq
        if len(self.wants.since) + len(self.wants.scans) == 1:
            return str(piece.seq)
        return ";".join(f"{name}={seq}" for name, seq in self.marks.items())

    @property
    def scans_are_over(self) -> bool:
        """Whether it listens to scans alone and has been told the end of each."""
        wants = self.wants
        others = wants.quotes_since is not None or wants.states_since is not None or wants.since
        return bool(wants.scans) and not others and all(place.told_end for place in wants.scans.values())
