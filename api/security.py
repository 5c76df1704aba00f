"""The layer around all routes: host, origin, size, who asks, how often; and the headers of every answer.

In this order: the name asked for, a page's preflight, the body's size, the address's rate, the credential, the
principal's rate. A credential that is wrong costs its address ten requests, so that nobody can try many.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from starlette.middleware import Middleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.auth.guard import Asked
from api.context import Context
from api.headers import for_other_site, for_preflight, with_standing
from api.limits import Rate, Taken, neighbourhood
from api.principals import Principal
from api.problems import Problem, problem_of, problem_response
from core.clock import Clock
from core.errors import TickerdError
from core.settings import Api

ADDRESS_FACTOR = 10
"""Behind one address are many users; a user has several windows."""
COST_OF_A_LIE = 10
BODY_WITHIN_S = 15.0
BODY_METHODS = frozenset(("POST", "PUT", "PATCH", "DELETE"))


def middleware(context: Context) -> list[Middleware]:
    """Return the layers inside the outermost one."""
    return [Middleware(Security, context)]


class Security:
    def __init__(self, app: ASGIApp, context: Context) -> None:
        self._app, self._clock = app, context.clock
        self._hosts, self._guard = context.hosts, context.guard
        api = context.settings.api
        self._most_bytes = api.max_body_kb * 1024
        self._rates, self._limit = Rates(api, context.clock), str(api.burst).encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        asked = Asked.of(scope)
        answer = _Answer(send, scope, self._other_site(asked), self._limit)
        try:
            self._require_host(asked)
            if _is_preflight(asked):
                await self._answer_preflight(asked, scope, receive, answer)
                return
            receive = await self._whole_body(asked, receive)
            answer.taken = await self._admit(scope, asked)
        except (Problem, TickerdError) as error:
            await problem_response(scope, problem_of(error))(scope, receive, answer.send)
            return
        await self._app(scope, receive, answer.send)

    def _require_host(self, asked: Asked) -> None:
        if not self._hosts.answers_to(asked.text(b"host")):
            detail = "this server has another name; add the one you use to [api] allowed_hosts"
            raise Problem(421, "host_refused", detail)

    def _other_site(self, asked: Asked) -> str:
        """Return the origin of a listed site's page, "" for any other."""
        origin = asked.text(b"origin")
        return origin if origin and origin.casefold() in self._hosts.origins else ""

    async def _answer_preflight(self, asked: Asked, scope: Scope, receive: Receive, answer: _Answer) -> None:
        origin = answer.other_site
        if not origin:
            raise Problem(403, "origin_refused", "pages of this site may not ask; see [api] cors_origins")
        response = Response(status_code=204)
        response.raw_headers.extend(for_preflight(origin))
        answer.other_site = ""  # it is in the headers already
        await response(scope, receive, answer.send)

    async def _whole_body(self, asked: Asked, receive: Receive) -> Receive:
        """Take the whole body first, if it is not too large and does not take too long to come."""
        if asked.is_websocket or (b"content-length" not in asked.headers and b"transfer-encoding" not in asked.headers):
            return receive
        announced = asked.text(b"content-length")
        if announced and (not announced.isdigit() or int(announced[:18]) > self._most_bytes):
            raise self._too_large()
        try:
            async with asyncio.timeout(BODY_WITHIN_S):
                messages = await self._messages(receive)
        except TimeoutError:
            raise Problem(408, "body_too_slow", f"the body took longer than {BODY_WITHIN_S:g} s") from None
        return _replayed(messages, receive)

    async def _messages(self, receive: Receive) -> list[Message]:
        messages: list[Message] = []
        size = 0
        while not messages or messages[-1].get("more_body"):
            message = await receive()
            size += len(message.get("body", b""))
            if size > self._most_bytes:
                raise self._too_large()
            messages.append(message)
        return messages

    def _too_large(self) -> Problem:
        return Problem(413, "body_too_large", f"a body may have {self._most_bytes:,} bytes")

    async def _admit(self, scope: Scope, asked: Asked) -> Taken:
        """Put the principal into the request's state; Problem 401, 403 or 429."""
        address = neighbourhood((scope.get("client") or ("",))[0])
        self._rates.of_address(address)
        try:
            principal = await self._guard.principal(asked)
        except Problem as problem:
            if problem.status == 401:
                self._rates.of_address(address, cost=COST_OF_A_LIE)
            raise
        scope.setdefault("state", {})["principal"] = principal
        return self._rates.of_principal(principal, address)


class Rates:
    """How often an address and a principal may ask; Problem 429 tells when to come again."""

    def __init__(self, api: Api, clock: Clock) -> None:
        self._clock = clock
        self._addresses = Rate(api.requests_per_s * ADDRESS_FACTOR, api.burst * ADDRESS_FACTOR)
        self._principals = Rate(api.requests_per_s, api.burst)

    def of_address(self, address: str, *, cost: int = 1) -> None:
        now_s = self._clock.monotonic_s()
        for _ in range(cost):
            taken = self._addresses.take(address, now_s=now_s)
        if taken.wait_s and cost == 1:
            raise _too_often(taken, "address")

    def of_principal(self, principal: Principal, address: str) -> Taken:
        """Count by user; who has no account is counted by address."""
        who = f"{principal.user_id}" if principal.user_id is not None else f"-{address}"
        taken = self._principals.take(who, now_s=self._clock.monotonic_s())
        if taken.wait_s:
            raise _too_often(taken, "user")
        return taken


def _too_often(taken: Taken, scope: str) -> Problem:
    wait_s = max(1, round(taken.wait_s + 0.5))
    detail = f"too many requests of this {scope}; come again in {wait_s} s"
    return Problem(429, "too_many_requests", detail, headers={"Retry-After": str(wait_s)}, extra={"scope": scope})


def _is_preflight(asked: Asked) -> bool:
    return asked.method == "OPTIONS" and b"access-control-request-method" in asked.headers


def _replayed(messages: Sequence[Message], receive: Receive) -> Receive:
    """Return what gives the messages again, and then what comes."""
    left = iter(messages)

    async def next_one() -> Message:
        for message in left:
            return message
        return await receive()

    return next_one


class _Answer:
    """Sends on, with the standing headers in the head."""

    def __init__(self, send: Send, scope: Scope, other_site: str, limit: bytes) -> None:
        self._send, self.other_site, self._limit = send, other_site, limit
        self._encrypted = scope.get("scheme") in ("https", "wss")
        self.taken: Taken | None = None

    async def send(self, message: Message) -> None:
        if message["type"] in ("http.response.start", "websocket.http.response.start"):
            headers: list[Any] = list(message.get("headers", ()))
            if self.other_site:
                headers += for_other_site(self.other_site)
            if self.taken is not None:
                headers += ((b"ratelimit-limit", self._limit), (b"ratelimit-remaining", b"%d" % self.taken.left))
            message["headers"] = with_standing(headers, encrypted=self._encrypted)
        await self._send(message)
