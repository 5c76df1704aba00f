"""What is known of each ticker this minute: fresh, unchanged, without a trade or unknown, and why. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple

from scanners.prices.book import PriceBook, Seen
from storage.coverage import CoverageCounts, percentile

State = Literal["fresh", "unchanged", "no_trade", "unknown"]


class Verdict(NamedTuple):
    state: State
    why: str


FRESH = Verdict("fresh", "traded")


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """Counts by state, and `why` by state and reason; `age_s` of the last trade of those without one today."""

    counts: CoverageCounts
    why: dict[str, int]
    age_s: dict[str, float | None]
    unchanged_tickers: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """`opened_s`: tickers on connections -> when theirs opened (monotonic); `proven`: those whose canary is heard."""

    now: datetime
    now_s: float
    cycle_s: float
    session_opens_at: datetime | None
    opened_s: Mapping[str, float]
    proven: frozenset[str]


def coverage(book: PriceBook, moment: Moment) -> Coverage:
    """Sort each ticker by what is known of it; the four counts add up to all."""
    verdicts: Counter[Verdict] = Counter()
    unchanged: list[str] = []
    ages_s: list[float] = []
    for ticker, seen in book.seen.items():
        verdict = verdict_of(ticker, seen, moment)
        verdicts[verdict] += 1
        if verdict.state == "unchanged":
            unchanged.append(ticker)
        elif verdict.state == "no_trade" and (traded_at := _last_trade(seen)) is not None:
            ages_s.append((moment.now - traded_at).total_seconds())
    ages_s.sort()
    states: Counter[str] = Counter()
    for verdict, count in verdicts.items():
        states[verdict.state] += count
    counts = {state: states[state] for state in ("fresh", "unchanged", "no_trade", "unknown")}
    return Coverage(
        counts=CoverageCounts(**counts, total=len(book.seen)),
        why=dict(sorted((f"{verdict.state}_{verdict.why}", count) for verdict, count in verdicts.items())),
        age_s={name: percentile(ages_s, share) for name, share in (("p50", 50), ("p90", 90), ("max", 100))},
        unchanged_tickers=tuple(unchanged),
    )


def verdict_of(ticker: str, seen: Seen, moment: Moment) -> Verdict:
    """Return what is known of one ticker.

    Unchanged is one that has traded in this session and was heard or quoted since its connection opened: its price in
    the table is the one that was confirmed. A quote of this very cycle needs no connection.
    """
    if seen.price_time is not None and (moment.now - seen.price_time).total_seconds() <= moment.cycle_s:
        return FRESH
    opened_s = moment.opened_s.get(ticker)
    if _since(seen.quoted_s, moment.now_s - moment.cycle_s):
        known = "quoted"
    elif opened_s is None:
        return Verdict("unknown", "disconnected")
    elif ticker not in moment.proven:
        return Verdict("unknown", "unproven")
    elif _since(seen.heard_s, opened_s):
        known = "heard"
    elif _since(seen.quoted_s, opened_s):
        known = "quoted"
    else:
        return Verdict("no_trade", "unlisted") if seen.is_unlisted else Verdict("unknown", "unheard")
    opens_at = moment.session_opens_at
    traded = seen.price_time is not None and opens_at is not None and seen.price_time >= opens_at
    return Verdict("unchanged" if traded else "no_trade", known)


def _since(at_s: float | None, since_s: float) -> bool:
    return at_s is not None and at_s >= since_s


def _last_trade(seen: Seen) -> datetime | None:
    known = [at for at in (seen.last_trade, seen.price_time) if at is not None]
    return max(known, default=None)
