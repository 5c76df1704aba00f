"""One pass over all tickers through the crowd, the direct lane beside it: obeys the plan, counts. Decides nothing."""

from __future__ import annotations

import asyncio
import math
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from core import tasks
from core.errors import RetryLater
from core.logs import get_logger
from core.progress import measured
from market.quality import why_refused
from market.quotes import Quote
from proxies.model import Member
from scanners.context import Context
from scanners.lane import DirectLane, Stopped
from scanners.metrics.crowd import Came, Crowd
from scanners.metrics.members import Members
from scanners.metrics.plan import DIRECT, Accepted, Ask, Heard, Plan
from scanners.metrics.staging import Version
from scanners.sweep import Accept, SweepResult, batches_of, kind_of
from yahoo.quote import QuoteAnswer
from yahoo.session import BatchRefused

log = get_logger(__name__)

LONGEST_LOOK_S = 1.0
"""So soon is a stop seen, and the deadline."""
REFRESH_S = 15.0
"""So often are outcomes handed back and members loaded anew."""
TABLE_S = 5.0
"""So often is the table read again while answers are staged that it may vouch for."""
DIRECT_RETRY_S = 1.0
LONGEST_TESTIMONY_S = 60.0
"""After a refusal the direct lane may be silent for minutes; then exits vouch instead."""
ReadKnown = Callable[[], Mapping[str, Quote]]


