from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from structlog.testing import capture_logs

from core.clock import SystemClock
from core.errors import FixByHand, RetryLater
from market.bars import MinuteBar
from market.quotes import Tick
from scanners.context import Context
from scanners.prices import bars as prices_bars
from scanners.prices.bars import FOLDER, BarKeeper, open_files
from scanners.prices.minutes import Line
from scanners.prices.work import work
from storage.minute_bars import MinuteBarFiles
from tests.fix_scanners import MONDAY, NOON, Stage, eventually

SECOND = timedelta(seconds=1)
FRIDAY = date(2026, 11, 20)
BAR = MinuteBar(
    ticker="F",
    session_date=FRIDAY,
    minute=datetime(2026, 11, 20, 17, 0, tzinfo=UTC),
    open=10.0,
    high=12.0,
    low=9.0,
    close=11.0,
    volume=300,
    day_volume=1300,
    is_whole=True,
)


HEARING_TURNS = 15
"""Of the loop, in which market, its proxy and the scanner are: a frame is heard after a few."""


class LedClock:
    """Time as a test tells it; who sleeps looks again soon, for much of it may have passed."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def monotonic_s(self) -> float:
        return 1000.0 + (self.now - NOON).total_seconds()

    def utc_now(self) -> datetime:
        return self.now

    async def sleep(self, duration_s: float) -> None:
        await SystemClock().sleep(min(duration_s, 0.01))


@pytest.fixture
def clock() -> LedClock:
    return LedClock()


def keeping(stage: Stage, clock: LedClock, **prices: Any) -> Context:
    prices = {"minute_bars": True, "audit": False, "cycle_s": 1e6} | prices
    return stage.context("prices", clock=clock, prices=prices)


async def lead(stage: Stage, clock: LedClock, seconds: Sequence[int]) -> None:
    """Let the market go through these seconds from noon, a trade of each ticker in each, and the scanner hear them."""
    for second in seconds:
        clock.now = NOON + second * SECOND
        stage.market.server.advance(clock.now)
        for _ in range(HEARING_TURNS):
            await SystemClock().sleep(0)
    await eventually(stage.agrees)


def rows(stage: Stage, columns: str, where: str = "true") -> list[tuple[Any, ...]]:
    """Return what DuckDB finds, or nothing while there is no file."""
    if not list((stage.folder / "state" / FOLDER).glob("*/*.parquet")):
        return []
    files = f"read_parquet('{stage.folder}/state/{FOLDER}/*/*.parquet', hive_partitioning = true)"
    with duckdb.connect() as connection:
        return connection.execute(f"SELECT {columns} FROM {files} WHERE {where} ORDER BY ALL").fetchall()


def ledger(stage: Stage, minutes: Sequence[int]) -> list[tuple[Any, ...]]:
    """Return the practice market's own bars of these minutes from noon, which it makes of its trades itself."""
    wanted = [int(NOON.timestamp()) + minute * 60 for minute in minutes]
    return sorted(
        (ticker, bar.at_s, *(round(price, 4) for price in bar[1:5]), bar.volume, True)
        for ticker in stage.tickers
        for bar in stage.market.market.stocks[ticker].tape.bars()
        if bar.at_s in wanted
    )


def heard_minutes(stage: Stage) -> list[tuple[Any, ...]]:
    prices = ", ".join(f"round({name}, 4)" for name in ("open", "high", "low", "close"))
    return rows(stage, f"ticker, epoch(minute)::BIGINT, {prices}, volume, is_whole")


async def test_the_files_hold_what_the_markets_own_ledger_says_of_each_minute(
    still_stage: Stage, clock: LedClock
) -> None:
    async with still_stage.at_work(keeping(still_stage, clock), work) as scanner:
        await eventually(still_stage.priced)
        await lead(still_stage, clock, range(1, 126))
        await eventually(lambda: len({row[1] for row in heard_minutes(still_stage)}) >= 2)
        found = [row for row in heard_minutes(still_stage) if row[1] < int(NOON.timestamp()) + 120]
        assert await scanner.stop() is None
    whole = [row for row in found if row[1] == int(NOON.timestamp()) + 60]
    assert whole == ledger(still_stage, [1])
    assert len(whole) >= 6
    assert {row[-1] for row in found if row[1] == int(NOON.timestamp())} == {True}  # opened in the second of noon
    (run,) = still_stage.runs("prices")
    assert run["detail"]["minute_bars"]["dropped"] == 0


