from __future__ import annotations

import asyncio

from simulator.trouble.catalogue import from_text
from simulator.trouble.faults import Faults


def test_planned_answers_are_given_in_order_as_often_as_asked_for() -> None:
    faults = Faults()
    faults.answer_status("/a", 429, b"slow down", times=2)
    faults.answer_status("/a", 500)

    statuses = [planned.status if (planned := faults.planned("/a")) else None for _ in range(4)]

    assert statuses == [429, 429, 500, None]


def test_another_path_is_not_touched() -> None:
    faults = Faults()
    faults.answer_status("/a", 429)

    assert faults.planned("/b") is None


def test_the_short_forms_are_the_faults_of_the_table() -> None:
    faults = Faults()
    faults.mute_streams = faults.refuse_connections = True
    faults.cut_at = 20
    assert [fault.kind.name for fault in faults.active] == ["mute", "refuse", "cut"]
    assert (faults.mute_streams, faults.refuse_connections, faults.cut_at) == (True, True, 20)

    faults.mute_streams = faults.refuse_connections = False
    faults.cut_at = None
    assert faults.active == []
    assert (faults.mute_streams, faults.refuse_connections, faults.cut_at) == (False, False, None)


def test_two_equal_faults_are_two() -> None:
    faults = Faults()
    one, other = from_text("mute"), from_text("mute")
    faults.add(one)
    faults.add(other)
    faults.remove(one)
    faults.remove(one)

    assert faults.active == [other]


def test_a_request_meets_the_faults_of_its_host_path_and_exit() -> None:
    faults = Faults()
    for text in ("html,host=query1.*", "too_many,path=/v7/*", "captcha,exit=198.18.1.*", "mute"):
        faults.add(from_text(text))

    found = faults.on_request(host="query1.finance.yahoo.com", path="/v8/chart", exit="198.18.1.9")
    assert [fault.kind.name for fault in found] == ["html", "captcha"]


def test_a_fault_is_over_after_its_times() -> None:
    faults = Faults()
    faults.add(from_text("html,times=2"))
    (fault,) = faults.active
    faults.hit(fault)
    assert faults.active == [fault]
    faults.hit(fault)
    assert faults.active == []


def test_what_two_faults_drop_is_known_again_after_both() -> None:
    faults = Faults(drop_symbols={"X"})
    one, other = from_text("drop,symbols=A+B"), from_text("drop,symbols=B")
    faults.add(one)
    faults.add(other)
    assert faults.drop_symbols == {"A", "B", "X"}
    faults.remove(one)
    assert faults.drop_symbols == {"B", "X"}
    faults.remove(other)
    assert faults.drop_symbols == {"X"}


def test_the_last_limit_of_symbols_counts_and_only_for_its_connections() -> None:
    faults = Faults()
    faults.add(from_text("cut_symbols,symbols=50"))
    faults.add(from_text("cut_symbols,symbols=10,connections=3"))

    assert [faults.honoured_symbols(number) for number in (3, 4)] == [10, 50]
    assert Faults().honoured_symbols(3) == 100


async def test_who_is_frozen_waits_until_the_last_freeze_is_over() -> None:
    faults = Faults()
    one, other = from_text("freeze"), from_text("freeze,connections=1")
    faults.add(one)
    faults.add(other)
    waiting = asyncio.ensure_future(faults.thaw(1))
    free = asyncio.ensure_future(faults.thaw(2))
    await asyncio.wait([waiting, free], timeout=0.01)
    assert (waiting.done(), free.done()) == (False, False)
    faults.remove(one)
    await asyncio.wait([waiting, free], timeout=0.01)
    assert (waiting.done(), free.done()) == (False, True)
    faults.remove(other)
    await asyncio.wait_for(waiting, 60)
