from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from itertools import count
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from sqlalchemy import Engine as Database_
from sqlalchemy import update
from structlog.testing import capture_logs

from core.bell import Bell, ring
from core.clock import SystemClock
from core.errors import RetryLater
from core.notify import Notifier
from core.settings import Daily, Database, Screener, Settings, State
from screener.service import Service
from screener.store import Store
from screener.work import Engine, main
from storage import scans
from storage.daily_bars import write_daily_bars
from storage.engine import open_reader_engine
from storage.runs import DAILY_BARS, finish_run, start_run
from storage.schema import stocks_stock
from storage.writer import Writer
from tests.fix_clock import FakeClock
from tests.fix_scans import LAST_DAY, daily_bars, fill
from tests.fix_storage import NOON, StillClock

CLOSES = {"A": [10.0, 11.0, 12.0], "B": [20.0, 19.0, 18.0]}
UP = {"expression": "close > prev(close)"}


@pytest.fixture
def settings(sqlite_file: Path, tmp_path: Path) -> Settings:
    return Settings(
        state=State(dir=str(tmp_path / "state")),
        database=Database(url=f"sqlite:///{sqlite_file}"),
        daily=Daily(history_days=30),
        screener=Screener(results_dir=str(tmp_path / "results")),
    )


@pytest.fixture
def keeper(settings: Settings, still_clock: StillClock) -> Iterator[Writer]:
    with Writer.open(settings.database.url, service="test", origin="practice", clock=still_clock) as writer:
        fill(writer, CLOSES)
        yield writer


@pytest.fixture
def engine(settings: Settings, keeper: Writer, still_clock: StillClock) -> Iterator[Engine]:
    with closing(Store(settings, service="test", clock=still_clock)) as store:
        yield Engine(settings, Service(settings, store, still_clock), keeper, still_clock)


@pytest.fixture
def database(settings: Settings) -> Iterator[Database_]:
    opened = open_reader_engine(settings.database.url, service="test")
    yield opened
    opened.dispose()


def price(writer: Writer, ticker: str, price_usd: float) -> None:
    """Write a price of the running session, as the price scanner does."""
    values = {"current_price": price_usd, "price_time": NOON}

    def body(tx: Any) -> None:
        row = update(stocks_stock).where(stocks_stock.c.ticker == ticker)
        tx.connection.execute(row.values(**values, change_seq=tx.seq))
        tx.wrote(1)

    writer.run(body, source="prices")


async def stepped(engine: Engine, database: Database_, scan_id: str) -> dict[str, Any]:
    """Step until the scan has ended."""
    while (row := scans.read_scan(database, scan_id))["status"] in ("pending", "running"):
        await engine.step()
    return row


async def test_a_scan_that_was_asked_for_is_run_and_kept(engine: Engine, keeper: Writer, database: Database_) -> None:
    scans.ask(keeper, "scan_x", UP, name=None, at=NOON)
    row = await stepped(engine, database, "scan_x")
    assert (row["status"], row["signals"]) == ("complete", 1)
    assert [found["ticker"] for found in scans.read_results(database, "scan_x")] == ["A"]
    await engine.finish()


@pytest.mark.parametrize("request_", [{"expression": "clos > 1"}, {"nothing": 1}, {"expression": "a" * 5000}])
async def test_a_scan_that_cannot_be_run_is_kept_as_failed_and_the_engine_goes_on(
    engine: Engine, keeper: Writer, database: Database_, request_: dict[str, Any]
) -> None:
    scans.ask(keeper, "bad", request_, name=None, at=NOON)
    scans.ask(keeper, "good", UP, name=None, at=NOON)
    assert (await stepped(engine, database, "bad"))["status"] == "failed"
    assert (await stepped(engine, database, "good"))["status"] == "complete"
    assert len(scans.read_errors(database, since=NOON)) == 1
    await engine.finish()


