"""Each measure against TA-Lib, and the rules that hold for all of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from screener.cube.bars import FIELDS, PRICES, Bars, History, align
from screener.measures import market
from screener.measures.catalogue import CATALOGUE, FAMILIES, LENGTHS, Frame, UnknownMeasure, find
from screener.measures.market import of_block
from tests.fix_screener import closes, walk, walked
from tests.screener.measures.oracle import ORACLE, compare

RAGGED = (300, 300, 260, 201, 120, 60, 34, 33, 29, 28, 27, 20, 16, 15, 14, 3, 2, 1, 0)
OF_TICKER = [name for name, measure in CATALOGUE.items() if not measure.of_market]
PRICE_LIKE = {name for name, measure in CATALOGUE.items() if measure.unit in ("price", "USD")}
quick = settings(max_examples=5, deadline=None)
ragged_market = st.lists(st.integers(0, 290), min_size=2, max_size=5)


@pytest.fixture(scope="module")
def ragged() -> Bars:
    return walked(*RAGGED)


@pytest.mark.parametrize("name", ORACLE)
def test_a_measure_equals_ta_lib_with_whatever_history_a_ticker_has(ragged: Bars, name: str) -> None:
    for rows in (1, 3, ragged.rows):
        worst, elsewhere = compare(ragged, name, rows)
        assert worst <= 1e-9 and elsewhere == 0, f"{rows} rows"


def alike(one: np.ndarray, other: np.ndarray, *, within: float = 1e-9) -> None:
    np.testing.assert_allclose(one, other, rtol=within, atol=within)


@pytest.mark.parametrize("name", OF_TICKER)
def test_the_newest_rows_equal_those_of_the_whole_series(ragged: Bars, name: str) -> None:
    whole = Frame(ragged, ragged.rows)[name]
    for rows in (1, 4):
        alike(Frame(ragged, rows)[name], whole[-rows:])


@pytest.mark.parametrize("name", OF_TICKER)
def test_a_measure_has_its_first_value_after_the_bars_that_it_names(name: str) -> None:
    needed = CATALOGUE[name].warmup_bars
    bars = walked(needed - 1, needed, seed=11)
    assert np.isnan(Frame(bars)[name][-1]).tolist() == [True, False]


@quick
@given(counts=ragged_market, seed=st.integers(0, 1000), later=st.integers(1, 30))
def test_a_bar_more_changes_no_earlier_value(counts: list[int], seed: int, later: int) -> None:
    bars = align(walk([count + later for count in counts], seed=seed))
    past = bars.until(bars.newest_day - later)
    whole, then = of_block(bars, OF_TICKER, bars.rows), of_block(past, OF_TICKER, past.rows)
    for name in OF_TICKER:
        alike(whole[name][: bars.rows - later], then[name][later:])


@quick
@given(counts=ragged_market, seed=st.integers(0, 1000), order=st.randoms(use_true_random=False))
def test_the_order_of_the_tickers_changes_nothing(counts: list[int], seed: int, order: st.DataObject) -> None:
    bars = align(walk(counts, seed=seed))
    places = list(range(len(counts)))
    order.shuffle(places)  # type: ignore[attr-defined]
    names = [*OF_TICKER, "rs_rating", "alpha_score"]
    straight, shuffled = market.compute(bars, names), market.compute(bars.columns(np.array(places)), names)
    for name in names:
        alike(shuffled[name], straight[name][:, places])


@quick
@given(counts=ragged_market, seed=st.integers(0, 1000), power=st.integers(-3, 3))
def test_prices_in_another_unit_scale_prices_and_leave_all_else(counts: list[int], seed: int, power: int) -> None:
    bars = align(walk(counts, seed=seed))
    factor = 2.0**power
    sides = {side: (getattr(bars, side) * np.float32(factor)).astype(np.float32) for side in PRICES}
    scaled = Bars(tickers=bars.tickers, session=bars.session, volume=bars.volume, counts=bars.counts, **sides)
    ours, theirs = of_block(bars, OF_TICKER, 2), of_block(scaled, OF_TICKER, 2)
    for name in OF_TICKER:
        alike(theirs[name], ours[name] * (factor if name in PRICE_LIKE else 1.0))


@quick
@given(counts=ragged_market, seed=st.integers(0, 1000), size=st.integers(1, 3))
def test_pieces_of_the_market_give_what_the_whole_gives(counts: list[int], seed: int, size: int) -> None:
    bars = align(walk(counts, seed=seed))
    whole = of_block(bars, OF_TICKER)
    pieces = [of_block(bars.columns(slice(a, a + size)), OF_TICKER) for a in range(0, len(counts), size)]
    for name in OF_TICKER:
        alike(np.concatenate([piece[name] for piece in pieces], axis=1), whole[name])


@pytest.mark.parametrize(
    "name", ["rsi14", "rsi2", "cci20", "mfi14", "wr14", "stoch_k", "stoch_d", "adx14", "bb_percent"]
)
def test_a_price_that_stands_still_has_no_oscillator(name: str) -> None:
    """TA-Lib says 0, which a screen for RSI < 30 would take for oversold."""
    assert np.isnan(Frame(closes(*[25.0] * 200))[name]).all()


@pytest.mark.parametrize("price", [0.1, 7.77, 123.45])
def test_a_price_that_came_to_rest_is_the_same_however_many_rows_are_asked_for(price: float) -> None:
    """What is left of a move rounds differently from bar to bar: that is no crossing, no range and no vote."""
    bars = align([*walk([300] * 5, seed=4), History("REST", *_at_rest(price))])
    names = ["macd", "macd_signal", "stochrsi_k", "stochrsi_d", "tech_rating"]
    whole = of_block(bars, names, bars.rows)
    for rows in (1, 2, 40):
        some = of_block(bars, names, rows)
        for name in names:
            alike(some[name], whole[name][-rows:])
    assert np.isnan(whole["stochrsi_d"][-60:, -1]).all() and (whole["macd"][40:150, -1] == 0).all()


def _at_rest(price: float) -> tuple[Any, ...]:
    """A price that stands still, moves for 30 bars and stands still again, over 300."""
    moves = np.where((np.arange(300) >= 180) & (np.arange(300) < 210), np.sin(np.arange(300)) / 5, 0.0)
    close = (price * (1 + moves)).astype(np.float32)
    days = walk([300])[0].session
    return days, close, close, close, close, np.full(300, 1000.0)


def test_one_unknown_volume_concerns_its_windows_alone() -> None:
    bars = walked(300)
    bars.volume[250, 0] = np.nan
    frame = Frame(bars, 60)
    assert np.isnan(frame["avg_volume20"][:, 0]).sum() == 20
    assert np.isnan(frame["mfi14"][:, 0]).sum() == 14
    assert not np.isnan(frame["rsi14"]).any()


def test_no_measure_is_ever_infinite() -> None:
    bars = closes(*[5.0] * 150, *[5.0, 6.0] * 60, volume=0.0)
    for name, values in of_block(bars, OF_TICKER, bars.rows).items():
        assert not np.isinf(values).any(), name


def test_flags_are_1_or_0(ragged: Bars) -> None:
    for name, measure in CATALOGUE.items():
        if measure.flag:
            values = Frame(ragged, ragged.rows)[name]
            assert set(np.unique(values[~np.isnan(values)])) <= {0.0, 1.0}, name


def test_any_length_of_a_family_is_found_by_name() -> None:
    assert find("sma33") is not None and find("rsi7") is not None
    one = find("atr_percent10")
    assert one is not None and one.warmup_bars == 11
    alike(Frame(walked(50))["sma33"], walked(50).close[-33:].astype(float).mean(axis=0, keepdims=True))


@pytest.mark.parametrize("name", ["sma0", "sma1", "sma1001", "sma", "rsi14x", "nothing", "", "sma007", "__class__"])
def test_what_is_no_measure_is_refused(name: str) -> None:
    assert find(name) is None
    with pytest.raises(UnknownMeasure, match="is no measure"):
        Frame(walked(5))[name]


def test_every_family_has_a_listed_member_and_every_measure_a_word_for_it() -> None:
    assert set(LENGTHS) == set(FAMILIES)
    assert all(measure.doc and measure.unit and measure.warmup_bars >= 1 for measure in CATALOGUE.values())
    assert set(FIELDS) <= set(CATALOGUE)


def test_a_market_of_nobody_has_measures_too() -> None:
    assert all(values.shape == (2, 0) for values in of_block(walked(rows=5), OF_TICKER, 2).values())
    assert all(values.shape == (2, 1) for values in of_block(walked(0), OF_TICKER, 2).values())


def test_every_measure_stands_in_the_documents_with_its_unit_and_bars() -> None:
    documented = (Path(__file__).parents[3] / "docs" / "measures.md").read_text(encoding="utf-8")
    for measure in CATALOGUE.values():
        assert f"| `{measure.name}` | {measure.unit} | {measure.warmup_bars} | {measure.doc} |" in documented
    assert all(f"`{family}N`" in documented for family in FAMILIES)
