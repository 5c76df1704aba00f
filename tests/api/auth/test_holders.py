from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import pytest

from api.auth.access import LIFE, AccessTokens
from api.auth.holders import FRESH_S, Holders, hash_of, kind_of
from api.principals import LOCAL, Kind, Principal
from storage import accounts
from storage.accounts import NewSignIn, NewToken, NewUser
from tests.fix_api import Direct
from tests.fix_storage import NOON, StillClock

T = TypeVar("T")
TOKENS = AccessTokens(b"x" * 32)


@dataclass
class House:
    """One user with a key, a page and a program."""

    database: Direct
    clock: StillClock
    holders: Holders
    user: int
    access: str

    def holder(self, credential: str, kind: Kind) -> Principal | None:
        return asyncio.run(self.holders.holder(credential, kind))

    def holds(self, principal: Principal) -> bool:
        return asyncio.run(self.holders.still_holds(principal))


@pytest.fixture
def house(direct: Direct) -> House:
    writer = direct.writer
    new = NewUser(name="ann", password_hash="$", role="operator")
    user = accounts.add_user(writer, new, at=NOON)
    accounts.add_user(writer, NewUser(name="root", password_hash="$", role="admin"), at=NOON)
    key = NewToken(user_id=user, name="k", token_hash=hash_of("stk_1"), scopes=["read", "admin"])
    accounts.add_token(writer, key, at=NOON)
    page = NewSignIn(
        user_id=user,
        kind="session",
        expires_at=NOON + timedelta(days=30),
        address="",
        agent="",
        secret_hash=hash_of("s"),
    )
    sign_in_id = accounts.begin_sign_in(writer, page, at=NOON)
    clock = StillClock()
    access = TOKENS.issue(user_id=user, sign_in_id=sign_in_id, at=NOON)
    return House(direct, clock, Holders(direct, TOKENS, clock), user, access)


def test_each_kind_of_credential_belongs_to_its_user(house: House) -> None:
    for credential, kind in (("stk_1", "key"), ("s", "session"), (house.access, "token")):
        assert credential == "s" or kind_of(credential) == kind
        found = house.holder(credential, kind)  # type: ignore[arg-type]
        assert found is not None and (found.name, found.user_id, found.kind) == ("ann", house.user, kind)
        assert house.holds(found)
        scopes = {"read"} if kind == "key" else {"read", "metrics", "scan", "control"}
        assert found.scopes == scopes, "a key does what it was made for, as far as its owner may"
    for credential, kind in (("stk_2", "key"), ("t", "session"), ("s", "key"), ("jwt", "token"), ("\udcff", "key")):
        assert house.holder(credential, kind) is None  # type: ignore[arg-type]


def test_what_is_known_costs_no_look_for_seconds(house: House) -> None:
    for _ in range(5):
        house.holder("stk_1", "key")
    assert house.database.reads == 1
    house.clock.at += timedelta(seconds=FRESH_S)
    house.holder("stk_1", "key")
    assert house.database.reads == 2
    house.holders.forget()
    house.holder("stk_1", "key")
    assert house.database.reads == 3


def test_what_another_process_ends_is_over_within_seconds(house: House) -> None:
    for credential, kind in (("s", "session"), (house.access, "token"), ("stk_1", "key")):
        assert house.holder(credential, kind) is not None  # type: ignore[arg-type]
    page = house.holder("s", "session")
    accounts.change_user(house.database.writer, house.user, {"is_active": False}, at=NOON)
    house.clock.at += timedelta(seconds=FRESH_S)
    for credential, kind in (("s", "session"), (house.access, "token"), ("stk_1", "key")):
        assert house.holder(credential, kind) is None  # type: ignore[arg-type]
    assert page is not None and not house.holds(page)


def test_a_token_is_over_when_it_says_so_though_it_was_just_used(house: House) -> None:
    house.clock.at = NOON + LIFE + timedelta(seconds=9)
    assert house.holder(house.access, "token") is not None
    house.clock.at += timedelta(seconds=1)
    assert house.holder(house.access, "token") is None


def test_who_has_no_account_needs_none_to_go_on(house: House) -> None:
    assert house.holds(LOCAL)
