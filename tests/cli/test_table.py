from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from core.clock import SystemClock
from market.universe import Listing
from storage.coverage import CoverageCounts, write_coverage_minute
from storage.prices import PriceRow, flush_prices
from storage.universe import load_universe
from storage.writer import Writer
from tests.fix_cli import TIME, Run, fits_80_columns, times_in

# As the contract lists them, and the daily group as the schema completes it.
COLUMNS = set(
    [
        "id",
        "ticker",
        "company_name",
        "exchange",
        "quote_type",
        "sector",
        "industry",
        "is_listed",
        "security_type",
        "listed_by",
        "seen_by",
        "first_seen_date",
        "missing_since",
        "missing_sessions",
        "currency",
        "market_state",
        "current_price",
        "price_change",
        "price_change_percent",
        "price_time",
        "price_source",
        "price_updated_at",
        "pre_market_price",
        "post_market_price",
        "volume",
        "days_low",
        "days_high",
        "open_price",
        "previous_close",
        "bid_price",
        "ask_price",
        "bid_size",
        "ask_size",
        "week_52_low",
        "week_52_high",
        "avg_volume_3mon",
        "market_cap",
        "shares_outstanding",
        "pe_ratio",
        "forward_pe",
        "dividend_yield",
        "earnings_per_share",
        "book_value",
        "price_to_book",
        "next_earnings_date",
        "metrics_updated_at",
        "beta",
        "one_year_target",
        "recommendation",
        "analyst_count",
        "dividend_rate",
        "ex_dividend_date",
        "profit_margin",
        "revenue_ttm",
        "ebitda",
        "free_cash_flow",
        "float_shares",
        "employees",
        "country",
        "financial_currency",
        "target_low",
        "target_high",
        "payout_ratio",
        "return_on_equity",
        "return_on_assets",
        "gross_margin",
        "operating_margin",
        "revenue_growth",
        "earnings_growth",
        "debt_to_equity",
        "current_ratio",
        "total_cash",
        "total_debt",
        "operating_cash_flow",
        "shares_short",
        "short_percent_of_float",
        "held_by_insiders",
        "held_by_institutions",
        "last_split_ratio",
        "last_split_date",
        "daily_updated_at",
        "last_updated",
        "change_seq",
    ]
)
AGES = {"price_age_s", "metrics_age_s", "daily_age_s"}
COUNTS = {"fresh", "unchanged", "no_trade", "unknown", "total"}


@pytest.fixture
def table(here: Run, sqlite_file: Path) -> Run:
    """AAPL was traded 90 seconds ago, BRK-B and F never."""
    now = SystemClock().utc_now()
    traded = now - timedelta(seconds=90)
    with Writer.open(f"sqlite:///{sqlite_file}", service="test", origin="practice", clock=SystemClock()) as writer:
        load_universe(writer, [Listing(ticker=ticker) for ticker in ("AAPL", "BRK-B", "F")])
        row = PriceRow(
            ticker="AAPL", price_usd=1309.5, price_time=traded, change=-2.25, change_percent=-0.17, heard_at=traded
        )
        flush_prices(writer, [row], price_source="stream", session_opens_at=traded - timedelta(hours=1))
        counts = CoverageCounts(fresh=1, unchanged=0, no_trade=0, unknown=2, total=3)
        write_coverage_minute(writer, now - timedelta(seconds=60), "price", counts)
    return here


@pytest.mark.parametrize("text", ["BRK.B", "brk-b", "BRK/B", "BRK-B"])
def test_a_class_share_is_found_however_it_is_written(table: Run, text: str) -> None:
    document = table("quote", text, "--json").json()

    assert document.keys() == {"version", "quotes", "unknown"}
    assert [row["ticker"] for row in document["quotes"]] == ["BRK-B"]
    assert document["unknown"] == []


def test_a_quote_has_every_column_and_each_groups_age(table: Run) -> None:
    ended = table("quote", "AAPL", "--json")

    (row,) = ended.json()["quotes"]
    assert ended.code == 0
    assert row.keys() == COLUMNS | AGES
    assert (row["current_price"], row["price_change"], row["price_change_percent"]) == (1309.5, -2.25, -0.17)
    assert 90 <= row["price_age_s"] < 600
    assert (row["metrics_age_s"], row["daily_age_s"]) == (None, None)
    assert all(TIME.fullmatch(text) for text in times_in(row))
    assert TIME.fullmatch(row["price_updated_at"])


def test_what_was_never_written_is_null(table: Run) -> None:
    (row,) = table("quote", "F", "--json").json()["quotes"]

    known = {key for key, value in row.items() if value is not None}
    assert known <= {"id", "ticker", "is_listed", "listed_by", "last_updated", "change_seq"}  # of the listing itself


