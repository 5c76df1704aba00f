from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from screener.jobs.progress import STAGES, Tracker, duration_text

EXPECTED = {"universe_loading": 1.0, "data_fetching": 4.0, "symbol_scanning": 14.0, "finalization": 1.0}


def at_45_percent_of_scanning(tracker: Tracker) -> None:
    tracker.start("universe_loading", total=1, now_s=0.0)
    tracker.start("data_fetching", total=10, now_s=1.0)
    tracker.start("symbol_scanning", total=700, now_s=5.0)
    tracker.scanned(315, now_s=95.0, ticker="AAPL")


def test_the_set_weights_give_56_5_at_45_percent_of_scanning() -> None:
    tracker = Tracker("scan_x", {}, now_s=0.0)
    at_45_percent_of_scanning(tracker)
    told = tracker.payload(95.0)
    assert told["overall_progress"] == 56.5
    assert told["message"] == "Scanning AAPL (315/700)"
    assert told["stage_throughput"] == 3.5
    assert told["stage_eta"] == pytest.approx(110.0)
    assert told["stage_eta_formatted"] == "1m 50s"
    assert told["overall_eta"] == pytest.approx(95.0 * 43.5 / 56.5, abs=1e-3)
    assert {name: (each["weight"], each["progress"]) for name, each in told["stages"].items()} == {
        "universe_loading": (0.05, 100.0),
        "data_fetching": (0.2, 100.0),
        "symbol_scanning": (0.7, 45.0),
        "finalization": (0.05, 0.0),
    }


def test_the_time_left_is_the_formula_of_the_learned_stages() -> None:
    """By hand: sf = (1 + 4 + 10 + 3) / (1 + 4 + 14 * 0.5 + 3), a = 0.5 / 0.65."""
    tracker = Tracker("scan_x", EXPECTED, now_s=0.0)
    tracker.start("universe_loading", total=1, now_s=0.0)
    tracker.start("data_fetching", total=1, now_s=1.0)
    tracker.start("symbol_scanning", total=100, now_s=5.0)
    tracker.scanned(50, now_s=15.0)
    speed = 18.0 / 15.0
    trust = 0.5 / 0.65
    left_s = trust * 10.0 * 0.5 / 0.5 + (1 - trust) * 14.0 * 0.5 * speed
    assert tracker.eta_s(15.0) == pytest.approx(left_s + speed * 1.0)
    assert tracker.overall(15.0) == pytest.approx(100 * 15.0 / (15.0 + left_s + speed))
    assert tracker.payload(15.0)["stages"]["symbol_scanning"]["weight"] == 0.7


def test_progress_never_goes_back_when_a_stage_stalls() -> None:
    tracker = Tracker("scan_x", EXPECTED, now_s=0.0)
    at_45_percent_of_scanning(tracker)
    before = tracker.overall(9.0)
    assert tracker.eta_s(400.0) is not None
    assert tracker.overall(400.0) >= before


@given(st.lists(st.tuples(st.floats(0.001, 30), st.integers(0, 100)), min_size=4, max_size=40), st.booleans())
def test_whatever_happens_progress_only_grows_and_ends_at_100(steps: list[tuple[float, int]], learned: bool) -> None:
    tracker = Tracker("scan_x", EXPECTED if learned else {}, now_s=0.0)
    now_s, seen = 0.0, [0.0]
    for number, (wait_s, done) in enumerate(steps):
        if number < len(STAGES):
            tracker.start(STAGES[number], total=100, now_s=now_s)
        now_s += wait_s
        tracker.advance(done, now_s=now_s)
        seen.append(tracker.payload(now_s)["overall_progress"])
    tracker.finish("complete", now_s=now_s)
    seen.append(tracker.overall(now_s))
    assert seen == sorted(seen) and seen[-1] == 100.0 and seen[-2] <= 100.0


