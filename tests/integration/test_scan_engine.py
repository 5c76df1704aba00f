"""The scan engine as the orchestrator runs it: a process that is asked to stop, or killed, in the middle of a scan."""

from __future__ import annotations

import asyncio
import subprocess
from datetime import timedelta
from typing import Any

from storage import scans
from storage.daily_bars import write_daily_bars
from storage.engine import open_reader_engine
from storage.writer import Writer
from tests.fix_scanners import Stage, Supervisor, eventually
from tests.fix_scans import daily_bars
from tests.fix_storage import NOON

SLOW = {"start_requests_per_s": 0.02, "max_requests_per_s": 0.02}
"""A scan that fetches waits a minute for its first slot."""


def row(stage: Stage, scan_id: str) -> dict[str, Any]:
    engine = open_reader_engine(stage.settings.database.url, service="test")
    try:
        return scans.read_scan(engine, scan_id)
    finally:
        engine.dispose()


def ask(writer: Writer, scan_id: str) -> None:
    scans.ask(writer, scan_id, {"expression": "close > 0", "max_age_s": 60.0}, name=None, at=NOON)


async def waiting(stage: Stage, supervisor: Supervisor, scan_id: str) -> subprocess.Popen[bytes]:
    """Start the engine; return it once the scan waits for its first fetch."""
    engine = stage.start("screener", supervisor, network=SLOW)

    def fetches() -> bool:
        held = row(stage, scan_id)
        return held["status"] == "running" and (held["progress"] or {}).get("current_stage") == "data_fetching"

    try:
        await eventually(fetches, timeout_s=60)
    except BaseException:
        engine.kill()
        raise
    return engine


async def test_a_scan_that_was_killed_is_ended_by_the_next_engine_and_one_asked_to_stop_ends_its_own(
    stage: Stage, supervisor: Supervisor
) -> None:
    before = stage.clock.utc_now().date() - timedelta(days=2)
    with stage.writer() as writer:
        write_daily_bars(writer, daily_bars({ticker: [9.0] * 20 for ticker in stage.tickers}, last_day=before))
        ask(writer, "killed")
        engine = await waiting(stage, supervisor, "killed")
        engine.kill()
        await asyncio.to_thread(engine.communicate)
        assert row(stage, "killed")["status"] == "running", "nobody is left to say otherwise"
        ask(writer, "stopped")
        engine = await waiting(stage, supervisor, "stopped")
        assert (row(stage, "killed")["status"], row(stage, "killed")["error"]) == (
            "failed",
            "the scan engine ended",
        )
        engine.terminate()
        said = (await asyncio.to_thread(engine.communicate, timeout=60))[1].decode()
        assert engine.returncode == 0, said
        assert row(stage, "stopped")["status"] == "cancelled"
