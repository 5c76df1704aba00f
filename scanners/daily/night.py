"""What the stages of one night share: the session, the ways out and in, the count of everything. Asks nothing."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from sqlalchemy import Engine

from core.errors import RetryLater
from core.progress import Progress
from market.sessions import Session, due_session
from scanners.context import Context
from scanners.daily.asker import Asker
from scanners.daily.meter import Meter
from scanners.daily.plan import Left, left_of
from scanners.lane import DirectLane, Stopped
from storage.daily_progress import Standing, read_standings
from storage.refusals import add_refusals
from storage.writer import Writer

MOST_EXAMPLES = 100
"""Named tickers of one outcome in the run's record."""


Endpoint = Literal["quote", "summary", "chart"]


class Superseded(RetryLater):
    """A newer session's refresh is due."""


@dataclass(slots=True, kw_only=True)
class Night:
    """`before`: the session before. `outcomes`: (stage, outcome) -> tickers; `named`: those that are not "done"."""

    context: Context
    writer: Writer
    engine: Engine
    lane: DirectLane
    asker: Asker
    session: Session
    before: date | None
    meter: Meter
    standings: dict[str, Standing] = field(default_factory=dict)
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    named: dict[str, list[str]] = field(default_factory=dict)
    refusals: defaultdict[Endpoint, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    examples: dict[str, str] = field(default_factory=dict)
    to_come: int = 0
    _counting: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.asker.check = self.check

    async def look(self) -> Left:
        """Read how far every listed ticker is; return what is left."""
        rows = await asyncio.to_thread(read_standings, self.engine)
        self.standings = {row.ticker: row for row in rows}
        return left_of(rows, self.session.session_date)

    def count(self, stage: str, outcome: str, ticker: str) -> None:
        """Note what a ticker came to in a stage."""
        self.outcomes[stage, outcome] += 1
        if outcome not in GOOD:
            names = self.named.setdefault(f"{stage}.{outcome}", [])
            if len(names) < MOST_EXAMPLES:
                names.append(ticker)

    def refuse(self, endpoint: Endpoint, rule: str, ticker: str, *, number: int = 1) -> None:
        """Note numbers that were not believed."""
        with self._counting:
            self.refusals[endpoint][rule] += number
            self.examples.setdefault(rule, ticker)

    def tell_refusals(self, endpoint: Endpoint) -> None:
        """Write those of this endpoint that are not yet written; in a thread."""
        with self._counting:
            told = self.refusals.pop(endpoint, Counter())
        if told:
            add_refusals(self.writer, self.session.session_date, endpoint, told, examples=self.examples)

    def answered(self) -> None:
        self.meter.answered(now_s=self.context.clock.monotonic_s())

    def advance(self, stage: str, *, done: int, total: int) -> None:
        """Show how far the stage is, and how long the whole night still takes: this stage and what is to come."""
        self.show(stage, done=done, total=total, requests=total - done)

    def show(self, stage: str, *, done: int, total: int, requests: int) -> None:
        """The same where a request is for many tickers."""
        eta_s = self.meter.eta_s(requests + self.to_come, now_s=self.context.clock.monotonic_s())
        self.context.pulse.advance(Progress(stage=stage, done=done, total=total, eta_s=eta_s))

    def check(self) -> None:
        """Raise Stopped or Superseded if this night is over."""
        context = self.context
        if context.stop.is_set():
            raise Stopped("asked to stop")
        due = due_session(context.calendar, context.clock.utc_now(), at=context.settings.daily.at)
        if due is not None and due.session_date > self.session.session_date:
            raise Superseded(f"the refresh of {due.session_date} is due")


GOOD = frozenset({"done", "first", "same", "added", "reloaded", "written"})


async def each(night: Night, tickers: Iterable[str], work: Callable[[str], Awaitable[None]], *, stage: str) -> None:
    """Do `work` for every ticker, in this order, as many at once as the settings allow; what it raises ends all."""
    waiting = list(tickers)[::-1]
    total, done = len(waiting), 0

    async def worker() -> None:
        nonlocal done
        while waiting:
            night.check()
            await work(waiting.pop())
            done += 1
            night.advance(stage, done=done, total=total)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(night.context.settings.daily.threads, total)):
                group.create_task(worker())
    except ExceptionGroup as errors:
        raise worst(errors.exceptions) from errors


def worst(errors: Sequence[Exception]) -> Exception:
    """Return the one that tells most: that we were asked to stop tells least."""
    return next((error for error in errors if not isinstance(error, Stopped | Superseded)), errors[0])
