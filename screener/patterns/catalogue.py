"""Every pattern by its name. Adds none of its own."""

from __future__ import annotations

import weakref

from screener.patterns import gaps, inside, lc, momentum, trend
from screener.patterns.candles import table
from screener.patterns.candles.parts import Candles
from screener.patterns.pattern import Pattern
from screener.patterns.window import Signs, Window


def _candle(name: str) -> Pattern:
    words = table.CANDLES.get(name) or table.OWN[name]
    return Pattern(
        name=name,
        doc=f"candle: {words.find.__name__.replace('_', ' ')}",
        fire=lambda window: _find(name, window),
        stop_bar=0,
    )


def _find(name: str, window: Window) -> Signs:
    if "candles" not in window.parts:
        # Not the window itself: a block that holds itself waits for the collector of cycles, with all its arrays.
        window.parts["candles"] = Candles(weakref.proxy(window))
    return table.find(name, window.parts["candles"])


PATTERNS: dict[str, Pattern] = {
    pattern.name: pattern
    for pattern in (
        *inside.PATTERNS,
        *gaps.PATTERNS,
        *trend.PATTERNS,
        *momentum.PATTERNS,
        *lc.PATTERNS,
        *(_candle(name) for name in (*table.CANDLES, *table.OWN)),
    )
}
"""In a scan of daily bars count those whose `needs` says so."""

DAILY = tuple(name for name, pattern in PATTERNS.items() if pattern.needs == "daily bars")


def fired(name: str, window: Window) -> Signs:
    """Return what the pattern says on each row of the window; computed once for a window."""
    held: dict[str, Signs] = window.parts.setdefault("fired", {})
    if name not in held:
        held[name] = PATTERNS[name].fire(window)
    return held[name]
