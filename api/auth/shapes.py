"""The shapes of what is asked of and told by the routes of accounts. Reads nothing and decides nothing."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field, create_model

from api.schemas import Asked, Line, page_model, row_model
from storage.schema import api_token, audit_log, users

Scope = Literal["read", "metrics", "scan", "control", "admin"]
Role = Literal["viewer", "analyst", "operator", "admin", "user"]
SHOWN_OF_USER = tuple(name for name in users.columns.keys() if name != "password_hash")  # noqa: SIM118  (not a dict)
SHOWN_OF_KEY = ("id", "name", "scopes", "created_at", "expires_at")


class SignInBody(Asked):
    user: Line = Field(min_length=1, max_length=200, description="Name or e-mail address.")
    password: str = Field(min_length=1, max_length=256)
    session: bool = Field(False, description="A cookie for a page in place of tokens for a program.")


class RefreshBody(Asked):
    refresh_token: Line = Field(min_length=1)


class PasswordBody(Asked):
    old: str = Field(min_length=1, max_length=256)
    new: str = Field(min_length=1, max_length=256)


class KeyBody(Asked):
    name: Line = Field(min_length=1, max_length=80)
    scopes: list[Scope] = Field(min_length=1, max_length=5, description="At most what its owner may.")
    expires_at: datetime | None = Field(None, description="With a time zone; none: it holds until it is revoked.")


class UserBody(Asked):
    name: Line = Field(min_length=1, max_length=64)
    role: Role
    email: Line | None = None


class UserChange(Asked):
    role: Role | None = None
    is_active: bool | None = None
    email: Line | None = None
    first_name: Line | None = None
    last_name: Line | None = None


class Me(BaseModel):
    """`csrf_token`: what a page sends as X-CSRF-Token with each change."""

    user: str
    user_id: int | None
    role: str
    scopes: list[str]
    must_change_password: bool
    csrf_token: str | None = None


class SignedInBody(Me):
    """Tokens for a program; a page gets a cookie in their place."""

    expires_at: datetime
    token_type: Literal["Bearer"] | None = None
    access_token: str | None = None
    refresh_token: str | None = None


class Ticket(BaseModel):
    ticket: str
    expires_in_s: float


class NewUserBody(BaseModel):
    """`password`: for one time, told this once."""

    id: int
    name: str
    password: str


class NewKey(BaseModel):
    """`key`: told this once."""

    id: int
    name: str
    scopes: list[str]
    key: str


User = row_model("User", users, SHOWN_OF_USER)
UserPage = page_model(User, "UserPage")
AuditPage = page_model(row_model("AuditEntry", audit_log), "AuditPage")
Key = row_model("Key", api_token, SHOWN_OF_KEY)
KeyList = create_model("KeyList", data=(list[Key], ...))  # type: ignore[valid-type]  # made at run time
Done = create_model("Done", ok=(Literal[True], ...))
