from __future__ import annotations

import random
from dataclasses import replace

import pytest

from market.quotes import Quote
from scanners.metrics.staging import Batch, Judge, Judgement, Version

TICKERS = tuple(f"T{number}" for number in range(20))
TRUE = {each: Quote(ticker=each, previous_close=10.0 + n, open_price=10.0) for n, each in enumerate(TICKERS)}
FALSE = {each: replace(quote, previous_close=(quote.previous_close or 0) * 1.01) for each, quote in TRUE.items()}
ONE_FALSE = TRUE | {"T3": FALSE["T3"]}


def judge(*versions: Version, testimonies: tuple[Version, ...] = (), knows: bool = False, **more: int) -> Judgement:
    one = Judge(trusted={"direct"}, rng=random.Random(1))
    one.known = TRUE if knows else {}
    one.supporters = more.get("supporters", 2)
    return one.judge(Batch(TICKERS, versions=list(versions), testimonies=list(testimonies)))


def said(source: str, quotes: dict[str, Quote], *tickers: str) -> Version:
    return Version(source, {each: quotes[each] for each in tickers} if tickers else quotes)


def test_alone_an_exit_is_not_believed() -> None:
    assert judge(said("a", TRUE)).ruling == "witness"


def test_with_the_table_that_agrees_it_is() -> None:
    found = judge(said("a", TRUE), knows=True)
    assert (found.ruling, found.version) == ("accepted", said("a", TRUE))


def test_the_direct_lane_is_believed_alone() -> None:
    assert judge(said("direct", TRUE)).ruling == "accepted"


def test_two_tickers_told_alike_by_the_direct_lane_are_enough() -> None:
    assert judge(said("a", TRUE), testimonies=(said("direct", TRUE, "T1", "T2"),)).ruling == "accepted"


def test_among_exits_alone_two_others_must_agree() -> None:
    one, two = said("b", TRUE, "T1", "T2"), said("c", TRUE, "T4", "T5")
    assert judge(said("a", TRUE), testimonies=(one,)).ruling == "witness"
    found = judge(said("a", TRUE), testimonies=(one, two))
    assert (found.ruling, found.believed) == ("accepted", frozenset({"a", "b", "c"}))


def test_an_exit_whose_address_is_unknown_cannot_vouch() -> None:
    """It may be the same one by another name."""
    one, two = said("b", TRUE, "T1", "T2"), replace(said("c", TRUE, "T4", "T5"), vouches=False)
    assert judge(said("a", TRUE), testimonies=(one, two)).ruling == "witness"


def test_a_testimony_of_one_ticker_is_not_enough() -> None:
    assert judge(said("a", TRUE), testimonies=(said("direct", TRUE, "T1"),)).ruling == "witness"


def test_what_another_source_contradicts_is_asked_for_elsewhere() -> None:
    assert judge(said("a", FALSE), testimonies=(said("direct", TRUE, "T1", "T2"),)).ruling == "elsewhere"
    one, two = said("b", TRUE, "T1", "T2"), said("c", TRUE, "T3", "T4")
    assert judge(said("a", FALSE), testimonies=(one, two)).ruling == "elsewhere"
    assert judge(said("a", FALSE), knows=True).ruling == "elsewhere"


def test_one_exit_alone_that_testifies_against_an_answer_may_be_the_liar() -> None:
    assert judge(said("a", TRUE), testimonies=(said("b", FALSE, "T1", "T2"),)).ruling == "witness"


def test_the_direct_lane_shows_who_lied() -> None:
    found = judge(said("a", FALSE), said("direct", TRUE))
    assert (found.ruling, found.version, found.liars) == ("accepted", said("direct", TRUE), frozenset({"a"}))


def test_one_changed_number_is_found_where_the_table_knows_it() -> None:
    assert judge(said("a", ONE_FALSE), knows=True).ruling == "elsewhere"
    found = judge(said("a", ONE_FALSE), said("b", TRUE), knows=True)
    assert (found.version, found.liars) == (said("b", TRUE), frozenset({"a"}))


def test_the_table_may_be_wrong_about_a_ticker_and_is_then_not_heard_on_it_again() -> None:
    one = Judge(trusted={"direct"}, rng=random.Random(1))
    one.known = ONE_FALSE
    first = Batch(TICKERS, versions=[said("a", TRUE)])
    assert one.judge(first).ruling == "elsewhere"
    first.versions.append(said("b", TRUE))
    assert one.judge(first).ruling == "elsewhere"  # two may be wrong together
    first.versions.append(said("c", TRUE))
    assert one.judge(first).ruling == "accepted"
    assert one.overruled == {"T3"}
    assert one.judge(Batch(TICKERS, versions=[said("d", TRUE)])).ruling == "accepted"


def test_two_that_tell_the_same_lie_do_not_outvote_a_table_that_contradicts_all_of_it() -> None:
    assert judge(said("a", FALSE), said("b", FALSE), knows=True).ruling == "elsewhere"


def test_a_liar_who_testifies_against_the_truth_is_found_out() -> None:
    found = judge(
        said("a", TRUE),
        testimonies=(said("liar", FALSE, "T1", "T2"), said("b", TRUE, "T3", "T4"), said("c", TRUE, "T5", "T6")),
    )
    assert (found.ruling, found.liars) == ("accepted", frozenset({"liar"}))


