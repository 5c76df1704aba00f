"""How a scan is asked for: the body of every path that starts one becomes one request of the scan engine. Runs none."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import cache
from typing import Any

import msgspec
from pydantic import Field

from api.problems import Problem
from api.schemas import Asked, Line, TickerText
from core.errors import TickerdError
from screener.expressions.check import check
from screener.jobs.families import families
from screener.jobs.market import Vocabulary
from screener.jobs.past import refuse_biased
from screener.jobs.request import MOST_BEST, Request, read_request
from screener.patterns import lc
from screener.store import FIELDS

LC_FAMILY = " or ".join(lc.FLAGS)
"""What `/api/scan/execute` looks for."""
USUAL_RATING = 50.0
"""Least technical rating of a scan that says nothing of what to find."""

Count = Field(default=0, ge=0, le=1_000_000)
Best = Field(default=0, ge=0, le=MOST_BEST)


class Filters(Asked):
    min_volume: float | None = Field(default=None, ge=0)
    min_dollar_volume: float | None = Field(default=None, ge=0)


class Criteria(Asked):
    """When a scan ends before it has looked at everything."""

    max_signals: int = Count
    max_high_value: int = Count
    max_processed: int = Count
    timeout_s: float = Field(default=0.0, ge=0, le=86_400)
    top: int = Best


class ScanBody(Asked):
    """What to find, where and when. Every key may be left out; `start_date`, `end_date`, `filters` and
    `termination_criteria` are other words for `since`, `until` and the keys that they hold."""

    expression: str = Field(default="", max_length=4000)
    order_by: str = Field(default="", max_length=4000)
    ascending: bool = False
    on: date | None = None
    since: date | None = None
    until: date | None = None
    start_date: date | None = None
    end_date: date | None = None
    biased: bool = False
    tickers: list[TickerText] = Field(default=[], max_length=10_000)
    sectors: list[Line] = Field(default=[], max_length=20)
    max_symbols: int = Count
    min_tech_rating: float | None = Field(default=None, ge=0, le=100)
    min_volume: float | None = Field(default=None, ge=0)
    min_dollar_volume: float | None = Field(default=None, ge=0)
    filters: Filters | None = None
    top: int = Best
    max_signals: int = Count
    max_high_value: int = Count
    max_processed: int = Count
    timeout_s: float = Field(default=0.0, ge=0, le=86_400)
    termination_criteria: Criteria | None = None
    async_mode: bool | None = None
    enable_prioritization: bool | None = None
    enable_streaming: bool | None = None


FLAGS = ("async_mode", "enable_prioritization", "enable_streaming")


class FlagQuery(Asked):
    """The same in the query; where body and query differ the request makes no sense."""

    async_mode: bool | None = None
    enable_prioritization: bool | None = None
    enable_streaming: bool | None = None
    max_signals: int | None = Field(default=None, ge=0, le=1_000_000)


def flag(name: str, body: ScanBody, query: FlagQuery, *, default: bool = True) -> bool:
    """Return a flag of body or query; Problem 422 where they contradict each other."""
    told = [value for value in (getattr(body, name), getattr(query, name)) if value is not None]
    if len(set(told)) > 1:
        raise Problem(422, "contradiction", f"{name} is {told[0]} in the body and {told[1]} in the query")
    return told[0] if told else default


def engine_request(body: ScanBody, query: FlagQuery, *, lc_family: bool = False) -> Request:
    """Return the request that the scan engine runs; Problem 422 if it cannot be run."""
    given = body.model_dump(exclude_defaults=True, exclude={*FLAGS, "filters", "termination_criteria"})
    _rename(given, "start_date", "since")
    _rename(given, "end_date", "until")
    for part in (body.filters, body.termination_criteria):
        _join(given, part.model_dump(exclude_defaults=True) if part else {})
    _join(given, {"max_signals": query.max_signals} if query.max_signals else {})
    if not given.get("expression"):
        given |= _usual(given, lc_family=lc_family)
    switches = {
        "prioritization": flag("enable_prioritization", body, query),
        "streaming": flag("enable_streaming", body, query),
    }
    request = read_request(msgspec.to_builtins(given | switches))
    check_request(request)
    return request


def _rename(given: dict[str, Any], other: str, name: str) -> None:
    if other in given:
        _join(given, {name: given.pop(other)})


def _join(given: dict[str, Any], more: Mapping[str, Any]) -> None:
    for name, value in more.items():
        if given.setdefault(name, value) != value:
            raise Problem(422, "contradiction", f"{name} is given twice and is not the same")


def _usual(given: Mapping[str, Any], *, lc_family: bool) -> dict[str, Any]:
    """Return what to look for where nothing is said of it."""
    if lc_family:
        return {"expression": LC_FAMILY}
    filters = ("min_tech_rating", "min_volume", "min_dollar_volume")
    return {} if any(name in given for name in filters) else {"min_tech_rating": USUAL_RATING}


@cache
def vocabulary() -> Vocabulary:
    return Vocabulary(families(), FIELDS)


def check_request(request: Request) -> None:
    """Problem 422 says what is wrong with the expression, its order or the dates, and where."""
    try:
        _check(request)
    except TickerdError as error:
        raise Problem(422, "wrong_scan", str(error)) from error


def _check(request: Request) -> None:
    checked = [check(request.whole_text(), vocabulary())]
    if request.order_by:
        checked.append(check(request.order_by, vocabulary(), want="number"))
    elif request.top:
        raise Problem(422, "wrong_scan", "top wants an order; give order_by, like rs_rating")
    if request.on and (request.since or request.until):
        raise Problem(422, "wrong_scan", "on and since or until are two ways to say when; give one of them")
    if request.since and request.until and request.since > request.until:
        raise Problem(422, "wrong_scan", "since is after until; give the earlier date first")
    if (request.on or request.since or request.until) and not request.biased:
        for one in checked:
            refuse_biased(one)
