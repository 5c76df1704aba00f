"""What the patterns of an expression say of its hits: entry, stop, targets, size, confidence. Keeps nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from core.settings import Risk
from screener.backtest.rates import HitRate
from screener.jobs.hits import Detail
from screener.jobs.market import Market
from screener.jobs.priority import Places
from screener.patterns import plan, signals
from screener.patterns.catalogue import PATTERNS
from screener.patterns.window import Window

SIGNALS = "signals"
PRE_MARKET = "pre_market_price"
Rates = Mapping[tuple[str, int], HitRate]


def of_patterns(risk: Risk, rates: Rates) -> Detail:
    """Return what tells, for each hit, the signals of the patterns that its expression names."""

    def detail(market: Market, hits: Places, names: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        patterns = [name for name in names if name in PATTERNS]
        told: dict[str, dict[str, Any]] = {}
        for name in patterns:
            known = market.told.setdefault((SIGNALS, name), {})  # the same for all scans of this market
            missing = np.array([place for place in hits.tolist() if market.names[place] not in known], np.intp)
            if len(missing):
                known |= _signals(market, missing, name, risk, rates)
            for place in hits.tolist():
                ticker = market.names[place]
                if known[ticker] is not None:
                    told.setdefault(ticker, {SIGNALS: []})[SIGNALS].append(known[ticker])
        return told

    return detail


def allot(results: Sequence[dict[str, Any]], risk: Risk) -> None:
    """Say of each signal whether it is among those that the account can take together, the best first.

    The best are those that the scan ranks first, else those of the highest confidence; one signal a ticker counts.
    """
    told = [result for result in results if result.get(SIGNALS)]
    for result in told:  # what was streamed, and what other scans of this market say, stays as it is
        result[SIGNALS] = [{**one, "allotted": False} for one in result[SIGNALS]]
    best = [max(result[SIGNALS], key=lambda one: one["confidence"]) for result in told]
    if not told or told[0]["key"] is None:
        best.sort(key=lambda one: -one["confidence"])
    taken = plan.allot(np.array([one["risk_amount_usd"] or 0.0 for one in best]), risk)
    for one, is_taken in zip(best, taken.tolist(), strict=True):
        one["allotted"] = is_taken


def _signals(market: Market, places: Places, name: str, risk: Risk, rates: Rates) -> dict[str, dict[str, Any] | None]:
    """Return by ticker what the pattern says of it, None where it did not fire."""
    tickers = np.array(sorted(set(places.tolist())), np.intp)
    window = Window.last(market.part(tickers))
    # As the scan found it: of the hits alone neither a place in the market nor its limits can be told.
    found = np.atleast_2d(market.numbers(name, 1))[:, tickers]
    window.parts["fired"] = {name: np.nan_to_num(found).astype(np.int16)}
    told: dict[str, dict[str, Any] | None] = dict.fromkeys(window.bars.tickers)
    early = PATTERNS[name].needs == "pre-market price"
    price = market.numbers(PRE_MARKET, 1)[tickers] if early else None
    for signal in signals.find(window, [name], risk, session="pre" if early else "regular", price=price).rows(rates):
        told[signal.ticker] = _plain(asdict(signal))
    return told


def _plain(signal: dict[str, Any]) -> dict[str, Any]:
    signal["session_date"] = str(signal["session_date"])
    signal["confluence"] = list(signal["confluence"])
    return {key: value.item() if isinstance(value, np.generic) else value for key, value in signal.items()}
