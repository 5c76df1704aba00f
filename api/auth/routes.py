"""The routes of signing in and out, of tokens, keys and tickets. Users are in api/auth/people.py. Keeps nothing."""

from __future__ import annotations

from pathlib import Path as File
from typing import Annotated

from fastapi import Path, Request
from starlette.responses import Response

from api.answers import answer
from api.auth.accounts import BadName, SignedIn, TooManyAttempts, WrongPassword
from api.auth.audit import audit, origin_of
from api.auth.guard import COOKIE, SECURE_COOKIE, Asked
from api.auth.passwords import WeakPassword
from api.auth.shapes import (
    Done,
    KeyBody,
    KeyList,
    Me,
    NewKey,
    PasswordBody,
    RefreshBody,
    SignedInBody,
    SignInBody,
    Ticket,
)
from api.auth.start import ADMIN, forget_first_password
from api.auth.tickets import LIFE_S
from api.context import context_of
from api.principals import Kind, Principal, principal_of, require
from api.problems import Problem
from api.route import Route
from api.schemas import RowId
from core.errors import TickerdError
from storage.accounts import NoSuchToken, TokenReused

BASE = "/api/v1/auth"
TAG = "sign-in"


async def sign_in(request: Request, body: SignInBody) -> Response:
    """Sign in: tokens for a program, or a cookie for a page."""
    accounts = context_of(request).accounts
    kind: Kind = "session" if body.session else "token"
    try:
        signed = await accounts.sign_in(body.user, body.password, kind=kind, origin=origin_of(request))
    except TickerdError as error:
        raise refusal(error) from error
    return _signed_in(request, signed)


async def refresh(request: Request, body: RefreshBody) -> Response:
    """Change a refresh token for an access token and the next refresh token; each serves once."""
    try:
        signed = await context_of(request).accounts.refresh(body.refresh_token, origin=origin_of(request))
    except TickerdError as error:
        raise refusal(error) from error
    return _signed_in(request, signed)


async def sign_out(request: Request) -> Response:
    """End this sign-in: its cookie or tokens are over."""
    principal = _signed(request)
    await context_of(request).accounts.sign_out(principal)
    await audit(request, "signed_out")
    response = answer({"ok": True})
    _set_cookie(request, response, "", max_age_s=0)
    return response


async def me(request: Request) -> Response:
    """Tell who asks and what one may."""
    principal, secret = _signed(request), Asked.of(request.scope).cookie
    csrf = context_of(request).accounts.tokens.csrf_of(secret) if principal.kind == "session" else None
    return answer(_told(principal) | {"csrf_token": csrf})


async def change_password(request: Request, body: PasswordBody) -> Response:
    """Change one's own password; every other sign-in ends."""
    principal, context, origin = _signed_in_person(request), context_of(request), origin_of(request)
    try:
        await context.accounts.change_password(principal, body.old, body.new, origin=origin)
        signed = await context.accounts.sign_in(principal.name, body.new, kind=principal.kind, origin=origin)
    except TickerdError as error:
        raise refusal(error) from error
    if principal.name == ADMIN:
        forget_first_password(File(context.settings.state.dir))
    return _signed_in(request, signed)


async def ticket(request: Request) -> Response:
    """Get a ticket that opens one stream, within 30 s: `?ticket=`. For browsers, whose streams send no header."""
    context = context_of(request)
    issued = context.tickets.issue(principal_of(request), now_s=context.clock.monotonic_s())
    return answer({"ticket": issued, "expires_in_s": LIFE_S})


async def keys(request: Request) -> Response:
    """List one's API keys."""
    principal = _signed_in_person(request)
    assert principal.user_id is not None
    found = await context_of(request).accounts.keys(principal.user_id)
    return answer(
        {"data": [{name: row[name] for name in row if name not in ("user_id", "revoked_at")} for row in found]}
    )


