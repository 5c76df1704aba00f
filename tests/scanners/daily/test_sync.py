from __future__ import annotations

from datetime import timedelta

import pytest

from core.errors import Unreachable
from scanners.daily.sync import sync
from tests.fix_scanners import NOON, ShiftedClock, Stage


@pytest.mark.asyncio
async def test_a_look_by_hand_counts_for_the_session_that_is_over(still_stage: Stage) -> None:
    """At noon of a Monday that is Friday's: the evening's look is still to come."""
    context = still_stage.context("universe", once=True)
    counts = await sync(context)
    assert counts["sources"] == {"nasdaq": 8, "yahoo": 8}
    (row,) = still_stage.rows("SELECT value FROM app_meta WHERE key = 'universe_looked_at'")
    assert row["value"] == "2026-11-20"
    assert (await sync(context))["sources"] == {"nasdaq": 8, "yahoo": 8}, "asked again, it looks again"


@pytest.mark.asyncio
async def test_in_the_evening_it_is_the_days_own(still_stage: Stage) -> None:
    clock = ShiftedClock(NOON + timedelta(hours=5))
    await sync(still_stage.context("universe", once=True, clock=clock))
    (row,) = still_stage.rows("SELECT value FROM app_meta WHERE key = 'universe_looked_at'")
    assert row["value"] == "2026-11-23"


@pytest.mark.asyncio
async def test_without_a_network_it_says_so(still_stage: Stage) -> None:
    network = {"proxy": "http://127.0.0.1:9", "ca_file": str(still_stage.market.ca_file)}
    with pytest.raises(Unreachable):
        await sync(still_stage.context("universe", once=True, network=network))
