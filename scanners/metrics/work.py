"""The metrics scanner at work: a cycle of quote batches each interval while the market is open."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from sqlalchemy import Engine

from core.clock import utc_text
from core.errors import FixByHand, RetryLater, Unreachable
from core.logs import get_logger
from market.quotes import Quote
from net.client import CROWD_CONNECT_S, CrowdClient, HttpClient
from net.origin import Origin, probe_origin
from net.roots import few_roots
from proxies.breaker import Breaker
from proxies.guard import load_filter
from proxies.rotation import Rotation
from proxies.tools import HOSTS, listed_in_files, own_proxies
from scanners.context import Context, load_tickers, open_writer, origin_of
from scanners.lane import DirectLane
from scanners.metrics.crowd import Crowd
from scanners.metrics.members import Members, count
from scanners.metrics.plan import DIRECT, Plan
from scanners.metrics.pool_pass import PoolPass
from scanners.metrics.staging import Judge
from scanners.quote_cycle import CycleResult, MakePass, QuoteCycle
from scanners.sweep import Accept, Pass
from storage.engine import open_reader_engine
from storage.witness import read_known
from storage.writer import Writer
from yahoo.quote import URL

log = get_logger(__name__)

DATABASE_RETRY_S = 5.0
THREADS = 2
"""For the database. Each thread keeps memory of its own, and asyncio would start one for each processor and four."""
DIRECT_SHARE = 0.6
"""Of the interval: then the direct lane takes what is left."""
EMPTY_RETRY_S = 10.0
ROOT_TRIES = 5
"""So many exits are asked whose certificate the upstream shows; then all roots are believed."""
DAY = timedelta(days=1)


@dataclass(slots=True, kw_only=True)
class Tools:
    """What lasts from cycle to cycle. `lane` None: never directly. `rotation` None: only directly.

    `few_roots`: a bundle of those that the upstream's certificates end in.
    """

    context: Context
    writer: Writer
    engine: Engine
    lane: DirectLane | None
    rotation: Rotation | None
    members: Members | None
    judge: Judge
    few_roots: Path


async def work(context: Context) -> int | None:
    """Run until asked to stop, or with `once` for one cycle; exit 1 if that one brought nothing."""
    origin = await _origin(context)
    if origin is None:
        return None
    writer = open_writer(context, origin)
    engine = open_reader_engine(context.settings.database.url, service=context.name)
    tickers = [row.ticker for row in await load_tickers(context)]
    context.pulse.ready()
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS))
    try:
        async with AsyncExitStack() as stack:
            tools = await _tools(context, writer, engine, stack)
            if context.once:
                result = await cycle(tools, tickers)
                return 1 if result.status == "failed" else 0
            await cycles(tools, tickers)
    finally:
        engine.dispose()
        writer.close()
    return None


async def _origin(context: Context) -> Origin | None:
    """Return whose data quotes are; where nothing may be asked directly, learn it through the pool."""
    if context.settings.metrics.direct != "never":
        return await origin_of(context, URL)
    if not context.settings.network.ca_file:
        return "live"  # nobody else's certificate would be believed
    engine = open_reader_engine(context.settings.database.url, service=context.name)
    try:
        return await _origin_through_pool(context, engine)
    finally:
        engine.dispose()


async def _origin_through_pool(context: Context, engine: Engine) -> Origin | None:
    while not context.stop.is_set():
        members = _members(context, None, engine, Rotation(rest_s=0.0))
        held = await asyncio.to_thread(members.read)
        for member in held:
            if context.stop.is_set():
                return None
            if member.address.protocol != "http":
                continue
            url = members.url_of(member.address)
            try:
                return await probe_origin(URL, trust=context.trust, proxy=url, timeout_s=CROWD_CONNECT_S)
            except Unreachable as error:
                log.debug("exit_failed", proxy=member.address.text, cause="origin", error=str(error))
        _say_empty(context)
        await context.wait(EMPTY_RETRY_S)
    return None


def _say_empty(context: Context) -> None:
    """Say that nothing can be asked, and what to do; with `once` that is an error."""
    reason = 'is "never", and the proxy pool holds nobody who can be asked'
    if context.once:
        raise FixByHand(reason, key="metrics.direct", right='set it to "fallback" or "only", or fill the pool')
    log.warning("lane_missing", key="metrics.direct", reason=reason)
    context.pulse.ready()
    context.pulse.say(f"asks nothing: metrics.direct {reason}; see `tickerd proxies list`")


async def _tools(context: Context, writer: Writer, engine: Engine, stack: AsyncExitStack) -> Tools:
    settings = context.settings
    lane = rotation = members = None
    if settings.metrics.direct != "never":
        http = HttpClient(ca_path=context.trust.ca_path, proxy=settings.network.proxy)
        lane = DirectLane(context, await stack.enter_async_context(http))
    if settings.metrics.direct != "only":
        rotation = Rotation(rest_s=settings.metrics.rest_s)
        members = _members(context, writer, engine, rotation)
    return Tools(
        context=context,
        writer=writer,
        engine=engine,
        lane=lane,
        rotation=rotation,
        members=members,
        judge=Judge(trusted={DIRECT}, rng=random.SystemRandom()),
        few_roots=await _few_roots(context, members) if members else context.trust.ca_path,
    )


async def _few_roots(context: Context, members: Members) -> Path:
    """Learn which roots sign the upstream; through the pool where nothing may be asked directly.

    A kept connection holds all roots that it was opened with: 0.4 MB for the usual ones, and 3.5 ms to read them.
    """
    state_dir, proxies = Path(context.settings.state.dir), [context.settings.network.proxy]
    if context.settings.metrics.direct == "never":
        held = await asyncio.to_thread(members.read)
        proxies = [members.url_of(each.address) for each in held if each.address.protocol == "http"][:ROOT_TRIES]
    for proxy in proxies:
        path = await few_roots(HOSTS, trust=context.trust, proxy=proxy, state_dir=state_dir, timeout_s=CROWD_CONNECT_S)
        if path != context.trust.ca_path:
            return path
    return context.trust.ca_path


def _members(context: Context, writer: Writer | None, engine: Engine, rotation: Rotation) -> Members:
    settings = context.settings
    allowed = load_filter(settings.proxies)
    return Members(
        engine,
        writer,
        rotation,
        address_filter=allowed,
        own=own_proxies(settings, listed_in_files(settings, allowed).urls),
        sessions=settings.metrics.concurrency,
    )


async def cycles(tools: Tools, tickers: list[str]) -> None:
    """Start a cycle each `interval_s`, the first at the open: before it, the numbers are the last session's."""
    context = tools.context
    interval_s = context.settings.metrics.interval_s
    while not context.stop.is_set():
        now = context.clock.utc_now()
        if context.calendar.session_at(now) is None:
            opening = context.calendar.next_session(now)
            wait_s = (opening.opens_at - now).total_seconds() if opening else interval_s
            context.pulse.say(
                f"waiting for the open at {utc_text(opening.opens_at)}" if opening else "no session ahead"
            )
            await context.wait(min(wait_s, interval_s))
            continue
        started_s = context.clock.monotonic_s()
        try:
            await cycle(tools, tickers)
        except RetryLater as error:
            log.warning("cycle_broken_off", error=str(error), retry_s=DATABASE_RETRY_S)
            context.pulse.facts["database"] = f"unreachable: {error}"
            await context.wait(DATABASE_RETRY_S)
            continue
        context.pulse.facts.pop("database", None)
        await context.wait(interval_s - (context.clock.monotonic_s() - started_s))


