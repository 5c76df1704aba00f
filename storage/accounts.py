"""Users, their sign-ins, refresh tokens and API keys, as rows. Knows no password rule and hashes nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, Select, Table, delete, func, insert, select, update

from core.errors import TickerdError
from storage.schema import api_token, refresh_token, sign_in, users
from storage.writer import Transaction, Writer

SOURCE = "accounts"
OF_USER = (users.c.id.label("user_id"), users.c.name, users.c.role, users.c.must_change_password)


class NameTaken(TickerdError):
    """A user of this name or e-mail address is there already."""


class LastAdmin(TickerdError):
    """Without this user nobody could manage the others."""


class TokenReused(TickerdError):
    """A refresh token that was used before: one of its two holders has stolen it."""


class NoSuchToken(TickerdError):
    """Unknown, or its sign-in is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewUser:
    name: str
    password_hash: str
    role: str
    must_change_password: bool = False
    email: str | None = None
    first_name: str | None = None
    last_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSignIn:
    """`secret_hash`: of a page's cookie; `refresh_hash`: of the first refresh token of a program."""

    user_id: int
    kind: str
    expires_at: datetime
    address: str
    agent: str
    secret_hash: str | None = None
    refresh_hash: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewToken:
    user_id: int
    name: str
    token_hash: str
    scopes: Sequence[str]
    expires_at: datetime | None = None


def add_user(writer: Writer, new: NewUser, *, at: datetime) -> int:
    """Add a user and return its id; NameTaken."""

    def body(tx: Transaction) -> int:
        same = users.c.name == new.name
        if new.email is not None:
            same |= users.c.email == new.email
        if tx.connection.execute(select(users.c.id).where(same)).first() is not None:
            raise NameTaken("is taken", where=new.name, right="give another name and e-mail address")
        return _insert(tx, users, asdict(new) | {"created_at": at, "updated_at": at})

    return writer.run(body, source=SOURCE, durable=True)


def add_first_user(writer: Writer, new: NewUser, *, tell: Callable[[], None], at: datetime) -> bool:
    """Add a user if there is none yet; False if there is.

    `tell` says its password where somebody finds it; if that fails there is no user, whom nobody could sign in.
    """

    def body(tx: Transaction) -> bool:
        if tx.connection.execute(select(users.c.id).limit(1)).first() is not None:
            return False
        _insert(tx, users, asdict(new) | {"created_at": at, "updated_at": at})
        tell()
        return True

    return writer.run(body, source=SOURCE, durable=True)


def _insert(tx: Transaction, table: Table, row: Mapping[str, Any]) -> int:
    created = tx.connection.execute(insert(table).values(**row)).inserted_primary_key
    assert created is not None
    return int(created[0])


def read_user(engine: Engine, *, user_id: int | None = None, name: str | None = None) -> dict[str, Any] | None:
    """Return the user of this id, or of this name or e-mail address; with its password's hash."""
    which = users.c.id == user_id if name is None else (users.c.name == name) | (users.c.email == name)
    return _first(engine, select(users).where(which))


def read_users(engine: Engine, *, after: int = 0, limit: int) -> list[dict[str, Any]]:
    """Return users in the order of their ids, without what their passwords are checked by."""
    shown = [column for column in users.c if column.name != "password_hash"]
    return _all(engine, select(*shown).where(users.c.id > after).order_by(users.c.id).limit(limit))


def change_user(writer: Writer, user_id: int, values: Mapping[str, Any], *, at: datetime) -> bool:
    """Set columns of a user; False if there is none; LastAdmin if nobody could manage users then.

    Who gets another password or role, or is locked out, is signed out everywhere.
    """

    def body(tx: Transaction) -> bool:
        had = _admins(tx)
        wanted = update(users).where(users.c.id == user_id).values(**values, updated_at=at)
        if not tx.connection.execute(wanted).rowcount:
            return False
        if values.keys() & {"password_hash", "role", "is_active"}:
            tx.connection.execute(_ended(sign_in.c.user_id == user_id, at))
            _require_admin(tx, had)
        return True

    return writer.run(body, source=SOURCE, durable=True)


def remove_user(writer: Writer, user_id: int, *, at: datetime) -> bool:
    """Remove a user with its API keys and end its sign-ins; False if there is none; LastAdmin."""

    def body(tx: Transaction) -> bool:
        had = _admins(tx)
        if not tx.connection.execute(delete(users).where(users.c.id == user_id)).rowcount:
            return False
        tx.connection.execute(delete(api_token).where(api_token.c.user_id == user_id))
        tx.connection.execute(_ended(sign_in.c.user_id == user_id, at))
        _require_admin(tx, had)
        return True

    return writer.run(body, source=SOURCE, durable=True)


def _admins(tx: Transaction) -> int:
    admins = select(func.count()).select_from(users).where(users.c.role == "admin", users.c.is_active)
    return tx.connection.execute(admins).scalar_one()


def _require_admin(tx: Transaction, had: int) -> None:
    if had and not _admins(tx):
        raise LastAdmin("is the last active admin", right="make another user admin first")


def begin_sign_in(writer: Writer, new: NewSignIn, *, at: datetime) -> int:
    """Note a sign-in and return its id."""

    def body(tx: Transaction) -> int:
        row = asdict(new) | {"created_at": at}
        refresh_hash = row.pop("refresh_hash")
        sign_in_id = _insert(tx, sign_in, row)
        if refresh_hash is not None:
            _add_refresh(tx, refresh_hash, sign_in_id, at)
        tx.connection.execute(update(users).where(users.c.id == new.user_id).values(last_login=at))
        return sign_in_id

    return writer.run(body, source=SOURCE, durable=True)


