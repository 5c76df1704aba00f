"""Sends one question through one stranger's proxy and says what it came to. Chooses nobody, believes nothing.

An exit's cookie and crumb are its own: minted through it, kept with it, minted once more when refused, never moved.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from core.clock import Clock
from core.flight import FlightRecorder
from net.client import Answer, CrowdClient, Exit, NoAnswer
from proxies.causes import LIST_REFUSED, cause_of_answer, cause_of_failure
from proxies.model import Address, Cause, Member
from yahoo.quote import BadAnswer, QuoteAnswer, parse_answer
from yahoo.session import MINT_REQUESTS, NoCrumb, QuoteSession, RateLimited

Refusal = Callable[[str, int], object | None]


@dataclass(slots=True)
class Came:
    """What became of one question. `cause` None: the list was too long. `cookie`, `crumb`: the exit's, by now."""

    cause: Cause | None
    member: Member
    answer: QuoteAnswer | None = None
    requests: int = 0
    minted: bool = False
    latency_s: float = 0.0
    error: str = field(default="", repr=False)


class Crowd:
    """`refusal` is asked right before each connection; `url_of` gives the password where a proxy has one."""

    def __init__(
        self,
        client: CrowdClient,
        clock: Clock,
        *,
        refusal: Refusal,
        url_of: Callable[[Address], str],
        flight: FlightRecorder | None = None,
    ) -> None:
        self._client, self._clock, self._refusal, self._url_of = client, clock, refusal, url_of
        self._flight = flight

    async def ask(self, member: Member, tickers: Sequence[str], *, timeout_s: float) -> Came:
        """Ask for the quotes of `tickers` through `member`; what goes wrong is a cause, not an exception."""
        came = Came(cause="ok", member=member)
        if self._refusal(member.address.ip, member.address.port) is not None:
            came.cause = "refused"
            return came
        exit_ = Exit(self._client, self._url_of(member.address), cookie=member.cookie)
        exit_.total_s = timeout_s
        session = QuoteSession(exit_, self._clock, flight=self._flight, crumb=member.crumb)
        started_s = self._clock.monotonic_s()
        try:
            await self._ask(came, session, exit_, tickers)
        except NoAnswer as error:
            came.cause, came.error = cause_of_failure(error), str(error)
        came.latency_s = self._clock.monotonic_s() - started_s
        if came.minted:
            came.member = replace(member, cookie=exit_.cookie, crumb=session.crumb, minted_at=self._clock.utc_now())
        return came

    async def _ask(self, came: Came, session: QuoteSession, exit_: Exit, tickers: Sequence[str]) -> None:
        if not session.has_crumb and not await self._mint(came, session, exit_):
            return
        answer = await self._send(came, session, tickers)
        # A crumb wears out after ten to twenty minutes; a new one that is refused as well is a refusal of the exit.
        if came.cause == "crumb_refused" and not came.minted and await self._mint(came, session, exit_):
            answer = await self._send(came, session, tickers)
        if came.cause != "ok":
            return
        if answer.status in LIST_REFUSED and len(tickers) > 1:
            came.cause = None
            return
        try:
            came.answer = parse_answer(answer.body, asked=tickers, at=self._clock.utc_now())
        except BadAnswer as error:
            came.cause, came.error = "not_json", str(error)

    async def _send(self, came: Came, session: QuoteSession, tickers: Sequence[str]) -> Answer:
        came.requests += 1
        answer = await session.ask(tickers)
        came.cause = cause_of_answer(answer)
        return answer

    async def _mint(self, came: Came, session: QuoteSession, exit_: Exit) -> bool:
        exit_.forget()
        came.requests += MINT_REQUESTS
        try:
            await session.mint()
        except RateLimited as error:
            came.cause, came.error = "yahoo_limit", str(error)
        except NoCrumb as error:
            said = cause_of_answer(error.answer)
            came.cause, came.error = ("crumb_refused" if said == "ok" else said), str(error)
        else:
            came.cause, came.minted = "ok", True
        return came.minted
