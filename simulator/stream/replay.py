"""A recording of the flight recorder as a market: which frames are due, what each ticker's quote is. Reads files only.

The recording begins when the first client asks. Exchange times move with it, by whole seconds unless it is played
faster; nothing else changes.
"""

from __future__ import annotations

import binascii
import heapq
import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from core.errors import FixByHand
from core.flight import Record, read_flight, segments
from simulator.stream.wire import varint, zigzag
from simulator.world.listings import CANARY

ROW_TIMES = ("regularMarketTime", "preMarketTime", "postMarketTime")
ID_FIELD, TIME_FIELD = 1, 3
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5

SLOWEST, FASTEST = 0.001, 1000.0
LONGEST_VARINT_BITS = 63

Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What the subscribers of `symbol` are to receive."""

    symbol: str
    payload: bytes
    is_text: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An answer without quotes, to be given once more."""

    path: str
    status: int
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Tempo:
    """How the recording's time becomes the market's: what was heard at `first_at` is played at `began_at`."""

    first_at: datetime
    began_at: datetime
    speed: float

    def has_come(self, at: datetime, now: datetime) -> bool:
        """Whether it is time for what was heard at `at`."""
        return (at - self.first_at) / self.speed <= now - self.began_at

    def moved_ms(self, time_ms: int) -> int:
        """Return an exchange time (ms since 1970) as it is told now: never before one that was earlier."""
        first_ms = int(1000 * self.first_at.timestamp())
        by_s = round((self.began_at - self.first_at).total_seconds())
        return max(0, first_ms + 1000 * by_s + math.floor((time_ms - first_ms) / self.speed))


