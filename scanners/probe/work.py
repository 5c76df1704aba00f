"""One probe from beginning to end: what was found, what the settings believe, what to change. Changes nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from core.clock import utc_text
from core.errors import RetryLater
from net.client import HttpClient
from net.origin import Origin
from scanners.context import Context, load_tickers, origin_of
from scanners.probe.budget import Allowance
from scanners.probe.quotes import QuoteProbe
from scanners.probe.search import Crumb, Limit, Proposal, Rate, proposals
from scanners.probe.stream import StreamProbe

T = TypeVar("T")
NEVER = 'metrics.direct is "never": this host asks nothing'


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """`broken_off`: why something that could be measured now was not."""

    at: datetime
    origin: Origin
    is_market_open: bool
    symbols_per_connection: Limit
    message_rate: Rate
    batch_size: Limit
    crumb: Crumb
    proposals: list[Proposal]
    requests: int
    connections: int
    duration_s: float
    broken_off: list[str]


class Probe:
    """Runs each measure; one that fails is told and keeps none of the others."""

    def __init__(self, context: Context, *, time_limit_s: float) -> None:
        self._context = context
        self._allowance = Allowance(context, time_limit_s=time_limit_s)
        self._broken_off: list[str] = []

    async def run(self) -> Report:
        """Return what was found; Unreachable if the upstream does not answer at all, FixByHand without tickers."""
        context, allowance = self._context, self._allowance
        at, settings = context.clock.utc_now(), context.settings
        origin = await origin_of(context, settings.prices.stream_url)
        assert origin is not None, "nobody asked to stop"
        rows = sorted(await load_tickers(context), key=lambda row: (-(row.dollar_volume_usd or 0.0), row.ticker))
        tickers = [row.ticker for row in rows]
        stream = StreamProbe(context, allowance, tickers)
        why_not = self._why_closed(at)
        rate = await self._tried(stream.rate(why_not=why_not), lambda reason: Rate(reason=reason))
        believed = settings.prices.symbols_per_connection + 1
        symbols = await self._tried(stream.symbols(), lambda reason: Limit(believed=believed, reason=reason))
        batch, crumb = await self._quotes(tickers)
        return Report(
            at=at,
            origin=origin,
            is_market_open=not why_not,
            symbols_per_connection=symbols,
            message_rate=rate,
            batch_size=batch,
            crumb=crumb,
            proposals=proposals(settings, symbols=symbols, batch=batch),
            requests=allowance.requests,
            connections=allowance.connections,
            duration_s=allowance.used_s,
            broken_off=self._broken_off,
        )

    async def _quotes(self, tickers: list[str]) -> tuple[Limit, Crumb]:
        context = self._context
        believed = context.settings.metrics.batch_size
        if context.settings.metrics.direct == "never":
            return Limit(believed=believed, reason=NEVER), Crumb(reason=NEVER)
        ca_path, proxy = context.trust.ca_path, context.settings.network.proxy
        async with HttpClient(ca_path=ca_path, proxy=proxy) as http, HttpClient(ca_path=ca_path, proxy=proxy) as other:
            probe = QuoteProbe(context, self._allowance, tickers, http=http, other=other)
            batch = await self._tried(probe.batch(), lambda reason: Limit(believed=believed, reason=reason))
            return batch, await self._tried(probe.crumb(), lambda reason: Crumb(reason=reason))

    async def _tried(self, measure: Awaitable[T], without: Callable[[str], T]) -> T:
        try:
            return await measure
        except RetryLater as error:
            self._broken_off.append(str(error))
            return without(str(error))

    def _why_closed(self, at: datetime) -> str:
        if self._context.calendar.session_at(at):
            return ""
        coming = self._context.calendar.next_session(at)
        return "the market is closed" + (f", it opens at {utc_text(coming.opens_at)}" if coming else "")