def _add_refresh(tx: Transaction, token_hash: str, sign_in_id: int, at: datetime) -> None:
    tx.connection.execute(insert(refresh_token).values(token_hash=token_hash, sign_in_id=sign_in_id, created_at=at))


def end_sign_in(writer: Writer, sign_in_id: int, *, at: datetime) -> None:
    writer.run(lambda tx: tx.connection.execute(_ended(sign_in.c.id == sign_in_id, at)), source=SOURCE, durable=True)


def _ended(which: Any, at: datetime) -> Any:
    return update(sign_in).where(which, sign_in.c.ended_at.is_(None)).values(ended_at=at)


def rotate(writer: Writer, token_hash: str, new_hash: str, *, at: datetime) -> dict[str, Any]:
    """Use a refresh token and put a new one in its place; return `sign_in_id`, `user_id` and what its user may.

    NoSuchToken; TokenReused, and then the whole sign-in is over: who stole the token is out, and so is its owner.
    """
    found, is_reused = writer.run(lambda tx: _rotated(tx, token_hash, new_hash, at), source=SOURCE, durable=True)
    if is_reused:
        raise TokenReused("was used before", key="refresh_token", right="sign in again")
    if found is None:
        raise NoSuchToken("is unknown or its sign-in is over", key="refresh_token", right="sign in again")
    return found


def _rotated(tx: Transaction, token_hash: str, new_hash: str, at: datetime) -> tuple[dict[str, Any] | None, bool]:
    wanted = (
        select(refresh_token.c.used_at, sign_in.c.id.label("sign_in_id"), *OF_USER)
        .join(sign_in, sign_in.c.id == refresh_token.c.sign_in_id)
        .join(users, users.c.id == sign_in.c.user_id)
        .where(refresh_token.c.token_hash == token_hash, *_valid(at))
    )
    row = tx.connection.execute(wanted).mappings().first()
    if row is None:
        return None, False
    if row["used_at"] is not None:
        tx.connection.execute(_ended(sign_in.c.id == row["sign_in_id"], at))
        return None, True
    tx.connection.execute(update(refresh_token).where(refresh_token.c.token_hash == token_hash).values(used_at=at))
    _add_refresh(tx, new_hash, row["sign_in_id"], at)
    return dict(row), False


def _valid(at: datetime) -> tuple[Any, ...]:
    return sign_in.c.ended_at.is_(None), sign_in.c.expires_at > at, users.c.is_active


def read_sign_in(
    engine: Engine, *, at: datetime, secret_hash: str | None = None, sign_in_id: int | None = None
) -> dict[str, Any] | None:
    """Return the sign-in of this secret or id with what its user may; None if it is over or the user is locked out."""
    which = sign_in.c.id == sign_in_id if secret_hash is None else sign_in.c.secret_hash == secret_hash
    joined = select(sign_in.c.id.label("sign_in_id"), sign_in.c.expires_at, *OF_USER)
    return _first(engine, joined.join(users, users.c.id == sign_in.c.user_id).where(which, *_valid(at)))


def add_token(writer: Writer, new: NewToken, *, at: datetime) -> int:
    """Keep an API key and return its id."""
    row = asdict(new) | {"scopes": list(new.scopes), "created_at": at}
    return writer.run(lambda tx: _insert(tx, api_token, row), source=SOURCE, durable=True)


def read_token(engine: Engine, token_hash: str, *, at: datetime) -> dict[str, Any] | None:
    """Return the API key of this hash with what its user may; None if it is over or the user is locked out."""
    return _first(engine, _lasting_tokens(at).where(api_token.c.token_hash == token_hash))


def token_holds(engine: Engine, token_id: int, *, at: datetime) -> bool:
    """Whether an API key is not over and its user not locked out."""
    return _first(engine, _lasting_tokens(at).where(api_token.c.id == token_id)) is not None


def _lasting_tokens(at: datetime) -> Select[Any]:
    joined = select(api_token.c.id.label("token_id"), api_token.c.scopes, api_token.c.expires_at, *OF_USER)
    lasting = api_token.c.expires_at.is_(None) | (api_token.c.expires_at > at)
    of_user = joined.join(users, users.c.id == api_token.c.user_id)
    return of_user.where(api_token.c.revoked_at.is_(None), lasting, users.c.is_active)


def read_tokens(engine: Engine, user_id: int) -> list[dict[str, Any]]:
    """Return a user's API keys that were not revoked, without what they are checked by."""
    shown = [column for column in api_token.c if column.name != "token_hash"]
    wanted = select(*shown).where(api_token.c.user_id == user_id, api_token.c.revoked_at.is_(None))
    return _all(engine, wanted.order_by(api_token.c.id))


def revoke_token(writer: Writer, user_id: int, token_id: int, *, at: datetime) -> bool:
    """Revoke an API key of this user; False if there is none."""
    which = update(api_token).where(api_token.c.id == token_id, api_token.c.user_id == user_id)
    over = which.where(api_token.c.revoked_at.is_(None)).values(revoked_at=at)
    return writer.run(lambda tx: bool(tx.connection.execute(over).rowcount), source=SOURCE, durable=True)


def _first(engine: Engine, wanted: Select[Any]) -> dict[str, Any] | None:
    with engine.connect() as connection:
        row = connection.execute(wanted).mappings().first()
    return None if row is None else dict(row)


def _all(engine: Engine, wanted: Select[Any]) -> list[dict[str, Any]]:
    with engine.connect() as connection:
        return [dict(row) for row in connection.execute(wanted).mappings()]
