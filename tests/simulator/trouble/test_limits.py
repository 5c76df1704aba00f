from __future__ import annotations

from simulator.trouble.limits import RateLimit


def test_a_window_moves_with_time() -> None:
    limit = RateLimit(requests=2, window_s=10, penalty_s=0)

    assert [limit.admits("a", at_s) for at_s in (0, 5, 9, 10, 11, 15)] == [True, True, False, True, False, True]


def test_who_asks_too_often_is_out_for_the_whole_penalty_and_no_longer() -> None:
    limit = RateLimit(requests=1, window_s=1, penalty_s=60)

    assert [limit.admits("a", at_s) for at_s in (0, 0.5, 30, 60.4, 60.5)] == [True, False, False, False, True]


def test_another_key_has_its_own_count() -> None:
    limit = RateLimit(requests=1, window_s=10, penalty_s=10)

    assert [limit.admits(key, 0) for key in "aabb"] == [True, False, True, False]
