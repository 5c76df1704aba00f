from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanners.prices.shards import is_ticker, plan_shards
from storage.universe import TickerRow


def row(ticker: str, dollar_volume_usd: float | None = None) -> TickerRow:
    return TickerRow(ticker=ticker, quote_type="EQUITY", dollar_volume_usd=dollar_volume_usd)


universes = st.dictionaries(
    st.text("ABCXYZ-", min_size=1, max_size=6), st.none() | st.floats(0, 1e12), max_size=60
).map(lambda found: [row(ticker, volume) for ticker, volume in found.items()])


def test_8782_tickers_of_99_a_connection_are_89_connections() -> None:
    shards = plan_shards([row(f"T{number}") for number in range(8782)], per_connection=99)
    assert len(shards) == 89
    assert max(len(shard) for shard in shards) == 99


def test_198_tickers_are_two_connections_and_199_three() -> None:
    assert len(plan_shards([row(f"T{number}") for number in range(198)], per_connection=99)) == 2
    assert len(plan_shards([row(f"T{number}") for number in range(199)], per_connection=99)) == 3


def test_no_ticker_needs_no_connection() -> None:
    assert plan_shards([], per_connection=99) == []


def test_each_connection_gets_one_of_the_busiest_names() -> None:
    busy = [row("SPY", 3e10), row("QQQ", 2e10), row("NVDA", 1e10)]
    quiet = [row(f"Q{number}") for number in range(6)]
    assert [shard[0] for shard in plan_shards([*quiet, *busy], per_connection=3)] == ["SPY", "QQQ", "NVDA"]


def test_the_plan_is_the_same_whatever_the_order_of_the_rows() -> None:
    rows = [row("A", 1.0), row("B"), row("C", 2.0), row("D", 1.0)]
    assert plan_shards(rows, per_connection=2) == plan_shards(rows[::-1], per_connection=2) == [("C", "D"), ("A", "B")]


@given(universes, st.integers(1, 20))
def test_every_ticker_is_on_exactly_one_connection_and_no_list_is_too_long(
    rows: list[TickerRow], per_connection: int
) -> None:
    shards = plan_shards(rows, per_connection=per_connection)
    assert sorted(ticker for shard in shards for ticker in shard) == sorted(each.ticker for each in rows)
    assert len(shards) == (len(rows) + per_connection - 1) // per_connection
    assert all(1 <= len(shard) <= per_connection for shard in shards)
    assert max(map(len, shards), default=0) - min(map(len, shards), default=0) <= 1


@pytest.mark.parametrize("text", ["", " ", None])
def test_what_is_no_name_is_on_no_list_because_it_would_close_the_connection(text: Any) -> None:
    assert not is_ticker(text)
    assert plan_shards([row("A"), row(text)], per_connection=1) == [("A",)]
