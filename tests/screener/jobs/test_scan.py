from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from core.errors import RetryLater
from core.settings import Screener
from screener.cube.bars import Bars, date_of
from screener.expressions.errors import ExpressionError
from screener.jobs.families import arms, families
from screener.jobs.feed import Feed, NoFeed, Stale
from screener.jobs.market import Market
from screener.jobs.ordering import Chances
from screener.jobs.pieces import FIRST_BLOCK
from screener.jobs.request import Request, read_request
from screener.jobs.results import ResultLog
from screener.jobs.scan import Outcome, Scan, Tools
from screener.jobs.times import History
from screener.patterns.catalogue import fired
from screener.patterns.window import Limits, Window
from tests.fix_scans import Facts, market_of, wandering
from tests.screener.patterns.test_lc import runners

MANY = wandering(FIRST_BLOCK + 50, bars=40)
TEXT = "close > prev(close)"


class Quotes:
    """Fetches tomorrow's bar, so many tickers a request, and counts; some requests fail on order."""

    def __init__(self, tomorrow: Market, *, batch: int = 10, fails: tuple[int, ...] = ()) -> None:
        self.batch, self._fails = batch, fails
        self._bars = tomorrow.bars
        self.asked: list[str] = []
        self.requests = 0

    def stale(self, bars: Bars, *, max_age_s: float) -> Stale:
        return Stale(np.ones(bars.width, np.bool_))

    def close(self) -> None:
        pass

    def fetch(self, bars: Bars, stopped: Callable[[], bool]) -> Bars:
        self.requests += 1
        if self.requests in self._fails:
            raise RetryLater("the host does not answer")
        self.asked += bars.tickers
        return self._bars.columns(np.array([self._bars.tickers.index(ticker) for ticker in bars.tickers]))


class Tried:
    """A scan that was run, with its log."""

    def __init__(
        self,
        market: Market,
        *,
        feed: Feed | None = None,
        history: History | None = None,
        before: Callable[[Scan], None] | None = None,
        settings: Screener | None = None,
        **given: Any,
    ) -> None:
        self.out = ResultLog("scan_x")
        tools = Tools(
            settings=settings or Screener(),
            history=history or History(None),
            chances=Chances(arms=arms(), luck=np.random.default_rng(5)),
            feed=feed or NoFeed(),
        )
        request: Request = read_request({"expression": TEXT, "max_age_s": 60 if feed else 0, **given})
        self.scan = Scan("scan_x", request, lambda: market, tools, self.out)
        if before:
            before(self.scan)
        self.outcome: Outcome = self.scan.run()

    @property
    def tickers(self) -> list[str]:
        return [result["ticker"] for result in self.outcome.results]

    def kinds(self) -> list[str]:
        return [entry.kind for entry in self.out.read()]


def rising(closes: dict[str, list[float]]) -> set[str]:
    return {ticker for ticker, values in closes.items() if values[-1] > values[-2]}


def test_a_scan_finds_what_a_loop_over_the_tickers_finds() -> None:
    tried = Tried(market_of(MANY))
    assert set(tried.tickers) == rising(MANY) and len(tried.tickers) == len(rising(MANY))
    assert tried.outcome.status == "complete" and tried.outcome.ended["exact"]
    assert tried.outcome.counts["scanned"] == len(MANY)


def test_the_log_tells_every_stage_every_result_and_the_end_in_order() -> None:
    tried = Tried(market_of(MANY))
    entries = tried.out.read()
    assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
    stages = [entry.data["current_stage"] for entry in entries if entry.kind == "progress"]
    assert list(dict.fromkeys(stages)) == ["universe_loading", "data_fetching", "symbol_scanning", "finalization"]
    assert entries[-1].kind == "complete" and entries[-1].data["overall_progress"] == 100.0
    assert [entry.data["ticker"] for entry in entries if entry.kind == "result"] == tried.tickers
    progress = [entry.data["overall_progress"] for entry in entries if entry.kind in ("progress", "complete")]
    assert progress == sorted(progress)