class PoolPass:
    """Runs a plan to its end or its deadline. `result` holds what came, also after an error."""

    def __init__(
        self,
        context: Context,
        plan: Plan,
        crowd: Crowd,
        members: Members,
        lane: DirectLane | None,
        accept: Accept,
        *,
        read_known: ReadKnown,
    ) -> None:
        self._context, self._clock = context, context.clock
        self._plan, self._crowd, self._members, self._lane = plan, crowd, members, lane
        self._accept, self._read_known = accept, read_known
        self.result = SweepResult()
        self.causes: Counter[str] = Counter()
        self.requests = 0
        self._by: Counter[str] = Counter()
        self._changed = asyncio.Event()
        self._asking: set[asyncio.Future[Came]] = set()
        self._started_s = self._deadline_s = self._refreshed_s = self._known_s = self._clock.monotonic_s()
        self._tickers: tuple[str, ...] = ()

    async def run(self, tickers: Sequence[str], *, batch_size: int, concurrency: int, deadline_s: float) -> SweepResult:
        """Ask for all `tickers`, at most `deadline_s` seconds; what `accept` raises ends the pass."""
        self._tickers = tuple(tickers)
        self._deadline_s = self._started_s + deadline_s
        self._plan.begin(batches_of(tickers, batch_size))
        await self._look_at_table()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._keep())
                if self._lane is not None:
                    group.create_task(self._directly(self._lane))
                while not self._over():
                    ask = self._plan.next(now_s=self._clock.monotonic_s())
                    if ask is None:
                        await self._wait(self._plan.wake_s(now_s=self._clock.monotonic_s()))
                        continue
                    group.create_task(self._through(ask))
                for asking in self._asking:  # too late; what has come is still written
                    asking.cancel()
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from errors
        finally:
            self._conclude()
            await self._members.hand_back(now=self._clock.utc_now(), is_last=True)
        return self.result

    def detail(self) -> dict[str, Any]:
        """Return what the pass came to, for the record."""
        plan = self._plan
        return {
            "causes": dict(self.causes),
            "by": dict(self._by),
            "pool_requests": self.requests,
            "testimonies": plan.testimonies,
            "rechecked": plan.rechecked,
            "banned": plan.banned[:20],
            "unverified": sum(len(batch.tickers) for batch in plan.staged) + len(plan.withheld),
            "withheld": sorted(plan.withheld)[:20],
            "trips": Counter(trip.cause for trip in plan.trips),
        }

    def _over(self) -> bool:
        is_late = self._clock.monotonic_s() >= self._deadline_s
        return self._context.stop.is_set() or is_late or self._plan.is_over

    async def _wait(self, until_s: float) -> None:
        """Wait for an answer, until `until_s`, or for a stop; at most a second."""
        now_s = self._clock.monotonic_s()
        self._changed.clear()
        left_s = min(until_s, self._deadline_s, now_s + LONGEST_LOOK_S) - now_s
        waiting = [
            asyncio.ensure_future(self._changed.wait()),
            asyncio.ensure_future(self._context.wait(max(0.01, left_s))),
        ]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await tasks.cancel_all(list(waiting))

    def _heard(self, *, idle_s: float = 0.0, came: Came | None = None) -> Heard:
        now, now_s = self._clock.utc_now(), self._clock.monotonic_s()
        if came is None:
            return Heard(now=now, now_s=now_s)
        return Heard(now=now, now_s=now_s, idle_s=idle_s, latency_s=came.latency_s, minted=came.minted)

    async def _through(self, ask: Ask) -> None:
        """Ask one question through the crowd."""
        assert ask.member is not None
        idle_s = self._plan.rotation.idle_before_s(ask.member)
        came = await self._came(ask.member, ask)
        if came is None:
            return
        self.requests += came.requests
        if came.minted:
            self._members.minted(came.member)
            ask = replace(ask, member=came.member)
        heard = self._heard(idle_s=idle_s, came=came)
        trips, banned = len(self._plan.trips), len(self._plan.banned)
        accepted: list[Accepted] = []
        if came.cause is None:
            self.result.failures["BatchRefused"] += 1
            self._plan.refused_length(ask, heard)
        elif came.cause != "ok" or came.answer is None:
            self._plan.failed(ask, came.cause, heard)
        else:
            vouches = came.member.exit_ip is not None
            version = _version(came.member.exit, came.answer, heard.now, vouches=vouches)
            accepted = self._plan.answered(ask, version, heard)
        self._count(ask, came)
        self._after(trips, banned)
        await self._take(accepted, "pool")
        self._changed.set()

    async def _came(self, member: Member, ask: Ask) -> Came | None:
        """Return what came through `member`; None if the pass ended first, and then the ask has failed."""
        asking = asyncio.ensure_future(self._crowd.ask(member, ask.tickers, timeout_s=ask.timeout_s))
        self._asking.add(asking)
        try:
            await asyncio.wait([asking])
        finally:
            if not asking.done() or asking.cancelled():  # the rotation outlives the pass: who is not given back is lost
                self._plan.failed(ask, None, self._heard())
            asking.cancel()
            self._asking.discard(asking)
        return None if asking.cancelled() else asking.result()

    def _count(self, ask: Ask, came: Came) -> None:
        cause = came.cause or "list_refused"
        self.causes[cause] += 1
        now, now_s = self._clock.utc_now(), self._clock.monotonic_s()
        if came.cause is not None:
            self._members.note(came.member, came.cause, at=now, now_s=now_s, latency_s=came.latency_s)
        if came.cause == "ok":
            self._context.pulse.reached()
        else:
            log.debug("exit_failed", proxy=came.member.address.text, cause=cause, tickers=len(ask.tickers))

    def _after(self, trips: int, banned: int) -> None:
        """Say what the plan found out by this answer."""
        now, now_s = self._clock.utc_now(), self._clock.monotonic_s()
        for trip in self._plan.trips[trips:]:
            self._members.forgive(trip)
            self._context.pulse.refusing(f"{trip.cause} through {len(trip.exits)} exits")
            log.warning("breaker_tripped", cause=trip.cause, exits=len(trip.exits), pause_s=trip.pause_s)
        for exit_ip in self._plan.banned[banned:]:
            for member in self._members.at_exit(exit_ip):
                self._members.note(member, "tampered", at=now, now_s=now_s, latency_s=None)
            self.causes["tampered"] += 1
            log.warning("exit_banned", exit=exit_ip, rechecked=self._plan.rechecked)

    async def _directly(self, lane: DirectLane) -> None:
        """Let the direct lane take what the plan gives it."""
        while not self._over():
            ask = self._plan.next_direct(now_s=self._clock.monotonic_s())
            if ask is None:
                await self._wait(math.inf)
                continue
            try:
                answer = await self._ask_direct(lane, ask)
            except RetryLater as error:
                self._direct_failed(ask, error)
                if isinstance(error, Stopped) or await self._context.wait(DIRECT_RETRY_S):
                    return
                continue
            banned = len(self._plan.banned)
            heard = self._heard()
            accepted = self._plan.answered(ask, _version(DIRECT, answer, heard.now), heard)
            self._after(len(self._plan.trips), banned)
            await self._take(accepted, "direct" if not ask.is_testimony else "pool")
            self._changed.set()

    async def _ask_direct(self, lane: DirectLane, ask: Ask) -> QuoteAnswer:
        """Ask through the direct lane; Stopped if the pass ends first."""
        left_s = self._deadline_s - self._clock.monotonic_s()
        asking = asyncio.ensure_future(lane.quotes(ask.tickers))
        limit_s = min(left_s, LONGEST_TESTIMONY_S) if ask.is_testimony else left_s
        ending = asyncio.ensure_future(self._context.wait(limit_s))
        try:
            await asyncio.wait([asking, ending], return_when=asyncio.FIRST_COMPLETED)
        finally:
            await tasks.cancel_all([asking, ending])
        if asking.cancelled():
            if self._over():
                raise Stopped("the pass is over")
            raise RetryLater("the direct lane is silent for too long", where=DIRECT)
        return asking.result()

    def _direct_failed(self, ask: Ask, error: RetryLater) -> None:
        if isinstance(error, BatchRefused):
            self._plan.refused_length(ask, self._heard())
        else:
            self._plan.failed(ask, None, self._heard())
            if ask.is_testimony:
                self._plan.direct_vouches = False
        if not isinstance(error, Stopped):
            self.result.failures[kind_of(error)] += 1
            self.causes[f"direct_{kind_of(error)}"] += 1
            log.info("batch_failed", tickers=len(ask.tickers), error=str(error))
        self._changed.set()

    async def _take(self, accepted: Sequence[Accepted], by: str) -> None:
        for each in accepted:
            version = each.version
            quotes = tuple(version.quotes.values())
            await self._accept(QuoteAnswer(quotes=quotes, missing=version.missing, foreign=version.foreign))
            self._by[by] += len(quotes)
            self.result.answered.update(version.quotes)
            done = len(self.result.answered.union(self._plan.missing))
            elapsed_s = self._clock.monotonic_s() - self._started_s
            self._context.pulse.advance(measured("metrics", done=done, total=len(self._tickers), elapsed_s=elapsed_s))

    async def _keep(self) -> None:
        """Keep members and table knowledge fresh beside the asking."""
        while not self._over():
            await self._wait(self._clock.monotonic_s() + LONGEST_LOOK_S)
            now_s = self._clock.monotonic_s()
            if now_s - self._refreshed_s >= REFRESH_S:
                self._refreshed_s = now_s
                await self._members.refresh(self._clock)
                self._plan.judge.trust(self._members.trusted() | {DIRECT})
            if self._plan.staged and now_s - self._known_s >= TABLE_S:
                await self._look_at_table()
                await self._take(self._plan.look_at_table_again(now_s=now_s), "pool")

    async def _look_at_table(self) -> None:
        self._known_s = self._clock.monotonic_s()
        self._plan.judge.known = await asyncio.to_thread(self._read_known)

    def _conclude(self) -> None:
        self.result.missing = set(self._plan.missing) - self.result.answered
        got = self.result.answered | self.result.missing
        left = tuple(ticker for ticker in self._tickers if ticker not in got)
        self.result.unasked = deque([left] if left else [])


def _version(source: str, answer: QuoteAnswer, at: datetime, *, vouches: bool = True) -> Version:
    quotes = {quote.ticker: quote for quote in answer.quotes}
    unsound = frozenset(quote.ticker for quote in answer.quotes if why_refused(quote, at=at) is not None)
    return Version(source, quotes, missing=answer.missing, foreign=answer.foreign, unsound=unsound, vouches=vouches)