def test_an_unknown_ticker_is_listed_apart_and_the_rest_is_shown(table: Run) -> None:
    ended = table("quote", "ZZZZ", "F", "--json")

    assert ended.code == 1
    assert ended.json()["unknown"] == ["ZZZZ"]
    assert [row["ticker"] for row in ended.json()["quotes"]] == ["F"]
    ended.says("ZZZZ: not in the table; ")


def test_a_text_that_is_no_ticker_does_not_hide_the_others(table: Run) -> None:
    ended = table("quote", "???", "F", "--json")

    assert ended.code == 1
    assert ended.json()["unknown"] == ["???"]
    assert [row["ticker"] for row in ended.json()["quotes"]] == ["F"]
    ended.says("'???' does not have the form of a US ticker; write a US ticker like AAPL, BRK.B or ABR^D")


def test_the_text_of_a_quote_fits_80_columns(table: Run) -> None:
    ended = table("quote", "AAPL", "BRK.B")

    lines = ended.out.splitlines()
    assert lines[0].split() == ["ticker", "price", "change", "%", "age", "volume", "market", "cap", "age"]
    assert lines[1].split()[:4] == ["AAPL", "1,309.50", "-2.25", "-0.17"]
    assert lines[2].split() == ["BRK-B"]
    assert fits_80_columns(ended.out)


def test_a_wide_terminal_also_shows_the_name(table: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    assert table("quote", "AAPL").out.splitlines()[0].rstrip().endswith("name")


@pytest.mark.parametrize("words", [("quote", "AAPL"), ("coverage",)], ids=" ".join)
@pytest.mark.parametrize("as_json", [(), ("--json",)])
def test_without_a_database_it_says_so_and_makes_no_file(
    here: Run, tmp_path: Path, words: tuple[str, ...], as_json: tuple[str, ...]
) -> None:
    here(*words, *as_json).fails(78, str(tmp_path / "tickerd.db"), "tickerd db upgrade")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [("quote", "AAPL"), ("coverage",)], ids=" ".join)
def test_a_database_without_our_tables_is_said_to_hold_none(here: Run, tmp_path: Path, words: tuple[str, ...]) -> None:
    file = tmp_path / "tickerd.db"
    file.touch()

    here(*words).fails(78, "holds no tables yet; run `tickerd db upgrade`")
    assert file.read_bytes() == b""


def test_coverage_has_counts_and_ages_of_each_group(table: Run) -> None:
    document = table("coverage", "--json").json()

    assert document.keys() == {"version", "at", "groups"}
    assert TIME.fullmatch(document["at"])
    assert document["groups"].keys() == {"price", "metrics", "daily"}
    for group in ("price", "metrics"):
        assert document["groups"][group].pop("why") == {}  # no cycle has been recorded
    for counts in document["groups"].values():
        assert counts.keys() == COUNTS | {"age_s"}
        assert counts["age_s"].keys() == {"p50", "p90", "p99", "max"}
    price, metrics = document["groups"]["price"], document["groups"]["metrics"]
    assert {key: price[key] for key in COUNTS} == {"fresh": 1, "unchanged": 0, "no_trade": 0, "unknown": 2, "total": 3}
    assert 90 <= price["age_s"]["max"] < 600
    assert (metrics["unknown"], metrics["age_s"]["p50"]) == (3, None)


def test_the_text_of_coverage_fits_80_columns(table: Run) -> None:
    ended = table("coverage")

    assert ended.code == 0
    assert fits_80_columns(ended.out)
    assert ended.out.splitlines()[1].split() == ["price", "1", "0", "0", "2", "3"]
    assert ended.out.splitlines()[-1].split() == ["daily", "never", "never", "never", "never"]


SHARE = {"minutes", "fresh", "unchanged", "no_trade", "unknown", "not_covered", "total", "share"}


@pytest.mark.parametrize("calendar", ["XNYS", "always"])
def test_the_days_of_coverage_are_the_last_sessions_each_with_the_share_of_each_group(
    table: Run, monkeypatch: pytest.MonkeyPatch, calendar: str
) -> None:
    monkeypatch.setenv("TICKERD_MARKET__CALENDAR", calendar)
    days = table("coverage", "--days", "3", "--json").json()["days"]
    assert len(days) == 3
    assert [day["session"] for day in days] == sorted(day["session"] for day in days)
    for day in days:
        assert day.keys() == {"session", "opens_at", "closes_at", "groups"}
        assert TIME.fullmatch(day["opens_at"])
        assert {name: group.keys() for name, group in day["groups"].items()} == dict.fromkeys(
            ("price", "metrics", "daily"), SHARE
        )
    oldest = days[0]["groups"]["price"]
    assert oldest["not_covered"] == oldest["total"] == 3 * oldest["minutes"]


def test_the_text_of_the_days_fits_80_columns(table: Run) -> None:
    ended = table("coverage", "--days", "2")
    assert ended.code == 0
    assert fits_80_columns(ended.out)
    assert len([line for line in ended.out.splitlines() if line.endswith("100.0")]) >= 4
