"""The outermost layer: numbers each request, counts it, logs what was refused and turns a fault of ours into a 500."""

from __future__ import annotations

import re
from secrets import token_hex

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import problem_of, problem_response
from api.traffic import UNKNOWN_ROUTE, Traffic
from core.clock import Clock
from core.logs import get_logger

GIVEN_ID = re.compile(rb"[A-Za-z0-9._\-]{1,64}")
ID_HEADER = b"x-request-id"
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))

log = get_logger(__name__)


class Access:
    def __init__(self, app: ASGIApp, traffic: Traffic, clock: Clock) -> None:
        self._app, self._traffic, self._clock = app, traffic, clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        state = scope["state"] = {**scope.get("state", {}), "request_id": _request_id(scope)}
        if scope["type"] == "websocket":
            await self._app(scope, receive, send)
            return
        asked_s = self._clock.monotonic_s()
        answer = _Answer(send, state["request_id"].encode())
        inner = {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope  # the server leaves out the body
        self._traffic.under_way += 1
        try:
            await self._app(inner, receive, answer.send)
        except Exception as error:
            await self._fail(inner, receive, answer, error)
        finally:
            self._traffic.under_way -= 1
            self._note(inner, answer.status, self._clock.monotonic_s() - asked_s)

    async def _fail(self, scope: Scope, receive: Receive, answer: _Answer, error: Exception) -> None:
        """Answer what nobody has; where an answer had begun the connection has to end."""
        problem = problem_of(error)
        if problem.status == 500 or answer.status:
            log.exception("request_failed", request_id=scope["state"]["request_id"], path=_path(scope))
        if answer.status:
            raise ConnectionAbortedError("the answer broke off") from error
        await problem_response(scope, problem)(scope, receive, answer.send)

    def _note(self, scope: Scope, status: int, duration_s: float) -> None:
        found = scope.get("route")
        route = getattr(found, "path", UNKNOWN_ROUTE)
        method = scope["method"] if scope["method"] in METHODS else UNKNOWN_ROUTE
        self._traffic.note(method, route, status, duration_s)
        problem = scope["state"].get("problem")
        if problem is None or problem.status == 500:  # a fault of ours is in the log already
            return
        if status == 429:
            self._traffic.limited[problem.extra.get("scope", problem.code)] += 1
        log.info(
            "request_refused",
            method=method,
            path=_path(scope),
            status=status,
            code=problem.code,
            reason=problem.detail,
            request_id=scope["state"]["request_id"],
            client=(scope.get("client") or ("",))[0],
            duration_ms=round(duration_s * 1000, 1),
        )


class _Answer:
    """Sends on, with the request's number in the head. `status`: 0 until the head was sent."""

    def __init__(self, send: Send, request_id: bytes) -> None:
        self._send, self._request_id = send, request_id
        self.status = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message.get("headers", ()), (ID_HEADER, self._request_id)]
        await self._send(message)


def _request_id(scope: Scope) -> str:
    """Return the client's number if it is a plain word, else one of our own."""
    for name, value in scope["headers"]:
        if name == ID_HEADER and GIVEN_ID.fullmatch(value):
            return str(value.decode())
    return token_hex(8)


def _path(scope: Scope) -> str:
    """The path, not the query: that may hold a ticket."""
    return str(scope["path"])[:200]
