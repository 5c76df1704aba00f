from __future__ import annotations

import pytest

from screener.backtest.rates import hit_rate, wilson


@pytest.mark.parametrize(
    ("hits", "events", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),  # Newcombe, Statistics in Medicine 17 (1998), table I, method 3
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_the_interval_is_wilsons(hits: int, events: int, low: float, high: float) -> None:
    assert wilson(hits, events) == pytest.approx((low, high), abs=5e-5)


def test_under_a_hundred_events_no_rate_is_told() -> None:
    few, enough = hit_rate(99, 99, 10), hit_rate(60, 100, 10)
    assert (few.rate, few.low, few.high, few.events, few.hits) == (None, None, None, 99, 99)
    assert enough.rate == 0.6
    assert enough.horizon == 10
