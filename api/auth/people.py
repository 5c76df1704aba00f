"""The routes by which an admin manages users and reads the audit log. Keeps nothing."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query, Request
from pydantic import Field
from starlette.responses import Response

from api.answers import answer
from api.auth.accounts import checked_email, checked_role
from api.auth.audit import audit
from api.auth.passwords import one_time_password
from api.auth.routes import refusal
from api.auth.shapes import AuditPage, Done, NewUserBody, User, UserBody, UserChange, UserPage
from api.context import context_of
from api.problems import Problem
from api.route import Route
from api.schemas import Asked, RowId
from core.errors import TickerdError
from storage.accounts import LastAdmin, NameTaken
from storage.schema import LARGEST_WHOLE

BASE = "/api/v1/users"
UserId = Annotated[RowId, Path()]


class PeopleQuery(Asked):
    limit: int = Field(100, ge=1, le=1000, description="Rows of one page.")
    cursor: int = Field(0, ge=0, le=LARGEST_WHOLE, description="`next` of the page before.")


async def list_users(request: Request, query: Annotated[PeopleQuery, Query()]) -> Response:
    """List users, in the order of their ids."""
    rows = await context_of(request).accounts.users(after=query.cursor, limit=query.limit)
    return answer({"data": rows, "next": str(rows[-1]["id"]) if len(rows) == query.limit else None})


async def add_user(request: Request, body: UserBody) -> Response:
    """Add a user; the answer holds a password for one time, told this once."""
    password = one_time_password()
    try:
        user_id = await context_of(request).accounts.add_user(body.name, password, body.role, email=body.email)
    except TickerdError as error:
        raise _refusal(error) from error
    await audit(request, "user_added", {"user": user_id, "role": body.role})
    return answer({"id": user_id, "name": body.name.strip().casefold(), "password": password}, status=201)


async def show_user(request: Request, user_id: UserId) -> Response:
    """Show a user."""
    found = await context_of(request).accounts.user(user_id)
    if found is None:
        raise _unknown()
    return answer(found)


async def change_user(request: Request, user_id: UserId, body: UserChange) -> Response:
    """Change a user's role, state, address or names; a new role or state ends its sign-ins."""
    accounts, values = context_of(request).accounts, body.model_dump(exclude_unset=True)
    try:
        if "role" in values:
            values["role"] = checked_role(values["role"] or "")
        if "email" in values:
            values["email"] = checked_email(values["email"])
        if values.get("is_active", True) is None:
            raise Problem(422, "wrong_request", "is_active: give true or false")
        if values and not await accounts.change_user(user_id, values):
            raise _unknown()
    except TickerdError as error:
        raise _refusal(error) from error
    await audit(request, "user_changed", {"user": user_id, "changed": sorted(values)})
    return await show_user(request, user_id)


async def remove_user(request: Request, user_id: UserId) -> Response:
    """Remove a user with its keys; its sign-ins end."""
    try:
        removed = await context_of(request).accounts.remove_user(user_id)
    except TickerdError as error:
        raise _refusal(error) from error
    if not removed:
        raise _unknown()
    await audit(request, "user_removed", {"user": user_id})
    return answer({"ok": True})


async def reset_password(request: Request, user_id: UserId) -> Response:
    """Give a user a new password for one time, told this once; its sign-ins end."""
    accounts, password = context_of(request).accounts, one_time_password()
    found = await accounts.user(user_id)
    if found is None or not await accounts.set_password(user_id, found["name"], password):
        raise _unknown()
    await audit(request, "password_reset", {"user": user_id})
    return answer({"id": user_id, "name": found["name"], "password": password})


async def audit_log(request: Request, query: Annotated[PeopleQuery, Query()]) -> Response:
    """List who did what, the newest first."""
    rows = await context_of(request).accounts.noted(limit=query.limit, before=query.cursor or None)
    return answer({"data": rows, "next": str(rows[-1]["id"]) if len(rows) == query.limit else None})


def _unknown() -> Problem:
    return Problem(404, "unknown_user", "there is no such user")


def _refusal(error: TickerdError) -> Exception:
    if isinstance(error, NameTaken | LastAdmin):
        return Problem(409, "refused", str(error))
    return refusal(error)


def _route(method: str, path: str, handler: object, **more: object) -> Route:
    return Route(method=method, path=path, handler=handler, scope="admin", tag="users", **more)  # type: ignore[arg-type]


ROUTES = (
    _route("GET", BASE, list_users, model=UserPage),
    _route("POST", BASE, add_user, model=NewUserBody, status=201, problems=(409,)),
    _route("GET", BASE + "/{user_id}", show_user, model=User, problems=(404,)),
    _route("PATCH", BASE + "/{user_id}", change_user, model=User, problems=(404, 409)),
    _route("DELETE", BASE + "/{user_id}", remove_user, model=Done, problems=(404, 409)),
    _route("POST", BASE + "/{user_id}/password", reset_password, model=NewUserBody, problems=(404,)),
    _route("GET", "/api/v1/audit", audit_log, model=AuditPage),
)
