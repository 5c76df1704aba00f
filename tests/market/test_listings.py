from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from market.listings import DAYS_MISSING, Known, Look, Missing, Sighting, Verdict, judge
from market.universe import Listing

DATA = Path(__file__).parents[1] / "data"
MONDAY, TUESDAY = date(2026, 11, 23), date(2026, 11, 24)
BOTH = frozenset({"nasdaq", "yahoo"})


def names(*tickers: str, **prices: float) -> dict[str, Sighting]:
    """A source that names these: tickers without a price and those with one."""
    found = {ticker: Sighting(listing=Listing(ticker=ticker, company_name=f"{ticker} Inc.")) for ticker in tickers}
    priced = {
        ticker: Sighting(listing=Listing(ticker=ticker, company_name=f"{ticker} Inc."), price=price)
        for ticker, price in prices.items()
    }
    return found | priced


def look(sources: Mapping[str, Mapping[str, Sighting]], **given: Any) -> Look:
    common: dict[str, Any] = {"session_date": MONDAY, "sources": sources, "expected": BOTH}
    return Look(**(common | given))


def tickers(seen: Iterable[Any]) -> list[str]:
    return [each.listing.ticker for each in seen]


def of(*known: Known, **given: Any) -> Verdict:
    return judge(known, look(**given))


A = Known(ticker="A", seen_by=BOTH)


def test_a_new_listing_appears_and_says_who_names_it() -> None:
    verdict = of(A, sources={"nasdaq": names("A", "NEW"), "yahoo": names("A", NEW=3.0)})
    assert tickers(verdict.new) == ["NEW"]
    assert verdict.new[0].seen_by == BOTH
    assert verdict == Verdict(new=verdict.new)


def test_a_list_of_the_users_own_grows_by_nothing() -> None:
    assert of(A, sources={"nasdaq": names("A", "NEW")}, is_open=False) == Verdict()


def test_a_missing_ticker_is_suspect_and_gone_only_after_ten_trading_days() -> None:
    held = A
    for sessions in range(1, DAYS_MISSING + 1):
        verdict = of(held, sources={"nasdaq": names("B"), "yahoo": names("B")}, is_open=False)
        assert verdict == Verdict(missing=[Missing(ticker="A", since=MONDAY, sessions=sessions)])
        held = replace(held, missing_since=MONDAY, missing_sessions=sessions)
    verdict = of(held, sources={"nasdaq": names("B"), "yahoo": names("B")}, is_open=False)
    assert verdict == Verdict(gone={"A": "missing on 10 trading days"})


def test_a_session_looked_at_twice_counts_once() -> None:
    held = replace(A, missing_since=MONDAY, missing_sessions=DAYS_MISSING)
    sources = {"nasdaq": names("B"), "yahoo": names("B")}
    assert of(held, sources=sources, again=True, is_open=False) == Verdict()
    first = of(A, sources=sources, again=True, is_open=False)
    assert first.missing == [Missing(ticker="A", since=MONDAY, sessions=1)]


def test_one_source_that_names_it_is_enough() -> None:
    verdict = of(A, sources={"nasdaq": names("A"), "yahoo": names("B")}, is_open=False)
    assert verdict.missing == [] and verdict.gone == {}


def test_a_source_that_did_not_answer_or_sent_half_tells_nothing() -> None:
    only_yahoo = replace(A, seen_by=frozenset({"yahoo"}))
    assert of(only_yahoo, sources={"nasdaq": names("B")}, is_open=False) == Verdict()
    whole, half = names(*(f"T{n}" for n in range(60))), names(*(f"T{n}" for n in range(53)))
    assert of(only_yahoo, sources={"yahoo": half}, before={"yahoo": whole}, is_open=False) == Verdict()
    assert of(only_yahoo, sources={"yahoo": half}, before={"yahoo": half}, is_open=False).missing
    assert of(only_yahoo, sources={"yahoo": {}}, is_open=False) == Verdict()


def test_of_a_ticker_that_no_source_ever_had_all_must_tell() -> None:
    never = Known(ticker="A")
    assert of(never, sources={"nasdaq": names("B")}, is_open=False) == Verdict()
    assert of(never, sources={"nasdaq": names("B"), "yahoo": names("B")}, is_open=False).missing


def test_who_traded_or_is_on_the_users_list_is_not_missing() -> None:
    sources = {"nasdaq": names("B"), "yahoo": names("B")}
    assert of(replace(A, traded=True), replace(A, ticker="OTC", kept=True), sources=sources, is_open=False) == Verdict()


def test_a_suspect_that_is_named_again_is_found_and_one_that_had_gone_is_back() -> None:
    suspect = replace(A, missing_since=MONDAY, missing_sessions=4)
    sources = {"nasdaq": names("A"), "yahoo": names("B")}
    assert tickers(of(suspect, sources=sources, is_open=False).found) == ["A"]
    assert tickers(of(replace(suspect, is_listed=False), sources=sources, is_open=False).back) == ["A"]


def test_what_the_user_took_off_his_list_does_not_come_back() -> None:
    dropped, sources = replace(A, is_listed=False), {"nasdaq": names("A"), "yahoo": names("A")}
    assert of(dropped, sources=sources, is_open=False) == Verdict()
    assert tickers(of(dropped, sources=sources).back) == ["A"]


def test_a_test_issue_is_never_followed_and_goes_at_once() -> None:
    sources = {"nasdaq": names("A"), "yahoo": names("A", "ZVZZT")}
    assert of(A, sources=sources, tests=frozenset({"ZVZZT"})) == Verdict()
    held = of(A, Known(ticker="ZVZZT"), sources=sources, tests=frozenset({"ZVZZT"}))
    assert held == Verdict(gone={"ZVZZT": "test issue"})


