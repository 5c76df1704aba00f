"""What `tickerd doctor` says of the numbers that were refused, rule by rule. Judges no number."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from rich.table import Table
from sqlalchemy import Engine

from cli.common import plain_table
from core.clock import Clock
from market.eastern import local_date
from storage.refusals import Refusal, read_refusals

SHOWN = timedelta(days=7)
MANY = 100
"""So many refusals by one rule in a session are the source's fault, not some ticker's."""
NO_FAULT = frozenset({"no_trade", "no_adj_close"})
"""Days and numbers that are simply not there."""
ADVICE = {
    "currency": "the ticker trades in another currency than USD: take it out of the universe",
    "foreign": "answers of other tickers came: a proxy or cache mixes them",
    "other_endpoint": "its prices are another ticker's: a proxy or cache mixes answers, or the ticker was given anew",
    "past": "far from what the table holds; it is taken once that is dropped, or a split explains it",
    "unit": "the source counts in another unit; nothing to do",
    "range": "impossible; nothing to do",
    "hundredfold": "Yahoo's chart has cents for dollars; asked again when its past changes",
    "split": "Yahoo's chart has a split twice or not at all; asked again when its past changes",
}


def checks(engine: Engine, clock: Clock) -> list[dict[str, Any]]:
    """Return what was refused in the last week as checks: `{name, ok, found, advice}`, a rule and session each."""
    since = local_date(clock.utc_now()) - SHOWN
    return [_check(each) for each in read_refusals(engine, since=since)]


def _check(each: Refusal) -> dict[str, Any]:
    example = f", last {each.example}" if each.example else ""
    return {
        "name": f"refused {each.session_date} {each.endpoint} {each.rule}",
        "ok": each.refused < MANY or each.rule in NO_FAULT,
        "found": f"{each.refused:,}{example}",
        "advice": ADVICE.get(each.rule, ""),
    }


def table(found: Sequence[dict[str, Any]]) -> Table:
    shown = plain_table("refused in", "source", "rule", "times", last="last of them")
    for each in found:
        _, on, endpoint, rule = each["name"].split(" ")
        times, _, example = each["found"].partition(", last ")
        shown.add_row(on, endpoint, rule, times, example)
    return shown
