"""Which tickers a scan looks at: those asked for, as of the day asked for. Reads nothing, judges no bar."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from market.tickers import BadTicker, normalise_ticker
from screener.expressions.fields import Bools
from screener.jobs.market import Market
from screener.jobs.request import Plan

NO_BARS = "the database holds no bars yet, the daily scanner writes them"


@dataclass(frozen=True, slots=True, kw_only=True)
class Universe:
    """`asked`: which tickers of `market` are to be looked at. `wrong`: (ticker, why it is not there)."""

    market: Market
    asked: Bools
    wrong: Sequence[tuple[str, str]]


def universe(plan: Plan, market: Market) -> Universe:
    """Return the market of the day with the tickers that were asked for; all of them if none was named.

    Where places in the market are asked for it stays whole: a place is one among all.
    """
    if plan.days is not None and not plan.is_range:
        market = market.until(plan.days[1])
    wrong = [] if market.tickers else [("", NO_BARS)]
    if not plan.request.tickers:
        return Universe(market=market, asked=np.ones(market.tickers, np.bool_), wrong=wrong)
    found, unknown = _places(plan.request.tickers, market.names)
    asked = np.zeros(market.tickers, np.bool_)
    asked[found] = True
    if not plan.market_wide:
        market, asked = market.take(np.array(found, np.intp)), np.ones(len(found), np.bool_)
    return Universe(market=market, asked=asked, wrong=[*wrong, *unknown])


def _places(wanted: Sequence[str], tickers: Sequence[str]) -> tuple[list[int], list[tuple[str, str]]]:
    places = {ticker: place for place, ticker in enumerate(tickers)}
    found: dict[int, None] = {}
    unknown = []
    for raw in wanted:
        try:
            found[places[raw if raw in places else normalise_ticker(raw)]] = None
        except KeyError:
            unknown.append((raw, "no bars of it are known"))
        except BadTicker as error:
            unknown.append((raw, str(error)))
    return list(found), unknown