def test_results_go_out_while_the_scan_runs_or_all_at_its_end() -> None:
    def results_before_the_end(settings: Screener) -> bool:
        entries = Tried(market_of(MANY), settings=settings).out.read()
        first = next(entry.seq for entry in entries if entry.kind == "result")
        last_stage = next(e.seq for e in entries if e.kind == "progress" and e.data["current_stage"] == "finalization")
        return first < last_stage

    assert results_before_the_end(Screener())
    assert not results_before_the_end(Screener(streaming=False))


def test_max_signals_gives_exactly_so_many_in_the_order_of_priority_or_is_ignored() -> None:
    whole = Tried(market_of(MANY))
    some = Tried(market_of(MANY), max_signals=5)
    assert some.tickers == whole.tickers[:5]
    assert some.outcome.status == "terminated_early" and not some.outcome.ended["exact"]
    assert 0 < some.outcome.ended["coverage"] < 1 and some.outcome.ended["reason"] == "max_signals"
    off = Tried(market_of(MANY), max_signals=5, settings=Screener(early_termination=False))
    assert off.outcome.status == "complete" and set(off.tickers) == set(whole.tickers)


def test_priority_orders_the_results_or_the_table_does() -> None:
    text = "close crosses_above sma10"
    near_first = Tried(market_of(MANY), expression=text)
    in_table = Tried(market_of(MANY), expression=text, settings=Screener(prioritization=False))
    assert in_table.tickers == sorted(in_table.tickers) != near_first.tickers
    assert set(in_table.tickers) == set(near_first.tickers)
    assert near_first.outcome.results[0]["priority_tier"] == "high"
    assert "priority_tier" not in in_table.outcome.results[0]
    assert (near_first.outcome.accuracy or 0) > (in_table.outcome.accuracy or 0)


def test_fields_are_computed_once_for_all_scans_or_anew_for_each() -> None:
    for use_cache, computed_again in ((True, False), (False, True)):
        market = market_of(MANY, keep=use_cache)
        settings = Screener(use_cache=use_cache)
        for _ in range(2):  # the rating of a few hits is computed for these alone, then for all
            Tried(market, settings=settings)
        before = market.computed
        Tried(market, settings=settings)
        assert (market.computed > before) is computed_again


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_one_worker_and_many_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("screener.jobs.executor.PAYS_FROM_S", 0.0)
    monkeypatch.setattr("screener.jobs.executor.cores", lambda: 3)
    monkeypatch.setattr("screener.jobs.executor.may_fork", lambda: sys.platform != "win32")
    one = Tried(market_of(MANY), settings=Screener(max_workers=1))
    many = Tried(market_of(MANY), settings=Screener(max_workers=200))
    assert one.tickers == many.tickers and set(one.tickers) == rising(MANY)
    first = date_of(market_of(MANY).newest_day - 5)
    settings = [Screener(max_workers=most) for most in (1, 200)]
    past = [Tried(market_of(MANY), settings=each, since=first).outcome.results for each in settings]
    assert past[0] == past[1] and len(past[0]) > len(MANY)


def test_the_best_so_many_are_the_first_of_the_whole_order() -> None:
    whole = Tried(market_of(MANY), order_by="roc5")
    top = Tried(market_of(MANY), order_by="roc5", top=7)
    assert top.tickers == whole.tickers[:7] and top.outcome.ended["exact"]
    assert [result["rank"] for result in top.outcome.results] == [1, 2, 3, 4, 5, 6, 7]
    smallest = Tried(market_of(MANY), order_by="roc5", ascending=True, top=1)
    assert smallest.tickers == whole.tickers[-1:]


def test_a_cancelled_scan_stops_and_says_so() -> None:
    tried = Tried(market_of(MANY), before=lambda scan: scan.cancel())
    assert tried.outcome.status == "cancelled" and tried.outcome.results == []
    assert tried.out.complete and tried.outcome.ended["coverage"] == 0.0