def test_who_names_a_ticker_is_noted_once_and_an_absent_source_is_remembered() -> None:
    held = Known(ticker="A", seen_by=frozenset({"yahoo"}))
    seen = of(held, sources={"nasdaq": names("A")}).seen
    assert (tickers(seen), seen[0].seen_by) == (["A"], BOTH)
    assert of(A, sources={"nasdaq": names("A")}) == Verdict()


def renamed(old_price: float | None, new_price: float | None, *, others: int = 0) -> list[tuple[str, str]]:
    """A list in which OLD became NEW overnight; `others`: more tickers of that name."""
    kept = {
        f"C{n}": Sighting(listing=Listing(ticker=f"C{n}", company_name="Some Company, Inc.")) for n in range(others)
    }
    before = kept | {"OLD": Sighting(listing=Listing(ticker="OLD", company_name="Some Company Inc"), price=9.0)}
    now = kept | {"NEW": Sighting(listing=Listing(ticker="NEW", company_name="Some Company, Inc."), price=new_price)}
    return of(
        Known(ticker="OLD", price=old_price, seen_by=frozenset({"yahoo"})),
        sources={"yahoo": now},
        before={"yahoo": before},
    ).renamed


def test_a_rename_is_one_name_that_left_and_came_at_about_the_same_price() -> None:
    assert renamed(10.0, 10.7) == [("OLD", "NEW")]
    assert renamed(10.0, 20.0) == [], "another company took the name, or a split: its history will tell"
    assert renamed(None, 10.0) == renamed(10.0, None) == []
    assert renamed(10.0, 10.0, others=1) == [], "a preferred share of that name may have been called"


@cache
def recorded() -> list[tuple[str, set[str], set[str]]]:
    with (DATA / "listing_events.csv").open() as file:
        return [
            (row["session"], set(row["added"].split()), set(row["removed"].split())) for row in csv.DictReader(file)
        ]


def applied(held: dict[str, Known], verdict: Verdict) -> None:
    """What storage makes of a verdict."""
    for seen in (*verdict.new, *verdict.seen, *verdict.found, *verdict.back):
        held[seen.listing.ticker] = Known(ticker=seen.listing.ticker, seen_by=seen.seen_by)
    for each in verdict.missing:
        held[each.ticker] = replace(held[each.ticker], missing_since=each.since, missing_sessions=each.sessions)
    for ticker in verdict.gone:
        held[ticker] = replace(held[ticker], is_listed=False)


def gaps() -> Counter[str]:
    """Count the recorded absences by hand: how many sessions from a removal to the return, or to the end."""
    left: dict[str, int] = {}
    found: Counter[str] = Counter()
    for number, (_, added, removed) in enumerate(recorded()):
        for ticker in added & left.keys():
            found["short" if number - left.pop(ticker) <= DAYS_MISSING else "long"] += 1
        left |= dict.fromkeys(removed, number)
    found["ended"] = sum(1 for number in left.values() if len(recorded()) - number > DAYS_MISSING)
    return found


def test_a_year_of_recorded_listings_unlists_only_who_stays_away_for_ten_trading_days() -> None:
    """23,177 additions and removals; 9,901 of the 11,501 removed were back within ten trading days."""
    days = recorded()
    assert sum(len(added) + len(removed) for _, added, removed in days) == 23_177
    first = {ticker: number for number, (_, added, _) in reversed([*enumerate(days)]) for ticker in added}
    listed = {
        ticker for number, (_, _, removed) in enumerate(days) for ticker in removed if first.get(ticker, 999) > number
    }
    held = {ticker: Known(ticker=ticker, seen_by=frozenset({"list"})) for ticker in listed}
    counts: Counter[str] = Counter()
    before: dict[str, Sighting] = names(*listed)
    for session, added, removed in days:
        listed = (listed - removed) | added
        now = {ticker: before.get(ticker) or names(ticker)[ticker] for ticker in listed}
        verdict = judge(
            held.values(),
            Look(
                session_date=date.fromisoformat(session),
                sources={"list": now},
                expected=frozenset({"list"}),
                before={"list": before},
            ),
        )
        assert set(tickers(verdict.new)) == added - held.keys(), "each new listing appears on its first day"
        counts.update(new=len(verdict.new), found=len(verdict.found), back=len(verdict.back), gone=len(verdict.gone))
        applied(held, verdict)
        assert {ticker for ticker in listed if not held[ticker].is_listed} == set(), "who is listed is followed"
        before = now
    expected = gaps()
    assert (counts["found"], counts["back"]) == (expected["short"], expected["long"]) == (9_901, 416)
    assert counts["gone"] == expected["long"] + expected["ended"]


def test_the_rename_among_five_recorded_days_is_found_and_no_other() -> None:
    """Innovative Solutions and Support went from ISSC to IA on 2026-08-18."""
    days = json.loads((DATA / "listed_names.json").read_text())
    found = []
    for before, now in pairwise(days):
        sources = [
            {
                ticker: Sighting(listing=Listing(ticker=ticker, company_name=name), price=price)
                for ticker, (name, price) in day["listed"].items()
            }
            for day in (before, now)
        ]
        known = [
            Known(ticker=ticker, price=each.price, seen_by=frozenset({"list"})) for ticker, each in sources[0].items()
        ]
        verdict = judge(
            known,
            Look(
                session_date=date.fromisoformat(now["session"]),
                sources={"list": sources[1]},
                expected=frozenset({"list"}),
                before={"list": sources[0]},
            ),
        )
        found += [(now["session"], *pair) for pair in verdict.renamed]
    assert found == [("2026-08-18", "ISSC", "IA")]
