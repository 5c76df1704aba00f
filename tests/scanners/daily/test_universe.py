from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from core.errors import RetryLater
from core.files import FileLock
from net.client import Answer, HttpClient
from scanners.context import Context
from scanners.daily.asker import Asker
from scanners.daily.universe import refresh_universe
from scanners.lane import DirectLane
from storage.histories import replace_history
from storage.writer import Writer
from tests.fix_scanners import MONDAY, ShiftedClock, Stage

EVENTS = "SELECT ticker, event, former_ticker FROM listing_event ORDER BY id"


@dataclass(slots=True)
class Looks:
    """Looks at the practice market, one a session."""

    stage: Stage
    context: Context
    writer: Writer
    asker: Asker

    async def after(self, number: int, **given: Any) -> dict[str, Any]:
        """Look after the session so many days from Monday."""
        session = replace(MONDAY, session_date=MONDAY.session_date + timedelta(days=number))
        return await refresh_universe(self.context, self.writer, self.asker, session, **given)

    def asked(self) -> Counter[str]:
        return Counter(
            f"{each.host.split('.')[1]} {each.path.rpartition('/')[2]}" for each in self.stage.market.requests()
        )

    def state(self, ticker: str) -> tuple[Any, ...]:
        row = self.stage.stocks()[ticker]
        return bool(row["is_listed"]), row["missing_since"], row["missing_sessions"]


@pytest_asyncio.fixture
async def looks(still_stage: Stage) -> AsyncIterator[Looks]:
    context = still_stage.context("daily", once=True, clock=ShiftedClock(speed=100.0))
    writer = still_stage.writer()
    writer.run(lambda tx: tx.connection.exec_driver_sql("UPDATE stocks_stock SET listed_by = 'bundled'"), source="test")
    async with HttpClient(ca_path=context.trust.ca_path, proxy=still_stage.settings.network.proxy) as http:
        yield Looks(still_stage, context, writer, Asker(context, DirectLane(context, http)))
    writer.close()


@pytest.mark.asyncio
async def test_a_look_asks_each_source_once_a_session_and_says_who_names_whom(looks: Looks) -> None:
    found = await looks.after(0)
    assert found["sources"] == {"nasdaq": 8, "yahoo": 8}
    assert (found["listed"], found["missing"], found["unlisted"]) == (0, 0, 0)
    rows = looks.stage.stocks()
    assert {row["seen_by"] for row in rows.values()} == {"nasdaq yahoo"}
    assert [rows[ticker]["security_type"] for ticker in ("AAPL", "SPY")] == ["Common", "ETF"]
    asked = looks.asked()
    assert [asked[key] for key in ("nasdaqtrader nasdaqlisted.txt", "nasdaqtrader otherlisted.txt")] == [1, 1]
    assert asked["finance screener"] == 2, "shares and ETFs"

    assert await looks.after(0) == {}
    assert looks.asked() == asked


@pytest.mark.asyncio
async def test_new_listings_appear_and_test_issues_do_not(looks: Looks) -> None:
    looks.stage.market.market.list_new(_listing("ZIPO"))
    found = await looks.after(0)
    assert (found["listed"], found["listed_first"]) == (1, ["ZIPO"])
    row = looks.stage.stocks()["ZIPO"]
    assert (row["listed_by"], row["first_seen_date"], row["exchange"]) == ("sources", "2026-11-23", "NCM")
    assert not looks.stage.stocks().keys() & {"ZAZZT", "ATEST", "DD-V", "DD"}


def _listing(ticker: str) -> Any:
    from simulator.world import listings

    return listings.invented(ticker, name=f"{ticker} Inc. Common Stock", exchange="NCM", kind="Common")


@pytest.mark.asyncio
async def test_a_renamed_ticker_keeps_its_row_and_its_bars(looks: Looks) -> None:
    looks.writer.run(lambda tx: tx.connection.exec_driver_sql(_priced(looks, "F")), source="test")
    replace_history(looks.writer, "F", [(date(2026, 11, 20), 1.0, 2.0, 1.0, 1.5, None, 9)], keep_older=True)
    await looks.after(0)
    looks.stage.market.market.rename("F", "FORD")
    found = await looks.after(1)
    assert (found["renamed_first"], found["listed"], found["missing"]) == ([["F", "FORD"]], 0, 0)
    rows = looks.stage.stocks()
    assert "F" not in rows and rows["FORD"]["is_listed"]
    bars = looks.stage.rows("SELECT ticker, close FROM stocks_daily_bar")
    assert bars == [{"ticker": "FORD", "close": 1.5}]
    assert looks.stage.rows(EVENTS) == [{"ticker": "FORD", "event": "renamed", "former_ticker": "F"}]


def _priced(looks: Looks, ticker: str) -> str:
    price = looks.stage.market.market.stocks[ticker].price
    return f"UPDATE stocks_stock SET current_price = {price} WHERE ticker = '{ticker}'"


