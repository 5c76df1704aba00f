"""Tables of the API: people, what they sign in with, what they did. Holds no statement."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, Index, LargeBinary, Table, Text, false, true

from storage.tables.columns import METADATA, UtcTime, moment, own_id, words

# Of users, sign-ins and keys no number is ever given twice: an open stream, or an answer that is kept for a repeated
# request, knows its owner by it. SQLite would give the newest one's number again once that is removed.

users = Table(
    "users",
    METADATA,
    own_id(),
    Column("name", Text, nullable=False, unique=True),
    Column("email", Text, unique=True),
    Column("password_hash", Text, nullable=False),
    words("first_name"),
    words("last_name"),
    Column("role", Text, nullable=False),
    Column("preferences", JSON(none_as_null=True)),
    Column("must_change_password", Boolean, nullable=False, server_default=false()),
    Column("is_active", Boolean, nullable=False, server_default=true()),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    moment("last_login"),
    sqlite_autoincrement=True,
)

sign_in = Table(
    "sign_in",
    METADATA,
    own_id(),
    Column("user_id", BigInteger, nullable=False, index=True),
    Column("kind", Text, nullable=False),
    # Of the page's cookie; the secret itself is nowhere.
    Column("secret_hash", Text, unique=True),
    words("address"),
    words("agent"),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    moment("ended_at"),
    sqlite_autoincrement=True,
)

refresh_token = Table(
    "refresh_token",
    METADATA,
    Column("token_hash", Text, primary_key=True),
    Column("sign_in_id", BigInteger, nullable=False, index=True),
    Column("created_at", UtcTime, nullable=False),
    moment("used_at"),
)

api_token = Table(
    "api_token",
    METADATA,
    own_id(),
    Column("user_id", BigInteger, nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("token_hash", Text, nullable=False, unique=True),
    Column("scopes", JSON, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    moment("expires_at"),
    moment("revoked_at"),
    sqlite_autoincrement=True,
)

audit_log = Table(
    "audit_log",
    METADATA,
    own_id(),
    Column("at", UtcTime, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    words("address"),
    Column("detail", JSON(none_as_null=True)),
    Index(None, "action", "at"),
)

api_idempotency = Table(
    "api_idempotency",
    METADATA,
    Column("principal", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("method_path", Text, nullable=False),
    Column("body_hash", Text, nullable=False),
    Column("status", BigInteger),
    words("headers"),
    Column("body", LargeBinary),
    Column("created_at", UtcTime, nullable=False),
)
