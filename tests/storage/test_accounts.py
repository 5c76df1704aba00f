from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Engine, delete

from core.errors import RetryLater
from storage import accounts
from storage.accounts import LastAdmin, NameTaken, NewSignIn, NewToken, NewUser, NoSuchToken, TokenReused
from storage.schema import sign_in
from storage.writer import Writer
from tests.fix_storage import NOON

DAY = timedelta(days=1)
ANN = NewUser(name="ann", password_hash="$a", role="admin", email="ann@example.org")
BOB = NewUser(name="bob", password_hash="$b", role="viewer", must_change_password=True)


def signed_in(user_id: int, **more: str) -> NewSignIn:
    return NewSignIn(user_id=user_id, kind="token", expires_at=NOON + DAY, address="::1", agent="curl", **more)


def test_a_user_is_found_by_name_address_and_id_and_no_list_shows_the_hash(writer: Writer, reader: Engine) -> None:
    ann, bob = accounts.add_user(writer, ANN, at=NOON), accounts.add_user(writer, BOB, at=NOON)
    for found in (
        accounts.read_user(reader, name="ann"),
        accounts.read_user(reader, name="ann@example.org"),
        accounts.read_user(reader, user_id=ann),
    ):
        assert found is not None and (found["id"], found["password_hash"], found["created_at"]) == (ann, "$a", NOON)
    assert accounts.read_user(reader, name="nobody") is None
    listed = accounts.read_users(reader, limit=9)
    assert [(row["id"], row["name"], row["must_change_password"]) for row in listed] == [
        (ann, "ann", False),
        (bob, "bob", True),
    ]
    assert "password_hash" not in listed[0]
    assert [row["name"] for row in accounts.read_users(reader, after=ann, limit=9)] == ["bob"]


def test_a_name_and_an_address_are_taken_once(writer: Writer) -> None:
    accounts.add_user(writer, ANN, at=NOON)
    for other in (replace(ANN, email=None), replace(BOB, email="ann@example.org")):
        with pytest.raises(NameTaken):
            accounts.add_user(writer, other, at=NOON)


def test_the_first_user_is_added_once(writer: Writer, reader: Engine) -> None:
    told: list[str] = []
    assert accounts.add_first_user(writer, ANN, tell=lambda: told.append("ann"), at=NOON) is True
    assert accounts.add_first_user(writer, BOB, tell=lambda: told.append("bob"), at=NOON) is False
    assert [row["name"] for row in accounts.read_users(reader, limit=9)] == told == ["ann"]


def test_a_first_user_whose_password_cannot_be_told_is_not_added(writer: Writer, reader: Engine) -> None:
    def tell() -> None:
        raise RetryLater("disk full")

    with pytest.raises(RetryLater, match="disk full"):
        accounts.add_first_user(writer, ANN, tell=tell, at=NOON)
    assert accounts.read_users(reader, limit=9) == []


def test_the_last_admin_stays(writer: Writer, reader: Engine) -> None:
    ann, bob = accounts.add_user(writer, ANN, at=NOON), accounts.add_user(writer, BOB, at=NOON)
    for change in ({"role": "viewer"}, {"is_active": False}):
        with pytest.raises(LastAdmin):
            accounts.change_user(writer, ann, change, at=NOON)
    with pytest.raises(LastAdmin):
        accounts.remove_user(writer, ann, at=NOON)
    assert [row["role"] for row in accounts.read_users(reader, limit=9)] == ["admin", "viewer"], "nothing was changed"
    assert accounts.change_user(writer, bob, {"role": "admin"}, at=NOON) is True
    assert accounts.remove_user(writer, ann, at=NOON) is True
    assert accounts.remove_user(writer, ann, at=NOON) is False
    assert accounts.change_user(writer, ann, {"role": "admin"}, at=NOON) is False


def test_a_sign_in_is_over_with_its_time_its_end_its_user_and_another_password(writer: Writer, reader: Engine) -> None:
    ann = accounts.add_user(writer, ANN, at=NOON)
    accounts.add_user(writer, replace(BOB, role="admin"), at=NOON)

    def begin() -> int:
        return accounts.begin_sign_in(writer, signed_in(ann), at=NOON)

    def holds(sign_in_id: int, after: timedelta = timedelta()) -> bool:
        return accounts.read_sign_in(reader, sign_in_id=sign_in_id, at=NOON + after) is not None

    first = begin()
    user = accounts.read_user(reader, user_id=ann)
    assert holds(first) and not holds(first, DAY) and user is not None and user["last_login"] == NOON
    accounts.end_sign_in(writer, first, at=NOON)
    assert not holds(first)
    second = begin()
    accounts.change_user(writer, ann, {"email": "other@example.org"}, at=NOON)
    assert holds(second)
    accounts.change_user(writer, ann, {"password_hash": "$c"}, at=NOON)
    assert not holds(second)
    third = begin()
    accounts.change_user(writer, ann, {"is_active": False}, at=NOON)
    assert not holds(third)


