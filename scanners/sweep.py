"""One pass over all tickers in batches: asked against got for each. Knows neither table nor proxies."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from core import tasks
from core.errors import RetryLater, Unreachable
from core.logs import get_logger
from core.progress import measured
from scanners.context import Context
from scanners.lane import Stopped
from yahoo.quote import BadAnswer, QuoteAnswer
from yahoo.session import BatchRefused, RateLimited

log = get_logger(__name__)

RETRY_WAIT_S = 1.0
LONE_ATTEMPTS = 3
Accept = Callable[[QuoteAnswer], Awaitable[bool | None]]
"""False: the answer is not believed and is to be asked for again."""
Advance = Callable[[int, int], None]
"""Shows how many tickers of how many are done."""


@dataclass(slots=True)
class SweepResult:
    """Which tickers were answered, which the upstream silently left out, which are still to be asked, and why."""

    answered: set[str] = field(default_factory=set)
    missing: set[str] = field(default_factory=set)
    failures: Counter[str] = field(default_factory=Counter)
    unasked: deque[tuple[str, ...]] = field(default_factory=deque)

    @property
    def done(self) -> int:
        return len(self.answered) + len(self.missing)


def batches_of(tickers: Sequence[str], size: int) -> deque[tuple[str, ...]]:
    """Return ceil(N / size) batches."""
    return deque(tuple(tickers[first : first + size]) for first in range(0, len(tickers), size))


def kind_of(error: RetryLater) -> str:
    """Return the word under which a failure is counted."""
    kinds = (kind for kind in (Unreachable, RateLimited) if isinstance(error, kind))
    return next(kinds, type(error)).__name__


class Pass(Protocol):
    """One way to ask for all tickers. `result` holds what came, also after an error; `requests`: not by the lane."""

    result: SweepResult
    requests: int

    async def run(self, tickers: Sequence[str], *, batch_size: int, concurrency: int, deadline_s: float) -> SweepResult:
        """Ask for `tickers` for at most `deadline_s` seconds."""

    def detail(self) -> dict[str, Any]:
        """Return what else the record is to say."""


class QuoteLane(Protocol):
    """A way to Yahoo's quotes."""

    async def quotes(self, tickers: Sequence[str]) -> QuoteAnswer:
        """Return the quotes of one batch."""


class Sweep:
    """Asks for every batch until all are answered or the deadline passes; a failed one goes to the end of the line.

    `is_patient`: the lane itself waits for an upstream that is away; what it gives up on ends the sweep.
    """

    def __init__(
        self,
        context: Context,
        lane: QuoteLane,
        accept: Accept,
        *,
        stage: str,
        advance: Advance | None = None,
        is_patient: bool = False,
    ) -> None:
        self._context, self._lane, self._accept = context, lane, accept
        self._stage, self._advance, self._is_patient = stage, advance or self._show, is_patient
        self.result = SweepResult()
        self.requests = 0
        self._started_s = self._deadline_s = context.clock.monotonic_s()
        self._total = 0
        self._refused_alone: Counter[str] = Counter()

    async def run(self, tickers: Sequence[str], *, batch_size: int, concurrency: int, deadline_s: float) -> SweepResult:
        """Sweep `tickers` for at most `deadline_s` seconds; what `accept` raises ends the sweep.

        `result` holds what came, also after an error.
        """
        self.result.unasked = batches_of(tickers, batch_size)
        self._total = len(tickers)
        self._deadline_s = self._started_s + deadline_s
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(concurrency, len(self.result.unasked))):
                    group.create_task(self._work())
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from errors
        return self.result

    def detail(self) -> dict[str, Any]:
        """Return what else the record is to say."""
        return {"by": {"direct": len(self.result.answered)}}

    async def _work(self) -> None:
        while self.result.unasked and not self._over():
            batch = self.result.unasked.popleft()
            try:
                answer = await self._ask(batch)
            except RetryLater as error:
                self._failed(batch, error)
                if self._over() or await self._context.wait(RETRY_WAIT_S):
                    return
                continue
            if await self._accept(answer) is False:
                self._contradicts(batch)
                if await self._context.wait(RETRY_WAIT_S):
                    return
                continue
            self.result.answered.update(quote.ticker for quote in answer.quotes)
            self.result.missing.update(answer.missing)
            self._advance(self.result.done, self._total)

    def _show(self, done: int, total: int) -> None:
        elapsed_s = self._context.clock.monotonic_s() - self._started_s
        self._context.pulse.advance(measured(self._stage, done=done, total=total, elapsed_s=elapsed_s))

    async def _ask(self, batch: tuple[str, ...]) -> QuoteAnswer:
        """Ask for one batch; Stopped if the pass ends first: neither a long rest nor a silent upstream holds it up."""
        left_s = self._deadline_s - self._context.clock.monotonic_s()
        asking = asyncio.ensure_future(self._lane.quotes(batch))
        ending = asyncio.ensure_future(self._context.wait(left_s))
        try:
            await asyncio.wait([asking, ending], return_when=asyncio.FIRST_COMPLETED)
        finally:
            await tasks.cancel_all([asking, ending])
        if asking.cancelled():
            raise Stopped("the pass is over")
        return asking.result()

    def _over(self) -> bool:
        return self._context.stop.is_set() or self._context.clock.monotonic_s() >= self._deadline_s

    def _failed(self, batch: tuple[str, ...], error: RetryLater) -> None:
        """Put the batch back, in halves where the upstream refuses its length."""
        if self._is_patient and not isinstance(error, BadAnswer | BatchRefused | Stopped):
            raise error
        if self._context.once and isinstance(error, Unreachable) and not self.result.done:
            raise error
        if not isinstance(error, Stopped):
            self.result.failures[kind_of(error)] += 1
            log.info("batch_failed", tickers=len(batch), error=str(error))
        if len(batch) == 1 and isinstance(error, BadAnswer) and self._is_hopeless(batch[0]):
            self.result.missing.add(batch[0])
        elif isinstance(error, BatchRefused):
            self._halve(batch)
        else:
            self.result.unasked.append(batch)

    def _contradicts(self, batch: tuple[str, ...]) -> None:
        """Put the batch back in halves: rows of a lone ticker are nobody else's, so that true jumps are believed."""
        self.result.failures["Contradiction"] += 1
        self._halve(batch)

    def _halve(self, batch: tuple[str, ...]) -> None:
        middle = len(batch) // 2
        self.result.unasked += [part for part in (batch[:middle], batch[middle:]) if part]

    def _is_hopeless(self, ticker: str) -> bool:
        """True once the upstream has refused this ticker alone so often that it is as good as unknown there."""
        self._refused_alone[ticker] += 1
        return self._refused_alone[ticker] >= LONE_ATTEMPTS
