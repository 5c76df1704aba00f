from __future__ import annotations

from api.auth.roles import role_named, scopes_of


def test_each_role_may_more_than_the_one_before() -> None:
    viewer, analyst, operator, admin = map(scopes_of, ("viewer", "analyst", "operator", "admin"))
    assert viewer == {"read"} and analyst == {"read", "metrics", "scan"}
    assert viewer < analyst < operator < admin == {"read", "metrics", "scan", "control", "admin"}
    assert scopes_of("nothing known") == frozenset()


def test_a_key_may_no_more_than_its_owner_and_no_more_than_it_was_made_for() -> None:
    assert scopes_of("viewer", among=["read", "admin"]) == {"read"}
    assert scopes_of("admin", among=["metrics"]) == {"metrics"}


def test_other_programs_words_for_a_role_are_known() -> None:
    assert (role_named("user"), role_named("admin"), role_named("root")) == ("analyst", "admin", None)
