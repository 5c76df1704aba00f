from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from core.errors import FixByHand, Unreachable
from core.flight import Record, read_flight, segments
from scanners.context import run_scanner
from scanners.metrics import work as metrics_work
from scanners.metrics.work import work
from tests.fix_scanners import NOON, ShiftedClock, Stage, eventually

QUOTE = "/v7/finance/quote"


def calendar(folder: Path, *hours: tuple[float, float]) -> str:
    """Write sessions that open and close so many seconds after noon; return the setting."""
    lines = ["session,open_utc,close_utc,reason"]
    for day, (opens_s, closes_s) in enumerate(hours, start=1):
        ends = [(NOON + timedelta(seconds=second)).isoformat() for second in (opens_s, closes_s)]
        lines.append(f"2026-11-0{day},{ends[0]},{ends[1]},")
    file = folder / "sessions.csv"
    file.write_text("\n".join(lines) + "\n")
    return f"file:{file}"


async def test_once_is_one_cycle(still_stage: Stage) -> None:
    assert await run_scanner(still_stage.context("metrics", once=True), work) == 0
    (run,) = still_stage.runs("metrics")
    assert (run["status"], run["updated"]) == ("complete", 8)


async def test_what_a_cycle_is_answered_is_recorded(still_stage: Stage) -> None:
    still_stage.market.server.answer_status(QUOTE, 500, b"no")
    context = still_stage.context("metrics", once=True, metrics={"flight_recorder_mb": 1})
    assert await run_scanner(context, work) == 0
    (segment,) = segments(still_stage.folder / "state/flight/metrics")
    refused, answered = read_flight(segment)
    assert isinstance(refused, Record) and isinstance(answered, Record)
    assert (refused.status, refused.raw) == (500, b"no")
    assert (answered.status, answered.source) == (200, refused.source)
    found = [row["symbol"] for row in json.loads(answered.raw)["quoteResponse"]["result"]]
    assert sorted(found) == sorted(still_stage.tickers)


async def test_once_that_brings_nothing_fails(still_stage: Stage) -> None:
    still_stage.market.server.answer_status(QUOTE, 500, times=1000)
    context = still_stage.context("metrics", once=True, metrics={"cycle_deadline_s": 1.0})
    assert await run_scanner(context, work) == 1


async def test_once_without_an_upstream_is_an_error(still_stage: Stage) -> None:
    still_stage.market.faults.refuse_connections = True
    with pytest.raises(Unreachable):
        await run_scanner(still_stage.context("metrics", once=True), work)


async def test_a_cycle_starts_each_interval(still_stage: Stage) -> None:
    clock = ShiftedClock(speed=20)
    context = still_stage.context("metrics", clock=clock, metrics={"interval_s": 10.0})
    async with still_stage.at_work(context, work) as scanner:
        await eventually(lambda: len(still_stage.runs("metrics")) >= 3)
        assert await scanner.stop() is None
    first, second, *_ = still_stage.runs("metrics")
    assert first["status"] == second["status"] == "complete"
    assert first["started_at"] < second["started_at"]


async def test_the_first_cycle_waits_for_the_open(still_stage: Stage) -> None:
    clock = ShiftedClock(speed=10)
    market = {"calendar": calendar(still_stage.folder, (-600, -300), (10, 600))}
    context = still_stage.context("metrics", clock=clock, market=market)
    async with still_stage.at_work(context, work) as scanner:
        await eventually(lambda: still_stage.runs("metrics"))
        await scanner.stop()
    (run,) = still_stage.runs("metrics")
    assert run["started_at"] >= "2026-11-23 17:00:10"
    assert run["session"] == "2026-11-02"


async def test_after_the_last_session_nothing_is_asked_and_a_stop_ends_it(still_stage: Stage) -> None:
    market = {"calendar": calendar(still_stage.folder, (-600, -300))}
    context = still_stage.context("metrics", market=market)
    async with still_stage.at_work(context, work) as scanner:
        await eventually(lambda: context.pulse.facts.get("origin"))
        assert await scanner.stop(within_s=60) is None
    assert still_stage.runs("metrics") == []


async def test_a_cycle_that_the_database_broke_off_is_run_again(
    still_stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics_work, "DATABASE_RETRY_S", 0.05)
    context = still_stage.context("metrics")
    away = still_stage.file.with_suffix(".away")
    still_stage.market.fault("server_error")  # so that the cycle is not over before its database is
    async with still_stage.at_work(context, work) as scanner:
        await eventually(lambda: still_stage.runs("metrics"))
        still_stage.file.rename(away)
        still_stage.market.clear("server_error")
        await eventually(lambda: context.pulse.facts.get("database", "").startswith("unreachable"))
        away.rename(still_stage.file)
        await eventually(lambda: [run["status"] for run in still_stage.runs("metrics")][-1] == "complete")
        assert "database" not in context.pulse.facts
        await scanner.stop()
    assert still_stage.runs("metrics")[0]["status"] == "aborted"


async def test_with_the_direct_lane_forbidden_and_an_empty_pool_nothing_is_asked(still_stage: Stage) -> None:
    context = still_stage.context("metrics", metrics={"direct": "never"}, proxies={"sources": []})
    async with still_stage.at_work(context, work) as scanner:
        await context.wait(0.2)
        assert not scanner.task.done()
        assert await scanner.stop(within_s=60) is None
    assert still_stage.runs("metrics") == []
    assert still_stage.market.connections() == []


async def test_once_with_the_direct_lane_forbidden_says_what_to_do(still_stage: Stage) -> None:
    context = still_stage.context("metrics", once=True, metrics={"direct": "never"})
    with pytest.raises(FixByHand, match=r"metrics\.direct: is \"never\".*\"fallback\" or \"only\", or fill the pool"):
        await run_scanner(context, work)


async def test_practice_quotes_are_never_written_into_live_data(still_stage: Stage) -> None:
    with still_stage.writer("live") as writer:
        writer.run(lambda tx: tx.wrote(0), source="test")
    with pytest.raises(FixByHand, match="holds live data"):
        await run_scanner(still_stage.context("metrics"), work)
    assert still_stage.stocks("metrics_updated_at IS NOT NULL") == {}


async def test_an_empty_universe_is_told_in_one_line(still_stage: Stage) -> None:
    with closing(sqlite3.connect(still_stage.file)) as connection:
        connection.execute("UPDATE stocks_stock SET is_listed = 0")
        connection.commit()
    with pytest.raises(FixByHand, match="holds no tickers"):
        await run_scanner(still_stage.context("metrics"), work)


async def test_a_stop_within_a_cycle_ends_it_at_once_as_partial(still_stage: Stage) -> None:
    """At one request in 50 s the first batch would take minutes."""
    network = {"start_requests_per_s": 0.02, "max_requests_per_s": 0.02}
    context = still_stage.context("metrics", network=network | {"proxy": still_stage.settings.network.proxy})
    async with still_stage.at_work(context, work) as scanner:
        await eventually(lambda: still_stage.runs("metrics"))
        assert await scanner.stop() is None
    (run,) = still_stage.runs("metrics")
    assert (run["status"], run["updated"], run["failed"]) == ("failed", 0, 8)
    assert asyncio.all_tasks()
