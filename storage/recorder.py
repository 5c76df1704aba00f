"""Drains the orchestrator's event journal into SQL, as a process of its own. Never changes the journal.

The journal is one JSON object a line, rotated to `events.jsonl.1`. The position is what SQL holds: the greatest
seq of each source. So the recorder may be killed or started twice, and an event is still recorded once.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import os
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import msgspec
from msgspec import Meta
from sqlalchemy import func, select

from core.clock import Clock, SystemClock
from core.files import open_to_follow, read_text
from core.logs import get_logger
from core.notify import Notifier, beat_interval_s
from core.program import run
from core.settings import Settings
from market.sessions import build_calendar
from storage.housekeeping import Housekeeper
from storage.schema import scanner_event
from storage.writer import Transaction, Writer

log = get_logger(__name__)

SERVICE = "recorder"
POLL_S = 1.0
EVENTS_A_TRANSACTION = 500
REFUSALS_LOGGED = 20  # of one poll; the rest is counted
LONGEST_LINE_BYTES = 1_000_000


Int64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Words = Annotated[str, Meta(pattern=r"^[^\x00]*$")]  # PostgreSQL's text cannot hold a NUL


class JournalEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the journal; keys beyond these are ignored, so that an older recorder reads a newer journal."""

    source: Words
    seq: Int64
    at: Annotated[datetime, Meta(tz=True)]
    process: Words
    event: Words
    from_state: Words | None = None
    to_state: Words | None = None
    cause: Words | None = None
    pid: Int64 | None = None
    exit_code: Int64 | None = None
    signal: Int64 | None = None
    detail: Any = None


class Journal:
    """Reads the lines appended to the journal since the last call, across its rotation. Knows no SQL."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._first = True

    def read_lines(self) -> Iterator[bytes]:
        """Yield each line not yielded yet; a last one without its end waits until it is whole."""
        if self._file is not None and self._was_rotated(self._file):
            yield from _rest(self._file, torn_too=True)  # nobody appends to it any more
            self.close()
        if self._file is None and self._path.exists():
            self._file = open_to_follow(self._path)
        if self._first:
            # After the current file is open: a rotation in between then shows a line twice, never not at all.
            self._first = False
            yield from self._read_rotated()
        if self._file is not None:
            yield from _rest(self._file, torn_too=False)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _read_rotated(self) -> Iterator[bytes]:
        rotated = self._path.with_name(self._path.name + ".1")
        if rotated.exists():
            with open_to_follow(rotated) as file:
                yield from _rest(file, torn_too=True)

    def _was_rotated(self, file: BinaryIO) -> bool:
        try:
            return not os.path.samestat(self._path.stat(), os.fstat(file.fileno()))
        except FileNotFoundError:
            return True


def _rest(file: BinaryIO, *, torn_too: bool) -> Iterator[bytes]:
    while line := file.readline(LONGEST_LINE_BYTES):
        whole = line.endswith(b"\n") or len(line) == LONGEST_LINE_BYTES
        if not whole and not torn_too:
            file.seek(-len(line), os.SEEK_CUR)
            return
        yield line


class Recorder:
    """Moves events from the journal into `scanner_event`."""

    def __init__(self, writer: Writer, journal: Journal) -> None:
        self._writer, self._journal = writer, journal
        self._known = writer.run(_recorded, source="events")
        self.recorded = 0
        self.refused = 0

    def drain(self) -> None:
        """Record everything that the journal holds now. RetryLater: the database is away; nothing is lost."""
        refused_before = self.refused
        batch: list[JournalEvent] = []
        for line in self._journal.read_lines():
            event = self._decode(line, log_it=self.refused - refused_before < REFUSALS_LOGGED)
            if event is not None and event.seq > self._known.get(event.source, -1):
                batch.append(event)
            if len(batch) == EVENTS_A_TRANSACTION:
                self._record(batch)
                batch = []
        self._record(batch)
        if self.refused - refused_before > REFUSALS_LOGGED:
            log.warning("journal_lines_refused", lines=self.refused - refused_before)

    def _decode(self, line: bytes, *, log_it: bool) -> JournalEvent | None:
        try:
            return msgspec.json.decode(line, type=JournalEvent)
        except msgspec.MsgspecError as error:
            self.refused += 1
            if log_it:
                log.warning("journal_line_refused", error=str(error), line=line[:200].decode(errors="replace"))
            return None

    def _record(self, events: Sequence[JournalEvent]) -> None:
        if not events:
            return
        rows = [
            msgspec.structs.asdict(event) | {"detail": None if event.detail is None else json.dumps(event.detail)}
            for event in events
        ]
        self.recorded += self._writer.run(lambda tx: tx.execute_many("put_event", rows), source="events", durable=True)
        for event in events:
            self._known[event.source] = max(event.seq, self._known.get(event.source, -1))


def _recorded(tx: Transaction) -> dict[str, int]:
    """Return the greatest seq recorded of each source."""
    greatest = select(scanner_event.c.source, func.max(scanner_event.c.seq)).group_by(scanner_event.c.source)
    return {source: seq for source, seq in tx.connection.execute(greatest)}


async def main(settings: Settings, stop: asyncio.Event, notifier: Notifier, clock: Clock | None = None) -> None:
    """Drain every second until asked to stop, and once more then; keep house once a day while the market is closed."""
    clock = clock or SystemClock()
    journal = Journal(Path(settings.state.dir) / "events.jsonl")
    calendar = build_calendar(settings.market, read=read_text)
    writer = await asyncio.to_thread(Writer.open, settings.database.url, service=SERVICE, origin=None, clock=clock)
    with writer, contextlib.closing(journal):
        recorder = await asyncio.to_thread(Recorder, writer, journal)
        history_days = settings.daily.history_days
        housekeeper = await asyncio.to_thread(Housekeeper, writer, calendar, settings.retention, history_days)
        notifier.ready()
        log.info("recorder_started", journal=settings.state.dir)
        beat_s, beaten_s = beat_interval_s(settings.supervisor.heartbeat_timeout_s), -math.inf
        while True:
            stopping = stop.is_set()
            await asyncio.to_thread(recorder.drain)
            if stopping or clock.monotonic_s() - beaten_s >= beat_s:
                beaten_s = clock.monotonic_s()
                notifier.beat(facts={"events_recorded": recorder.recorded, "lines_refused": recorder.refused})
            if stopping:
                break
            await asyncio.to_thread(housekeeper.work_if_due, clock.utc_now())
            await clock.sleep(POLL_S)
    log.info("recorder_stopped", events_recorded=recorder.recorded, lines_refused=recorder.refused)


if __name__ == "__main__":
    sys.exit(run(main, service=SERVICE))
