"""The options of `tickerd scan` that make a request, and what a person sees of a mistake in it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from screener.jobs.request import Request


def with_request(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that make a request."""
    options = (
        click.argument("expression", required=False, default=""),
        click.option("--order-by", metavar="EXPR", default="", help="Rank by this, the largest first."),
        click.option("--ascending", is_flag=True, help="Rank the smallest first."),
        click.option("--top", type=click.IntRange(0), default=0, help="Only the best so many by --order-by."),
        click.option("--on", metavar="DATE", help="As of that session, like 2026-11-20."),
        click.option("--since", metavar="DATE", help="Each session from then on ..."),
        click.option("--until", metavar="DATE", help="... up to this one."),
        click.option("--biased", is_flag=True, help="For the past, take today's value of what was not known then."),
        click.option("--ticker", "tickers", multiple=True, metavar="TICKER", help="Only these; may be repeated."),
        click.option("--sector", "sectors", multiple=True, help="Only this sector; may be repeated."),
        click.option("--max-symbols", type=click.IntRange(0), default=0, help="Look at the likeliest so many."),
        click.option("--min-tech-rating", type=float, help="At least this technical rating, 0-100."),
        click.option("--min-volume", type=float, help="At least so many shares."),
        click.option("--min-dollar-volume", type=float, help="At least so many dollars traded."),
        click.option("--max-signals", type=click.IntRange(0), default=0, help="End after so many results."),
        click.option("--max-high-value", type=click.IntRange(0), default=0, help="End after so many rated above 70."),
        click.option("--max-processed", type=click.IntRange(0), default=0, help="End after so many tickers."),
        click.option("--timeout-s", type=click.FloatRange(0), default=0.0, help="End after so many seconds."),
        click.option("--max-age-s", type=click.FloatRange(0), default=0.0, help="Fetch prices heard longer ago."),
        click.option("--export", type=click.Choice(("json", "csv", "parquet")), help="Also write a file."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def request_of(given: Mapping[str, Any]) -> Request:
    """Return what the options of `with_request` ask for; raises ConfigError of one that cannot be."""
    from screener.jobs.request import read_request

    plain = {key: list(value) if isinstance(value, tuple) else value for key, value in given.items()}
    return read_request({key: value for key, value in plain.items() if value not in (None, "", 0, False, [])})


def checked(request: Request) -> Any:
    """Return what is known of its expression before it runs; raises ExpressionError, pointed out to a person."""
    from screener.expressions.check import check as check_text
    from screener.expressions.errors import ExpressionError
    from screener.jobs.families import families
    from screener.jobs.market import Vocabulary
    from screener.store import FIELDS

    try:
        vocabulary = Vocabulary(families(), FIELDS)
        if request.order_by:
            check_text(request.order_by, vocabulary, want="number")
        return check_text(request.whole_text(), vocabulary)
    except ExpressionError as error:
        point_out(error)
        raise


def at_a_terminal() -> bool:
    return sys.stderr.isatty()


def point_out(error: Any) -> None:
    """Show a person the expression with carets under what is wrong; the one line with the reason follows."""
    if at_a_terminal():
        click.echo("\n".join(error.pointed().splitlines()[:2]), err=True)