async def test_a_restart_in_mid_minute_leaves_one_row_that_says_it_is_not_whole(
    still_stage: Stage, clock: LedClock
) -> None:
    async with still_stage.at_work(keeping(still_stage, clock), work) as scanner:
        await eventually(still_stage.priced)
        await lead(still_stage, clock, range(1, 90))
        await scanner.stop()
    lead_unheard(still_stage, clock, range(90, 100))
    async with still_stage.at_work(keeping(still_stage, clock), work) as scanner:
        await eventually(lambda: len(still_stage.market.server.streams.connections) == 3)
        await lead(still_stage, clock, range(100, 186))
        await eventually(lambda: len({row[1] for row in heard_minutes(still_stage)}) >= 3)
        await scanner.stop()
    noon_s = int(NOON.timestamp())
    found = heard_minutes(still_stage)
    cut = [row for row in found if row[1] == noon_s + 60]
    assert {row[-2:] for row in cut} == {(None, False)}
    assert len({row[0] for row in cut}) == len(cut)
    for ticker, at_s, opened, high, low, close, *_ in cut:
        (true,) = [row for row in ledger(still_stage, [1]) if row[0] == ticker]
        assert (at_s, opened, close) == (true[1], true[2], true[5])
        assert true[4] <= low <= high <= true[3]
    assert [row for row in found if row[1] == noon_s + 120] == ledger(still_stage, [2])


def lead_unheard(stage: Stage, clock: LedClock, seconds: Sequence[int]) -> None:
    for second in seconds:
        clock.now = NOON + second * SECOND
        stage.market.server.advance(clock.now)


async def test_a_connection_lost_in_a_minute_makes_its_bars_not_whole(still_stage: Stage, clock: LedClock) -> None:
    async with still_stage.at_work(keeping(still_stage, clock), work) as scanner:
        await eventually(still_stage.priced)
        await lead(still_stage, clock, range(1, 90))
        before = set(still_stage.market.server.streams.connections)
        still_stage.market.server.close_streams(1000)
        lead_unheard(still_stage, clock, range(90, 93))
        await eventually(lambda: len(still_stage.market.server.streams.connections - before) == 3)
        await lead(still_stage, clock, range(93, 186))
        await eventually(lambda: len({row[1] for row in heard_minutes(still_stage)}) >= 3)
        await scanner.stop()
    noon_s = int(NOON.timestamp())
    found = heard_minutes(still_stage)
    assert {row[-2:] for row in found if row[1] == noon_s + 60} == {(None, False)}
    assert [row for row in found if row[1] == noon_s + 120] == ledger(still_stage, [2])


async def test_without_the_setting_there_is_no_folder_and_no_bar(still_stage: Stage, clock: LedClock) -> None:
    context = keeping(still_stage, clock, minute_bars=False)
    async with still_stage.at_work(context, work) as scanner:
        await eventually(still_stage.priced)
        await scanner.stop()
    assert not (still_stage.folder / "state" / FOLDER).exists()


