"""From live to gold: learns a proxy's exit address, mints a cookie and a crumb through it, asks one batch with them.

Everything over verified TLS. What was minted stays with that exit; nothing of the user's goes through it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, MutableSet
from dataclasses import dataclass

import orjson

from core.clock import Clock
from net.client import Answer, CrowdClient, Exit, NoAnswer
from proxies.addresses import ip_number
from proxies.causes import cause_of_answer, cause_of_failure
from proxies.check import FRESH_S, SAME_PRICE, SYMBOLS, Reference
from proxies.model import Address, Cause
from yahoo.quote import BadAnswer, QuoteAnswer, parse_answer
from yahoo.session import NoCrumb, QuoteSession, RateLimited

ECHO_URL = "https://api.ipify.org/?format=json"
"""Tells each client the address that it comes from; keeps no record, by its own word, and knows nothing else of us."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """`cause` "ok" with a crumb: gold. "ok" without: another proxy of the pool leaves by the same exit."""

    cause: Cause
    exit_ip: str = ""
    cookie: str = ""
    crumb: str = ""


class Failed(Exception):
    """The promotion ends here, for this cause."""

    def __init__(self, cause: Cause) -> None:
        super().__init__(cause)
        self.cause: Cause = cause


class Promoter:
    """Promotes one proxy a call. `own_exit`: where this host itself comes from, "" = not known."""

    def __init__(
        self,
        client: CrowdClient,
        clock: Clock,
        *,
        reference: Reference,
        own_exit: str = "",
        url_through: Callable[[Address], str] = lambda address: address.url,
    ) -> None:
        self._client, self._clock, self._reference = client, clock, reference
        self._url_through = url_through
        self.own_exit = own_exit

    async def ask(self, address: Address, *, taken: MutableSet[str], banned: Collection[str] = ()) -> Promotion:
        """Return what `address` earns. `taken`: exits that are gold already, to which its own is added.

        `banned`: exits of proxies with a wrong certificate.
        """
        exit_ip = ""
        try:
            exit_ip = await self._exit_of(address)
            if exit_ip == self.own_exit:
                raise Failed("own_exit")
            if exit_ip in banned:
                raise Failed("tampered")
            if exit_ip in taken:
                return Promotion(cause="ok", exit_ip=exit_ip)
            taken.add(exit_ip)
            return await self._minted(address, exit_ip)
        except NoAnswer as error:
            return Promotion(cause=cause_of_failure(error), exit_ip=exit_ip)
        except Failed as failed:
            return Promotion(cause=failed.cause, exit_ip=exit_ip)

    async def _exit_of(self, address: Address) -> str:
        answer = await self._client.get(ECHO_URL, proxy=self._url_through(address))
        if not (exit_ip := echoed(answer)):
            # Whoever tells addresses may be down, or tired of this exit: no fault of the proxy's.
            raise Failed("server_error")
        return exit_ip

    async def _minted(self, address: Address, exit_ip: str) -> Promotion:
        exit_ = Exit(self._client, self._url_through(address))
        session = QuoteSession(exit_, self._clock)
        try:
            await session.mint()
        except RateLimited as error:
            raise Failed("yahoo_limit") from error
        except NoCrumb as error:  # visitors from the EU get a page of consent in its place
            cause = cause_of_answer(error.answer)
            raise Failed("consent" if cause in ("ok", "html", "crumb_refused") else cause) from error
        answer = await session.ask(SYMBOLS)
        if (cause := cause_of_answer(answer)) != "ok":
            raise Failed(cause)
        await self._compare(_quotes(answer, self._clock))
        return Promotion(cause="ok", exit_ip=exit_ip, cookie=exit_.cookie, crumb=session.crumb)

    async def _compare(self, answer: QuoteAnswer) -> None:
        """The batch must hold who was asked for, at the prices that another source knows."""
        if answer.foreign or len(answer.missing) > len(SYMBOLS) // 2:
            raise Failed("foreign")
        for quote in answer.quotes:
            if quote.current_price is None:
                raise Failed("tampered")
        first = answer.quotes[0]
        other = await self._reference.chart(first.ticker, max_age_s=FRESH_S)
        if other is None or other.price is None or first.current_price is None:
            return
        if abs(first.current_price - other.price) > 2 * SAME_PRICE * other.price:
            raise Failed("tampered")


def echoed(answer: Answer) -> str:
    """Return the address that the answer tells, "" if it tells none."""
    try:
        told = orjson.loads(answer.body)["ip"] if answer.status == 200 else ""
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return ""
    return told if isinstance(told, str) and ip_number(told) is not None else ""


def _quotes(answer: Answer, clock: Clock) -> QuoteAnswer:
    try:
        return parse_answer(answer.body, asked=SYMBOLS, at=clock.utc_now())
    except BadAnswer as error:
        raise Failed("not_json") from error
