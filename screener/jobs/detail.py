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
from screener.measures import market as measures
from screener.patterns import signals
from screener.patterns.catalogue import PATTERNS
from screener.patterns.window import Window

Rates = Mapping[tuple[str, int], HitRate]


def of_patterns(risk: Risk, rates: Rates) -> Detail:
    """Return what tells, for each hit, the signals of the patterns that its expression names."""

    def detail(market: Market, names: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        patterns = [name for name in names if name in PATTERNS]
        if not patterns:
            return {}
        told: dict[str, dict[str, Any]] = {}
        for block in measures.blocks(market.tickers):
            window = Window.last(market.bars.columns(block))
            for signal in signals.find(window, patterns, risk).rows(rates):
                told.setdefault(signal.ticker, {"signals": []})["signals"].append(_plain(asdict(signal)))
        return told

    return detail


def _plain(signal: dict[str, Any]) -> dict[str, Any]:
    signal["session_date"] = str(signal["session_date"])
    signal["confluence"] = list(signal["confluence"])
    return {key: value.item() if isinstance(value, np.generic) else value for key, value in signal.items()}
