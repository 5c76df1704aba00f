from __future__ import annotations

import numpy as np
import pytest

from screener.measures import rating
from screener.measures.catalogue import Frame
from screener.measures.panel import Panel
from tests.fix_screener import by_hand, closes, walked


def test_a_long_rise_is_above_every_average_but_hulls_which_follows_a_line_and_a_fall_below() -> None:
    up = Panel(by_hand(*((n, n + 1, n - 1, n) for n in range(10, 310))))
    down = Panel(by_hand(*((n, n + 1, n - 1, n) for n in range(400, 100, -1))))
    votes = [float(rating.of_averages(panel, 1)[0, 0]) for panel in (up, down)]
    assert votes == pytest.approx([14 / 15, -14 / 15])


def test_the_rating_lies_between_0_and_100_and_is_the_mean_of_its_groups() -> None:
    frame = Frame(walked(*[300] * 40), 5)
    groups = (frame["tech_rating_ma"] + frame["tech_rating_osc"]) / 2
    assert np.allclose(frame["tech_rating"], 50 * (1 + groups))
    assert frame["tech_rating"].min() >= 0 and frame["tech_rating"].max() <= 100
    assert frame["tech_rating"].max() > 70 > 50 > frame["tech_rating"].min()  # both thresholds can be met


def test_a_price_on_its_averages_says_neither() -> None:
    frame = Frame(closes(*[20.0] * 260))
    assert frame["tech_rating_ma"][0, 0] == 0 and frame["tech_rating"][0, 0] == 50


def test_votes_that_are_not_known_are_left_out_of_the_mean() -> None:
    panel = Panel(by_hand(*((n, n + 1, n - 1, n) for n in range(10, 35))))
    assert rating.of_averages(panel, 1)[0, 0] == pytest.approx(5 / 6)  # lengths 10 and 20, VWMA20, and Hull's 0
    assert np.isnan(rating.technical_rating(Panel(walked(5)), 1)).all()


@pytest.mark.parametrize(("now", "before", "vote"), [(25, 20, 1), (25, 28, 0), (75, 80, -1), (75, 70, 0), (50, 40, 0)])
def test_an_extreme_counts_when_it_turns(now: float, before: float, vote: int) -> None:
    assert rating._extremes(np.array([[before], [now]]), 30, 70)[0, 0] == vote


@pytest.mark.parametrize(
    ("k", "d", "vote"),
    [
        ((10, 15), (12, 14), 1),
        ((15, 10), (14, 12), 0),
        ((90, 85), (88, 86), -1),
        ((10, 30), (12, 14), 0),
        ((10, 11), (9, 9), 0),
    ],
)
def test_a_stochastic_counts_when_it_crosses_at_an_end(k: tuple[int, int], d: tuple[int, int], vote: int) -> None:
    vertical = [np.array(pair, np.float64)[:, None] for pair in (k, d)]
    assert rating._crossing(*vertical)[0, 0] == vote


@pytest.mark.parametrize(
    ("values", "vote"), [((-1, -1, 1), 1), ((3, 2, 4), 1), ((1, 2, 3), 0), ((1, 1, -1), -1), ((-3, -2, -4), -1)]
)
def test_the_awesome_oscillator_counts_when_it_crosses_or_makes_a_saucer(values: tuple[int, ...], vote: int) -> None:
    assert rating._awesome(np.array(values, np.float64)[:, None])[0, 0] == vote


def test_the_cloud_is_the_one_drawn_26_bars_ago() -> None:
    risen = [*((10.0, 11.0, 9.0, 10.0) for _ in range(80)), *((50.0, 51.0, 49.0, 50.0) for _ in range(26))]
    assert rating._cloud(Panel(by_hand(*risen)), 1)[0, 0] == 1
    back = [*risen, *((50.0, 51.0, 49.0, 50.0) for _ in range(60))]
    assert rating._cloud(Panel(by_hand(*back)), 1)[0, 0] == 0
