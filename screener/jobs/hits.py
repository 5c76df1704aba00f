"""What a block of tickers comes to: where the condition holds, and what is said of each hit. Writes nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import inf, isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from screener.cube.bars import date_of
from screener.expressions.evaluate import matches, values
from screener.expressions.fields import Bools, Floats
from screener.jobs.market import Market
from screener.jobs.priority import Places
from screener.jobs.request import Plan, Request

RATING = "tech_rating"
SHOWN = ("close", "change_percent", "volume")
"""What each result shows beside the fields of its expression."""

Detail = Callable[[Market, Places, Sequence[str]], Mapping[str, Mapping[str, Any]]]
"""(market, hits, fields of the expression) -> for each hit what its patterns say: entry, stop, targets, ..."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """`hit`: for each ticker asked, in the order asked, whether it has a result; of those alone that were taken before
    there were too many. `positions`: of each result, the place of its ticker in that order."""

    hit: Bools
    results: list[dict[str, Any]]
    positions: list[int]
    ratings: list[float]
    """tech_rating of each result, NaN where it is not known."""


def rows_of(plan: Plan, market: Market) -> int:
    """Return how many rows reach back to the first day asked for."""
    if not plan.is_range or plan.days is None:
        return 1
    return max(1, int((market.bars.session >= plan.days[0]).sum(axis=0).max(initial=1)))


def find(plan: Plan, market: Market, places: Places, detail: Detail | None, *, most: int) -> Found:
    """Evaluate the tickers at `places` of `market`; a range of dates may give several results a ticker, so that those
    behind the one that brings them to `most` are left."""
    rows = rows_of(plan, market)
    answer = matches(plan.condition, market, rows=rows).yes[:, places]
    if plan.is_range and plan.days is not None:
        sessions = market.sessions(rows)[:, places]
        answer = answer & (sessions >= plan.days[0]) & (sessions <= plan.days[1])
        answer = answer if plan.request.keeps_best else _up_to(most, answer)
    columns, hit_rows = np.nonzero(answer.T)  # by ticker, in the order of work
    if plan.is_range and plan.request.keeps_best:
        best = _best(plan, market, rows, hit_rows, places[columns])
        columns, hit_rows = columns[best], hit_rows[best]
    hits = places[columns]
    results, ratings = _results(plan, market, rows, hit_rows, hits)
    if detail is not None and results and not plan.is_range:
        told = detail(market, hits, plan.condition.fields)
        for result in results if told else ():
            result.update(told.get(result["ticker"], {}))
    return Found(hit=answer.any(axis=0), results=results, positions=columns.tolist(), ratings=ratings)


def _up_to(most: int, answer: Bools) -> Bools:
    """Return the tickers up to the one that brings the results to `most`, which is told whole."""
    counted = answer.sum(axis=0).cumsum()
    return answer[:, : int(np.searchsorted(counted, most)) + 1]


def _best(plan: Plan, market: Market, rows: int, hit_rows: NDArray[np.intp], hits: Places) -> NDArray[np.intp]:
    """Return which hits can be among the best of all blocks, in the order of work; of equals the first."""
    assert plan.order is not None
    keys = values(plan.order, market, rows=rows)[hit_rows, hits]
    best_first = np.argsort(keys if plan.request.ascending else -keys, kind="stable")
    return np.sort(best_first[: plan.request.top])


def best_first(results: list[dict[str, Any]], request: Request) -> list[dict[str, Any]]:
    """Return as many results as are asked for by their keys; one without a key is behind all others."""
    sign = 1 if request.ascending else -1
    ranked = sorted(results, key=lambda result: inf if result["key"] is None else sign * result["key"])
    return ranked[: request.top or None]


def _results(
    plan: Plan, whole: Market, rows: int, hit_rows: NDArray[np.intp], places: Places
) -> tuple[list[dict[str, Any]], list[float]]:
    """Return the results and the tech_rating of each. What is not computed for the market is computed for the few."""
    rated = not plan.is_range and whole.kind_or_none(RATING) is not None
    names = [name for name in dict.fromkeys((*SHOWN, *plan.fields)) if whole.kind_or_none(name)]
    market, hits = whole.serving([*names, RATING] if rated else names, rows, places)
    ratings = market.numbers(RATING, 1)[-1][hits] if rated else np.full(len(hits), np.nan)
    sessions = market.sessions(rows)[hit_rows, hits].tolist()
    columns = zip(
        [market.names[place] for place in hits.tolist()],
        map(_day, sessions),
        zip(*(_told(market, name, rows, hit_rows, hits) for name in names), strict=True),
        market.flag_words(hits),
        _keys(plan, whole, rows, hit_rows, places),
        _or_none(ratings),
        strict=True,
    )
    found = [
        {
            "ticker": ticker,
            "session": session,
            "values": dict(zip(names, told, strict=True)),
            "flags": flags,
            "key": key,
            RATING: rating,
        }
        for ticker, session, told, flags, key, rating in columns
    ]
    return found, ratings.tolist()


def _told(market: Market, name: str, rows: int, hit_rows: NDArray[np.intp], hits: Places) -> list[Any]:
    """Return what a field says of each hit, None where it is not known."""
    kind = market.kind(name)
    if kind == "text":
        texts = market.texts(name)
        return [texts.text(place) for place in hits.tolist()]
    found = market.numbers(name, rows)
    told = _or_none(found[hits] if found.ndim == 1 else found[hit_rows, hits])
    if kind == "flag" and not market.vocabulary[name].signed:
        return [None if value is None else bool(value) for value in told]
    return told


def _keys(plan: Plan, market: Market, rows: int, hit_rows: NDArray[np.intp], hits: Places) -> Sequence[float | None]:
    """Return what each is ranked by."""
    if plan.order is None:
        return [None] * len(hits)
    return _or_none(values(plan.order, market, rows=rows)[hit_rows, hits])


def _or_none(values: Floats) -> list[float | None]:
    """Return finite floats, None for the others: NULL means not known."""
    told: list[float | None] = values.tolist()
    return told if np.isfinite(values).all() else [value if isfinite(value) else None for value in told]  # type: ignore[arg-type]


@lru_cache(maxsize=4096)
def _day(number: int) -> str:
    return str(date_of(number))