async def test_a_fault_of_the_program_is_told_to_whom_asked(
    engine: Engine, keeper: Writer, database: Database_, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise KeyError("oops")

    monkeypatch.setattr(engine._service, "run", broken)
    scans.ask(keeper, "scan_x", UP, name=None, at=NOON)
    row = await stepped(engine, database, "scan_x")
    assert row["status"] == "failed" and "oops" in row["error"]
    await engine.finish()


def test_each_price_minute_tickers_enter_and_leave(
    engine: Engine, keeper: Writer, database: Database_, still_clock: StillClock
) -> None:
    scans.save(keeper, "up", {"expression": "close > prev(close) and close > 12.5"}, schedule="minute", at=NOON)
    price(keeper, "A", 13.0)
    assert engine.run_due() == 1
    active = scans.read_signals(database, name="up", active=True, limit=9)
    assert [(row["symbol"], row["provisional"]) for row in active] == [("A", True)]
    price(keeper, "A", 12.2)
    assert engine.run_due() == 0, "the same minute"
    still_clock.at += timedelta(minutes=1)
    assert engine.run_due() == 1
    assert scans.read_signals(database, name="up", active=True, limit=9) == []
    still_clock.at += timedelta(minutes=1)
    assert engine.run_due() == 0, "no new price"


def test_who_could_not_be_evaluated_has_not_left(
    engine: Engine, keeper: Writer, database: Database_, still_clock: StillClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Any:
        raise ValueError("oops")

    scans.save(keeper, "up", UP, schedule="minute", at=NOON)
    price(keeper, "A", 13.0)
    engine.run_due()
    price(keeper, "A", 13.5)
    still_clock.at += timedelta(minutes=1)
    monkeypatch.setattr("screener.jobs.hits.find", broken)
    assert engine.run_due() == 1
    assert not scans.read_scans(database, limit=1)[0]["exact"]
    assert [row["symbol"] for row in scans.read_signals(database, name="up", active=True, limit=9)] == ["A"]


def test_after_the_close_a_scan_runs_once_on_completed_bars(
    engine: Engine, keeper: Writer, database: Database_, still_clock: StillClock
) -> None:
    scans.save(keeper, "eod", UP, schedule="close", at=NOON)
    assert engine.run_due() == 0
    still_clock.at += timedelta(hours=5)
    day = LAST_DAY + timedelta(days=3)
    write_daily_bars(keeper, daily_bars({"A": [12.5], "B": [17.0]}, last_day=day))
    run = start_run(keeper, scanner=DAILY_BARS, session_date=day, expected=2, at=still_clock.at)
    done = {"updated": 2, "failed": 0, "skipped": 0, "detail": {}}
    finish_run(keeper, run, status="complete", **done, at=still_clock.at)  # type: ignore[arg-type]
    still_clock.at += timedelta(seconds=1)
    assert (engine.run_due(), engine.run_due()) == (1, 0)
    row = scans.read_scans(database, limit=1)[0]
    assert (row["name"], str(row["data_as_of"])) == ("eod", str(day))
    assert [signal["symbol"] for signal in scans.read_signals(database, name="eod", active=True, limit=9)] == ["A"]


def test_a_saved_scan_that_no_longer_works_fails_and_is_not_begun_again_at_once(
    engine: Engine, keeper: Writer, database: Database_
) -> None:
    scans.save(keeper, "old", {"expression": "gone > 1"}, schedule="minute", at=NOON)
    price(keeper, "A", 13.0)
    assert (engine.run_due(), engine.run_due()) == (1, 0)
    assert "gone" in scans.read_scans(database, limit=1)[0]["error"]


@pytest.mark.parametrize("request_", [UP | {"export": "csv"}, UP | {"export": "xlsx"}, "not JSON"])
def test_a_saved_scan_that_cannot_be_kept_fails_and_the_others_run(
    engine: Engine, keeper: Writer, database: Database_, settings: Settings, request_: Any
) -> None:
    Path(settings.screener.results_dir).write_text("no folder")
    for name, asked in {"bad": UP, "good": UP}.items():
        scans.save(keeper, name, asked, schedule="minute", at=NOON)
    text = request_ if isinstance(request_, str) else json.dumps(request_)
    other = "UPDATE saved_scans SET request = ? WHERE name = 'bad'"
    keeper.run(lambda tx: tx.connection.exec_driver_sql(other, (text,)), source="test")
    price(keeper, "A", 13.0)
    assert (engine.run_due(), engine.run_due()) == (2, 0)
    assert {row["name"]: row["status"] for row in scans.read_scans(database, limit=9)} == {
        "bad": "failed",
        "good": "complete",
    }


def test_a_scan_after_the_close_that_the_end_of_the_process_cut_short_is_run_by_the_next(
    engine: Engine, keeper: Writer, database: Database_
) -> None:
    run = start_run(keeper, scanner=DAILY_BARS, session_date=LAST_DAY, expected=2, at=NOON)
    finish_run(keeper, run, status="complete", updated=2, failed=0, skipped=0, detail={}, at=NOON)
    scans.save(keeper, "eod", UP, schedule="close", at=NOON)
    engine._service.stop()
    assert engine.run_due() == 1, "while the cube is built"
    engine._service.store._stopping.clear()
    assert engine.run_due() == 1, "while it is read"
    assert sorted(row["status"] for row in scans.read_scans(database, limit=2)) == ["cancelled", "failed"]
    assert scans.read_saved(database, "eod")[0]["last_run_at"] is None


async def test_a_scan_whose_end_could_not_be_kept_ends_once_the_database_is_back(
    engine: Engine, keeper: Writer, database: Database_, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries, end = count(1), scans.end

    def away_at_first(*given: Any, **named: Any) -> None:
        if next(tries) <= 2:
            raise RetryLater("the database is away")
        end(*given, **named)

    monkeypatch.setattr(scans, "end", away_at_first)
    scans.ask(keeper, "scan_x", UP, name=None, at=NOON)
    row = await stepped(engine, database, "scan_x")
    assert (row["status"], row["error"]) == ("failed", "the database is away")
    await engine.finish()


async def test_the_process_ends_what_its_predecessor_left_works_and_stops(
    settings: Settings, keeper: Writer, database: Database_
) -> None:
    scans.begin(keeper, "left", UP, name=None, at=NOON)
    scans.ask(keeper, "scan_x", UP, name=None, at=NOON)
    stop = asyncio.Event()

    class Until(StillClock):
        async def sleep(self, duration_s: float) -> None:
            await asyncio.to_thread(lambda: None)
            if scans.read_scan(database, "scan_x")["status"] == "complete":
                stop.set()

    with capture_logs() as lines:
        await main(settings, stop, Notifier(None), Until())
    assert scans.read_scan(database, "left")["status"] == "failed"
    said = [line["event"] for line in lines if line["event"].startswith("screener_")]
    assert said == ["screener_started", "screener_stopped"]


class Beats(Notifier):
    """Counts."""

    def __init__(self) -> None:
        super().__init__(None)
        self.count = 0

    def beat(self, *args: Any, **kwargs: Any) -> None:
        self.count += 1


async def test_a_long_step_beats_meanwhile_and_is_stopped_in_its_middle(
    settings: Settings, keeper: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop, beats, ended = asyncio.Event(), Beats(), Event()
    loop = asyncio.get_running_loop()

    def work(self: Engine) -> int:
        while beats.count < 3:
            ended.wait(0.001)
        loop.call_soon_threadsafe(stop.set)
        assert ended.wait(60), "nobody said that it should end"
        return 0

    def end(self: Service) -> None:
        ended.set()

    class Ticking(SystemClock):
        def monotonic_s(self) -> float:
            return 100.0 * next(ticks)

        async def sleep(self, duration_s: float) -> None:
            await asyncio.to_thread(lambda: None)

    ticks = count(1)
    monkeypatch.setattr("screener.work.LONGEST_STEP_S", 1e9)
    monkeypatch.setattr(Engine, "run_due", work)
    monkeypatch.setattr(Service, "stop", end)
    await main(settings, stop, beats, Ticking())
    assert ended.is_set() and beats.count >= 3


def test_hit_rates_wait_for_the_whole_session(engine: Engine, keeper: Writer, settings: Settings) -> None:
    file = Path(settings.state.dir) / "hit_rates.json"
    engine.renew_rates()
    assert not file.exists(), "the session's bars are still coming"
    run = start_run(keeper, scanner=DAILY_BARS, session_date=LAST_DAY, expected=2, at=NOON)
    finish_run(keeper, run, status="complete", updated=2, failed=0, skipped=0, detail={}, at=NOON)
    engine.renew_rates()
    assert file.exists()


async def test_a_hundred_scans_asked_for_at_once_all_end_with_their_own_answer(
    engine: Engine, keeper: Writer, database: Database_
) -> None:
    for number in range(100):
        scans.ask(keeper, f"scan_{number:03}", {"expression": f"close > {number}"}, name=None, at=NOON)
    for number in range(100):
        await stepped(engine, database, f"scan_{number:03}")  # to finish is to stop what still runs
    await engine.finish()
    signals = {row["id"]: (row["status"], row["signals"]) for row in scans.read_scans(database, limit=200)}
    assert signals == {f"scan_{n:03}": ("complete", (n < 12) + (n < 18)) for n in range(100)}


async def test_while_the_database_is_away_the_engine_waits_and_goes_on_when_it_is_back(
    settings: Settings, keeper: Writer, database: Database_, monkeypatch: pytest.MonkeyPatch
) -> None:
    scans.ask(keeper, "scan_x", UP, name=None, at=NOON)
    stop, looks, waiting = asyncio.Event(), count(1), scans.waiting

    def away_at_first(engine: Database_) -> tuple[bool, list[str]]:
        if next(looks) <= 3:
            raise RetryLater("the database is away")
        return waiting(engine)

    class Until(StillClock):
        async def sleep(self, duration_s: float) -> None:
            await asyncio.to_thread(lambda: None)
            if scans.read_scan(database, "scan_x")["status"] == "complete":
                stop.set()

    monkeypatch.setattr(scans, "waiting", away_at_first)
    with capture_logs() as lines:
        await main(settings, stop, Notifier(None), Until())
    events = [line["event"] for line in lines]
    assert events.count("screener_waits") == 3 and "screener_stopped" in events


async def test_a_ring_has_a_scan_begun_at_once(
    settings: Settings, keeper: Writer, database: Database_, tmp_path: Path
) -> None:
    """The clock stands: nothing but the ring can wake the engine."""
    stop, clock = asyncio.Event(), FakeClock()
    working = asyncio.ensure_future(main(settings, stop, Notifier(None), clock))
    state, told = Path(settings.state.dir), Bell(tmp_path / "state" / scans.API_BELL)
    async with asyncio.timeout(60):
        while not (state / scans.BELL).exists():
            await asyncio.to_thread(lambda: None)
        told.hang()
        scans.ask(keeper, "scan_x", UP, name=None, at=NOON)
        while scans.read_scan(database, "scan_x")["status"] != "complete":
            rings = told.rings
            ring(state / scans.BELL)
            await told.heard(rings, within_s=0.05, clock=SystemClock())
        assert told.rings > 0, "who waits is told"
        told.take_down()
        stop.set()
        await working
