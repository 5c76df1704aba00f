"""Gaps between one session and the next, and the break that follows one. Daily bars: the gap is at the open."""

from __future__ import annotations

from screener.patterns.inside import breaks_down, breaks_up, to_break_down, to_break_up
from screener.patterns.pattern import Pattern, buys, sells
from screener.patterns.window import Flags, Window

SHARE = 0.005
"""A gap that a break may follow: the open 0.5 % beyond the close before."""


def gapped_up(window: Window, lag: int = 0) -> Flags:
    return window.open(lag) > window.close(lag + 1) * (1.0 + SHARE)


def gapped_down(window: Window, lag: int = 0) -> Flags:
    return window.open(lag) < window.close(lag + 1) * (1.0 - SHARE)


PATTERNS = (
    Pattern(
        name="gap_up",
        doc="opens above the high of the bar before",
        fire=lambda window: buys(window.open() > window.high(1)),
        stop_bar=0,
    ),
    Pattern(
        name="gap_down",
        doc="opens below the low of the bar before",
        fire=lambda window: sells(window.open() < window.low(1)),
        stop_bar=0,
    ),
    Pattern(
        name="gap_up_partial",
        doc="opens above the close of the bar before, not above its high",
        fire=lambda window: buys((window.open() > window.close(1)) & (window.open() <= window.high(1))),
        stop_bar=0,
    ),
    Pattern(
        name="gap_down_partial",
        doc="opens below the close of the bar before, not below its low",
        fire=lambda window: sells((window.open() < window.close(1)) & (window.open() >= window.low(1))),
        stop_bar=0,
    ),
    Pattern(
        name="gap_up_breakout",
        doc="the bar before opened 0.5 % above its previous close, and now a close 0.1 % above its high",
        fire=lambda window: breaks_up(window, gapped_up(window, 1), 1),
        distance=lambda window: to_break_up(window, gapped_up(window)),
        base=120,
        stop_bar=1,
    ),
    Pattern(
        name="gap_down_breakdown",
        doc="the bar before opened 0.5 % below its previous close, and now a close 0.1 % below its low",
        fire=lambda window: breaks_down(window, gapped_down(window, 1), 1),
        distance=lambda window: to_break_down(window, gapped_down(window)),
        base=120,
        stop_bar=1,
    ),
)
