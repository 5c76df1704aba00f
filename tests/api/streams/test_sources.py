from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest

from api.streams.hub import Hub
from api.streams.listener import EVENTS, SIGNALS, Listener
from api.streams.sources import PAGE, QuoteRows, Sources
from core.bell import Bell
from core.errors import NotRunning
from storage import scans
from storage.scans import Ended
from tests.fix_api import Direct, result_row
from tests.fix_storage import NOON, StillClock
from tests.storage.test_events import put


class Book:
    def __init__(self) -> None:
        self.listeners: list[Any] = []
        self.asked = 0

    def rows(self, tickers: Any) -> tuple[list[bytes], list[str]]:
        self.asked += 1
        return [f'{{"ticker":"{ticker}"}}'.encode() for ticker in tickers], []


class Control:
    status_: dict[str, Any] | None = None

    async def status(self) -> dict[str, Any]:
        if self.status_ is None:
            raise NotRunning("no orchestrator answers")
        return self.status_


class Place:
    def __init__(self, direct: Direct, folder: Path) -> None:
        self.direct, self.hub, self.book, self.control = direct, Hub(), Book(), Control()
        bell = Bell(folder / "bell")
        self.sources = Sources(self.hub, cast(Any, self.book), direct, self.control, bell, StillClock())

    def listener(self) -> Listener:
        return Listener(self.hub, self.sources, QuoteRows(cast(Any, self.book)))

    def look(self) -> None:
        asyncio.run(self.sources.look())


@pytest.fixture
def place(direct: Direct, tmp_path: Path) -> Place:
    return Place(direct, tmp_path)


def test_nothing_is_read_while_nobody_listens(place: Place) -> None:
    put(place.direct.writer, "a", 1, "child_started")
    place.look()
    assert place.direct.reads == 0 and place.hub.events.newest == 0


def test_events_are_told_from_where_sql_was_when_one_came(place: Place) -> None:
    put(place.direct.writer, "a", 1, "child_started")
    asyncio.run(place.sources.open_numbered(EVENTS))
    one = place.listener()
    one.want_numbered(EVENTS, None)
    put(place.direct.writer, "a", 2, "child_ready")
    place.look()
    pieces = asyncio.run(one.take())
    assert [(piece.seq, piece.message.payload["event"]) for piece in pieces if piece.message] == [(2, "child_ready")]
    late = place.listener()
    late.want_numbered(EVENTS, 0)
    assert [piece.seq for piece in asyncio.run(late.take())] == [1, 2], "what is older comes from SQL"


def test_the_second_listener_does_not_make_a_channel_begin_anew(place: Place) -> None:
    asyncio.run(place.sources.open_numbered(SIGNALS))
    place.listener().want_numbered(SIGNALS, None)
    place.hub.signals.newest = 7
    asyncio.run(place.sources.open_numbered(SIGNALS))
    assert place.hub.signals.newest == 7


def test_a_running_scan_is_followed_and_one_that_is_over_is_read_page_by_page(place: Place) -> None:
    writer = place.direct.writer
    scans.begin(writer, "s", {}, name=None, at=NOON)
    found = [result_row(f"T{seq}", seq) for seq in range(1, PAGE + 11)]
    scans.note_progress(writer, "s", {"scan_id": "s", "overall_progress": 50.0, "progress_percent": 50.0}, found)
    one = place.listener()
    one.want_scan("s")
    place.look()
    scan = place.hub.scans["s"]
    assert (scan.newest, scan.ended) == (PAGE + 10, False)
    reads = place.direct.reads
    place.look()
    assert place.direct.reads == reads + 1, "nothing new: the results are not read again"
    scans.end(writer, "s", Ended(status="complete", values={}, results=found, errors=[]), at=NOON)
    place.look()
    assert scan.ended and scan.progress is not None and scan.progress.payload["status"] == "complete"
    place.look()
    assert place.direct.reads == reads + 3, "a scan that is over is not looked at again"
    one.leave()
    late = place.listener()
    late.want_scan("s")
    place.look()
    assert place.hub.scans["s"].floor == PAGE + 10, "nothing of it is kept at hand"
    seen: list[int] = []
    while not late.scans_are_over:
        seen += [piece.seq for piece in asyncio.run(late.take()) if piece.kind == "result"]
    assert seen == list(range(1, PAGE + 11))


def test_states_are_told_when_they_change_and_that_nobody_answers(place: Place) -> None:
    async def look() -> dict[str, Any]:
        place.sources._tell_states(await place.sources._states())
        return {name: message.payload for name, message in place.hub.states.items()}

    assert asyncio.run(look())["tickerd"]["reachable"] is False
    version = place.hub.scanners.version
    asyncio.run(look())
    assert place.hub.scanners.version == version
    place.control.status_ = {"state": "running", "processes": [{"name": "prices", "state": "running"}]}
    states = asyncio.run(look())
    assert states["tickerd"]["reachable"] is True and states["prices"] == {
        "process": "prices",
        "name": "prices",
        "state": "running",
    }


def test_changed_quotes_are_told_to_the_hub_and_joined_once_for_all(place: Place) -> None:
    place.book.listeners[0]([{"ticker": "A"}, {"ticker": "B"}])
    assert place.hub.quotes.newer(0, frozenset("AB"), most=9)[1] == 2
    rows = QuoteRows(cast(Any, place.book))
    assert rows(["A", "B"], (0, 2)) == rows(["A", "B"], (0, 2)) == b'{"ticker":"A"},{"ticker":"B"}'
    assert place.book.asked == 1
    for number in range(20):
        rows(["A"], (number, 99))
    assert len(rows._joined) <= 8 and rows(["A"], None) == b'{"ticker":"A"}'
