from __future__ import annotations

from typing import Literal

import pytest
from argon2 import PasswordHasher

from api.auth import passwords
from api.auth.passwords import WeakPassword, check_password, hash_password, is_right, one_time_password


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("", "0 characters"),
        ("nine char", "9 characters"),
        ("x" * 257, "257 characters"),
        ("Password123!", "first that are tried"),
        ("passwordpassword", "first that are tried"),
        ("administrator", "first that are tried"),
        ("0123456789", "first that are tried"),
        ("aaaaaaaaaaaa", "first that are tried"),
        ("i am Ann, really", "the user's name"),
    ],
)
def test_a_password_that_others_would_try_is_refused(password: str, reason: str) -> None:
    with pytest.raises(WeakPassword, match=reason):
        check_password(password, name="ann")


@pytest.mark.parametrize("password", ["violet otter 42", "пароль из слов", "x1 y2 z3 w4 v5"])
def test_any_other_is_good_enough(password: str) -> None:
    check_password(password, name="ann")


def test_a_hash_is_argon2id_of_its_own_salt_and_knows_its_password_alone() -> None:
    password_hash = hash_password("violet otter 42")
    assert password_hash.startswith("$argon2id$v=19$m=19456,t=2,p=1$") and password_hash != hash_password(
        "violet otter 42"
    )
    assert is_right("violet otter 42", password_hash)
    assert not is_right("violet otter 43", password_hash)
    assert not is_right("violet otter 42", None) and not is_right("violet otter 42", "no hash")
    assert not is_right("x" * 100_000, password_hash)


def test_a_password_is_the_same_however_its_accents_are_typed() -> None:
    assert is_right("cafe\u0301 du monde", hash_password("caf\u00e9 du monde"))


def test_a_password_for_one_time_is_never_the_same_and_good_enough() -> None:
    given = {one_time_password() for _ in range(50)}
    assert len(given) == 50 and all(len(password) == 20 for password in given)
    for password in given:
        check_password(password, name="admin")


def test_who_is_not_there_costs_the_same_work_as_a_wrong_password(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the time of an answer tells which users there are."""
    password_hash = hash_password("violet otter 42")
    is_right("the first one makes a hash of nobody's", None)
    work: list[str] = []

    class Counting(PasswordHasher):
        def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
            work.append("hash")
            return super().hash(password, salt=salt)

        def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:
            work.append(str(hash)[:30])
            return super().verify(hash, password)

    monkeypatch.setattr(passwords, "HASHER", Counting(time_cost=2, memory_cost=19 * 1024, parallelism=1))
    for known in (password_hash, None):
        assert not is_right("a wrong password", known)
    assert len(work) == 2 and len(set(work)) == 1, "one look each, at a hash of the same cost"
