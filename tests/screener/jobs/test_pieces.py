from __future__ import annotations

import sys
from itertools import chain
from typing import Any

import numpy as np
import pytest

from screener.cube.bars import date_of
from screener.jobs.market import Market
from screener.jobs.pieces import FIRST_BLOCK, pieces
from screener.jobs.request import WrongRequest, plan, read_request
from tests.fix_scans import market_of, wandering

MANY = wandering(FIRST_BLOCK + 50, bars=40)
ORDER = np.random.default_rng(2).permutation(len(MANY))


def cut(market: Market, *, workers: int = 1, stop_after: int = 99, rows: int = 2, **given: Any) -> list[list[str]]:
    """Return the tickers of each piece; each has its fields."""
    asked = plan(read_request({"expression": "rsi14 > 50", **given}), market.vocabulary, lambda: market.bars)
    found: list[list[str]] = []
    all_of_them = pieces(asked, market, ORDER, rows, max_workers=workers, is_over=lambda: len(found) >= stop_after)
    for part, places in all_of_them:
        whole = market_of(MANY).numbers("rsi14", rows)
        expected = whole[:, [list(MANY).index(part.names[place]) for place in places]]
        np.testing.assert_array_equal(part.numbers("rsi14", rows)[:, places], expected)
        found.append([part.names[place] for place in places])
    return found


def in_order() -> list[str]:
    return [list(MANY)[place] for place in ORDER]


def test_a_few_come_first_and_all_in_their_order() -> None:
    found = cut(market_of(MANY))
    assert [len(piece) for piece in found] == [FIRST_BLOCK, 50] and list(chain(*found)) == in_order()


def test_what_is_there_already_is_one_piece() -> None:
    market = market_of(MANY)
    market.prepare(["rsi14"], 2)
    assert cut(market) == [in_order()]


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.skipif(sys.platform == "win32", reason="no fork there")
def test_more_processes_give_the_same_pieces_in_the_same_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("screener.jobs.executor.PAYS_FROM_S", 0.0)
    monkeypatch.setattr("screener.jobs.executor.cores", lambda: 2)
    monkeypatch.setattr("screener.jobs.executor.may_fork", lambda: True)
    monkeypatch.setattr("screener.jobs.pieces.BLOCK", 20)
    found = cut(market_of(MANY), workers=2)
    assert [len(piece) for piece in found] == [FIRST_BLOCK, 20, 20, 10] and list(chain(*found)) == in_order()


def test_a_range_is_cut_small_and_ends_between_two_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("screener.jobs.pieces.RANGE_BLOCK", 100)
    market = market_of(MANY)
    since = date_of(market.newest_day - 5)
    assert [len(piece) for piece in cut(market, since=since)] == [100, 100, 100, 6]
    assert [len(piece) for piece in cut(market_of(MANY), since=since, stop_after=2)] == [100, 100]


def test_many_fields_of_many_days_make_smaller_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two rows of one field and of six more that are taken beside it."""
    monkeypatch.setattr("screener.jobs.pieces.RANGE_CELLS", 150 * 2 * 7)
    market = market_of(MANY)
    assert [len(piece) for piece in cut(market, since=date_of(market.newest_day - 5))] == [150, 150, 6]


def test_a_ranked_range_is_one_piece_computed_apart_or_refused_if_it_is_too_large(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    market = market_of(MANY)
    asked: dict[str, Any] = {"expression": "rank(rsi14) < 5", "since": date_of(market.newest_day - 5)}
    assert cut(market, **asked) == [in_order()] and not market.has(["rsi14"])
    assert cut(market, stop_after=0, **asked) == []
    monkeypatch.setattr("screener.jobs.pieces.MOST_RANKED_MB", 2 * len(MANY) * 7 * 8 / 1e6)
    assert cut(market, **asked) == [in_order()]
    monkeypatch.setattr("screener.jobs.pieces.MOST_RANKED_MB", 2 * len(MANY) * 7 * 8 / 1e6 - 1e-9)
    with pytest.raises(WrongRequest, match="ask for fewer days or fields"):
        cut(market, **asked)


def test_a_ranked_range_waits_for_the_one_before_it_and_can_be_stopped_while_it_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("screener.jobs.pieces.LOOK_S", 0.001)
    market = market_of(MANY)
    text: dict[str, Any] = {"expression": "rank(rsi14) < 5", "since": date_of(market.newest_day - 5)}
    asked = plan(read_request(text), market.vocabulary, lambda: market.bars)
    first = pieces(asked, market, ORDER, 2, max_workers=1, is_over=lambda: False)
    next(first)
    looks: list[None] = []

    def is_over() -> bool:
        looks.append(None)
        return len(looks) == 2

    assert list(pieces(asked, market, ORDER, 2, max_workers=1, is_over=is_over)) == [] and len(looks) == 2
    first.close()
    assert cut(market, **text) == [in_order()]
