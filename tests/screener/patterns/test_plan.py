from __future__ import annotations

import numpy as np
import pytest

from core.settings import Risk
from screener.patterns.plan import Plan, allot, beyond, make

RISK = Risk()
MUCH = 1e12
"""Dollars a day that limit no size."""


def one(side: float, entry: float, stop: float, atr: float, dollars: float = MUCH, risk: Risk = RISK) -> Plan:
    values = [np.array([value]) for value in (side, entry, stop, atr, dollars)]
    return make(values[0], values[1], values[2], values[3], values[4], risk)


def numbers(plan: Plan) -> tuple[float, ...]:
    return tuple(float(value[0]) for value in (plan.stop, plan.target_1, plan.target_2, plan.size, plan.risk_usd))


def test_targets_are_two_and_four_times_as_far_as_the_stop() -> None:
    assert numbers(one(1.0, 150.0, 148.0, 2.0)) == (148.0, 154.0, 158.0, 666.0, 1332.0)
    assert numbers(one(-1.0, 150.0, 152.0, 2.0)) == (152.0, 146.0, 142.0, 666.0, 1332.0)


def test_two_percent_of_the_account_are_lost_at_the_stop_where_nothing_else_limits_the_size() -> None:
    assert numbers(one(1.0, 50.0, 48.0, 2.0))[3:] == (1000.0, 2000.0)


def test_a_stop_is_at_least_half_an_atr_away_and_at_most_three() -> None:
    assert one(1.0, 100.0, 99.9, 2.0).stop[0] == 99.0
    assert one(1.0, 100.0, 80.0, 2.0).stop[0] == 94.0
    assert one(1.0, 100.0, 101.0, 2.0).stop[0] == 99.0  # on the wrong side
    assert one(1.0, 100.0, np.nan, 2.0).stop[0] == 97.0  # 1.5 ATR


def test_a_size_is_bound_by_the_account_and_by_a_twentieth_of_what_trades() -> None:
    assert one(1.0, 100.0, 99.0, 1.0).size[0] == 1000  # all of the account, not 2,000 shares
    assert one(1.0, 100.0, 99.0, 1.0, dollars=200_000.0).size[0] == 100
    assert one(1.0, 100.0, 99.0, 1.0, dollars=np.nan).size[0] == 1000


def test_without_an_atr_there_is_no_plan() -> None:
    for atr in (np.nan, 0.0):
        plan = one(1.0, 100.0, 99.0, atr)
        assert plan.size[0] == 0
        assert np.isnan([plan.stop[0], plan.target_1[0], plan.risk_usd[0]]).all()


def test_a_sale_has_no_target_below_nothing() -> None:
    plan = one(-1.0, 2.0, 3.0, 0.5)
    assert (plan.stop[0], plan.size[0]) == (3.0, 2000)
    assert np.isnan(plan.target_2[0])


def test_settings_move_targets_and_sizes() -> None:
    risk = Risk(account_usd=10_000.0, risk_per_trade_percent=1.0, target_r=3.0)
    assert numbers(one(1.0, 10.0, 9.0, 1.0, risk=risk)) == (9.0, 13.0, 16.0, 100.0, 100.0)


def test_a_stop_order_stands_one_tick_beyond() -> None:
    assert beyond(np.array([10.0, 0.5]), np.array([1.0, -1.0])).tolist() == pytest.approx([10.01, 0.4999])


def test_signals_are_taken_until_the_heat_or_the_places_are_used_up() -> None:
    assert allot(np.array([2000.0, 2000.0, 2500.0, 2000.0, 1.0]), RISK).tolist() == [True, True, False, True, False]
    assert allot(np.full(20, 10.0), RISK).sum() == 10
    assert allot(np.array([np.nan, 0.0, 10.0]), RISK).tolist() == [False, False, True]
