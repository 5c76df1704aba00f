"""Rounds over the pool: check what is new, promote the best, look at the oldest again, write the files.

Decides what is due from the table alone, so that what the scanner saw counts like what was seen here.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Engine

from core.clock import Clock
from core.logs import get_logger
from core.progress import Reporter, measured
from proxies import pool, states
from proxies.files import Exporter
from proxies.funnel import Result
from proxies.ledger import Ledger
from proxies.model import Member, Outcome
from proxies.tools import Tools
from storage.proxies import read_banned
from storage.writer import Writer

log = get_logger(__name__)

RECHECK_AFTER_S = 300.0
"""A good answer of the last five minutes, whoever got it, is as good as a check."""
RECHECKS_A_ROUND = 10
"""Each ten seconds: one request a second to the upstream, for the whole pool."""
PROMOTIONS_A_ROUND = 16


def due_for_check(members: Iterable[Member], now: datetime) -> list[Member]:
    """Return those never judged good that may be tried now, those never tried first."""
    waiting = [each for each in (states.woken(each, now) for each in members) if each.state == "candidate"]
    never = datetime.min.replace(tzinfo=now.tzinfo)
    return sorted(waiting, key=lambda each: (each.last_checked or never, each.address))


def due_for_recheck(members: Iterable[Member], now: datetime) -> list[Member]:
    """Return the usable ones that nobody has asked for five minutes, the oldest first."""
    before = now - timedelta(seconds=RECHECK_AFTER_S)
    usable = (states.woken(each, now) for each in members)
    old = [
        each for each in usable if each.state in ("live", "gold") and (each.last_checked or each.first_seen) < before
    ]
    return sorted(old, key=lambda each: (each.last_checked or each.first_seen, each.address))


def due_for_promotion(members: Iterable[Member], now: datetime, *, wanted: int) -> list[Member]:
    """Return the best of the live, as many as are missing: one of each known exit, none whose exit is gold already."""
    usable = [states.woken(each, now) for each in members]
    gold = {each.exit for each in usable if each.state == "gold"}
    best: dict[str, Member] = {}
    for each in sorted(usable, key=lambda each: (-states.score(each, now), each.latency_ms or 1e9, each.address)):
        if each.state == "live" and (each.exit_ip is None or each.exit not in gold):
            best.setdefault(each.exit_ip or each.address.text, each)
    return list(best.values())[: max(0, wanted - len(gold))]


class Keeper:
    """Works on one pool with one set of tools."""

    def __init__(self, tools: Tools, writer: Writer, engine: Engine, clock: Clock, *, file: Path, wanted: int) -> None:
        self._tools, self._writer, self._engine, self._clock = tools, writer, engine, clock
        self._wanted = wanted
        self._exporter = Exporter(file)
        self.ledger = Ledger(writer, engine, is_own=tools.allowed.is_own)

    async def check(self, members: Sequence[Member], stop: asyncio.Event, report: Reporter) -> Counter[str]:
        """Send these through the funnel; return cause -> how many."""
        causes: Counter[str] = Counter()
        sources = {each.address: each.sources for each in members}
        began_s = self._clock.monotonic_s()

        async def tell(result: Result) -> None:
            causes[result.outcome.cause] += 1
            listed_as = result.listed_as
            self.ledger.put(result.outcome, listed_as=listed_as, sources=sources.get(listed_as, ""))
            await self.ledger.flush(at=self._clock.utc_now(), full_only=True)
            elapsed_s = self._clock.monotonic_s() - began_s
            report(measured("proxies", done=causes.total(), total=len(members), elapsed_s=elapsed_s))

        try:
            await self._tools.funnel.run([each.address for each in members], tell, stop)
        finally:
            await self.ledger.flush(at=self._clock.utc_now())
        if members:
            log.info("proxies_checked", proxies=causes.total(), good=causes["ok"], causes=dict(causes.most_common()))
        return causes

    async def recheck(self, members: Sequence[Member]) -> Counter[str]:
        """Ask each of these once; return cause -> how many."""
        causes = await asyncio.gather(*(self._recheck(each) for each in members))
        await self.ledger.flush(at=self._clock.utc_now())
        return Counter(causes)

    async def _recheck(self, member: Member) -> str:
        checked = await self._tools.checker.ask(member.address)
        at = self._clock.utc_now()
        self.ledger.put(Outcome(address=member.address, cause=checked.cause, at=at, latency_ms=checked.latency_ms))
        return checked.cause

    async def promote(self, members: Sequence[Member], taken: set[str]) -> int:
        """Try to make gold of these; `taken`: exits that are gold already. Return how many became it."""
        if not members:
            return 0
        _, banned = await asyncio.to_thread(read_banned, self._engine)
        done = Counter[str]()
        await asyncio.gather(*(self._promote(each, taken, banned, done) for each in members[:PROMOTIONS_A_ROUND]))
        await self.ledger.flush(at=self._clock.utc_now())
        log.info("proxies_promoted", tried=min(len(members), PROMOTIONS_A_ROUND), gold=done["gold"], causes=dict(done))
        return done["gold"]

    async def _promote(self, member: Member, taken: set[str], banned: set[str], done: Counter[str]) -> None:
        promotion = await self._tools.promoter.ask(member.address, taken=taken, banned=banned)
        at = self._clock.utc_now()
        done["gold" if promotion.crumb else promotion.cause] += 1
        if promotion.exit_ip and promotion.cause == "ok":
            await asyncio.to_thread(
                pool.set_identity,
                self._writer,
                member.address,
                exit_ip=promotion.exit_ip,
                cookie=promotion.cookie,
                crumb=promotion.crumb,
                at=at,
            )
        self.ledger.put(Outcome(address=member.address, cause=promotion.cause, at=at))

    async def load(self) -> list[Member]:
        """Return the members that are not out."""
        return await asyncio.to_thread(pool.load, self._engine, states=("candidate", "live", "gold", "cooling"))

    async def export(self, members: Iterable[Member]) -> int:
        """Write the files; return how many proxies are in them."""
        return await asyncio.to_thread(self._exporter.write, list(members), now=self._clock.utc_now())
