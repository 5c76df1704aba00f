from __future__ import annotations

import numpy as np
import pytest

from screener.cube.bars import History, align
from screener.measures import market
from screener.measures.catalogue import UnknownMeasure
from screener.measures.market import AlphaWeights, alpha_score, blocks, compute, percentile, rs_rating, standard_score
from tests.fix_screener import FIRST_DAY, closes, walk, walked

NAN = np.nan
TODAY = np.full((1, 4), 9, np.int32)


def test_blocks_cover_every_column_once() -> None:
    for width in (0, 1, 255, 256, 257, 2000, 8782, 20_000):
        cut = blocks(width, size=256)
        assert [column for block in cut for column in range(block.start, block.stop)] == list(range(width))
    assert len(blocks(2000, size=256)) == 8 and len(blocks(8782)) == 1


def test_a_place_counts_those_below_and_half_of_the_equals() -> None:
    assert percentile(np.array([[1.0, 2, 2, 5]]), TODAY).tolist() == [[12.5, 50, 50, 87.5]]


def test_what_is_not_known_has_no_place_and_takes_none() -> None:
    places = percentile(np.array([[1.0, NAN, 3, NAN]]), TODAY)[0]
    assert places[[0, 2]].tolist() == [25, 75] and np.isnan(places[[1, 3]]).all()
    assert np.isnan(percentile(np.array([[1.0, NAN, NAN, NAN]]), TODAY)).all()  # alone there is no place


def test_a_halted_ticker_is_not_ranked_against_today() -> None:
    session = np.array([[9, 9, 9, 7]], np.int32)
    assert np.isnan(percentile(np.array([[1.0, 2, 3, 99]]), session)[0, 3])


def test_each_row_is_ranked_within_its_session() -> None:
    session = np.array([[7, 8, 8], [9, 9, 9]], np.int32)  # the first ticker did not trade on day 8
    values = np.array([[50.0, 1, 2], [1, 2, 3]])
    places = percentile(values, session)
    assert np.isnan(places[0, 0]) and places[0, 1:].tolist() == [25, 75]
    assert places[1].tolist() == pytest.approx([100 / 6, 50, 500 / 6])


def test_rs_rating_runs_from_1_to_99() -> None:
    many = np.arange(1000.0)[None]
    rating = rs_rating(many, np.full((1, 1000), 9, np.int32))[0]
    assert rating[0] == 1 and rating[-1] == 99 and (np.diff(rating) >= 0).all()


def test_a_standard_score_is_cut_at_3() -> None:
    values = np.append(np.zeros(99), 1000.0)[None]
    scores = standard_score(values, np.full((1, 100), 9, np.int32))[0]
    assert scores[-1] == 3 and scores[0] == pytest.approx(-10 / np.sqrt(9900))


PARTS = {"rs_raw": 1.0, "momentum_12_1": 1.0, "atr_percent14": -1.0, "rvol20": 1.0, "distance_52w_high": 1.0}


def test_alpha_weighs_what_its_weights_say() -> None:
    held = {name: sign * np.array([[4.0, 3, 2, 1]]) for name, sign in PARTS.items()}
    assert alpha_score(held, TODAY).tolist() == [[87.5, 62.5, 37.5, 12.5]]
    held["rvol20"] = np.array([[1.0, 2, 3, 4]])
    only_volume = AlphaWeights(rs=0, momentum=0, calm=0, rvol=1, high=0)
    assert alpha_score(held, TODAY, only_volume).tolist() == [[12.5, 37.5, 62.5, 87.5]]
    held["rs_raw"] = np.array([[NAN, 3, 2, 1]])
    assert np.isnan(alpha_score(held, TODAY)[0]).tolist() == [True, False, False, False]


def test_the_weights_add_up_to_1() -> None:
    weights = AlphaWeights()
    assert weights.rs + weights.momentum + weights.calm + weights.rvol + weights.high == pytest.approx(1)
    assert set(market.COMPONENTS) == set(AlphaWeights.__dataclass_fields__)


def test_the_market_is_computed_block_by_block_and_ranked_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    bars = walked(*[260] * 30, 100, 0)
    whole = compute(bars, ["rs_rating", "sma20", "alpha_score"], 2)
    monkeypatch.setattr(market, "blocks", lambda width: [slice(a, min(a + 7, width)) for a in range(0, width, 7)])
    pieces = compute(bars, ["rs_rating", "sma20", "alpha_score"], 2)
    for name, values in whole.items():
        np.testing.assert_allclose(pieces[name], values, rtol=1e-9)
        assert values.shape == (2, 32)
    assert np.isnan(whole["rs_rating"][:, 30:]).all() and not np.isnan(whole["alpha_score"][:, :30]).any()


def test_more_rows_than_bars_are_filled_up() -> None:
    assert compute(closes(1, 2), ["rs_rating", "close"], 5)["close"].shape == (5, 1)


def test_an_unknown_name_is_told() -> None:
    with pytest.raises(UnknownMeasure, match="nonsense"):
        compute(closes(1, 2), ["close", "nonsense"])


def test_an_older_session_is_ranked_where_every_ticker_reaches_it() -> None:
    bars = align([*walk([300] * 3), *walk([300], newest_day=FIRST_DAY + 398, seed=9)])
    ranked = compute(bars, ["rs_rating"], 4)["rs_rating"]
    assert np.isnan(ranked[-1]).tolist() == [False, False, False, False]  # days 398-400 are reached by all
    assert np.isnan(compute(bars, ["rs_rating"], 1)["rs_rating"][-1]).tolist() == [False, False, False, True]


def test_a_bar_before_a_halt_is_ranked_among_those_of_its_day() -> None:
    histories = walk([300] * 20, seed=4)
    halted = histories[4]
    kept = np.r_[0:280, 297:300]  # no bars for 17 sessions
    cut = {name: getattr(halted, name)[kept] for name in ("session", "open", "high", "low", "close", "volume")}
    histories[4] = History(halted.ticker, **cut)
    bars = align(histories)
    few, whole = (market.compute(bars, ["rs_rating"], rows)["rs_rating"] for rows in (5, 300))
    assert not np.isnan(few[:, 4]).any()
    np.testing.assert_array_equal(few, whole[-5:])
