from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest

from core.errors import RetryLater
from scanners.daily.outbox import MOST_AT_ONCE, Outbox
from scanners.lane import Stopped
from tests.fix_scanners import ShiftedClock, Stage, eventually


async def test_answers_that_come_while_one_is_written_are_written_together(still_stage: Stage) -> None:
    written: list[list[int]] = []
    gate = threading.Event()

    def write(answers: Sequence[int]) -> None:
        gate.wait(10)
        written.append(list(answers))

    outbox = Outbox(still_stage.context("daily"), write)
    putting = [asyncio.ensure_future(outbox.put(number)) for number in range(MOST_AT_ONCE + 6)]
    await asyncio.sleep(0)  # noqa: TID251  (lets them begin)
    assert not any(each.done() for each in putting), "nobody is told before it is committed"
    gate.set()
    await asyncio.gather(*putting)
    assert [len(part) for part in written] == [1, MOST_AT_ONCE, 5]
    assert [number for part in written for number in part] == list(range(MOST_AT_ONCE + 6))


async def test_while_the_database_is_away_the_answers_wait(still_stage: Stage) -> None:
    tries: list[Sequence[str]] = []

    def write(answers: Sequence[str]) -> None:
        tries.append(answers)
        if len(tries) < 3:
            raise RetryLater("away")

    context = still_stage.context("daily", clock=ShiftedClock(speed=1000.0))
    await Outbox(context, write).put("A")
    assert len(tries) == 3
    assert "database" not in context.pulse.facts


async def test_who_is_asked_to_stop_while_the_database_is_away_stops(still_stage: Stage) -> None:
    def write(_answers: Sequence[str]) -> None:
        raise RetryLater("away")

    context = still_stage.context("daily")
    outbox = Outbox(context, write)
    putting = [asyncio.ensure_future(outbox.put(each)) for each in "AB"]
    await eventually(lambda: context.pulse.facts.get("database"))
    context.stop.set()
    for each in putting:
        with pytest.raises(Stopped):
            await asyncio.wait_for(each, 5)


async def test_an_error_that_no_waiting_mends_is_raised(still_stage: Stage) -> None:
    def write(_answers: Sequence[str]) -> None:
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        await Outbox(still_stage.context("daily"), write).put("A")
