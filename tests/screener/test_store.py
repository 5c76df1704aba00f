from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from core.settings import Daily, Database, Risk, Settings, State
from screener.expressions.check import check
from screener.expressions.evaluate import matches
from screener.jobs.detail import of_patterns
from screener.store import FIELDS, Store
from storage.daily_bars import write_daily_bars
from storage.writer import Writer
from tests.fix_scans import daily_bars, fill
from tests.fix_storage import NOON, OPENS_AT, StillClock
from tests.screener.test_intraday import kept

FRIDAY = date(2026, 11, 20)
CLOSES = {"A": [10.0, 11.0, 12.0], "B": [20.0, 19.0, 18.0]}


@pytest.fixture
def settings(sqlite_file: Path, tmp_path: Path) -> Settings:
    database = Database(url=f"sqlite:///{sqlite_file}")
    return Settings(state=State(dir=str(tmp_path / "state")), database=database, daily=Daily(history_days=30))


@pytest.fixture
def filled(settings: Settings, still_clock: StillClock) -> Iterator[Writer]:
    with Writer.open(settings.database.url, service="test", origin="practice", clock=still_clock) as writer:
        fill(writer, CLOSES)
        yield writer


@pytest.fixture
def open_store(settings: Settings, still_clock: StillClock) -> Iterator[Callable[[], Store]]:
    opened: list[Store] = []

    def one() -> Store:
        opened.append(Store(settings, service="test", clock=still_clock))
        return opened[-1]

    yield one
    for store in opened:
        store.close()


def change(writer: Writer, ticker: str, **values: object) -> None:
    """Write columns of one row, as the scanners do."""
    from sqlalchemy import update

    from storage.schema import stocks_stock

    row = update(stocks_stock).where(stocks_stock.c.ticker == ticker).values(values)
    writer.run(lambda tx: tx.connection.execute(row), source="test")


def held(store: Store, text: str, *, live: bool = False) -> list[str]:
    market = store.live() if live else store.closed()
    yes = matches(check(text, market.vocabulary), market).yes[-1]
    return sorted(ticker for ticker, holds in zip(market.bars.tickers, yes, strict=True) if holds)


def test_bars_come_from_sql_and_again_only_when_they_changed(filled: Writer, open_store: Callable[[], Store]) -> None:
    store = open_store()
    first = store.closed()
    assert held(store, "close > prev(close)") == ["A"] and store.closed() is first
    write_daily_bars(filled, daily_bars({"B": [30.0]}, last_day=FRIDAY + timedelta(days=3)))
    assert held(store, "close == 30") == ["B"]


def test_columns_of_the_table_are_fields(filled: Writer, open_store: Callable[[], Store]) -> None:
    change(filled, "A", sector="Technology", market_cap=5e9, next_earnings_date=date(2026, 11, 30), price_time=OPENS_AT)
    store = open_store()
    assert held(store, "sector == 'Information Technology' and market_cap > 1e9") == ["A"]
    assert held(store, "next_earnings_date == 7") == ["A"]
    assert held(store, f"price_time == {(NOON - OPENS_AT).total_seconds()}") == ["A"]
    assert held(store, "is_listed and not known(pe_ratio)") == ["A", "B"]
    assert held(store, "ticker in ('b', 'c')") == ["B"]
    assert "id" not in FIELDS and FIELDS["market_cap"].dated is False


def test_the_running_sessions_prices_are_provisional_newest_bars(
    filled: Writer, open_store: Callable[[], Store]
) -> None:
    store = open_store()
    assert not store.live().bars.provisional
    change(filled, "B", current_price=25.0, price_time=NOON, change_seq=99)
    market = store.live()
    assert market.bars.provisional is not None and market.bars.provisional.sum() == 1
    assert held(store, "close > prev(close)", live=True) == ["A", "B"]
    newest = np.where(market.current())[0]
    assert [market.bars.tickers[place] for place in newest] == ["B"]
    assert market.before() is store.closed()
    assert held(store, "close == 25") == []