async def add_key(request: Request, body: KeyBody) -> Response:
    """Make an API key that may do at most what one may; it is told this once."""
    principal, context = _signed_in_person(request), context_of(request)
    if body.expires_at is not None and body.expires_at.tzinfo is None:
        raise Problem(422, "wrong_request", "expires_at: give a time zone")
    try:
        key_id, key = await context.accounts.add_key(principal, body.name, body.scopes, expires_at=body.expires_at)
    except BadName as error:
        raise Problem(403, "scope_missing", str(error)) from error
    await audit(request, "key_created", {"key": key_id, "name": body.name, "scopes": sorted(set(body.scopes))})
    return answer({"id": key_id, "name": body.name, "scopes": sorted(set(body.scopes)), "key": key}, status=201)


async def revoke_key(request: Request, key_id: Annotated[RowId, Path()]) -> Response:
    """Revoke one of one's API keys."""
    principal = _signed_in_person(request)
    assert principal.user_id is not None
    if not await context_of(request).accounts.revoke_key(principal.user_id, key_id):
        raise Problem(404, "unknown_key", "you have no such key")
    await audit(request, "key_revoked", {"key": key_id})
    return answer({"ok": True})


def _signed(request: Request) -> Principal:
    """Return who asks, also one who must change the password first; Problem 401 for nobody."""
    principal = principal_of(request)
    return principal if principal.kind != "anonymous" else require(request, "read")


def _signed_in_person(request: Request) -> Principal:
    """Return who asks if it is a user who signed in: a key makes no keys and changes no password."""
    principal = _signed(request)
    if principal.kind not in ("session", "token"):
        raise Problem(403, "sign_in_required", "a key may not do this; sign in with a password")
    return principal


def _signed_in(request: Request, signed: SignedIn) -> Response:
    context = context_of(request)
    told = _told(signed.principal) | {"expires_at": signed.expires_at, "csrf_token": None}
    if not signed.session:
        told |= {"token_type": "Bearer", "access_token": signed.access, "refresh_token": signed.refresh}
        return answer(told)
    response = answer(told | {"csrf_token": context.accounts.tokens.csrf_of(signed.session)})
    lasts_s = int((signed.expires_at - context.clock.utc_now()).total_seconds())
    _set_cookie(request, response, signed.session, max_age_s=lasts_s)
    return response


def _set_cookie(request: Request, response: Response, secret: str, *, max_age_s: int) -> None:
    secure = request.url.scheme == "https"
    name = SECURE_COOKIE if secure else COOKIE
    response.set_cookie(name, secret, max_age=max_age_s, path="/", secure=secure, httponly=True, samesite="strict")


def _told(principal: Principal) -> dict[str, object]:
    return {
        "user": principal.name,
        "user_id": principal.user_id,
        "role": principal.role,
        "scopes": sorted(principal.scopes),
        "must_change_password": principal.must_change,
    }


def refusal(error: TickerdError) -> Exception:
    """Return what is told to who gave a wrong password, token or name; any other error as it is."""
    if isinstance(error, TooManyAttempts):
        return Problem(429, "too_many_attempts", str(error), headers={"Retry-After": str(int(error.wait_s) + 1)})
    if isinstance(error, WrongPassword):
        return Problem(401, "password_wrong", str(error))
    if isinstance(error, NoSuchToken | TokenReused):
        return Problem(401, "refresh_token_invalid", str(error))
    if isinstance(error, WeakPassword | BadName):
        return Problem(422, "wrong_request", str(error))
    return error


def _route(method: str, path: str, handler: object, scope: str = "public", **more: object) -> Route:
    return Route(method=method, path=BASE + path, handler=handler, scope=scope, tag=TAG, **more)  # type: ignore[arg-type]


ROUTES = (
    _route("POST", "/login", sign_in, model=SignedInBody, problems=(401,)),
    _route("POST", "/refresh", refresh, model=SignedInBody, problems=(401,)),
    _route("POST", "/logout", sign_out, model=Done, problems=(401, 403)),
    _route("GET", "/me", me, model=Me, problems=(401,)),
    _route("POST", "/password", change_password, model=SignedInBody, problems=(401, 403)),
    _route("POST", "/ticket", ticket, "read", model=Ticket),
    _route("GET", "/tokens", keys, "read", model=KeyList),
    _route("POST", "/tokens", add_key, "read", model=NewKey, status=201),
    _route("DELETE", "/tokens/{key_id}", revoke_key, "read", model=Done, problems=(404,)),
)
