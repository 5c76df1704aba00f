"""What is new, for any number of listeners, each as far as it has got. Waits for nobody and keeps nothing for anybody.

Two kinds of channels. `Latest`: only the newest value of each key counts (quotes, progress, states); who is late gets
it once. `Numbered`: everything counts (results, signals, events); who is late goes on from its own number, from the
newest few that are kept here or from SQL. So a slow listener costs a number, and loses nothing that is numbered.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Set
from typing import Any, Protocol

KEPT = 1000
"""Numbered messages of a channel that are kept at hand; older ones are read from SQL."""

Payload = Mapping[str, Any]
View = Callable[[Any], bytes]
"""How a payload is written for one kind of listeners."""


class Message:
    """One thing to say, written once for each view however many listen. `seq`: 0 where only the latest counts."""

    __slots__ = ("_written", "payload", "seq")

    def __init__(self, payload: Payload, seq: int = 0) -> None:
        self.payload, self.seq = payload, seq
        self._written: dict[View, bytes] = {}

    def written(self, view: View) -> bytes:
        found = self._written.get(view)
        if found is None:
            found = self._written[view] = view(self.payload)
        return found


class Listener(Protocol):
    """Told that a channel has news; it looks for itself."""

    def wake(self) -> None: ...


Keys = Set[str] | None
"""Which keys of a channel one wants; None: all of them."""


class Channel:
    """Who listens, and to what of it."""

    def __init__(self) -> None:
        self.listeners: dict[Listener, Keys] = {}

    def wake_all(self) -> None:
        for listener in self.listeners:
            listener.wake()


class Latest(Channel):
    """Counts the changes of each key. What the newest value is, is asked when it is told."""

    def __init__(self) -> None:
        super().__init__()
        self._changed: dict[str, int] = {}
        """Key -> number of its last change, the newest last."""
        self.version = 0

    def change(self, keys: Set[str]) -> None:
        """Note that these keys have new values, and wake those who want them."""
        for key in keys:
            self._changed.pop(key, None)
            self.version += 1
            self._changed[key] = self.version
        for listener, wanted in self.listeners.items():
            if wanted is None or not wanted.isdisjoint(keys):
                listener.wake()

    def newer(self, since: int, keys: Keys, *, most: int) -> tuple[list[str], int]:
        """Return at most `most` of `keys` (None: of all) that changed after `since`, and where to go on."""
        if since >= self.version:
            return [], since
        found = self._of(keys, since) if keys is not None else self._all(since)
        if len(found) <= most:
            return [key for _, key in found], self.version
        return [key for _, key in found[:most]], found[most - 1][0]

    def _of(self, keys: Set[str], since: int) -> list[tuple[int, str]]:
        changed = self._changed
        return sorted((changed[key], key) for key in keys if changed.get(key, 0) > since)

    def _all(self, since: int) -> list[tuple[int, str]]:
        found = []
        for key in reversed(self._changed):
            version = self._changed[key]
            if version <= since:
                break
            found.append((version, key))
        found.reverse()
        return found


class Numbered(Channel):
    """The newest messages in the order of their numbers; each after `floor` is here or is yet to come."""

    def __init__(self) -> None:
        super().__init__()
        self._kept: deque[Message] = deque()
        self.floor = self.newest = 0

    def begin(self, newest: int) -> None:
        """Keep nothing and go on after number `newest`: while nobody listened nothing was added."""
        self._kept.clear()
        self.floor = self.newest = newest

    def add(self, messages: Iterable[Message]) -> None:
        """Add messages with growing numbers and wake the listeners; those that two have read at once are added once."""
        before = self.newest
        for message in messages:
            if message.seq > self.newest:
                self._kept.append(message)
                self.newest = message.seq
        while len(self._kept) > KEPT:
            self.floor = self._kept.popleft().seq
        if self.newest > before:
            self.wake_all()

    def after(self, seq: int, *, most: int) -> list[Message] | None:
        """Return at most `most` messages after number `seq`; None if some of them are in SQL alone."""
        if seq < self.floor:
            return None
        if seq >= self.newest:
            return []
        kept = self._kept
        skip = 0
        if kept[0].seq <= seq:  # most listeners are nearly up to date: look from the end
            skip = len(kept)
            while kept[skip - 1].seq > seq:
                skip -= 1
        return [kept[place] for place in range(skip, min(skip + most, len(kept)))]


class Scan(Numbered):
    """The results of one scan; `progress` its newest progress, `version` counts those, `ended`: no result follows."""

    def __init__(self, scan_id: str) -> None:
        super().__init__()
        self.scan_id = scan_id
        self.progress: Message | None = None
        self.version = 0
        self.ended = False

    def say(self, progress: Payload, *, ended: bool) -> None:
        """Note how far the scan is, if that is news, and wake the listeners."""
        if self.ended or (self.progress is not None and self.progress.payload == progress and not ended):
            return  # what is over stays so, also where a row that was read before comes later
        self.progress, self.ended = Message(progress), ended
        self.version += 1
        self.wake_all()


class Hub:
    """All channels of this process."""

    def __init__(self) -> None:
        self.quotes, self.scanners = Latest(), Latest()
        self.states: dict[str, Message] = {}
        """Process -> its newest state, for `scanners`."""
        self.signals, self.events = Numbered(), Numbered()
        self.scans: dict[str, Scan] = {}

    def scan(self, scan_id: str) -> Scan:
        """Return the channel of a scan; it goes with its last listener."""
        if scan_id not in self.scans:
            self.scans[scan_id] = Scan(scan_id)
        return self.scans[scan_id]

    def leave(self, listener: Listener) -> None:
        """Forget a listener."""
        for channel in (self.quotes, self.scanners, self.signals, self.events):
            channel.listeners.pop(listener, None)
        for scan_id in list(self.scans):
            self.leave_scan(scan_id, listener)

    def leave_scan(self, scan_id: str, listener: Listener) -> None:
        scan = self.scans[scan_id]
        scan.listeners.pop(listener, None)
        if not scan.listeners:
            del self.scans[scan_id]