def test_an_empty_database_is_an_empty_market(settings: Settings, open_store: Callable[[], Store]) -> None:
    assert open_store().live().tickers == 0


def test_patterns_of_the_premarket_and_of_minutes_come_from_the_table_and_from_the_files(
    filled: Writer, open_store: Callable[[], Store], settings: Settings
) -> None:
    change(filled, "A", current_price=12.0, price_time=OPENS_AT - timedelta(days=2), pre_market_price=12.3)
    change(filled, "B", current_price=18.0, price_time=OPENS_AT - timedelta(days=2), pre_market_price=17.0)
    kept(Path(settings.state.dir), {"B": [20, 19, 18, 17, 16, 15]})
    store = open_store()
    assert held(store, "premarket_gap") == ["A", "B"]
    assert held(store, "premarket_gap > 0 and not intraday_momentum < 0") == []
    assert held(store, "intraday_momentum < 0 and premarket_gap < 0") == ["B"]
    assert held(store, "not known(intraday_momentum)") == ["A"]
    change(filled, "A", current_price=12.0, price_time=OPENS_AT)
    assert held(open_store(), "not known(premarket_gap)") == ["A"], "the session has begun"
    market = store.closed()
    told = of_patterns(Risk(), {})(market, np.arange(2), ["premarket_gap", "intraday_momentum"])
    signals = {(ticker, one["pattern"]): one for ticker, all_ in told.items() for one in all_["signals"]}
    assert (signals["A", "premarket_gap"]["entry"], signals["A", "premarket_gap"]["direction"]) == (12.3, "BUY")
    assert signals["A", "premarket_gap"]["confidence"] == 43.75, "125 x 0.7 / 2"
    assert signals["B", "intraday_momentum"]["direction"] == "SELL"


def test_a_column_that_changed_is_seen_though_no_bar_was_written(
    filled: Writer, open_store: Callable[[], Store], still_clock: StillClock
) -> None:
    store = open_store()
    for cap in (1e9, 2e9):
        change(filled, "A", market_cap=cap)
        still_clock.at += timedelta(seconds=1)
        assert held(store, f"market_cap == {cap}") == held(store, f"market_cap == {cap}", live=True) == ["A"]


def test_a_scan_of_the_bars_before_leaves_nothing_of_them_to_those_of_new_bars(
    filled: Writer, open_store: Callable[[], Store]
) -> None:
    fill(filled, {"A": [10.0] * 30})
    change(filled, "A", current_price=13.0, price_time=NOON, change_seq=99)
    store = open_store()
    older = store.live()
    write_daily_bars(filled, daily_bars({"A": [50.0, 12.0]}))
    newer = store.live()
    older.numbers("sma20", 1)
    found = newer.numbers("sma20", 1)[-1][newer.names.index("A")]
    assert found == pytest.approx((17 * 10 + 50 + 12 + 13) / 20)


def test_the_bars_of_another_database_are_not_taken_for_those_of_this_one(
    filled: Writer, open_store: Callable[[], Store], settings: Settings, sqlite_template: Path, tmp_path: Path
) -> None:
    """Its writes have the same numbers."""
    assert held(open_store(), "close == 12") == ["A"]
    (tmp_path / "other.db").write_bytes(sqlite_template.read_bytes())
    other = Settings(
        state=settings.state, daily=settings.daily, database=Database(url=f"sqlite:///{tmp_path / 'other.db'}")
    )
    clock = StillClock(NOON + timedelta(seconds=1))
    with Writer.open(other.database.url, service="test", origin="practice", clock=clock) as writer:
        fill(writer, {"A": [1.0, 2.0, 3.0], "B": [4.0, 5.0, 6.0]})
    with closing(Store(other, service="test", clock=clock)) as store:
        assert held(store, "close == 12") == [] and held(store, "close == 3") == ["A"]
