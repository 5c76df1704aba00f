from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from screener.jobs import priority
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
    told = Tally().told([False, False], took_s=1.0, total=10, fetched=0)
    assert (told["first_result_s"], told["eta_error"]) == (None, None)
    assert told["tiers"]["high"] == {"scanned": 2, "signals": 0}


@given(st.lists(st.booleans(), max_size=200), st.integers(0, 50))
def test_the_tiers_are_those_of_each_place(hits: list[bool], more: int) -> None:
    total = len(hits) + more
    by_place = [(tier, hit) for tier, hit in zip(priority.tiers(total), hits, strict=False)]
    for tier, told in tiers(hits, total).items():
        of_tier = [hit for one, hit in by_place if one == tier]
        assert told == {"scanned": len(of_tier), "signals": sum(of_tier)}