def test_rows_that_are_each_others_are_not_believed_even_of_the_direct_lane() -> None:
    mixed = {each: replace(TRUE[TICKERS[n - 1]], ticker=each) for n, each in enumerate(TICKERS)}
    assert judge(said("direct", mixed), knows=True).ruling == "elsewhere"


def test_a_ticker_that_the_table_knows_and_an_answer_leaves_out_is_asked_for_elsewhere() -> None:
    rest = {each: quote for each, quote in TRUE.items() if each != "T7"}
    assert judge(Version("a", rest, missing=("T7",)), knows=True).ruling == "elsewhere"


def test_rows_that_break_their_own_rules_are_asked_for_elsewhere() -> None:
    assert judge(Version("a", TRUE, unsound=frozenset({"T1"})), knows=True).ruling == "elsewhere"


@pytest.mark.parametrize("seed", range(5))
def test_the_witnesses_are_two_random_tickers_with_a_close_large_enough(seed: int) -> None:
    quotes = {
        each: replace(quote, previous_close=0.01 if n % 2 else 10.0) for n, (each, quote) in enumerate(TRUE.items())
    }
    found = Judge(trusted=(), rng=random.Random(seed)).witnesses_of(Batch(TICKERS, versions=[Version("a", quotes)]))
    assert len(set(found)) == 2
    assert all(quotes[each].previous_close == 10.0 for each in found)


PRICED = {each: replace(quote, current_price=quote.previous_close, price_change=0.0) for each, quote in TRUE.items()}
STRIPPED = {each: Quote(ticker=each, current_price=(quote.previous_close or 0) * 1.5) for each, quote in TRUE.items()}
SHIFTED = {
    each: replace(quote, current_price=(quote.previous_close or 0) * 1.5, price_change=(quote.previous_close or 0) / 2)
    for each, quote in TRUE.items()
}


def test_who_leaves_out_what_could_be_compared_is_not_believed() -> None:
    assert judge(said("a", STRIPPED), testimonies=(said("direct", PRICED, "T1", "T2"),)).ruling == "elsewhere"
    two_true = STRIPPED | {each: PRICED[each] for each in ("T4", "T5")}
    assert judge(said("a", two_true), knows=True).ruling == "elsewhere"
    assert judge(said("a", two_true), testimonies=(said("direct", PRICED, "T4", "T5", "T6"),)).ruling == "elsewhere"


def test_what_is_left_out_is_asked_of_the_witness_too() -> None:
    quotes = STRIPPED | {each: PRICED[each] for each in ("T4", "T5", "T6")}
    found = Judge(trusted=(), rng=random.Random(1)).witnesses_of(Batch(TICKERS, versions=[Version("a", quotes)]))
    assert len(set(found)) == 4 and len(set(found) & {"T4", "T5", "T6"}) == 2


def test_numbers_that_nobody_has_are_held_against_nobody() -> None:
    """A batch of new issues: neither source knows a previous close."""
    quotes = {each: replace(quote, previous_close=None, price_change=None) for each, quote in PRICED.items()}
    assert judge(said("a", quotes), testimonies=(said("direct", quotes, "T1", "T2"),)).ruling == "accepted"


def test_prices_that_are_all_changed_with_their_changes_are_not_believed() -> None:
    assert judge(said("a", SHIFTED), testimonies=(said("direct", PRICED, "T1", "T2"),)).ruling == "elsewhere"
    others = (said("b", PRICED, "T1", "T2"), said("c", PRICED, "T3", "T4"))
    assert judge(said("a", SHIFTED), testimonies=others).ruling == "elsewhere"
    again = judge(said("a", SHIFTED), said("b", PRICED), testimonies=(said("direct", PRICED, "T1", "T2"),))
    assert (again.ruling, again.version, again.liars) == ("accepted", said("b", PRICED), frozenset())


def test_prices_that_the_table_knows_otherwise_are_not_believed_by_it() -> None:
    one = Judge(trusted=(), rng=random.Random(1))
    one.known = PRICED
    assert one.judge(Batch(TICKERS, versions=[said("a", SHIFTED)])).ruling == "witness"
    assert one.judge(Batch(TICKERS, versions=[said("a", PRICED)])).ruling == "accepted"


def test_two_exits_that_tell_the_same_lie_are_not_believed() -> None:
    for lie in (FALSE, STRIPPED, SHIFTED):
        assert judge(said("a", lie), said("b", lie)).ruling != "accepted"
        assert judge(said("a", lie), said("b", lie), testimonies=(said("c", PRICED, "T1", "T2"),)).ruling != "accepted"
        both = said("a", lie), said("b", lie)
        assert judge(*both, testimonies=(said("direct", PRICED, "T1", "T2"),)).ruling != "accepted"


def test_who_is_forgotten_has_said_nothing() -> None:
    batch = Batch(TICKERS, versions=[said("a", TRUE), said("b", TRUE)], testimonies=[said("a", TRUE, "T1")])
    batch.forget("a")
    assert ([each.source for each in batch.versions], batch.testimonies) == (["b"], [])
