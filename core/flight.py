"""The flight recorder: raw bytes of an upstream in a bounded ring of compressed files, and the reader of these files.

Knows nothing of what the bytes mean. Never blocks who records and never raises to them: what cannot be kept is counted.
A segment is gzip of JSON lines, first a header, then a record a line; plain JSON lines, cut out by hand, are read too.
"""

from __future__ import annotations

import errno
import gzip
import io
import os
import re
import threading
import zlib
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Annotated, Literal

import msgspec
from msgspec import Meta

from core.clock import Clock
from core.errors import FixByHand
from core.logs import Sparing, get_logger

log = get_logger(__name__)

FORMAT = 1
FLUSH_S = 1.0
"""A crash loses no more than this."""
PIECE_RECORDS = 500
PIECE_BYTES = 256 << 10
"""Encoded and compressed at once: little enough that the interpreter is not held for a millisecond."""
SEGMENTS = 8
"""The ring forgets an eighth of itself at a time."""
WAITING_BYTES = 16 << 20
"""What may wait for a slow disk: eight seconds of the whole market's frames."""
CLOSE_TIMEOUT_S = 2.0
TELL_EVERY_S = 600.0
LONGEST_LINE = 64 << 20
"""An answer has at most 8 MiB; JSON writes a byte in at most six."""
FIRST_YEAR, END_YEAR = 1971, 2037
"""No session is known outside."""
_NAME = re.compile(r"(\d{8})-\d{8}T\d{6}Z\.jsonl\.gz")

