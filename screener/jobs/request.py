"""What is asked of a scan: expression, filters, dates, when to stop. Checks it; runs nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from core.errors import EXIT_USAGE, TickerdError
from screener.cube.bars import Bars, date_of, day_number
from screener.expressions.check import Checked, check
from screener.expressions.fields import Field
from screener.jobs.past import refuse_biased
from screener.jobs.stopping import Criteria
from screener.patterns.window import Limits

NotNegative = Annotated[int, Meta(ge=0)]
MOST_TICKERS = 20_000
"""Of one request: more than there are; each that is not known is an entry of the errors."""
MOST_BEST = 10_000
"""That `top` may ask for."""


class WrongRequest(TickerdError):
    """A scan that cannot be run as it was asked."""

    exit_code = EXIT_USAGE


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One scan as a client asks for it; kept as JSON. `on`: as of that session; `since`, `until`: each session of
    the range; neither: now. `order_by`: an expression, the largest first, or the smallest with `ascending`.
    `max_age_s`: prices of the session that were heard longer ago are fetched; 0: none is. `prioritization`,
    `streaming`: false turns off for this scan what the settings allow."""

    expression: str = ""
    order_by: str = ""
    ascending: bool = False
    on: date | None = None
    since: date | None = None
    until: date | None = None
    biased: bool = False
    tickers: Annotated[list[str], Meta(max_length=MOST_TICKERS)] = msgspec.field(default_factory=list)
    sectors: list[str] = msgspec.field(default_factory=list)
    max_symbols: NotNegative = 0
    min_tech_rating: float | None = None
    min_volume: float | None = None
    min_dollar_volume: float | None = None
    top: Annotated[int, Meta(ge=0, le=MOST_BEST)] = 0
    max_signals: NotNegative = 0
    max_high_value: NotNegative = 0
    max_processed: NotNegative = 0
    timeout_s: Annotated[float, Meta(ge=0)] = 0.0
    max_age_s: Annotated[float, Meta(ge=0)] = 0.0
    export: Literal["", "json", "csv", "parquet"] = ""
    prioritization: bool = True
    streaming: bool = True

    @property
    def criteria(self) -> Criteria:
        return Criteria(
            max_signals=self.max_signals,
            max_high_value=self.max_high_value,
            max_processed=self.max_processed,
            timeout_s=self.timeout_s,
            top=self.top,
        )

    @property
    def limits(self) -> Limits | None:
        """What a bar must trade for the LC flags; None: what they take by themselves."""
        given = {"min_volume": self.min_volume, "min_dollar_volume": self.min_dollar_volume}
        asked = {name: least for name, least in given.items() if least is not None}
        return Limits(**asked) if asked else None

    @property
    def is_short(self) -> bool:
        """It looks at one session and fetches nothing: milliseconds."""
        return not (self.since or self.until or self.max_age_s)

    @property
    def keeps_best(self) -> bool:
        """Whether what was found may give way to what is better; not where the end is told by how many are found."""
        return bool(self.top) and not self.max_signals

    def whole_text(self) -> str:
        """Return the expression with the filters joined to it: a filter is an expression too."""
        numbers = {
            "tech_rating": self.min_tech_rating,
            "volume": self.min_volume,
            "dollar_volume": self.min_dollar_volume,
        }
        filters = [f"{name} >= {least:.17g}" for name, least in numbers.items() if least is not None]
        if self.sectors:
            filters.append("sector in (" + ", ".join(_quoted(name) for name in self.sectors) + ")")
        own = [f"({self.expression})" if filters else self.expression] if self.expression.strip() else []
        return " and ".join([*own, *filters])


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A request that can be run. `days`: the sessions asked for as day numbers, first and last; None = now."""

    request: Request
    condition: Checked
    order: Checked | None
    days: tuple[int, int] | None

    @property
    def biased(self) -> tuple[str, ...]:
        """The fields of which today's value stands for that of then."""
        if self.days is None:
            return ()
        return tuple(dict.fromkeys((*self.condition.now_only, *(self.order.now_only if self.order else ()))))

    @property
    def fields(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.condition.fields, *(self.order.fields if self.order else ()))))

    @property
    def look_back(self) -> int:
        return max(self.condition.look_back, self.order.look_back if self.order else 0)

    @property
    def market_wide(self) -> bool:
        return self.condition.market_wide or (self.order is not None and self.order.market_wide)

    @property
    def when(self) -> str:
        """Name what is scanned: earlier scans of the same foretell how long this one takes."""
        if self.days is not None:
            return "range" if self.is_range else "past"
        return "fetched" if self.request.max_age_s else "now"

    @property
    def is_range(self) -> bool:
        return self.days is not None and self.request.on is None


def read_request(given: Mapping[str, Any]) -> Request:
    """Return the request of a JSON document; WrongRequest says what is wrong with it."""
    try:
        return msgspec.convert(given, Request, strict=False)
    except msgspec.ValidationError as error:
        raise WrongRequest(str(error).replace("`", ""), where="scan", right="see docs/scans.md") from error


def plan(request: Request, vocabulary: Mapping[str, Field], bars: Callable[[], Bars]) -> Plan:
    """Return what is to be run; ExpressionError or WrongRequest if that cannot be. `bars` are looked at for a date."""
    text = request.whole_text()
    condition = check(text, vocabulary)
    order = check(request.order_by, vocabulary, want="number") if request.order_by.strip() else None
    days = _days(request, bars)
    if request.top and order is None:
        raise WrongRequest("top wants an order", key="top", right="give order_by, like rs_rating")
    if request.max_age_s and days is not None:
        raise WrongRequest("nothing is fetched for the past", key="max_age_s", right="leave it or the dates out")
    if days is not None and not request.biased:
        for checked in (condition, order):
            if checked is not None:
                refuse_biased(checked)
    return Plan(request=request, condition=condition, order=order, days=days)


def _days(request: Request, bars: Callable[[], Bars]) -> tuple[int, int] | None:
    if request.on is not None and (request.since is not None or request.until is not None):
        raise WrongRequest("on and since or until are two ways to say when", key="on", right="give one of them")
    if request.on is None and request.since is None and request.until is None:
        return None
    sessions = bars().session
    known = sessions[sessions > 0]
    if not len(known):
        raise WrongRequest("there are no bars yet", key="on", right="wait for the daily scanner, or leave the date out")
    first, last = int(known.min()), int(known.max())
    begin = day_number(request.on or request.since or date_of(first))
    end = day_number(request.on or request.until or date_of(last))
    if begin > end:
        raise WrongRequest(
            f"{date_of(begin)} is after {date_of(end)}", key="since", right="give the earlier date first"
        )
    if end < first or begin > last:
        reason = f"no bars from {date_of(begin)} to {date_of(end)}" if begin != end else f"no bars of {date_of(begin)}"
        right = f"they reach from {date_of(first)} to {date_of(last)}"
        raise WrongRequest(reason, key="on" if request.on else "since", right=right)
    if request.on is not None and begin not in known:
        raise WrongRequest(f"{request.on} was no session", key="on", right="give a day on which the market was open")
    return begin, end


def _quoted(text: str) -> str:
    return f"'{text}'" if '"' in text else f'"{text}"'
