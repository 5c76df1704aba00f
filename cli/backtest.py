"""`tickerd backtest`: what became of a pattern or an expression on the bars in the database. Fetches nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import click

from cli.common import WrongUsage, load, plain_table, print_json, show, with_both
from core.clock import SystemClock

if TYPE_CHECKING:
    from rich.table import Table as RichTable

    from screener.backtest.run import Condition, Outcome
    from screener.cube.bars import Bars
    from screener.jobs.market import Columns
    from screener.patterns.window import Limits
    from screener.store import Store

NOT_INDEPENDENT = (
    "Entry: next open. Exit: close so many sessions later. Base: the share of all bars that went that way. "
    "The interval (95 %, Wilson) takes events for independent, which those of one week are not quite."
)
NO_EVENTS = "no events: nothing fired early enough to know what became of it"


@click.command(short_help="Show what became of a pattern or an expression.")
@click.argument("conditions", nargs=-1, metavar="[NAME|EXPRESSION]...")
@click.option("--all", "every", is_flag=True, help="Every pattern of daily bars.")
@click.option("--from", "first", metavar="DATE", type=click.DateTime(["%Y-%m-%d"]), help="First session of an event.")
@click.option("--to", "last", metavar="DATE", type=click.DateTime(["%Y-%m-%d"]), help="Last session of an event.")
@click.option("--horizon", "horizons", type=click.IntRange(1, 252), multiple=True, help="Sessions. Default: 1 5 10 20.")
@click.option("--min-volume", type=click.FloatRange(min=0), help="Shares a bar must trade for the LC scan.")
@click.option("--min-dollar-volume", type=click.FloatRange(min=0), help="And dollars.")
@click.option("--biased", is_flag=True, help="Take today's value of what was not known then; the answer is labelled.")
@with_both
def backtest(
    conditions: tuple[str, ...],
    every: bool,
    first: datetime | None,
    last: datetime | None,
    horizons: tuple[int, ...],
    min_volume: float | None,
    min_dollar_volume: float | None,
    biased: bool,
    config_file: str | None,
    as_json: bool,
) -> None:
    """Show how often a pattern or an expression was right on the daily bars that the database holds.

    \b
    tickerd backtest inside_bar_bullish_breakout nr7
    tickerd backtest 'rsi14 < 30 and close > sma200' --from 2025-01-01 --horizon 5
    """
    from screener.backtest.run import HORIZONS, run
    from screener.patterns.catalogue import DAILY
    from screener.patterns.window import Limits
    from screener.store import Store

    wanted = (*conditions, *(DAILY if every else ()))
    if not wanted:
        raise WrongUsage("nothing to test", where="backtest", right="give a pattern, an expression, or --all")
    given = {"min_volume": min_volume, "min_dollar_volume": min_dollar_volume}
    limits = Limits(**{name: value for name, value in given.items() if value is not None})
    loaded, clock = load(config_file), SystemClock()
    with closing(Store(loaded.settings, service="cli", clock=clock)) as store:
        bars = _bars(store)
        days = _days(bars, first, last)
        compiled, ranked, unknown_then = _compiled(wanted, bars, store.table(), biased, limits)
        outcomes = run(bars, compiled, horizons=horizons or HORIZONS, days=days, ranked=ranked, limits=limits)
    if as_json:
        print_json(_document(bars, days, outcomes, unknown_then))
    else:
        labels = [f"biased: {', '.join(unknown_then)}: today's value stands for every day"] if unknown_then else []
        shown = [_table(outcomes), "", NOT_INDEPENDENT] if outcomes else [NO_EVENTS]
        show([_covered(bars, days), *labels, "", *shown])


def _bars(store: Store) -> Bars:
    """Return the completed bars of the database, as many sessions as are kept."""
    bars = store.closed().bars
    if not bars.newest_day:
        right = "run `tickerd scanner daily --once` first"
        raise WrongUsage("the database holds no daily bars", where="backtest", right=right)
    return bars


def _days(bars: Bars, first: datetime | None, last: datetime | None) -> tuple[int, int] | None:
    """Return the first and the last day asked for; WrongUsage if none of the data lies between them."""
    from screener.cube.bars import date_of, day_number

    if first is None and last is None:
        return None
    oldest = int(bars.session[bars.session > 0].min())
    asked = (day_number(first.date()) if first else oldest, day_number(last.date()) if last else bars.newest_day)
    if asked[0] > asked[1] or asked[0] > bars.newest_day or asked[1] < oldest:
        right = f"the bars reach from {date_of(oldest)} to {date_of(bars.newest_day)}"
        raise WrongUsage("no bar lies between --from and --to", where="backtest", right=right)
    return asked


def _compiled(
    wanted: Sequence[str], bars: Bars, columns: Columns, biased: bool, limits: Limits
) -> tuple[Mapping[str, Condition], tuple[str, ...], tuple[str, ...]]:
    """Return the conditions by name, the rankings of the market that they want, and what was not known then."""
    from cli.scan_request import point_out
    from screener.expressions.errors import ExpressionError
    from screener.jobs.past import compiled
    from screener.patterns.catalogue import DAILY, PATTERNS

    conditions: dict[str, Condition] = {}
    ranked: set[str] = set()
    unknown_then: set[str] = set()
    for text in wanted:
        if text in DAILY:
            conditions[text] = PATTERNS[text].fire
            ranked |= set(PATTERNS[text].ranked)
        else:
            try:
                past = compiled(text, bars, columns=columns, allow_biased=biased, limits=limits)
            except ExpressionError as error:
                point_out(error)
                raise
            conditions[text] = past.fire
            unknown_then |= set(past.biased)
    return conditions, tuple(sorted(ranked)), tuple(sorted(unknown_then))


def _covered(bars: Bars, days: tuple[int, int] | None) -> str:
    first, last = _span(bars, days)
    return f"{bars.width:,} tickers, sessions {first} to {last}"


def _span(bars: Bars, days: tuple[int, int] | None) -> tuple[date, date]:
    from screener.cube.bars import date_of

    first, last = days or (int(bars.session[bars.session > 0].min()), bars.newest_day)
    return date_of(first), date_of(last)


def _table(outcomes: Sequence[Outcome]) -> RichTable:
    table = plain_table("condition", "events", "hits %", "95 %", "base %", "mean %")
    titled = None
    for one in outcomes:
        rate = one.rate
        if titled != (one.name, one.side):
            titled = (one.name, one.side)
            table.add_row(f"{one.name}, {'buy' if one.side > 0 else 'sell'}")
        interval = "" if rate.low is None or rate.high is None else f"{100 * rate.low:.1f}-{100 * rate.high:.1f}"
        table.add_row(
            f"  {rate.horizon} sessions",
            f"{rate.events:,}",
            _percent(rate.rate, ".1f"),
            interval,
            _percent(one.base_rate, ".1f"),
            _percent(one.mean_return, "+.2f"),
        )
    return table


def _percent(value: float | None, form: str) -> str:
    return "" if value is None else format(100 * value, form)


def _document(
    bars: Bars, days: tuple[int, int] | None, outcomes: Sequence[Outcome], unknown_then: Sequence[str]
) -> dict[str, Any]:
    first, last = _span(bars, days)
    rows = [
        {
            "condition": one.name,
            "direction": "BUY" if one.side > 0 else "SELL",
            "horizon_sessions": one.rate.horizon,
            "events": one.rate.events,
            "hits": one.rate.hits,
            "hit_rate": one.rate.rate,
            "hit_rate_low": one.rate.low,
            "hit_rate_high": one.rate.high,
            "base_rate": one.base_rate,
            "mean_return": one.mean_return,
            "mean_return_error": one.mean_return_error,
        }
        for one in outcomes
    ]
    return {"tickers": bars.width, "first": first, "last": last, "biased": list(unknown_then), "outcomes": rows}
