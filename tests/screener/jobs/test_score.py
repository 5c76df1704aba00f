from __future__ import annotations

import numpy as np
import pytest

from screener.jobs.score import MEASURES, Past, activity, fundamental, historical, score, technical

NAN = float("nan")


def measured(**given: float) -> dict[str, np.ndarray]:
    return {name: np.array([given.get(name, NAN)]) for name in MEASURES}


def past(signal_rate: float = 0.0, rating: float = NAN, days: float = NAN) -> Past:
    return Past(signal_rate=np.array([signal_rate]), rating=np.array([rating]), days=np.array([days]))


def test_what_is_not_known_adds_nothing() -> None:
    assert score(Past.empty(3), {name: np.full(3, NAN) for name in MEASURES}, {}).tolist() == [50.0] * 3


@pytest.mark.parametrize(
    ("given", "points"),
    [
        (past(signal_rate=0.5), 65.0),
        (past(rating=40.0), 62.0),
        (past(days=0.0), 70.0),
        (past(days=3.5), 60.0 * 0.95),
        (past(days=700.0), 50.0 * 0.5),
        (past(signal_rate=1.0, rating=100.0, days=0.0), 100.0),
    ],
)
def test_history_counts_signals_ratings_and_how_long_ago(given: Past, points: float) -> None:
    assert historical(given)[0] == pytest.approx(points)


def test_activity_counts_volume_week_range_and_strength() -> None:
    assert activity(measured(rvol20=1.6, roc5=6.0, atr_percent14=3.0, rs_rating=50.0))[0] == 100.0
    assert activity(measured(rvol20=1.3))[0] == 60.0
    assert activity(measured(roc5=-6.0))[0] == 65.0
    assert activity(measured(atr_percent14=6.0))[0] == 60.0


def test_fundamentals_and_technical_state_count_what_is_known() -> None:
    assert fundamental({"earnings_surprise_percent": np.array([6.0]), "sentiment": np.array([0.5])}, 1)[0] == 85.0
    assert technical(measured(distance_52w_low=1.0, distance_52w_high=-8.0, tech_rating=50.0), 1)[0] == 90.0
