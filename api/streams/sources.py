"""Tells the hub what is new: from the book, from SQL and the control socket. Asks nothing that nobody listens to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import orjson
from sqlalchemy import Engine

from api.auth.holders import Database
from api.book import Book
from api.problems import Problem
from api.progress import progress_of, result_of
from api.streams.hub import Hub, Message, Scan
from api.streams.listener import EVENTS, SIGNALS
from core.bell import Bell
from core.clock import Clock
from core.errors import NotRunning, RetryLater
from core.logs import Sparing, get_logger
from storage import events, scans, signals

log = get_logger(__name__)

LOOK_S = 0.25
"""How often SQL is looked at while somebody listens; the scan engine's bell is heard at once."""
STATES_S = 1.0
PAGE = 500
SAID_EVERY_S = 60.0
JOINED_KEPT = 8
WHOLE = ["state", "since", "market", "coverage", "alerts"]
"""Of the orchestrator's status what is not of one process."""

Row = Mapping[str, Any]
NEWEST: Mapping[str, Callable[[Engine], int]] = {SIGNALS: signals.newest, EVENTS: events.newest}
HAPPENED: Mapping[str, Callable[..., list[dict[str, Any]]]] = {SIGNALS: signals.happened, EVENTS: events.happened}


class Control(Protocol):
    async def status(self) -> dict[str, Any]: ...


class QuoteRows:
    """The book's rows as they are, joined; what many are told at once is joined once."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._joined: dict[tuple[int, int], bytes] = {}

    def __call__(self, tickers: Sequence[str], shared: tuple[int, int] | None) -> bytes:
        if shared is None:
            return b",".join(self._book.rows(tickers)[0])
        found = self._joined.get(shared)
        if found is None:
            if len(self._joined) >= JOINED_KEPT:
                self._joined.clear()
            found = self._joined[shared] = b",".join(self._book.rows(tickers)[0])
        return found


def _result(row: Row) -> dict[str, Any]:
    """Return a result whose JSON is passed on as it stands in SQL."""
    raw = {name: orjson.Fragment(row[name]) if row[name] is not None else None for name in ("measured", "flags")}
    return result_of({**row, **raw, "signal": None if row["signal"] is None else orjson.loads(row["signal"])})


class Sources:
    """`follow_sql` and `follow_states` run as long as the process."""

    def __init__(self, hub: Hub, book: Book, database: Database, control: Control, bell: Bell, clock: Clock) -> None:
        self._hub, self._database, self._control, self._bell, self._clock = hub, database, control, bell, clock
        self._said = Sparing(SAID_EVERY_S)
        book.listeners.append(lambda rows: hub.quotes.change({row["ticker"] for row in rows}))

    async def follow_sql(self) -> None:
        """Look whenever the scan engine rings and a few times a second, until cancelled."""
        while True:
            rings = self._bell.rings
            try:
                await self.look()
            except RetryLater as error:
                if self._said.is_due("away", now_s=self._clock.monotonic_s()):
                    log.warning("streams_stand_still", error=str(error))
            await self._bell.heard(rings, within_s=LOOK_S, clock=self._clock)

    async def look(self) -> None:
        """Tell the hub what is new in SQL."""
        for name, channel in ((SIGNALS, self._hub.signals), (EVENTS, self._hub.events)):
            if channel.listeners:
                channel.add(await self.read(name, channel.newest, most=PAGE))
        if watched := [scan_id for scan_id, scan in self._hub.scans.items() if not scan.ended]:
            await self.look_at_scans(watched)

    async def look_at_scans(self, scan_ids: Sequence[str]) -> None:
        """Tell the hub what these scans have found and how far they are."""
        for row in await self._database.read(lambda engine: scans.read_standing(engine, scan_ids)):
            if (scan := self._hub.scans.get(row["id"])) is not None:
                await self._look_at(scan, row)

    async def _look_at(self, scan: Scan, row: Row) -> None:
        """The row was read before the results: once it says that the scan is over they are all there."""
        progress, ended = progress_of(row), row["status"] in scans.ENDED
        if scan.progress is not None and scan.progress.payload == progress:
            return
        if ended and scan.progress is None:
            scan.begin(await self._database.read(lambda engine: scans.newest_found(engine, scan.scan_id)))
        while messages := await self.read(scan.scan_id, scan.newest, most=PAGE):
            scan.add(messages)
            if len(messages) < PAGE:
                break
        scan.say(progress, ended=ended)

    async def read(self, channel: str, since: int, *, most: int) -> list[Message]:
        """Return messages of a numbered channel after number `since` from SQL."""
        if channel in HAPPENED:
            found = await self._database.read(lambda engine: HAPPENED[channel](engine, since, limit=most))
            return [Message(row, row["seq"]) for row in found]
        found = await self._database.read(lambda engine: scans.read_found(engine, channel, since=since, limit=most))
        return [Message({"scan_id": channel, **_result(row)}, row["seq"]) for row in found]

    async def open_numbered(self, name: str) -> None:
        """Have a channel begin where SQL is, if nobody listens to it yet."""
        channel = self._hub.signals if name == SIGNALS else self._hub.events
        if not channel.listeners:
            channel.begin(await self._database.read(NEWEST[name]))

    async def is_scan(self, scan_id: str) -> bool:
        return bool(await self._database.read(lambda engine: scans.read_standing(engine, [scan_id])))

    async def follow_states(self) -> None:
        """Ask the orchestrator how its processes are once a second, until cancelled."""
        while True:
            if self._hub.scanners.listeners:
                self._tell_states(await self._states())
            await self._clock.sleep(STATES_S)

    async def _states(self) -> dict[str, Row]:
        try:
            status = await self._control.status()
        except (NotRunning, Problem) as error:
            return {"tickerd": {"process": "tickerd", "reachable": False, "reason": str(error)}}
        processes = {one["name"]: {"process": one["name"], **one} for one in status["processes"]}
        whole = {key: status[key] for key in WHOLE if key in status}
        return {"tickerd": {"process": "tickerd", "reachable": True, **whole}, **processes}

    def _tell_states(self, states: Mapping[str, Row]) -> None:
        known = self._hub.states
        news = {name for name, state in states.items() if name not in known or known[name].payload != state}
        for name in news:
            known[name] = Message(states[name])
        if news:
            self._hub.scanners.change(news)