async def test_without_pyarrow_the_scanner_ends_and_says_what_to_install(
    still_stage: Stage, clock: LedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    async with still_stage.at_work(keeping(still_stage, clock), work) as scanner:
        with pytest.raises(FixByHand, match="needs pyarrow"):
            await scanner.task


class Kept:
    """A keeper with its files, and bars that a test lets trade."""

    def __init__(self, context: Context, files: MinuteBarFiles, clock: LedClock) -> None:
        self.context, self.files, self.clock = context, files, clock
        line = Line(since_s=0.0, heard_s=1e9)
        self.keeper = BarKeeper(context, files, lines=lambda: {"F": line})

    def trade(self, price: float) -> None:
        self.keeper.offer(Tick(ticker="F", price=price, price_time=self.clock.now), [MONDAY])

    async def minutes(self, count: int) -> None:
        """Let whole minutes pass, and the keeper see each."""
        for _ in range(count):
            self.clock.now += 60 * SECOND
            await SystemClock().sleep(0.05)


@pytest.fixture
async def kept(still_stage: Stage, clock: LedClock) -> Kept:
    clock.now = NOON + 6 * SECOND
    context = keeping(still_stage, clock)
    return Kept(context, await open_files(context, "practice"), clock)


async def ended(kept: Kept, running: asyncio.Task[None]) -> None:
    kept.context.stop.set()
    await asyncio.wait_for(running, 60)


async def test_after_the_close_the_session_becomes_one_file_and_the_oldest_are_removed(
    kept: Kept, still_stage: Stage
) -> None:
    kept.files._keep_sessions = 2
    kept.files.write(
        [BAR, replace(BAR, session_date=date(2026, 11, 18)), replace(BAR, session_date=date(2026, 11, 19))]
    )
    with capture_logs() as logs:
        running = asyncio.ensure_future(kept.keeper.run())
        await eventually(lambda: kept.files.uncompacted() == [])
        kept.trade(10.0)
        await kept.minutes(1)
        await eventually(lambda: kept.files.uncompacted() == [MONDAY.session_date])
        kept.clock.now = MONDAY.closes_at + timedelta(minutes=2, seconds=59)
        await kept.minutes(0)
        assert kept.files.uncompacted() == [MONDAY.session_date]
        kept.clock.now = MONDAY.closes_at + timedelta(minutes=3, seconds=10)
        await eventually(lambda: kept.files.uncompacted() == [])
        await eventually(lambda: len(kept.files.sessions()) == 2)
        await ended(kept, running)
    assert kept.files.sessions() == [FRIDAY, MONDAY.session_date]
    assert [(line["event"], line["session"]) for line in logs] == [
        ("minute_bars_compacted", "2026-11-18"),
        ("minute_bars_removed", "2026-11-18"),
        ("minute_bars_compacted", "2026-11-19"),
        ("minute_bars_compacted", "2026-11-20"),
        ("minute_bars_compacted", "2026-11-23"),
        ("minute_bars_removed", "2026-11-19"),
    ]


async def test_bars_that_the_disk_does_not_take_wait_and_are_written_when_it_does(
    kept: Kept, still_stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = MinuteBarFiles.write

    def full(*_args: object) -> int:
        raise RetryLater("cannot be written (No space left on device)", where="FILE")

    monkeypatch.setattr(MinuteBarFiles, "write", full)
    with capture_logs() as logs:
        running = asyncio.ensure_future(kept.keeper.run())
        kept.trade(10.0)
        await kept.minutes(1)
        await eventually(lambda: kept.keeper.detail()["waiting"] == 1)
        kept.trade(11.0)
        await kept.minutes(1)
        await eventually(lambda: kept.keeper.detail()["waiting"] == 2)
        monkeypatch.setattr(MinuteBarFiles, "write", write)
        await kept.minutes(1)
        await eventually(lambda: kept.keeper.detail()["written"] == 2)
        await ended(kept, running)
    assert rows(still_stage, "close") == [(10.0,), (11.0,)]
    assert [line["event"] for line in logs] == ["minute_bars_unwritten", "minute_bars_written_again"]


async def test_what_waits_for_a_disk_is_bounded_and_the_oldest_goes_first(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prices_bars, "MOST_WAITING", 1)

    def full(*_args: object) -> int:
        raise RetryLater("cannot be written (No space left on device)", where="FILE")

    monkeypatch.setattr(MinuteBarFiles, "write", full)
    with capture_logs() as logs:
        running = asyncio.ensure_future(kept.keeper.run())
        kept.trade(10.0)
        await kept.minutes(1)
        await eventually(lambda: kept.keeper.detail()["waiting"] == 1)
        kept.trade(11.0)
        await kept.minutes(1)
        await eventually(lambda: kept.keeper.detail()["dropped"] == 1)
        await ended(kept, running)
    assert [bar.close for bar in kept.keeper._waiting.values()] == [11.0]
    assert {"event": "minute_bars_dropped", "bars": 1}.items() <= logs[1].items()


async def test_a_session_that_cannot_be_compacted_is_told_once_and_stays(kept: Kept, still_stage: Stage) -> None:
    kept.files.write([BAR])
    (path,) = Path(still_stage.folder, "state", FOLDER).glob("*/*.parquet")
    path.write_bytes(b"no parquet")
    with capture_logs() as logs:
        running = asyncio.ensure_future(kept.keeper.run())
        await eventually(lambda: logs)
        await kept.minutes(3)
        await ended(kept, running)
    assert [line["event"] for line in logs] == ["minute_bars_uncompacted"]
    assert path.read_bytes() == b"no parquet"
