from __future__ import annotations

import asyncio

import pytest

from api.kept import Kept
from tests.fix_storage import StillClock


class Maker:
    def __init__(self) -> None:
        self.made = 0
        self.fails = False

    async def make(self) -> int:
        await asyncio.sleep(0)  # noqa: TID251  (others' turn)
        if self.fails:
            raise ValueError("no")
        self.made += 1
        return self.made


async def test_it_is_made_once_for_all_who_ask_meanwhile_and_anew_when_its_time_is_over() -> None:
    clock, maker = StillClock(), Maker()
    kept = Kept(maker.make, age_s=3.0, clock=clock)
    assert await asyncio.gather(*(kept.get() for _ in range(5))) == [1] * 5
    await clock.sleep(2.9)
    assert await kept.get() == 1
    await clock.sleep(0.2)
    assert await kept.get() == 2


async def test_a_failure_is_not_kept() -> None:
    maker = Maker()
    kept = Kept(maker.make, age_s=3.0, clock=StillClock())
    maker.fails = True
    with pytest.raises(ValueError, match="no"):
        await kept.get()
    maker.fails = False
    assert await kept.get() == 1