Kind = Literal["frame", "answer"]
Lines = gzip.GzipFile | io.BufferedReader
Waiting = tuple[datetime, Kind, object, int | None, bytes]


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What came at one moment. `source`: the connection's number, or the address asked, without secrets.

    The bytes are in `text` where they are UTF-8, else in `base64`.
    """

    at: Annotated[datetime, Meta(tz=True)]
    kind: Kind
    source: str
    status: int | None = None
    text: str | None = None
    base64: bytes | None = None

    def __post_init__(self) -> None:
        if (self.text is None) == (self.base64 is None):
            raise ValueError("one of `text` and `base64` must be there")

    @property
    def raw(self) -> bytes:
        return self.base64 if self.base64 is not None else (self.text or "").encode()


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The first line of a segment."""

    tickerd_flight: int
    scanner: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A record that is none."""

    reason: str


class FlightRecorder:
    """Keeps the newest records of one scanner. `frame` and `answer` only append; a thread of its own writes."""

    def __init__(self, folder: Path, *, scanner: str, limit_mb: float, clock: Clock) -> None:
        self._clock = clock
        self._ring = _Ring(folder, scanner=scanner, limit_bytes=int(limit_mb * 1e6))
        self._waiting: deque[Waiting] = deque()
        # Each number has one writer, so that neither side needs a lock.
        self._put_bytes = self._taken_bytes = 0
        self._overrun = self._lost = self._told = 0
        self._reason = ""
        self._sparing = Sparing(every_s=TELL_EVERY_S)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="flight-recorder", daemon=True)

    @property
    def dropped(self) -> int:
        """Records that were not kept: the disk was full, or too slow."""
        return self._overrun + self._lost

    def start(self) -> None:
        self._thread.start()

    def frame(self, source: object, raw: bytes) -> None:
        """Keep a frame that came on connection `source`."""
        self._put((self._clock.utc_now(), "frame", source, None, raw))

    def answer(self, source: str, status: int, raw: bytes) -> None:
        """Keep the answer of address `source`, which must hold no secret, nor may `raw`."""
        self._put((self._clock.utc_now(), "answer", source, status, raw))

    def close(self) -> None:
        """Write what waits and end the segment; a disk that hangs is not waited for."""
        self._stop.set()
        self._thread.join(CLOSE_TIMEOUT_S)

    def _put(self, record: Waiting) -> None:
        if self._put_bytes - self._taken_bytes > WAITING_BYTES:
            self._overrun += 1
            return
        self._put_bytes += len(record[4])
        self._waiting.append(record)

    def _work(self) -> None:
        while not self._stop.wait(FLUSH_S):
            self._drain()
        self._drain()
        try:
            self._ring.end()
        except OSError as error:
            self._drop(0, error)  # its records are on the disk, only the end mark is not
        self._tell()

    def _drain(self) -> None:
        while piece := self._piece():
            try:
                self._ring.write(_lines(piece), at=piece[0][0])
            except OSError as error:
                self._drop(len(piece), error)
            self._taken_bytes += sum(len(record[4]) for record in piece)
        self._tell()

    def _piece(self) -> list[Waiting]:
        piece: list[Waiting] = []
        size = 0
        while self._waiting and len(piece) < PIECE_RECORDS and size < PIECE_BYTES:
            piece.append(self._waiting.popleft())
            size += len(piece[-1][4])
        return piece

    def _drop(self, records: int, error: OSError) -> None:
        self._lost += records
        self._reason = error.strerror or repr(error)

    def _tell(self) -> None:
        dropped = self.dropped
        if dropped > self._told and self._sparing.is_due("dropped", now_s=self._clock.monotonic_s()):
            reason = self._reason or "the disk is too slow"
            log.warning("flight_records_dropped", records=dropped - self._told, reason=reason)
            self._told, self._reason = dropped, ""


def _lines(piece: Sequence[Waiting]) -> bytes:
    return msgspec.json.Encoder().encode_lines([_record(*each) for each in piece])


def _record(at: datetime, kind: Kind, source: object, status: int | None, raw: bytes) -> Record:
    try:
        return Record(at=at, kind=kind, source=str(source), status=status, text=raw.decode())
    except UnicodeDecodeError:
        return Record(at=at, kind=kind, source=str(source), status=status, base64=raw)


class _Ring:
    """The segments in one folder, together never larger than `limit_bytes`. For one thread."""

    def __init__(self, folder: Path, *, scanner: str, limit_bytes: int) -> None:
        self._folder, self._scanner, self._limit_bytes = folder, scanner, limit_bytes
        self._older: deque[tuple[Path, int]] = deque()
        self._file: IO[bytes] | None = None
        self._size = 0

    def write(self, lines: bytes, *, at: datetime) -> None:
        """Append whole lines. After an OSError a new segment begins: the packer has seen more than the file."""
        if self._size >= self._limit_bytes // SEGMENTS:
            self.end()
        if self._file is None:
            self._begin(at)
            lines = msgspec.json.encode(Header(tickerd_flight=FORMAT, scanner=self._scanner)) + b"\n" + lines
        self._append(self._packer.compress(lines) + self._packer.flush(zlib.Z_SYNC_FLUSH))

    def end(self) -> None:
        """Close the open segment, if there is one."""
        if self._file is not None:
            self._append(self._packer.flush(zlib.Z_FINISH))
            self._leave()

    def _begin(self, at: datetime) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        older = segments(self._folder)
        self._older = deque((path, path.stat().st_size) for path in older)
        number = int(older[-1].name[:8]) + 1 if older else 1
        path = self._folder / f"{number:08d}-{at:%Y%m%dT%H%M%SZ}.jsonl.gz"
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
        self._file, self._path, self._size = os.fdopen(fd, "wb", buffering=0), path, 0
        self._packer = zlib.compressobj(level=1, wbits=31)

    def _append(self, data: bytes) -> None:
        assert self._file is not None
        try:
            self._make_room(len(data))
            if self._file.write(data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            self._leave()
            raise
        self._size += len(data)

    def _leave(self) -> None:
        """Close the segment; one that not even its header fitted into goes."""
        assert self._file is not None
        file, self._file = self._file, None
        file.close()
        if not self._size:
            self._path.unlink()

    def _make_room(self, size: int) -> None:
        wanted = self._size + size + sum(size for _, size in self._older) - self._limit_bytes
        while wanted > 0:
            if not self._older:
                raise OSError(errno.EFBIG, "more than flight_recorder_mb at once")
            path, freed = self._older.popleft()
            path.unlink(missing_ok=True)
            wanted -= freed


def segments(folder: Path) -> list[Path]:
    """Return the segments of a folder, oldest first."""
    return sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))


def read_flight(path: Path) -> Iterator[Record | Unreadable]:
    """Yield each record of a segment, or why it is none; FixByHand if the file is no recording at all."""
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        with gzip.open(path) if packed else path.open("rb") as lines:
            yield from _records(lines, path)
    except OSError as error:
        raise FixByHand(f"cannot be read ({error.strerror})", where=str(path), right="give a recording") from error


def _records(lines: Lines, path: Path) -> Iterator[Record | Unreadable]:
    decoder = msgspec.json.Decoder(Record)
    _require_header(_line(lines), path)
    while line := _line(lines):
        if isinstance(line, Unreadable):
            yield line
            return
        try:
            record = decoder.decode(line)
        except msgspec.MsgspecError as error:
            yield Unreadable(reason=str(error))
        else:
            known = FIRST_YEAR <= record.at.year < END_YEAR
            yield record if known else Unreadable(reason=f"`at` is not of {FIRST_YEAR} to {END_YEAR - 1}")


def _line(lines: Lines) -> bytes | Unreadable:
    """Return the next line, b"" at the end, or why there is no further one."""
    try:
        line = lines.readline(LONGEST_LINE)
    except EOFError:
        return b""  # no end mark: the recorder is still writing, or was killed
    except (zlib.error, gzip.BadGzipFile) as error:
        return Unreadable(reason=f"damaged from here on ({error})")
    return line if len(line) < LONGEST_LINE else Unreadable(reason="a line without end")


def _require_header(line: bytes | Unreadable, path: Path) -> None:
    right = f"give a file of `flight/`, whose first line is a header of format {FORMAT}"
    try:
        header = msgspec.json.decode(line if isinstance(line, bytes) else b"", type=Header)
    except msgspec.MsgspecError as error:
        raise FixByHand("is not a recording", where=str(path), right=right) from error
    if header.tickerd_flight != FORMAT:
        raise FixByHand(f"is a recording of format {header.tickerd_flight}", where=str(path), right=right)