async def cycle(tools: Tools, tickers: list[str]) -> CycleResult:
    """Ask for all tickers once: through the pool if there is one, else by the direct lane alone."""
    context = tools.context
    settings = context.settings.metrics
    async with AsyncExitStack() as stack:
        make_pass = None
        if tools.rotation is not None and tools.members is not None:
            await tools.members.refresh(context.clock)
            usable = count(tools.rotation.members())
            context.pulse.facts["proxies"] = usable
            if usable or tools.lane is None:
                client = CrowdClient(
                    ca_path=tools.few_roots, whole_ca_path=context.trust.ca_path, max_clients=settings.concurrency
                )
                crowd = _crowd(tools.members, context, await stack.enter_async_context(client))
                make_pass = _pass_maker(tools, tools.rotation, tools.members, crowd)
            if not usable:
                _say_pool_is_empty(tools)
        one = QuoteCycle(context, tools.writer, tools.lane, session=context.session(), make_pass=make_pass)
        return await one.run(tickers, concurrency=settings.concurrency, deadline_s=settings.cycle_deadline_s)


def _say_pool_is_empty(tools: Tools) -> None:
    if tools.lane is None:
        _say_empty(tools.context)
    else:
        log.info("pool_empty", lane=DIRECT)


def _crowd(members: Members, context: Context, client: CrowdClient) -> Crowd:
    return Crowd(client, context.clock, refusal=members.refusal, url_of=members.url_of, flight=context.flight)


def _pass_maker(tools: Tools, rotation: Rotation, members: Members, crowd: Crowd) -> MakePass:
    context, settings = tools.context, tools.context.settings.metrics
    now = context.clock.utc_now()
    session = context.session()
    since = session.opens_at if session else now - DAY
    tools.judge.begin(since, trusted={DIRECT, *members.trusted()})

    def known() -> Mapping[str, Quote]:
        return read_known(tools.engine, since=since)

    def make(accept: Accept) -> Pass:
        direct_after_s = context.clock.monotonic_s() + DIRECT_SHARE * settings.interval_s
        plan = Plan(
            rotation=rotation,
            breaker=Breaker(most=settings.concurrency),
            judge=tools.judge,
            direct_after_s=direct_after_s if tools.lane else math.inf,
            direct_vouches=tools.lane is not None,
        )
        return PoolPass(context, plan, crowd, members, tools.lane, accept, read_known=known)

    return make
