from __future__ import annotations

from scanners.daily.meter import Meter


def test_before_a_pace_is_known_it_is_the_expected_one() -> None:
    meter = Meter(now_s=100.0, expected_per_s=2.0)
    assert meter.eta_s(7200, now_s=100.0) == 3600.0
    meter.answered(now_s=101.0)
    assert meter.per_s(now_s=102.0) == 2.0


def test_the_pace_is_that_of_the_last_minutes_silences_included() -> None:
    meter = Meter(now_s=0.0, expected_per_s=50.0)
    for second in range(1, 601):
        meter.answered(now_s=float(second))
    assert meter.count == 600
    assert meter.per_s(now_s=600.0) == 1.0
    assert meter.eta_s(900, now_s=600.0) == 900.0
    assert 0.49 < meter.per_s(now_s=750.0) < 0.51, "half of the last five minutes were silent"


def test_a_silence_longer_than_the_window_falls_back_to_what_is_expected() -> None:
    meter = Meter(now_s=0.0, expected_per_s=2.0)
    meter.answered(now_s=1.0)
    assert meter.per_s(now_s=1000.0) == 2.0
