"""Numbers of market data sources made safe and put into our units. Guesses nothing: what is not sound is None."""

from __future__ import annotations

import math
import struct
from datetime import UTC, datetime

FLOAT32_MAX = 3.4028234663852886e38
SHARES_PER_LOT = 100
"""A round lot; Yahoo's v7 quote gives bidSize and askSize in lots, its quoteSummary in shares."""

_EARLIEST_S = datetime(1990, 1, 1, tzinfo=UTC).timestamp()
_LATEST_S = datetime(2100, 1, 1, tzinfo=UTC).timestamp()
"""Between them lies every trade that a feed can report; milliseconds taken for seconds do not."""

_as_float32 = struct.Struct("<f").pack
_SURELY_SAME = 2.0**-25
_FOUR_DECIMALS_TO = 512.0
"""Below it two numbers of four decimals are never the same float32: what is found is the shortest."""
"""Relative: a number so near to a 32-bit float is nearer to it than to any other."""
_FROM_SIX, _FROM_SEVEN = ("%.6g", "%.7g", "%.8g"), ("%.7g", "%.8g")
_SEVEN_DIGITS_FROM, _SEVEN_DIGITS_TO = 1e-3, 8_388_608.0
"""Between them 32-bit floats lie closer together than decimals of seven digits: 7 digits find the shorter ones too."""


def finite(x: object) -> float | None:
    """A number as float; None for anything else: text, bool, NaN, infinity, an int beyond float."""
    if isinstance(x, bool) or not isinstance(x, int | float):
        return None
    try:
        value = float(x)
    except OverflowError:
        return None
    return value if math.isfinite(value) else None


def positive_or_none(x: object) -> float | None:
    """A finite number above 0, as a price must be; else None."""
    value = finite(x)
    return value if value is not None and value > 0 else None


def shortest_float32(x: float) -> float | None:
    """The shortest decimal that is the same 32-bit float: 232.35000610351562 -> 232.35.

    A protobuf `float` widened to 64 bits shows digits that were never sent. None if not finite as 32 bits.
    """
    size = abs(x)
    if 0.0 < size < _FOUR_DECIMALS_TO:  # 24 bits times 10^4 is exact, a whole number over 10^4 exact to its last bit
        short = round(x * 10_000.0) / 10_000.0
        if abs(short - x) <= size * _SURELY_SAME:
            return short
    if not size <= FLOAT32_MAX:
        return None
    # 6 digits survive any float32, 9 always tell two apart (IEEE 754: FLT_DIG, FLT_DECIMAL_DIG).
    for form in _FROM_SEVEN if _SEVEN_DIGITS_FROM <= size < _SEVEN_DIGITS_TO else _FROM_SIX:
        short = float(form % x)
        if abs(short - x) <= size * _SURELY_SAME or _as_float32(short) == _as_float32(x):
            return short
    return float(f"{x:.9g}")


def percent_to_fraction(percent: float | None) -> float | None:
    """0.41 (percent) -> 0.0041, without the noise of the division."""
    return None if percent is None else round(percent / 100, 12)


def lots_to_shares(lots: object) -> int | None:
    """A size in round lots as shares; None if not a whole number of lots from 0 on."""
    value = finite(lots)
    if value is None or value < 0 or not value.is_integer():
        return None
    return int(value) * SHARES_PER_LOT


def utc_from_epoch_s(seconds: object) -> datetime | None:
    """Unix time in seconds as aware UTC; None outside 1990..2100."""
    value = finite(seconds)
    if value is None or not _EARLIEST_S <= value < _LATEST_S:
        return None
    return datetime.fromtimestamp(value, UTC)


def utc_from_epoch_ms(milliseconds: object) -> datetime | None:
    """Unix time in milliseconds as aware UTC; None outside 1990..2100."""
    value = finite(milliseconds)
    return None if value is None else utc_from_epoch_s(value / 1000)
