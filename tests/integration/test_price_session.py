"""A whole session in seconds, with faults at random: what the table holds afterwards is what the market printed."""

from __future__ import annotations

import random
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from core.clock import SystemClock
from net import stream
from scanners.prices import audit, connection
from scanners.prices.work import work
from simulator import testing
from simulator.record.truth import Wrong
from simulator.world import listings
from tests.fix_scanners import Stage, eventually, staged

BEFORE_S, AFTER_S = 2, 4
GRACE_S = 5.0
"""After the close: the last fault is over, every connection is back."""
STREAM_FAULTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("close", {"code": 1000}),
    ("close", {"code": 1001}),
    ("close", {"code": 0}),
    ("reset", {}),
    ("half_open", {}),
    ("mute", {"for_s": 1.5}),
    ("freeze", {"for_s": 1.0}),
    ("cut_symbols", {"symbols": 5, "for_s": 2.0}),
    ("stale_snapshot", {"for_s": 1.0}),
    ("out_of_order", {"for_s": 1.5}),
    ("repeat_second", {"for_s": 1.5}),
    ("garbage", {"for_s": 2.0}),
    ("huge", {"for_s": 0.5}),
)
OTHER_FAULTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("refuse", {"for_s": 0.7}),
    ("server_error", {"times": 2}),
    ("tamper_one", {"times": 1, "factor": 40.0}),
    ("wrong_ticker", {"times": 1}),
    ("unauthorized", {"times": 1}),
    ("truncate", {"times": 1}),
)


def session_file(folder: Path, duration_s: int) -> tuple[str, datetime]:
    """Write a calendar whose one session begins in two seconds; return its name in the settings, and the close."""
    opens_at = datetime.fromtimestamp(int(SystemClock().utc_now().timestamp()) + BEFORE_S, UTC)
    closes_at = opens_at + timedelta(seconds=duration_s)
    file = folder / "sessions.csv"
    row = f"{opens_at.date()},{opens_at:%Y-%m-%dT%H:%M:%SZ},{closes_at:%Y-%m-%dT%H:%M:%SZ},short"
    file.write_text(f"session,open_utc,close_utc,reason\n{row}\n")
    return f"file:{file}", closes_at


def wrong_rows(stage: Stage) -> list[Wrong]:
    held = stage.stocks("current_price IS NOT NULL")
    table = {
        ticker: (row["current_price"], datetime.fromisoformat(row["price_time"]).replace(tzinfo=UTC))
        for ticker, row in held.items()
    }
    return stage.market.check(table)


async def disturb(market: testing.PracticeMarket, dice: random.Random, *, until: datetime) -> list[str]:
    """Order a fault, or let a ticker's price jump, each third of a second or so; return which."""
    clock, ordered = SystemClock(), []
    while clock.utc_now() < until:
        await clock.sleep(dice.uniform(0.1, 0.6))
        if dice.random() < 0.15:
            market.event("gap", dice.choice(testing.SYMBOLS), percent=dice.choice((-60, 150)))
            ordered.append("gap")
            continue
        if dice.random() < 0.2:
            name, values = dice.choice(OTHER_FAULTS)
            values = {"for_s": 2.0} | values
        else:
            name, values = dice.choice(STREAM_FAULTS)
            streams = market.server.streams.connections
            open_now = [str(each.page.number) for each in streams if not each.writer.is_closing()]
            values = values | {"connections": dice.sample(open_now, min(len(open_now), dice.randint(1, 3)))}
        market.fault(name, **values)
        ordered.append(name)
    market.clear()
    return ordered


def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what takes minutes take a second or two."""
    for module, name, value in (
        (stream, "PING_INTERVAL_S", 0.3),
        (stream, "PING_TIMEOUT_S", 0.3),
        (stream, "CLOSE_TIMEOUT_S", 0.1),
        (connection, "CANARY_ALIVE_S", 2.0),
        (audit, "TAKE_OVER_S", 0.5),
        (audit, "ASK_AGAIN_S", 0.5),
    ):
        monkeypatch.setattr(module, name, value)


async def session_full_of_faults(folder: Path, database: Path, *, seed: int, duration_s: int) -> None:
    """Let a session of 40 tickers on five connections pass, and check what it left behind."""
    symbols = [*testing.SYMBOLS, *(each.symbol for each in listings.bundled()[100:132])]
    calendar, closes_at = session_file(folder, duration_s)
    async with testing.running(folder, symbols=symbols, calendar=calendar, seed=seed) as market:
        stage = staged(market, folder, database, clock=SystemClock(), calendar=calendar, tickers=symbols)
        prices = {"symbols_per_connection": 8, "stall_timeout_s": 1.2, "cycle_s": 1.0}
        async with stage.at_work(stage.context("prices", prices=prices), work) as scanner:
            ordered = await disturb(market, random.Random(seed), until=closes_at)
            await SystemClock().sleep(AFTER_S)
            with suppress(AssertionError):  # the rows below say more
                await eventually(lambda: not wrong_rows(stage), timeout_s=GRACE_S)
            await scanner.stop()
        assert wrong_rows(stage) == []
        assert market.status().refused_hosts == {}
    assert len(stage.stocks("current_price IS NOT NULL")) == len(symbols)
    assert len(ordered) > 2 * duration_s
    check_record(stage, minutes=duration_s)


def check_record(stage: Stage, *, minutes: int) -> None:
    """A cycle is a second here; the minutes of the wall are fewer."""
    runs = [run for run in stage.runs("prices") if run["detail"]]
    assert len(runs) >= minutes
    for run in runs:
        counts = run["detail"]["coverage"]
        assert sum(counts[name] for name in ("fresh", "unchanged", "no_trade", "unknown")) == counts["total"] == 40
        assert sum(run["detail"]["why"].values()) == 40
        assert run["failed"] == counts["unknown"]
    assert sum(runs[-1]["detail"]["losses"].values()) >= 5
    for counts in stage.coverage("price"):
        assert sum(counts[name] for name in ("fresh", "unchanged", "no_trade", "unknown")) == counts["total"] == 40


async def test_after_a_session_full_of_faults_every_last_price_is_the_markets(
    tmp_path: Path, sqlite_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurry(monkeypatch)
    await session_full_of_faults(tmp_path, sqlite_file, seed=2, duration_s=8)
