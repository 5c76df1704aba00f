"""The daily refresh's way to Yahoo: one request at a time of the shared budget, patient with refusals and failures.

Never gives up on the upstream: a storm of refusals or nonsense means minutes of silence, then one careful request.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from core.errors import RetryLater, Unreachable
from core.logs import get_logger
from net.client import Answer
from scanners.context import Context
from scanners.lane import DirectLane, Stopped
from scanners.sweep import kind_of
from yahoo.quote import BadAnswer, Refused
from yahoo.session import CrumbRefused, RateLimited

log = get_logger(__name__)
T = TypeVar("T")

FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 60.0
PATIENCE_S = 60.0
"""By hand: a network that is away for longer is an error."""
ATTEMPTS = 3
"""A ticker whose answer is no good so often is named and left."""
TOLD_AGAIN_S = 60.0
"""An upstream that is away is named so often."""
OF_ANOTHER = frozenset({"foreign", "unnamed"})
"""Answers that were mixed up: the next may be the right one."""
STORM = 10
"""So many questions without a good answer between them are the upstream's fault, not the tickers'."""


@dataclass(slots=True, eq=False)
class _Question:
    """`answered_then`: how many others were answered by its last failure."""

    answered_then: int
    attempts: int = 0
    wait_s: float = FIRST_WAIT_S


class Asker:
    """Asks through the direct lane. `failures`: by kind; `check` is called before each question and may end it."""

    def __init__(self, context: Context, lane: DirectLane) -> None:
        self._context, self._lane = context, lane
        self._open: set[_Question] = set()
        self._failing: set[_Question] = set()
        self._answered = 0
        self._slowed_s = self._told_s = -math.inf
        self._away_since_s: float | None = None
        self.failures: Counter[str] = Counter()
        self.check: Callable[[], None] = lambda: None

    async def get(self, url: str, params: Mapping[str, str] | None = None, *, with_crumb: bool) -> Answer:
        """Ask once; raises RateLimited, Unreachable, BadAnswer (the server failed) or Stopped."""
        return await self._lane.get(url, params, with_crumb=with_crumb)

    async def post(self, url: str, params: Mapping[str, str], body: bytes) -> Answer:
        """The same for a POST with cookie and crumb."""
        return await self._lane.post(url, params, body)

    async def patiently(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Return what `ask` brings, however long the upstream refuses or is away.

        Raises BadAnswer if what comes is no good `ATTEMPTS` times while others are answered; Stopped; by hand
        Unreachable.
        """
        question = _Question(self._answered)
        self._open.add(question)
        try:
            while True:
                self.check()
                sent_s = self._context.clock.monotonic_s()
                try:
                    found = await ask()
                except RetryLater as error:
                    await self._after(question, error, sent_s)
                else:
                    self._has_answered()
                    return found
        finally:
            self._open.discard(question)

    async def _after(self, question: _Question, error: RetryLater, sent_s: float) -> None:
        """Return when the question is to be asked again; else raise."""
        if isinstance(error, Stopped):
            raise error
        if isinstance(error, Refused) and error.reason not in OF_ANOTHER:
            self._has_answered()  # that Yahoo knows nothing of it
            raise error
        self.failures[kind_of(error)] += 1
        if isinstance(error, RateLimited) and not isinstance(error, CrumbRefused):
            return  # the lane has slowed down, and waits
        self._failing.add(question)
        question.attempts += self._is_its_own(question, error)
        question.answered_then = self._answered
        self._slow_down(error, sent_s)
        if question.attempts >= ATTEMPTS:
            raise error if isinstance(error, BadAnswer) else BadAnswer(error.reason, where=error.where)
        if await self._context.wait(question.wait_s):
            raise Stopped("asked to stop")
        question.wait_s = min(LONGEST_WAIT_S, 2 * question.wait_s)

    def _has_answered(self) -> None:
        self._answered += 1
        self._failing.clear()
        self._away_since_s = None

    def _is_its_own(self, question: _Question, error: RetryLater) -> bool:
        """Whether a failure may be the fault of this one question, and not of all."""
        if question.answered_then != self._answered:
            return True
        if isinstance(error, Unreachable):  # a network that is away looks the same to who asks alone
            return self._open == {question} and question.wait_s == LONGEST_WAIT_S
        return len(self._failing) < STORM

    def _slow_down(self, error: RetryLater, sent_s: float) -> None:
        """Slow down once for requests that were under way together; in a storm, be silent for a while."""
        now_s = self._context.clock.monotonic_s()
        if isinstance(error, Unreachable):
            self._note_away(error, now_s)
        if isinstance(error, RateLimited) or sent_s < self._slowed_s:
            return  # the lane has slowed down
        self._slowed_s = now_s
        if len(self._failing) < STORM or isinstance(error, Unreachable):
            self._context.budget.ease()
            return
        self._context.budget.refuse(now_s=now_s)
        self._context.pulse.refusing(str(error))
        log.warning("upstream_refused", error=str(error), questions=len(self._failing))

    def _note_away(self, error: Unreachable, now_s: float) -> None:
        if self._away_since_s is None:
            self._away_since_s = now_s
        if now_s >= self._told_s + TOLD_AGAIN_S:
            self._told_s = now_s
            log.warning("upstream_unreachable", error=str(error), questions=len(self._failing))
        if self._context.once and now_s - self._away_since_s >= PATIENCE_S:
            raise error
