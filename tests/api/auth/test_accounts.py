from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any, TypeVar

import pytest

from api.auth.access import AccessTokens
from api.auth.accounts import (
    Accounts,
    BadName,
    From,
    TooManyAttempts,
    WrongPassword,
    checked_email,
    checked_name,
    checked_role,
)
from api.auth.passwords import WeakPassword
from storage import audit
from tests.fix_api import Direct
from tests.fix_storage import StillClock

T = TypeVar("T")
GOOD = "violet otter 42"
HERE, THERE = From(address="192.0.2.1"), From(address="192.0.2.2")


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def accounts(direct: Direct, clock: StillClock) -> Accounts:
    found = Accounts(direct, AccessTokens(b"x" * 32), clock)
    run(found.add_user("Ann", GOOD, "admin", email="Ann@example.org", must_change=False))
    return found


def test_one_signs_in_by_name_or_address_however_they_are_written(accounts: Accounts) -> None:
    for name in ("ann", " ANN ", "ann@EXAMPLE.org"):
        signed = run(accounts.sign_in(name, GOOD, kind="token", origin=HERE))
        assert (signed.principal.name, signed.session) == ("ann", "") and signed.access and signed.refresh
    page = run(accounts.sign_in("ann", GOOD, kind="session", origin=HERE))
    assert page.session and not page.access and not page.refresh


def test_tries_at_once_are_counted_like_tries_one_after_the_other(accounts: Accounts) -> None:
    async def tries() -> list[BaseException | object]:
        wrong = [accounts.sign_in("ann", f"wrong {n}", kind="token", origin=HERE) for n in range(9)]
        return await asyncio.gather(*wrong, return_exceptions=True)

    kinds = [type(error) for error in run(tries())]
    assert kinds.count(WrongPassword) == 5 and kinds.count(TooManyAttempts) == 4


def test_a_lock_is_of_one_address_and_ends(accounts: Accounts, clock: StillClock) -> None:
    for _ in range(5):
        with pytest.raises(WrongPassword):
            run(accounts.sign_in("ann", "wrong", kind="token", origin=HERE))
    with pytest.raises(TooManyAttempts) as caught:
        run(accounts.sign_in("ann", GOOD, kind="token", origin=HERE))
    assert caught.value.wait_s == 30.0
    assert run(accounts.sign_in("ann", GOOD, kind="token", origin=THERE)).access
    clock.at += timedelta(seconds=30)
    assert run(accounts.sign_in("ann", GOOD, kind="token", origin=HERE)).access


def test_what_happens_is_noted_without_any_password(accounts: Accounts, direct: Direct) -> None:
    with pytest.raises(WrongPassword):
        run(accounts.sign_in("nobody\x00", "wrong words", kind="token", origin=HERE))
    run(accounts.sign_in("ann", GOOD, kind="session", origin=HERE))
    rows = audit.read(direct.reader, limit=9)
    assert [(row["action"], row["actor"], row["address"]) for row in rows] == [
        ("signed_in", "ann", "192.0.2.1"),
        ("sign_in_failed", "nobody", "192.0.2.1"),
    ]
    assert GOOD not in str(rows) and "wrong words" not in str(rows)


def test_a_password_is_changed_by_who_knows_it(accounts: Accounts) -> None:
    principal = run(accounts.sign_in("ann", GOOD, kind="token", origin=HERE)).principal
    for old, new, error in (
        ("wrong", "a new password 1", WrongPassword),
        (GOOD, "short", WeakPassword),
        (GOOD, GOOD, BadName),
    ):
        with pytest.raises(error):
            run(accounts.change_password(principal, old, new, origin=HERE))
    run(accounts.change_password(principal, GOOD, "another otter 43", origin=HERE))
    assert run(accounts.sign_in("ann", "another otter 43", kind="token", origin=HERE)).access
    with pytest.raises(WrongPassword):
        run(accounts.sign_in("ann", GOOD, kind="token", origin=HERE))


def test_a_key_asks_for_no_more_than_its_owner_may(accounts: Accounts) -> None:
    user = run(accounts.add_user("bob", GOOD, "viewer", must_change=False))
    principal = run(accounts.sign_in("bob", GOOD, kind="token", origin=HERE)).principal
    with pytest.raises(BadName, match="asks for admin"):
        run(accounts.add_key(principal, "k", ["read", "admin"], expires_at=None))
    _, key = run(accounts.add_key(principal, "k", ["read"], expires_at=None))
    holder = run(accounts.holders.holder(key, "key"))
    assert holder is not None and (holder.user_id, holder.scopes) == (user, frozenset(("read",)))


def test_names_addresses_and_roles_are_taken_in_one_form() -> None:
    assert (checked_name(" Ann.B-1 "), checked_email(" A@B.c "), checked_email(""), checked_role("user")) == (
        "ann.b-1",
        "a@b.c",
        None,
        "analyst",
    )
    for name in ("", "-a", "a b", "a" * 65, "ä", "a\x00", "a@b"):
        with pytest.raises(BadName):
            checked_name(name)
    for email in ("a", "a b@c", "@c", "a@"):
        with pytest.raises(BadName):
            checked_email(email)
    with pytest.raises(BadName, match="give viewer, analyst"):
        checked_role("root")