def test_on_noisy_runs_the_learned_progress_keeps_to_the_share_of_time() -> None:
    """The gate of the scan engine: on average at most 0.05 off, the time left at most 30 % wrong."""
    luck = np.random.default_rng(3)
    off: list[float] = []
    wrong: list[float] = []
    for _ in range(40):
        lengths = {name: seconds * luck.lognormal(0, 0.15) for name, seconds in EXPECTED.items()}
        whole_s, now_s = sum(lengths.values()), 0.0
        tracker = Tracker("scan_x", EXPECTED, now_s=0.0)
        for name, length_s in lengths.items():
            tracker.start(name, total=20, now_s=now_s)
            for done in range(1, 21):
                now_s += length_s / 20
                tracker.advance(done, now_s=now_s)
                share = now_s / whole_s
                off.append(abs(tracker.overall(now_s) / 100 - share))
                if 0.05 < share < 0.95:
                    wrong.append(abs((tracker.eta_s(now_s) or 0) - (whole_s - now_s)) / (whole_s - now_s))
    assert np.mean(off) <= 0.05
    assert np.mean(wrong) <= 0.30


def test_an_ended_scan_has_nothing_left_and_a_failed_one_stays_where_it_was() -> None:
    tracker = Tracker("scan_x", {}, now_s=0.0)
    at_45_percent_of_scanning(tracker)
    tracker.overall(95.0)
    tracker.finish("failed", now_s=96.0)
    told = tracker.payload(96.0)
    assert (told["status"], told["overall_progress"], told["overall_eta"]) == ("failed", 56.5, 0.0)


def test_timings_tell_what_each_stage_took() -> None:
    tracker = Tracker("scan_x", {}, now_s=0.0)
    at_45_percent_of_scanning(tracker)
    tracker.finish("complete", now_s=95.0)
    timings = tracker.timings(95.0)
    assert {name: timing["elapsed_s"] for name, timing in timings.items()} == {
        "universe_loading": 1.0,
        "data_fetching": 4.0,
        "symbol_scanning": 90.0,
    }


def test_durations_are_written_as_people_say_them() -> None:
    assert [duration_text(value) for value in (None, 0.4, 45, 90, 120.5, 7500)] == [
        "unknown",
        "0s",
        "45s",
        "1m 30s",
        "2m 1s",
        "2h 5m",
    ]


def test_what_was_told_of_a_moment_is_the_same_whenever_it_is_made() -> None:
    tracker = Tracker("scan_x", {}, now_s=0.0)
    tracker.start("universe_loading", total=10, now_s=0.0)
    tracker.advance(5, now_s=1.0)
    then, later = tracker.payload(1.0), tracker.frozen(1.0)
    tracker.advance(10, now_s=2.0)
    tracker.start("data_fetching", total=4, now_s=2.0)
    assert later() == then and tracker.payload(2.0)["overall_progress"] > then["overall_progress"]


def test_a_stage_that_was_one_piece_of_work_is_followed_by_the_clock() -> None:
    """Its only step comes at the end: half of the time it took before is half of it now."""
    tracker = Tracker("scan_x", {}, now_s=0.0)
    steady = {"universe_loading": 0.0, "data_fetching": 1.0, "symbol_scanning": 0.0, "finalization": 0.0}
    tracker.learn(
        {"universe_loading": 1.0, "data_fetching": 0.0, "symbol_scanning": 8.0, "finalization": 1.0}, 0.3, steady
    )
    tracker.start("universe_loading", total=1, now_s=0.0)
    tracker.start("symbol_scanning", total=100, now_s=1.0)
    tracker.scanned(3, now_s=1.1)
    assert [round(tracker.overall(now_s)) for now_s in (3.0, 5.0, 7.0)] == [30, 50, 70]
    assert tracker.eta_s(5.0) == pytest.approx(5.0, rel=0.02)
    assert 80 < tracker.overall(60.0) < 100, "slower than ever, and never over before its end"


def test_how_evenly_the_items_of_a_stage_were_done_is_measured() -> None:
    tracker = Tracker("scan_x", {}, now_s=0.0)
    tracker.start("universe_loading", total=4, now_s=0.0)
    for done in range(1, 5):
        tracker.advance(done, now_s=float(done))
    tracker.start("data_fetching", total=4, now_s=4.0)
    tracker.advance(4, now_s=8.0)
    tracker.start("symbol_scanning", total=4, now_s=8.0)
    tracker.scanned(4, now_s=8.5)
    tracker.finish("complete", now_s=12.0)
    assert tracker.steady() == {
        "universe_loading": 0.75,  # 0, 1/4, 2/4, 3/4 of four seconds: 1.5 of them in place of 2
        "data_fetching": 0.0,
        "symbol_scanning": pytest.approx(0.25),
        "finalization": 0.0,
    }