def test_a_scan_over_years_is_cancelled_between_two_pieces_of_the_market(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("screener.jobs.pieces.RANGE_BLOCK", 50)
    market = market_of(MANY)

    def cancel_at_the_third(scan: Scan) -> None:
        pieces: list[int] = []
        take = market.take

        def taken(which: Any) -> Market:
            pieces.append(len(which))
            if len(pieces) == 3:
                scan.cancel()
            return take(which)

        monkeypatch.setattr(market, "take", taken)

    tried = Tried(market, since=date_of(market.newest_day - 20), before=cancel_at_the_third)
    assert (tried.outcome.status, tried.outcome.counts["scanned"]) == ("cancelled", 100)


def test_the_times_of_a_whole_scan_are_learned_and_of_a_cut_one_not() -> None:
    history = History(None)
    Tried(market_of(MANY), history=history, max_signals=1)
    assert history.of(_kind(warm=False)) is None
    Tried(market_of(MANY), history=history)
    assert history.of(_kind(warm=False)) is not None
    learned = Tried(market_of(MANY), history=history).scan.payload()
    assert sum(stage["weight"] for stage in learned["stages"].values()) == pytest.approx(1.0, abs=1e-3)


def _kind(*, warm: bool) -> Any:
    from screener.jobs.times import Kind

    return Kind(name="now", tickers=len(MANY), warm=warm)


def test_a_wrong_expression_ends_the_scan_as_failed_with_the_caret() -> None:
    out = ResultLog("scan_x")
    tools = Tools(settings=Screener(), history=History(None))
    scan = Scan("scan_x", Request(expression="clos > 1"), lambda: market_of(MANY), tools, out)
    with pytest.raises(ExpressionError):
        scan.run()
    last = out.read()[-1]
    assert last.kind == "complete" and last.data["status"] == "failed" and "^^^^" in last.data["error"]


def test_a_ticker_that_is_not_there_is_an_entry_and_the_others_are_scanned() -> None:
    tried = Tried(market_of(MANY), tickers=["T0001", "NOPE", "T0002"], expression="close > 0")
    assert sorted(tried.tickers) == ["T0001", "T0002"]
    assert [error["ticker"] for error in tried.outcome.errors] == ["NOPE"]


def test_a_place_in_the_market_is_one_among_all_of_it_whatever_tickers_are_asked_for() -> None:
    best_first = sorted(MANY, key=lambda ticker: -MANY[ticker][-1])
    third, tenth = best_first[2], best_first[9]
    tried = Tried(market_of(MANY), tickers=[tenth, third], expression="rank(close) <= 3", order_by="close", top=5)
    assert tried.tickers == [third]
    assert (tried.outcome.counts["universe"], tried.outcome.counts["scanned"]) == (2, 2)


def test_a_ticker_in_another_form_is_found_and_what_is_none_is_an_entry() -> None:
    market = market_of({"BRK-B": [5.0, 6.0], "A": [1.0, 2.0]})
    tried = Tried(market, tickers=["brk.b", "BRK-B", "no such"], expression="close > 0")
    assert tried.tickers == ["BRK-B"] and [error["ticker"] for error in tried.outcome.errors] == ["no such"]


def test_the_least_volume_and_dollars_of_a_scan_are_those_of_its_lc_flags() -> None:
    name, bars = "lc_frontside_d2", runners(60)
    market = Market(bars, families(), None)
    given: dict[str, Any] = {"expression": name, "since": date_of(bars.session[0, 0])}
    usual = {(r["ticker"], r["session"]) for r in Tried(market, **given).outcome.results}
    low = Tried(market, **given, min_volume=1e6, min_dollar_volume=1e6).outcome.results
    window = Window(bars, 0, limits=Limits(min_volume=1e6, min_dollar_volume=1e6))
    rows, columns = np.nonzero(fired(name, window))
    days = bars.session[rows, columns].tolist()
    expected = {(bars.tickers[column], str(date_of(day))) for day, column in zip(days, columns, strict=True)}
    assert {(result["ticker"], result["session"]) for result in low} == expected > usual
    assert {(r["ticker"], r["session"]) for r in Tried(market, **given).outcome.results} == usual


def test_no_bars_at_all_are_said_and_a_ticker_with_three_bars_is_scanned_as_warming() -> None:
    empty = Tried(market_of({}))
    assert empty.outcome.results == [] and "no bars yet" in empty.outcome.errors[0]["error"]
    young = Tried(market_of({"A": [1.0] * 130, "N": [1.0, 2.0, 3.0]}), expression="close > 2 or rsi14 < 30")
    assert young.tickers == ["N"] and "warming" in young.outcome.results[0]["flags"]


def test_a_broken_block_is_an_entry_and_the_rest_goes_on() -> None:
    class Broken(Facts):
        def read(self, names: Any, tickers: Any) -> Any:
            if len(tickers) == FIRST_BLOCK:
                raise RetryLater("the disk is away")
            return super().read(names, tickers)

    facts = Broken(cap=dict.fromkeys(MANY, 1.0))
    settings = Screener(prioritization=False)
    tried = Tried(market_of(MANY, facts), expression="close > 0 and cap > 0", settings=settings)
    assert len(tried.outcome.errors) == 1 and "disk is away" in tried.outcome.errors[0]["error"]
    assert len(tried.tickers) == len(MANY) - FIRST_BLOCK


def fetching() -> tuple[Market, Market]:
    """Today's closed bars and tomorrow's, of which only a fetch tells."""
    tomorrow = market_of(MANY)
    return tomorrow.with_bars(replace_newest(tomorrow)), tomorrow


def replace_newest(market: Market) -> Bars:
    """The same bars with the newest not yet known: each stands one row lower, an older one above."""
    bars = market.bars.until(market.bars.newest_day - 1)
    return replace(bars)


def test_early_stop_saves_most_of_the_fetches_because_the_likely_come_first() -> None:
    today, tomorrow = fetching()
    text = "close crosses_above sma10"
    feed = Quotes(tomorrow)
    tried = Tried(today, feed=feed, expression=text, max_signals=5)
    assert len(tried.tickers) == 5
    ended = tried.outcome.ended
    assert ended["fetched"] == len(feed.asked) and ended["fetches_saved"] >= len(MANY) / 2
    plain = Quotes(tomorrow)
    Tried(today, feed=plain, expression=text, max_signals=5, settings=Screener(prioritization=False))
    assert len(plain.asked) > 2 * len(feed.asked)


def test_a_fetch_that_fails_is_an_entry_and_the_others_are_scanned() -> None:
    today, tomorrow = fetching()
    tried = Tried(today, feed=Quotes(tomorrow, fails=(2,)), expression=TEXT)
    assert len(tried.outcome.errors) == 1 and tried.outcome.errors[0]["stage"] == "data_fetching"
    assert len(rising(MANY)) - 10 <= len(tried.tickers) < len(rising(MANY))
    assert tried.outcome.status == "complete"


def test_a_ranking_waits_for_all_fetches() -> None:
    today, tomorrow = fetching()
    feed = Quotes(tomorrow)
    tried = Tried(today, feed=feed, expression="top(close, 3)")
    assert len(feed.asked) == len(MANY)
    best = sorted(MANY, key=lambda ticker: -MANY[ticker][-1])[:3]
    assert set(tried.tickers) == set(best)


def test_the_best_by_a_known_key_are_certain_before_all_is_fetched() -> None:
    facts = Facts(cap={ticker: float(number) for number, ticker in enumerate(MANY)})
    tomorrow = market_of(MANY, facts)
    today = tomorrow.with_bars(replace_newest(tomorrow))
    feed = Quotes(tomorrow)
    tried = Tried(today, feed=feed, expression=TEXT, order_by="cap", top=5)
    expected = sorted(rising(MANY), key=lambda ticker: -int(ticker[1:]))[:5]
    assert tried.tickers == expected
    assert tried.outcome.ended["exact"] and tried.outcome.ended["reason"] == "top"
    assert len(feed.asked) < len(MANY) / 2


def test_max_signals_counts_each_day_of_a_range() -> None:
    market = market_of({f"T{number}": [1.0, 2.0, 3.0, 4.0] for number in range(9)})
    since = str(date_of(market.newest_day - 1))
    tried = Tried(market, expression="close > 0", since=since, max_signals=3)
    assert [result["ticker"] for result in tried.outcome.results] == ["T0", "T0", "T1", "T1"], "a ticker is told whole"
    assert tried.outcome.ended["reason"] == "max_signals"
    none = Tried(market, expression="close > 9", since=since, max_signals=3)
    assert none.outcome.status == "complete"


def test_a_range_that_finds_too_much_ends_at_a_whole_ticker_and_says_what_to_ask(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Sixty tickers of five sessions each: the third brings the results to twelve."""
    monkeypatch.setattr("screener.jobs.stopping.MOST_RESULTS", 12)
    market = market_of(dict(list(MANY.items())[:60]))
    tried = Tried(market, expression="close > 0", since=date_of(market.newest_day - 4))
    ended, errors = tried.outcome.ended, tried.outcome.errors
    assert len(tried.tickers) == 15 and len(set(tried.tickers)) == 3
    assert (tried.outcome.status, ended["reason"], ended["exact"]) == ("terminated_early", "max_results", False)
    assert ended["coverage"] == 3 / 60 and tried.outcome.counts["scanned"] == 3
    assert [error["error"] for error in errors] == [
        "15 results, more are not told: ask for fewer days or tickers, or the top"
    ]
    off = Tried(
        market, expression="close > 0", since=date_of(market.newest_day - 4), settings=Screener(early_termination=False)
    )
    assert off.outcome.ended["reason"] == "max_results"  # a bound of memory, no wish
    ranked = Tried(market, expression="rank(close) > 0", since=date_of(market.newest_day - 4))
    assert ranked.tickers == tried.tickers


@pytest.mark.parametrize("ascending", [True, False])
def test_the_best_of_a_range_are_the_best_of_all_however_much_it_finds(
    monkeypatch: pytest.MonkeyPatch, ascending: bool
) -> None:
    market = market_of(MANY)
    asked: dict[str, Any] = {"expression": "close > 0", "since": date_of(market.newest_day - 4), "order_by": "close"}
    every = Tried(market, ascending=ascending, **asked)
    monkeypatch.setattr("screener.jobs.stopping.MOST_RESULTS", 12)
    monkeypatch.setattr("screener.jobs.pieces.RANGE_BLOCK", 50)
    best = Tried(market, ascending=ascending, top=7, **asked)
    assert len(every.tickers) == 5 * len(MANY)
    wanted = [(one["ticker"], one["session"], one["key"], one["rank"]) for one in every.outcome.results[:7]]
    assert [(one["ticker"], one["session"], one["key"], one["rank"]) for one in best.outcome.results] == wanted
    assert best.outcome.ended["exact"] and best.outcome.counts["signals"] == 7


def test_short_scans_take_turns_and_a_long_one_waits_for_none() -> None:
    market = market_of({"A": [1.0, 2.0]})
    day = str(date_of(market.bars.newest_day))
    tools = Tools(settings=Screener(), history=History(None))
    entered, leave, second = threading.Event(), threading.Event(), threading.Event()

    def held() -> Market:
        entered.set()
        assert leave.wait(60)
        return market

    def noticed() -> Market:
        second.set()
        return market

    def scan(load: Callable[[], Market], **given: str) -> Outcome:
        return Scan("scan_x", read_request({"expression": TEXT, **given}), load, tools, ResultLog("scan_x")).run()

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(scan, held)
        assert entered.wait(60)
        waits = pool.submit(scan, noticed)
        assert scan(lambda: market, since=day).status == "complete"
        assert not second.is_set()
        leave.set()
        assert (first.result(60).status, waits.result(60).status) == ("complete", "complete")
    assert second.is_set()
