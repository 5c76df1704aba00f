"""The supervised process `proxies`: harvests on a timer and when gold runs low, checks, promotes, rechecks, for good.

The upstream or the database away is waited out; what was seen meanwhile is kept.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Engine

from core import tasks
from core.clock import Clock, SystemClock
from core.errors import RetryLater
from core.logs import get_logger
from core.notify import Notifier, beat_interval_s
from core.progress import Progress
from core.settings import Settings
from proxies import pool, states
from proxies.guard import load_filter
from proxies.harvest import parse_sources
from proxies.keeper import RECHECKS_A_ROUND, Keeper, due_for_check, due_for_promotion, due_for_recheck
from proxies.model import Address, Member, Outcome
from proxies.sources import Gatherer, keep
from proxies.tools import Tools, listed_in_files, open_tools, own_proxies
from storage.engine import open_reader_engine
from storage.proxies import SourceRow, forget_dead, read_refused, read_sources, write_sources
from storage.writer import Writer

log = get_logger(__name__)

SERVICE = "proxies"
ROUND_S = 10.0
LOW_AGAIN_S = 600.0
"""Between two harvests while gold is low: the lists change each ten minutes at best."""
FORGET_AFTER = timedelta(days=7)
FIRST_RETRY_S, LONGEST_RETRY_S = 1.0, 60.0
SESSION_S = 3600.0
"""Then the clients are opened anew: what leaks in months does not leak in an hour."""
NO_SOURCES = "there is nothing to check: name lists in proxies.sources, your own proxies in proxies.own or proxies.file"
ALL_DEAD = "no proxy works now: the direct lane goes on alone; better lists go into proxies.sources"


class Service:
    """The process's state between rounds."""

    def __init__(self, settings: Settings, stop: asyncio.Event, notifier: Notifier, clock: Clock) -> None:
        self._settings, self._stop, self._notifier, self._clock = settings, stop, notifier, clock
        self._sources = parse_sources(settings.proxies.sources)
        self._harvested_s: float | None = None
        self._are_named = False
        self._unwritten: list[Outcome] = []
        self._exported_s = -SESSION_S
        self._told: tuple[Address, ...] = ()
        self._progress: Progress | None = None
        self._data_at: datetime | None = None
        self._facts: dict[str, object] = {}

    async def run(self) -> None:
        """Work until asked to stop."""
        beating = tasks.spawn(
            self._beat(), name="beat", on_error=lambda error: log.error("beat_failed", error=str(error))
        )
        retry_s = FIRST_RETRY_S
        try:
            self._notifier.ready()
            while not self._stop.is_set():
                try:
                    await self._session()
                    retry_s = FIRST_RETRY_S
                except RetryLater as error:
                    log.warning("proxies_waiting", error=str(error), retry_s=round(retry_s, 1))
                    self._notifier.status(f"waiting: {error}")
                    await self._wait(retry_s * random.uniform(0.5, 1.0))
                    retry_s = min(LONGEST_RETRY_S, retry_s * 2)
        finally:
            self._notifier.stopping()
            await tasks.cancel_all([beating])

    async def _session(self) -> None:
        """Work with one set of clients for an hour."""
        settings, url = self._settings, self._settings.database.url
        files = listed_in_files(settings, load_filter(settings.proxies))
        async with open_tools(settings, self._clock, urls=files.urls) as tools:
            self._facts["origin"] = tools.origin
            writer = Writer.open(url, service=SERVICE, origin=tools.origin, clock=self._clock)
            engine = open_reader_engine(url, service=SERVICE)
            try:
                keeper = Keeper(
                    tools,
                    writer,
                    engine,
                    self._clock,
                    file=Path(settings.proxies.file),
                    wanted=settings.proxies.wanted,
                )
                keeper.ledger.take_back(self._unwritten)
                try:
                    await self._rounds(keeper, tools, writer, engine)
                finally:
                    self._unwritten = keeper.ledger.left()
            finally:
                engine.dispose()
                writer.close()

    async def _rounds(self, keeper: Keeper, tools: Tools, writer: Writer, engine: Engine) -> None:
        began_s = self._clock.monotonic_s()
        while not self._stop.is_set() and self._clock.monotonic_s() - began_s < SESSION_S:
            await keeper.ledger.flush(at=self._clock.utc_now())
            if await self._harvest_if_due(tools, writer, engine, await keeper.load()):
                await self._try_own(keeper, tools, engine)
            await self._round(keeper)
            await self._wait(ROUND_S)

    async def _round(self, keeper: Keeper) -> None:
        members = await keeper.load()
        if fresh := due_for_check(members, self._clock.utc_now()):
            await keeper.check(fresh, self._stop, self._report)
            members = await keeper.load()
        self._progress = None
        if self._stop.is_set():
            return
        now = self._clock.utc_now()
        candidates = due_for_promotion(members, now, wanted=self._settings.proxies.wanted)
        taken = {each.exit for each in members if each.state == "gold"}
        await keeper.promote(candidates, taken)
        await keeper.recheck(due_for_recheck(members, now)[:RECHECKS_A_ROUND])
        members = await keeper.load()
        await self._export(keeper, members)
        self._say(keeper, members)

    async def _harvest_if_due(self, tools: Tools, writer: Writer, engine: Engine, members: list[Member]) -> bool:
        now_s = self._clock.monotonic_s()
        gold = sum(each.state == "gold" for each in members)
        every_s = self._settings.proxies.refresh_interval_s
        if gold < self._settings.proxies.wanted:
            every_s = min(every_s, LOW_AGAIN_S)
        if self._harvested_s is not None and now_s - self._harvested_s < every_s:
            return False
        first, self._harvested_s = self._harvested_s is None, now_s
        await self._harvest(tools, writer, engine, anew=first)
        return True

    async def _try_own(self, keeper: Keeper, tools: Tools, engine: Engine) -> None:
        """Try the user's own that are out: that one was down once does not keep it out for hours."""
        if tools.own.urls:
            now = self._clock.utc_now()
            out = await asyncio.to_thread(pool.load, engine, states=["evicted"])
            own = [each for each in out if tools.own.is_listed(each.address) and not states.is_banned(each, now)]
            await keeper.check(own, self._stop, self._report)

    async def _harvest(self, tools: Tools, writer: Writer, engine: Engine, *, anew: bool) -> None:
        """Ask the lists; with `anew` also for what has not changed: the settings may have, and with them the filter."""
        at = self._clock.utc_now()
        named = await asyncio.to_thread(self._named_here, tools)
        self._are_named = bool(named or self._sources)
        added = await asyncio.to_thread(pool.add, writer, named, at=at) if named else None
        known = {row.url: row for row in await asyncio.to_thread(read_sources, engine)}
        due = [each for each in self._sources if not _is_paused(known.get(each.url), at)]
        if due:
            etags = {} if anew else {row.url: row.etag for row in known.values() if row.etag}
            gatherer = Gatherer(
                trust=tools.trust,
                proxy=self._settings.network.proxy,
                clock=self._clock,
                addresses=tools.allowed,
                refused=await asyncio.to_thread(read_refused, engine, now=at),
                etags=etags,
            )
            done = await gatherer.gather(due, self._report)
            added = await asyncio.to_thread(
                keep, writer, engine, done, at=self._clock.utc_now(), is_own=tools.allowed.is_own
            )
            await asyncio.to_thread(self._note_yields, writer, engine)
        await asyncio.to_thread(forget_dead, writer, before=at - FORGET_AFTER)
        log.info("proxies_harvested", lists=len(due), new=added.new if added else 0, again=added.again if added else 0)

    def _named_here(self, tools: Tools) -> dict[Address, str]:
        """Return what the settings and the files name."""
        files = listed_in_files(self._settings, tools.allowed)
        own = own_proxies(self._settings, files.urls)
        return dict.fromkeys(files.addresses, "file") | dict.fromkeys(own.urls, "own")

    def _note_yields(self, writer: Writer, engine: Engine) -> None:
        found = pool.yields(pool.load(engine, states=("live", "gold")))
        none: Counter[str] = Counter()
        rows = [
            replace(row, live=found.get(row.url, none)["live"], gold=found.get(row.url, none)["gold"])
            for row in read_sources(engine)
        ]
        write_sources(writer, rows)

    async def _export(self, keeper: Keeper, members: list[Member]) -> None:
        """Write the files when somebody comes or goes, and now and then for the time in them."""
        now_s = self._clock.monotonic_s()
        good = tuple(sorted(each.address for each in members if each.state in ("live", "gold")))
        if not good or (good == self._told and now_s - self._exported_s < LOW_AGAIN_S):
            return
        await keeper.export(members)
        self._told, self._exported_s = good, now_s

    def _say(self, keeper: Keeper, members: list[Member]) -> None:
        counts = Counter(each.state for each in members)
        exits = len({each.exit for each in members if each.state == "gold"})
        self._facts["pool"] = dict(counts) | {"exits": exits, "wanted": self._settings.proxies.wanted}
        self._facts["unwritten"] = len(keeper.ledger)
        if counts["live"] + counts["gold"]:
            self._data_at = self._clock.utc_now()
            text = f"{counts['gold']} gold by {exits} exits, {counts['live']} live, {counts['cooling']} cooling"
        else:
            text = ALL_DEAD if self._are_named else NO_SOURCES
        self._notifier.status(f"{text}; the table is away: {keeper.ledger.away}" if keeper.ledger.away else text)

    def _report(self, progress: Progress) -> None:
        self._progress = progress

    async def _beat(self) -> None:
        every_s = beat_interval_s(self._settings.supervisor.heartbeat_timeout_s)
        while True:
            self._notifier.beat(data_at=self._data_at, progress=self._progress, facts=self._facts)
            await self._clock.sleep(every_s)

    async def _wait(self, duration_s: float) -> None:
        waiting = [asyncio.ensure_future(self._stop.wait()), asyncio.ensure_future(self._clock.sleep(duration_s))]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await tasks.cancel_all(list(waiting))


def _is_paused(row: SourceRow | None, at: datetime) -> bool:
    return row is not None and row.paused_until is not None and row.paused_until > at


async def main(settings: Settings, stop: asyncio.Event, notifier: Notifier, clock: Clock | None = None) -> None:
    """Keep the pool until asked to stop."""
    await Service(settings, stop, notifier, clock or SystemClock()).run()
