from __future__ import annotations

import pytest

from api import limits
from api.limits import Rate, Streams, Taken, TooManyStreams, neighbourhood


def test_so_many_at_once_and_then_so_many_a_second() -> None:
    rate = Rate(per_s=2.0, burst=3)
    assert [rate.take("a", now_s=10.0) for _ in range(4)] == [
        Taken(0.0, 2),
        Taken(0.0, 1),
        Taken(0.0, 0),
        Taken(0.5, 0),
    ]
    assert rate.take("b", now_s=10.0) == Taken(0.0, 2), "each has its own"
    assert rate.take("a", now_s=10.4).wait_s == pytest.approx(0.1)
    assert rate.take("a", now_s=10.5) == Taken(0.0, 0)
    assert rate.take("a", now_s=99.0) == Taken(0.0, 2)


def test_what_is_refused_costs_nothing() -> None:
    rate = Rate(per_s=1.0, burst=1)
    rate.take("a", now_s=0.0)
    assert {rate.take("a", now_s=0.5).wait_s for _ in range(50)} == {0.5}


def test_memory_is_bounded_however_many_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_KEYS", 10)
    rate = Rate(per_s=1.0, burst=2)
    for number in range(1000):
        rate.take(f"a{number}", now_s=number * 0.001)
        assert len(rate._full_at_s) <= 10
    rate.take("late", now_s=500.0)
    assert len(rate._full_at_s) <= 10


def test_streams_are_counted_in_all_by_user_and_by_address() -> None:
    streams = Streams(most=4, of_user=2, of_address=3)
    with streams.opened("ann", "1"), streams.opened("ann", "2"):
        with pytest.raises(TooManyStreams) as caught, streams.opened("ann", "3"):
            pass
        assert (caught.value.of, caught.value.most) == ("user", 2)
        with (
            streams.opened("bob", "1"),
            streams.opened("cid", "1"),
            pytest.raises(TooManyStreams, match="all"),
            streams.opened("dan", "9"),
        ):
            pass
        with streams.opened("bob", "2"), pytest.raises(ValueError, match="broke"):
            raise ValueError("broke")
        assert streams.open == 2
    with (
        streams.opened("a", "1"),
        streams.opened("b", "1"),
        streams.opened("c", "1"),
        pytest.raises(TooManyStreams, match="address"),
        streams.opened("d", "1"),
    ):
        pass
    assert streams.open == 0 and not streams._users and not streams._addresses


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("", ""),
        ("unix socket", "unix socket"),
    ],
)
def test_one_subscriber_is_one_address(address: str, expected: str) -> None:
    assert neighbourhood(address) == expected
