"""A POST with an `Idempotency-Key` is done once: the same one again gets the first one's answer. Keeps no secret."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Any

import orjson
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.context import Context
from api.principals import ANONYMOUS, Principal
from api.problems import Problem, problem_response
from storage import idempotency as stored

HEADER = b"idempotency-key"
KEY = re.compile(r"[\x21-\x7e]{1,100}")
NOT_HERE = ("/api/v1/auth/", "/api/v1/users")
"""Answers that hold tokens or passwords are not kept."""
KEPT_HEADERS = ("content-type", "location")
REPLAYED = "Idempotency-Replayed"


class Idempotency:
    def __init__(self, app: ASGIApp, context: Context) -> None:
        self._app, self._database, self._clock = app, context.database, context.clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        key = _key(scope)
        principal: Principal = scope.get("state", {}).get("principal", ANONYMOUS)
        if key is None or principal is ANONYMOUS:
            await self._app(scope, receive, send)
            return
        try:
            body = await _body(receive)
            given = _given(scope, principal, key, body)
            known = await self._begin(given)
        except Problem as problem:
            await problem_response(scope, problem)(scope, receive, send)
            return
        if known is not None:
            await _again(known)(scope, receive, send)
            return
        await self._first(scope, body, given, send)

    async def _begin(self, given: stored.Given) -> stored.Known | None:
        at = self._clock.utc_now()
        known = await self._database.write(lambda writer: stored.begin(writer, given, at=at))
        if known is not None and not known.same:
            raise Problem(422, "idempotency_key_reused", "this key was given with another request; take a new one")
        if known is not None and known.status is None:
            detail = "the first request with this key is still under way"
            raise Problem(409, "idempotency_key_in_use", detail, headers={"Retry-After": "1"})
        return known

    async def _first(self, scope: Scope, body: bytes, given: stored.Given, send: Send) -> None:
        """Let it be answered and keep the answer; a fault of ours is not kept, so that it may be tried again."""
        answer = _Answer(send)
        try:
            await self._app(scope, _replayed(body), answer.send)
        finally:
            status, headers, content = answer.status, answer.headers, bytes(answer.body)
            if 200 <= status < 500 and status not in (401, 403, 408, 429):
                await self._database.write(
                    lambda writer: stored.finish(writer, given, status=status, headers=headers, body=content)
                )
            else:
                await self._database.write(lambda writer: stored.forget(writer, given))


def _key(scope: Scope) -> str | None:
    if scope["type"] != "http" or scope["method"] != "POST" or scope["path"].startswith(NOT_HERE):
        return None
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == HEADER), None)


def _given(scope: Scope, principal: Principal, key: str, body: bytes) -> stored.Given:
    if not KEY.fullmatch(key):
        raise Problem(422, "idempotency_key_wrong", "a key is 1 to 100 printable characters without a space")
    query = scope["query_string"].decode("latin-1")
    return stored.Given(
        principal=_who(principal),
        key=key,
        method_path=f"POST {scope['path']}?{query}",
        body_hash=sha256(body).hexdigest(),
    )


def _who(principal: Principal) -> str:
    """Return whose answers are whose: an API key gets none of what another one of its owner may and it may not."""
    return principal.credential_id if principal.kind == "key" else f"{principal.kind}:{principal.user_id}"


def _again(known: stored.Known) -> Response:
    headers = orjson.loads(known.headers) | {REPLAYED: "true"}
    return Response(known.body, known.status or 200, headers)


async def _body(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


def _replayed(body: bytes) -> Receive:
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        return messages.pop() if messages else {"type": "http.disconnect"}

    return receive


class _Answer:
    """Sends on and keeps what was sent."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0
        self.headers = "{}"
        self.body = bytearray()

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = orjson.dumps(_kept(message.get("headers", ()))).decode()
        else:
            self.body += message.get("body", b"")
        await self._send(message)


def _kept(headers: Any) -> dict[str, str]:
    named = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers}
    return {name: named[name] for name in KEPT_HEADERS if name in named}
