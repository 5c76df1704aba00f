from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import Engine

from storage.coverage import CoverageCounts, percentile, read_coverage, read_why, write_coverage_minute
from storage.prices import PriceRow, flush_prices
from storage.runs import finish_run, start_run
from storage.writer import Writer
from tests.fix_storage import NOON, OPENS_AT, StillClock

COUNTS = CoverageCounts(fresh=1, unchanged=1, no_trade=0, unknown=1, total=3)
UNKNOWN = {"fresh": 0, "unchanged": 0, "no_trade": 0, "unknown": 3, "total": 3}
NO_AGES = {"p50": None, "p90": None, "p99": None, "max": None}


def test_nothing_is_claimed_before_the_first_cycle(writer: Writer, reader: Engine) -> None:
    empty = UNKNOWN | {"age_s": NO_AGES}
    assert read_coverage(reader, at=NOON) == {"price": empty, "metrics": empty, "daily": empty}


@pytest.mark.parametrize(("group", "window_s"), [("price", 120), ("metrics", 1200), ("daily", 345_600)])
def test_counts_older_than_two_cycles_are_not_shown(writer: Writer, reader: Engine, group: str, window_s: int) -> None:
    write_coverage_minute(writer, NOON, group, COUNTS)  # type: ignore[arg-type]
    within = read_coverage(reader, at=NOON + timedelta(seconds=window_s))[group]
    assert {name: within[name] for name in UNKNOWN} == {
        "fresh": 1,
        "unchanged": 1,
        "no_trade": 0,
        "unknown": 1,
        "total": 3,
    }
    after = read_coverage(reader, at=NOON + timedelta(seconds=window_s + 1))[group]
    assert {name: after[name] for name in UNKNOWN} == UNKNOWN


def test_before_the_first_counts_who_was_told_is_fresh(writer: Writer, reader: Engine, still_clock: StillClock) -> None:
    """A first daily refresh takes hours: its tickers are fresh as they come."""
    still_clock.at = NOON
    flush_prices(
        writer,
        [PriceRow(ticker="A", price_usd=1.0, price_time=OPENS_AT)],
        price_source="stream",
        session_opens_at=OPENS_AT,
    )
    found = read_coverage(reader, at=NOON + timedelta(seconds=120))["price"]
    assert {name: found[name] for name in UNKNOWN} == UNKNOWN | {"fresh": 1, "unknown": 2}
    later = read_coverage(reader, at=NOON + timedelta(seconds=121))["price"]
    assert {name: later[name] for name in UNKNOWN} == UNKNOWN


def test_the_newest_minute_counts_and_a_minute_can_be_written_again(writer: Writer, reader: Engine) -> None:
    minute = timedelta(minutes=1)
    write_coverage_minute(
        writer, NOON - minute, "price", CoverageCounts(fresh=0, unchanged=0, no_trade=0, unknown=3, total=3)
    )
    write_coverage_minute(writer, NOON + timedelta(seconds=7), "price", COUNTS)
    final = CoverageCounts(fresh=3, unchanged=0, no_trade=0, unknown=0, total=3)
    write_coverage_minute(writer, NOON + timedelta(seconds=59), "price", final)
    assert read_coverage(reader, at=NOON + minute)["price"]["fresh"] == 3


def test_ages_are_of_the_listed_tickers_that_have_one(writer: Writer, reader: Engine, still_clock: StillClock) -> None:
    for age_s, ticker in ((30, "A"), (10, "B")):
        still_clock.at = NOON - timedelta(seconds=age_s)
        row = PriceRow(ticker=ticker, price_usd=1.0, price_time=OPENS_AT)
        flush_prices(writer, [row], price_source="stream", session_opens_at=OPENS_AT)
    assert read_coverage(reader, at=NOON)["price"]["age_s"] == {"p50": 10.0, "p90": 30.0, "p99": 30.0, "max": 30.0}


def test_the_reasons_are_those_of_the_newest_cycle_of_prices_for_two_minutes(writer: Writer, reader: Engine) -> None:
    assert read_why(reader, at=NOON) == {}
    for scanner, detail in (("prices", {"why": {"old": 1}}), ("prices", {"why": {"fresh_traded": 3}}), ("metrics", {})):
        run_id = start_run(writer, scanner=scanner, session_date=NOON.date(), expected=3, at=NOON)
        finish_run(writer, run_id, status="complete", updated=0, failed=0, skipped=0, detail=detail, at=NOON)
    start_run(writer, scanner="prices", session_date=NOON.date(), expected=3, at=NOON)
    assert read_why(reader, at=NOON + timedelta(seconds=120)) == {"fresh_traded": 3}
    assert read_why(reader, at=NOON + timedelta(seconds=121)) == {}


def test_percentiles_are_of_the_nearest_rank() -> None:
    hundred = [float(number) for number in range(1, 101)]
    assert [percentile(hundred, share) for share in (50, 90, 99, 100)] == [50.0, 90.0, 99.0, 100.0]
    assert percentile([7.0], 50) == 7.0
    assert percentile([], 50) is None
