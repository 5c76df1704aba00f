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
from screener.patterns import signals
from screener.patterns.catalogue import PATTERNS
from screener.patterns.window import Window

SIGNALS = "signals"
Rates = Mapping[tuple[str, int], HitRate]


def of_patterns(risk: Risk, rates: Rates) -> Detail:
    """Return what tells, for each hit, the signals of the patterns that its expression names."""

    def detail(market: Market, hits: Places, names: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        patterns = [name for name in names if name in PATTERNS]
        told: dict[str, dict[str, Any]] = {}
        for name in patterns:
            known = market.told.setdefault((SIGNALS, name), {})  # the same for all scans of this market
            missing = np.array([place for place in hits.tolist() if market.bars.tickers[place] not in known], np.intp)
            if len(missing):
                known |= _signals(market, missing, name, risk, rates)
            for place in hits.tolist():
                ticker = market.bars.tickers[place]
                if known[ticker] is not None:
                    told.setdefault(ticker, {"signals": []})["signals"].append(known[ticker])
        return told

    return detail


def _signals(market: Market, places: Places, name: str, risk: Risk, rates: Rates) -> dict[str, dict[str, Any] | None]:
    """Return by ticker what the pattern says of it, None where it did not fire."""
    tickers = np.unique(places)
    window = Window.last(market.bars.columns(tickers))
    # As the scan found it: of the hits alone neither a place in the market nor its limits can be told.
    window.parts["fired"] = {name: np.nan_to_num(market.numbers(name, 1)[:, tickers]).astype(np.int16)}
    told: dict[str, dict[str, Any] | None] = dict.fromkeys(window.bars.tickers)
    for signal in signals.find(window, [name], risk).rows(rates):
        told[signal.ticker] = _plain(asdict(signal))
    return told


def _plain(signal: dict[str, Any]) -> dict[str, Any]:
    signal["session_date"] = str(signal["session_date"])
    signal["confluence"] = list(signal["confluence"])
    return {key: value.item() if isinstance(value, np.generic) else value for key, value in signal.items()}