@pytest.mark.asyncio
async def test_a_ticker_that_left_the_lists_is_suspect_and_gone_only_after_ten_trading_days(looks: Looks) -> None:
    await looks.after(0)
    looks.stage.market.market.unlist("SOHO")
    assert (await looks.after(1))["missing"] == 1
    assert looks.state("SOHO") == (True, "2026-11-24", 1)
    await looks.after(1, by_hand=True)
    assert looks.state("SOHO") == (True, "2026-11-24", 1), "a session counts once"
    for day in range(2, 11):
        await looks.after(day)
    assert looks.state("SOHO") == (True, "2026-11-24", 10)
    assert (await looks.after(11))["unlisted_first"] == ["SOHO"]
    assert looks.state("SOHO")[0] is False
    looks.stage.market.market.relist("SOHO")
    assert (await looks.after(12))["back_first"] == ["SOHO"]
    assert looks.state("SOHO") == (True, None, None)
    assert [row["event"] for row in looks.stage.rows(EVENTS)] == ["suspect", "unlisted", "back"]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("truncate,at_bytes=150,host=www.nasdaqtrader.com", "was cut: its last line is not 'File Creation Time'"),
        ("html,host=www.nasdaqtrader.com", "is no symbol directory"),
        ("server_error,host=www.nasdaqtrader.com", "status 503"),
    ],
)
async def test_a_source_that_does_not_tell_all_is_named_and_nothing_is_missing_for_it(
    looks: Looks, fault: str, reason: str
) -> None:
    await looks.after(0)
    looks.stage.market.fault(fault)
    found = await looks.after(1)
    assert found["sources"] == {"yahoo": 8, "nasdaq": reason}
    assert found["missing"] == 0


@pytest.mark.asyncio
async def test_sources_that_suddenly_list_half_unlist_nothing_however_long(looks: Looks) -> None:
    """Nor does a night between without an answer make the half a whole."""
    market = looks.stage.market.market
    invented = [f"ZQ{first}{second}" for first in "ABCD" for second in "ABCDE"]
    for ticker in invented:
        market.list_new(_listing(ticker))
    assert (await looks.after(0))["listed"] == 20
    for ticker in invented[:14]:
        market.unlist(ticker)
    for day in range(1, 13):
        if day == 2:
            looks.stage.market.fault("html,host=www.nasdaqtrader.com")
        found = await looks.after(day)
        looks.stage.market.clear()
        assert (found["missing"], found["unlisted"]) == (0, 0)
    assert all(looks.state(ticker) == (True, None, None) for ticker in invented)
    for ticker in invented[1:14]:
        market.relist(ticker)
    assert (await looks.after(13))["missing"] == 1, "whole again, they tell of the one that is gone"


@pytest.mark.asyncio
async def test_pages_of_nonsense_leave_the_table_as_it_is(looks: Looks) -> None:
    looks.stage.market.fault("html,host=www.nasdaqtrader.com")
    looks.stage.market.fault("html,path=/v1/finance/screener")
    found = await looks.after(0)
    assert found == {"sources": {"nasdaq": "is no symbol directory", "yahoo": "the answer is not a screener document"}}
    assert looks.state("AAPL") == (True, None, None)


@pytest.mark.asyncio
async def test_a_killed_look_goes_on_without_asking_for_a_page_twice(
    looks: Looks, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(Exception):
        pass

    asked = looks.asker.post

    async def die_at_the_second(url: str, params: Any, body: bytes) -> Answer:
        if b'"ETF"' in body:
            raise Killed
        return await asked(url, params, body)

    monkeypatch.setattr(looks.asker, "post", die_at_the_second)
    with pytest.raises(Killed):
        await looks.after(0)
    monkeypatch.setattr(looks.asker, "post", asked)
    assert (await looks.after(0))["sources"] == {"nasdaq": 8, "yahoo": 8}
    assert {key: count for key, count in looks.asked().items() if "getcrumb" not in key and "fc" not in key} == {
        "nasdaqtrader nasdaqlisted.txt": 1,
        "nasdaqtrader otherlisted.txt": 1,
        "finance screener": 2,
    } | {key: count for key, count in looks.asked().items() if key.startswith("yahoo")}


@pytest.mark.asyncio
async def test_the_users_own_list_neither_grows_nor_shrinks(looks: Looks, tmp_path: Any) -> None:
    looks.context = looks.stage.context("daily", once=True, universe={"file": str(tmp_path / "mine.txt")})
    looks.stage.market.market.list_new(_listing("ZIPO"))
    looks.stage.market.market.unlist("F")
    found = await looks.after(0)
    assert (found["listed"], found["missing"]) == (0, 0)
    assert "ZIPO" not in looks.stage.stocks()


@pytest.mark.asyncio
async def test_etfs_are_neither_asked_for_nor_followed_where_they_are_not_wanted(looks: Looks) -> None:
    looks.context = looks.stage.context("daily", once=True, universe={"include_etfs": False})
    assert (await looks.after(0))["sources"] == {"nasdaq": 6, "yahoo": 6}
    assert looks.asked()["finance screener"] == 1


@pytest.mark.asyncio
async def test_two_looks_at_once_are_refused(looks: Looks) -> None:
    await looks.after(0)
    held = FileLock(looks.stage.folder / "state" / "universe" / "lock")
    held.acquire()
    with pytest.raises(RetryLater, match="a look at the universe"):
        await looks.after(1)
    held.release()


@pytest.mark.asyncio
async def test_a_kept_page_that_cannot_be_read_is_asked_for_again(looks: Looks) -> None:
    """A disk that lost a file's content must not stop every night from then on."""
    await looks.after(0)
    await looks.after(1)
    folder = Path(looks.stage.settings.state.dir) / "universe"
    kept = sorted((folder / "last").glob("*.json"))
    assert kept
    kept[0].write_bytes(b"")
    begun = folder / "2026-11-25"
    begun.mkdir()
    (begun / kept[0].name).write_bytes(b'{"rows":')
    assert (await looks.after(2))["sources"] == {"nasdaq": 8, "yahoo": 8}
