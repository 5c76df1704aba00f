from __future__ import annotations

from simulator.faults import Faults


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