def test_a_pages_sign_in_is_found_by_the_hash_of_its_secret(writer: Writer, reader: Engine) -> None:
    ann = accounts.add_user(writer, ANN, at=NOON)
    sign_in_id = accounts.begin_sign_in(writer, signed_in(ann, secret_hash="h"), at=NOON)
    found = accounts.read_sign_in(reader, secret_hash="h", at=NOON)
    assert found is not None and (found["sign_in_id"], found["user_id"], found["role"]) == (sign_in_id, ann, "admin")
    assert accounts.read_sign_in(reader, secret_hash="other", at=NOON) is None


def test_a_refresh_token_is_changed_for_the_next_and_a_used_one_ends_all(writer: Writer, reader: Engine) -> None:
    ann = accounts.add_user(writer, ANN, at=NOON)
    sign_in_id = accounts.begin_sign_in(writer, signed_in(ann, refresh_hash="r1"), at=NOON)
    found = accounts.rotate(writer, "r1", "r2", at=NOON)
    assert (found["sign_in_id"], found["user_id"], found["name"]) == (sign_in_id, ann, "ann")
    accounts.rotate(writer, "r2", "r3", at=NOON)
    with pytest.raises(TokenReused):
        accounts.rotate(writer, "r1", "thief", at=NOON)
    for token in ("r3", "thief", "unknown"):
        with pytest.raises(NoSuchToken):
            accounts.rotate(writer, token, "r4", at=NOON)
    assert accounts.read_sign_in(reader, sign_in_id=sign_in_id, at=NOON) is None


def test_a_key_holds_until_it_is_revoked_over_or_its_owner_is_locked_out(writer: Writer, reader: Engine) -> None:
    accounts.add_user(writer, ANN, at=NOON)
    bob = accounts.add_user(writer, BOB, at=NOON)
    new = NewToken(user_id=bob, name="k", token_hash="h", scopes=["read"])
    first = accounts.add_token(writer, new, at=NOON)
    second = accounts.add_token(writer, replace(new, token_hash="i", expires_at=NOON + DAY), at=NOON)
    found = accounts.read_token(reader, "h", at=NOON + 400 * DAY)
    assert found is not None and (found["token_id"], found["scopes"], found["name"]) == (first, ["read"], "bob")
    assert accounts.token_holds(reader, second, at=NOON) and not accounts.token_holds(reader, second, at=NOON + DAY)
    assert accounts.read_token(reader, "i", at=NOON + DAY) is None
    listed = accounts.read_tokens(reader, bob)
    assert [row["id"] for row in listed] == [first, second] and "token_hash" not in listed[0]
    assert accounts.revoke_token(writer, bob + 1, first, at=NOON) is False, "another's"
    assert accounts.revoke_token(writer, bob, first, at=NOON) is True
    assert accounts.read_token(reader, "h", at=NOON) is None
    accounts.change_user(writer, bob, {"is_active": False}, at=NOON)
    assert not accounts.token_holds(reader, second, at=NOON)
    accounts.remove_user(writer, bob, at=NOON)
    assert accounts.read_tokens(reader, bob) == []


def test_no_number_of_a_user_a_sign_in_or_a_key_is_ever_given_again(writer: Writer, reader: Engine) -> None:
    """Else an open stream of who was removed would go on as the next one's."""
    accounts.add_user(writer, ANN, at=NOON)
    given = []
    for _ in range(2):
        bob = accounts.add_user(writer, BOB, at=NOON)
        key = NewToken(user_id=bob, name="k", token_hash=f"hash of {bob}", scopes=["read"])
        given.append((bob, accounts.add_token(writer, key, at=NOON)))
        accounts.remove_user(writer, bob, at=NOON)
    assert len({user for user, _ in given}) == len({key for _, key in given}) == 2
    numbers = []
    for _ in range(2):
        numbers.append(accounts.begin_sign_in(writer, signed_in(1), at=NOON))
        writer.run(lambda tx: tx.connection.execute(delete(sign_in)), source="test")
    assert len(set(numbers)) == 2
