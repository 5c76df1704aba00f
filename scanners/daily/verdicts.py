"""What the audit makes of a ticker: whose chart to ask for, and what is exact, differs or cannot be compared. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date

from market.truth import MOST_OUTLIERS, DayNumbers, Held, differences, sample, why_odd
from storage.audits import AuditRow, Finding, Verdict
from yahoo.chart_history import History

BY_CHANCE = "sample"
CONTRADICTED = ("no_bar", "no_trade", "witness", "witness_volume")
RULES = ("no_bar", "no_trade", "witness", "row_and_bar", "order", "close", "high", "volume", "witness_volume")
"""Why a chart is asked for, the worst first."""
MOST_NAMED = 5


def chosen(held: Iterable[Held], session_date: date) -> dict[str, str]:
    """Return ticker -> why its chart is asked for: outliers, at most `MOST_OUTLIERS`, and others by chance."""
    known = list(held)
    odd = [(each.ticker, rule) for each in known if (rule := why_odd(each)) is not None]
    by_chance = sample((each.ticker for each in known if each.bar or each.row), session_date=session_date)
    outliers = dict(sorted(odd, key=_urgency)[:MOST_OUTLIERS])
    return outliers | {ticker: BY_CHANCE for ticker in by_chance if ticker not in outliers}


def _urgency(odd: tuple[str, str]) -> tuple[int, str]:
    ticker, rule = odd
    return RULES.index(rule), ticker


def by_witness(held: Held) -> list[Finding]:
    """Judge a ticker whose chart was not asked for; nothing is kept of one that is exact."""
    if why_odd(held) in CONTRADICTED:
        return [_not_comparable(held, None, "too_many_outliers")]
    if held.traded is None:
        return [_not_comparable(held, None, "asked_after_the_next_open" if held.told_later else "no_second_source")]
    return [] if held.traded else [_not_comparable(held, None, "no_trade")]


def unfinished(held: Held) -> list[Finding]:
    """Judge a ticker of a session that still goes on, as one without an end may be refreshed: nothing stands still."""
    return [_not_comparable(held, None, "session_still_open")]


def by_chart(held: Held, chart: History, session_date: date, rule: str) -> list[Finding]:
    """Judge a ticker by its chart."""
    if any(on > session_date for on in chart.splits):
        return [without_chart(held, rule, "split_since")]
    told = next((bar for bar in chart.bars if bar.session_date == session_date), None)
    if told is None:
        return [without_chart(held, rule, "no_bar_in_chart" if held.bar else "no_trade")]
    numbers = DayNumbers(open=told.open, high=told.high, low=told.low, close=told.close, volume=told.volume)
    if held.bar is None:
        return [Finding(ticker=held.ticker, verdict="differs", field="bar_close", rule=rule, told=told.close)]
    reason = "summary_says_as_table" if held.witness and not differences(held, held.witness) else None
    found = [
        Finding(
            ticker=held.ticker,
            verdict="differs",
            field=each.field,
            rule=rule,
            held=each.held,
            told=each.told,
            reason=reason,
        )
        for each in differences(held, numbers)
    ]
    return found or [Finding(ticker=held.ticker, verdict="exact", rule=rule)]


def without_chart(held: Held, rule: str, reason: str) -> Finding:
    """Judge a ticker whose chart tells nothing of the session: by what else was said of it."""
    if held.witness and held.bar and not differences(held, held.witness):
        return Finding(ticker=held.ticker, verdict="exact", rule=rule, reason=reason)
    return _not_comparable(held, rule, reason)


def _not_comparable(held: Held, rule: str | None, reason: str) -> Finding:
    return Finding(ticker=held.ticker, verdict="not_comparable", rule=rule, reason=reason)


def verdict_of(findings: Sequence[Finding]) -> Verdict:
    """Return the verdict on a ticker: all its findings have the same one."""
    return findings[0].verdict if findings else "exact"


def in_words(row: AuditRow, findings: Sequence[Finding]) -> str:
    """Return "8,779 of 8,782 exact; 3 differ: AAPL bar_close 226.4 (chart 226.51), ..."."""
    compared = row.exact + row.differs
    parts = [f"{row.exact:,} of {compared:,} exact" if compared else "nothing compared"]
    if row.differs:
        named = [each for each in findings if each.verdict == "differs"]
        shown = [f"{each.ticker} {each.field} {_said(each.held)} (chart {_said(each.told)})" for each in named]
        more = ", ..." if len(named) > MOST_NAMED else ""
        parts.append(f"{row.differs:,} differ: {', '.join(shown[:MOST_NAMED])}{more}")
    if row.not_comparable:
        reasons = Counter(each.reason for each in findings if each.verdict == "not_comparable")
        words = ", ".join(f"{count:,} {str(reason).replace('_', ' ')}" for reason, count in reasons.most_common())
        parts.append(f"{row.not_comparable:,} not comparable ({words})")
    return "; ".join(parts)


def _said(number: float | None) -> str:
    return "none" if number is None else f"{number:.10g}"
