from __future__ import annotations

import numpy as np

from screener.jobs.tally import Tally, tiers


def test_the_first_result_counts_and_what_was_foretold_at_half_way() -> None:
    tally = Tally()
    for share, elapsed_s, left_s in ((0.4, 1.0, 99.0), (0.5, 2.0, None), (0.6, 3.0, 1.0), (0.9, 4.0, 50.0)):
        tally.advanced(share=share, elapsed_s=elapsed_s, left_s=left_s)
    tally.found(0.25)
    tally.found(3.0)
    told = tally.told(None, took_s=5.0, total=10, fetched=3)
    assert told == {"first_result_s": 0.25, "eta_error": 0.2, "tiers": None, "fetched": 3}


def test_a_scan_that_finds_nothing_has_no_first_result() -> None:
    told = Tally().told(np.array([False, False]), took_s=1.0, total=10, fetched=0)
    assert (told["first_result_s"], told["eta_error"]) == (None, None)
    assert told["tiers"]["high"] == {"scanned": 2, "signals": 0}


def test_each_tier_has_its_scanned_and_its_signals_also_of_a_scan_that_ended_early() -> None:
    """Of ten tickers the first two are high and the next five medium; seven were scanned."""
    hits = np.array([True, False, True, True, False, False, True])
    assert tiers(hits, 10) == {
        "high": {"scanned": 2, "signals": 1},
        "medium": {"scanned": 5, "signals": 3},
        "low": {"scanned": 0, "signals": 0},
    }
