import math
import struct
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market import units


@pytest.mark.parametrize(
    ("noisy", "sent"),
    [
        (232.35000610351562, 232.35),
        (24.534999847412109, 24.535),
        (0.0, 0.0),
        (-1.2699999809265137, -1.27),
        (16777216.0, 16777216.0),
        (735000.0, 735000.0),
        (9.999999747378752e-05, 0.0001),
        (8591679488.0, 8591680000.0),  # 7 digits would give 8591679000
        (0.3333333432674408, 0.33333334),
        (3.4028234663852886e38, 3.4028235e38),
    ],
)
def test_a_widened_float32_gets_its_short_decimal_back(noisy: float, sent: float) -> None:
    assert units.shortest_float32(noisy) == sent


@pytest.mark.parametrize("x", [math.nan, math.inf, -math.inf, 1e39])
def test_what_no_float32_can_hold_is_none(x: float) -> None:
    assert units.shortest_float32(x) is None


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_the_short_decimal_is_the_same_float32(x: float) -> None:
    short = units.shortest_float32(x)
    assert short is not None
    assert struct.pack("<f", short) == struct.pack("<f", x)
    decimals = (float(f"{x:.{digits}g}") for digits in range(6, 10))
    assert next(each for each in decimals if struct.pack("<f", each) == struct.pack("<f", x)) == short


@given(st.decimals(min_value="0.01", max_value="9999.99", places=2))
def test_every_price_in_cents_comes_back_exactly(price: object) -> None:
    sent = float(str(price))
    widened = struct.unpack("<f", struct.pack("<f", sent))[0]
    assert units.shortest_float32(widened) == sent


@pytest.mark.parametrize(("x", "value"), [(1, 1.0), (2.5, 2.5), (-3, -3.0), (0, 0.0)])
def test_a_number_is_finite(x: object, value: float) -> None:
    assert units.finite(x) == value
    assert isinstance(units.finite(x), float)


@pytest.mark.parametrize("x", [None, "2.5", "Infinity", True, math.nan, math.inf, 10**400, {"raw": 1}, []])
def test_everything_else_is_not_known(x: object) -> None:
    assert units.finite(x) is None
    assert units.positive_or_none(x) is None
    assert units.lots_to_shares(x) is None
    assert units.utc_from_epoch_s(x) is None
    assert units.utc_from_epoch_ms(x) is None


@pytest.mark.parametrize(("x", "value"), [(0.01, 0.01), (0, None), (-0.0, None), (-5, None)])
def test_a_price_is_above_zero(x: float, value: float | None) -> None:
    assert units.positive_or_none(x) == value


@pytest.mark.parametrize(("percent", "fraction"), [(0.41, 0.0041), (1.27, 0.0127), (0.0, 0.0), (None, None)])
def test_percent_becomes_a_fraction_without_noise(percent: float | None, fraction: float | None) -> None:
    assert units.percent_to_fraction(percent) == fraction


@pytest.mark.parametrize(("lots", "shares"), [(2, 200), (1.0, 100), (0, 0), (-1, None), (1.5, None)])
def test_lots_become_shares(lots: float, shares: int | None) -> None:
    assert units.lots_to_shares(lots) == shares


def test_unix_time_becomes_utc() -> None:
    at = datetime(2026, 11, 20, 21, 0, tzinfo=UTC)
    assert units.utc_from_epoch_s(1795208400) == at
    assert units.utc_from_epoch_ms(1795208400000) == at
    assert units.utc_from_epoch_ms(1795208400123) == at.replace(microsecond=123000)


def test_the_first_second_of_1990_is_known() -> None:
    assert units.utc_from_epoch_s(631152000) == datetime(1990, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("seconds", [0, -1, 631151999, 1795208400000, 4102444800])
def test_a_time_outside_1990_to_2100_is_not_known(seconds: int) -> None:
    assert units.utc_from_epoch_s(seconds) is None
    assert units.utc_from_epoch_ms(seconds * 1000) is None


def test_seconds_taken_for_milliseconds_are_not_known() -> None:
    assert units.utc_from_epoch_ms(1795208400) is None