class Playback:
    """Plays the records of `files`, `speed` times as fast as they came, from when somebody listens or asks."""

    def __init__(self, files: Sequence[Path], *, speed: float = 1.0) -> None:
        self._files, self._speed = _expanded(files), speed
        self._is_wanted = False
        self._tempo: Tempo | None = None
        self._rows: dict[str, tuple[datetime, Row]] = {}
        self._last: dict[str, tuple[str, bytes]] = {}
        self._heard_on: dict[str, str] = {}
        self._frames: dict[str, Frame] = {}
        self.records, self.unreadable = 0, 0
        first = self._survey()
        if first is None:
            raise FixByHand("holds no record", where=str(files[0]), right="give a recording that heard something")
        self._first_at = first
        self._coming = heapq.merge(*map(self._read, self._files), key=lambda record: record.at)
        self._next = next(self._coming, None)

    @property
    def is_over(self) -> bool:
        return self._next is None

    def due(self, now: datetime) -> tuple[list[Frame], list[Refusal]]:
        """Return what came in the recording since the last call, up to `now`, in its order."""
        if self._tempo is None:
            if not self._is_wanted:
                return [], []
            self._tempo = Tempo(first_at=self._first_at, began_at=now, speed=self._speed)
        frames: list[Frame] = []
        refusals: list[Refusal] = []
        while self._next is not None and self._tempo.has_come(self._next.at, now):
            record, self._next = self._next, next(self._coming, None)
            if record.kind == "answer":
                refusals += self._answer(record)
            elif (frame := self._frame(record, self._tempo)) is not None:
                frames.append(frame)
        return frames, refusals

    def snapshot(self, symbols: Iterable[str]) -> list[Frame]:
        """Return the newest frame of each symbol that was played."""
        self._is_wanted = True
        return [self._frames[symbol] for symbol in symbols if symbol in self._frames]

    def row(self, symbol: str, now: datetime) -> Row | None:
        """Return the quote that was answered last; before the first one, that one without the time of its trade.

        With a time it would outdo every frame that is played before its own moment has come.
        """
        self._is_wanted = True
        if symbol not in self._rows:
            return None
        at, row = self._rows[symbol]
        if self._tempo is None or not self._tempo.has_come(at, now):
            return {key: value for key, value in row.items() if key not in ROW_TIMES}
        times = {key: row[key] for key in ROW_TIMES if type(row.get(key)) is int}
        return row | {key: self._tempo.moved_ms(1000 * time_s) // 1000 for key, time_s in times.items()}

    def _survey(self) -> datetime | None:
        """Read everything once: what is the first time, and each ticker's first quote?"""
        first: datetime | None = None
        for path in self._files:
            for record in self._read(path, count=True):
                first = record.at if first is None else min(first, record.at)
                if record.kind == "answer":
                    for row in _rows(record) or ():
                        known = self._rows.get(row["symbol"])
                        if known is None or record.at < known[0]:
                            self._rows[row["symbol"]] = record.at, row
        return first

    def _read(self, path: Path, *, count: bool = False) -> Iterator[Record]:
        for record in read_flight(path):
            self.records += count
            if isinstance(record, Record):
                yield record
            else:
                self.unreadable += count

    def _frame(self, record: Record, tempo: Tempo) -> Frame | None:
        symbol, payload = moved(record.raw, tempo.moved_ms)
        if symbol:
            source, raw = self._last.get(symbol, (record.source, b""))
            if source != record.source and raw == record.raw:
                return None  # several connections heard it, as they do the canary; here one frame reaches all of them
            self._last[symbol] = record.source, record.raw
            self._frames[symbol] = Frame(symbol=symbol, payload=payload)
            self._heard_on[record.source] = symbol
        else:  # what names no ticker goes where the last one of its connection went
            symbol = self._heard_on.get(record.source, CANARY)
        return Frame(symbol=symbol, payload=payload, is_text=record.text is not None)

    def _answer(self, record: Record) -> list[Refusal]:
        rows = _rows(record)
        if rows is None:
            return _refusals(record)
        self._rows.update({row["symbol"]: (record.at, row) for row in rows})
        return []


def moved(raw: bytes, move: Callable[[int], int]) -> tuple[str, bytes]:
    """Return the ticker of a frame and the frame with its exchange time (ms) moved; what is no frame stays as it is."""
    try:
        envelope = json.loads(raw)
        message = binascii.a2b_base64(envelope["message"], strict_mode=True)
        symbol, new = _moved(message, move)
    except (ValueError, KeyError, TypeError, IndexError, RecursionError):
        return "", raw
    if new == message:
        return symbol, raw
    envelope["message"] = binascii.b2a_base64(new, newline=False).decode()
    return symbol, json.dumps(envelope, separators=(",", ":")).encode()


def _moved(message: bytes, move: Callable[[int], int]) -> tuple[str, bytes]:
    symbol, parts = "", []
    for number, content, part in _fields(message):
        if number == ID_FIELD and isinstance(content, bytes):
            symbol = content.decode()
        if number == TIME_FIELD and isinstance(content, int):
            part = varint(TIME_FIELD << 3 | _VARINT) + zigzag(move(content >> 1))
        parts.append(part)
    return symbol, b"".join(parts)


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes, bytes]]:
    """Yield each field of a protobuf message: number, content (a raw varint, or bytes), and the bytes of all of it."""
    begin = 0
    while begin < len(message):
        tag, at = _varint(message, begin)
        content: int | bytes
        if tag & 7 == _VARINT:
            content, end = _varint(message, at)
        else:
            length, at = _length(tag & 7, message, at)
            end = at + length
            content = message[at:end]
        if end > len(message):
            raise ValueError("a field is cut short")
        yield tag >> 3, content, message[begin:end]
        begin = end


def _length(kind: int, message: bytes, at: int) -> tuple[int, int]:
    if kind == _LENGTH:
        return _varint(message, at)
    if kind not in (_FIXED32, _FIXED64):
        raise ValueError(f"wire type {kind}")
    return (4 if kind == _FIXED32 else 8), at


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """Return the number at this place and where it ends."""
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
        if shift > LONGEST_VARINT_BITS:
            raise ValueError("a number without end")


def _refusals(record: Record) -> list[Refusal]:
    """Return the refusal that this answer is; none for an address or a status that cannot be."""
    status = record.status or 200
    try:
        path = urlsplit(record.source).path
    except ValueError:
        return []
    return [Refusal(path=path, status=status, body=record.raw)] if 200 <= status <= 599 else []


def _rows(record: Record) -> list[Row] | None:
    """Return the quotes of an answer, None if it holds no list of them."""
    if record.status != 200:
        return None
    try:
        rows = json.loads(record.raw)["quoteResponse"]["result"]
        return [row for row in rows if isinstance(row["symbol"], str)]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _expanded(files: Iterable[Path]) -> list[Path]:
    return [each for path in files for each in (segments(path) if path.is_dir() else [path])]
