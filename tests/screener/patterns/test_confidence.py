from __future__ import annotations

import numpy as np
import pytest

from screener.patterns.confidence import confidence, factors


def told(side: float, rvol: float, ema20: float, ema50: float, rsi: float) -> tuple[bool, ...]:
    values = [np.array([value]) for value in (side, rvol, ema20, ema50, rsi)]
    return tuple(bool(one[0]) for one in factors(*values))


def test_volume_trend_and_momentum_speak_for_a_signal() -> None:
    assert told(1.0, 1.5, 11.0, 10.0, 40.0) == (True, True, True)
    assert told(1.0, 1.49, 10.0, 11.0, 71.0) == (False, False, False)
    assert told(-1.0, 1.5, 10.0, 11.0, 60.0) == (True, True, True)
    assert told(-1.0, 0.0, 11.0, 10.0, 61.0) == (False, False, False)


def test_what_is_not_known_speaks_for_nothing() -> None:
    assert told(1.0, np.nan, np.nan, 10.0, np.nan) == (False, False, False)


@pytest.mark.parametrize(
    ("base", "agreeing", "session", "expected"),
    [
        (110.0, (False, False, False), "regular", 55.0),
        (110.0, (True, False, False), "regular", 68.75),
        (110.0, (True, True, True), "regular", 86.96875),
        (130.0, (True, True, True), "regular", 100.0),
        (130.0, (True, True, True), "pre", 70.0),
        (110.0, (False, False, False), "post", 27.5),
    ],
)
def test_confidence_is_half_of_the_product_and_at_most_100(
    base: float, agreeing: tuple[bool, bool, bool], session: str, expected: float
) -> None:
    flags = tuple(np.array([one]) for one in agreeing)
    assert confidence(np.array([base]), (flags[0], flags[1], flags[2]), session)[0] == pytest.approx(expected)
