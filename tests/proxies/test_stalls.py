from __future__ import annotations

import asyncio

from proxies.stalls import Stalls


class Hand:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_a_host_that_looks_about_in_time_has_not_stood_still() -> None:
    hand = Hand()
    stalls = Stalls(hand)
    for _ in range(20):
        hand.now_s += 0.3
        stalls.look()
    assert stalls.total_s == 0.0


def test_what_is_late_adds_up_and_so_does_the_stall_that_goes_on() -> None:
    hand = Hand()
    stalls = Stalls(hand)
    hand.now_s += 1.1
    assert round(stalls.total_s, 6) == 1.0
    stalls.look()
    hand.now_s += 0.5
    assert round(stalls.total_s, 6) == 1.4
    stalls.look()
    assert round(stalls.total_s, 6) == 1.4


async def test_the_loop_looks_by_itself() -> None:
    looks, twice = list[float](), asyncio.Event()
    hand = Hand()

    class Seen(Stalls):
        def look(self) -> None:
            super().look()
            looks.append(self.total_s)
            hand.now_s += 1.1  # nobody looks for so long
            if len(looks) == 2:
                twice.set()

    with Seen(hand).watched():
        await asyncio.wait_for(twice.wait(), 60)
    assert [round(total_s, 6) for total_s in looks] == [0.0, 1.0]
