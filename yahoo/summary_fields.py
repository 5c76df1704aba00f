"""The quoteSummary endpoint: how each field of an answer maps to `Fundamentals`. Sends nothing.

Units are this endpoint's own: yields, margins and holdings are fractions, debtToEquity is percent, a date is midnight
UTC of that day. Most numbers come twice, from modules that are not always both there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

import orjson

from market.fundamental_rules import refusals, without
from market.fundamentals import Decoded, Fundamentals, Witness
from market.quality import CURRENCY
from market.units import finite, percent_to_fraction, positive_or_none, utc_from_epoch_s
from yahoo.quote import BadAnswer, Refused

WHERE = "https://query2.finance.yahoo.com/v10/finance/quoteSummary/"
MODULES = ("assetProfile", "summaryDetail", "defaultKeyStatistics", "financialData", "calendarEvents", "price")
"""`price` names the ticker that the answer is of."""
READ = frozenset({*MODULES, "quoteType"})
NOT_FOUND = re.compile(r"^Quote not found for (ticker )?symbol")
NO_FUNDAMENTALS = "No fundamentals data found"
NO_RECOMMENDATION = "none"
NO_NAME = frozenset({"", "N/A", "None", "none"})
LARGEST_WHOLE = 2**53
Modules = Mapping[str, Any]


def decode(body: bytes, *, asked: str, at: datetime, must_name: bool = True) -> Decoded:
    """Return what an answer of status 200 or 404 says of `asked`; BadAnswer if it is no quoteSummary answer.

    Raises Refused: not_found, no_fundamentals, empty, no_modules (none that we read), foreign, unnamed or currency.
    `must_name`: an answer without `price` or `quoteType` does not say whose it is, and is refused.
    """
    modules = _modules(body, asked)
    named = {_text(_of(modules, name, "symbol")) for name in ("price", "quoteType")} - {None}
    if named - {asked}:
        raise Refused("foreign", where=WHERE + asked, said=f"an answer for {', '.join(sorted(map(str, named)))}")
    if must_name and not named:
        raise Refused("unnamed", where=WHERE + asked)
    witness = _witness(modules)
    if witness.currency not in (None, CURRENCY):
        raise Refused("currency", where=WHERE + asked, said=str(witness.currency))
    facts = _fundamentals(modules, asked)
    refused = tuple(refusals(facts, witness, today=at.date()))
    return Decoded(
        fundamentals=without(facts, {name for name, _ in refused}) if refused else facts,
        witness=witness,
        refused=refused,
    )


def _modules(body: bytes, asked: str) -> Modules:
    try:
        summary = orjson.loads(body)["quoteSummary"]
        error, result = summary.get("error"), summary.get("result")
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as fault:
        raise BadAnswer("the answer is not a quoteSummary document", where=WHERE + asked) from fault
    if error:
        _raise_said(error, asked)
    if not isinstance(result, list | None) or (result and not isinstance(result[0], dict)):
        raise BadAnswer("the answer holds no modules", where=WHERE + asked)
    modules = {name: each for name, each in result[0].items() if isinstance(each, dict) and each} if result else {}
    if not modules:
        raise Refused("empty", where=WHERE + asked)
    if modules.keys().isdisjoint(READ):
        raise Refused("no_modules", where=WHERE + asked, said=", ".join(sorted(modules)))
    return modules


def _raise_said(error: Any, asked: str) -> None:
    said = str(error.get("description")) if isinstance(error, dict) else str(error)
    if NOT_FOUND.match(said):
        raise Refused("not_found", where=WHERE + asked, said=said)
    if said.startswith(NO_FUNDAMENTALS):
        raise Refused("no_fundamentals", where=WHERE + asked)
    raise BadAnswer(f"it says: {said[:200]}", where=WHERE + asked)


def _of(modules: Modules, module: str, key: str) -> Any:
    """Return a value; of one that comes formatted, the number behind it."""
    value = modules.get(module, {}).get(key)
    return value.get("raw") if isinstance(value, dict) else value


def _number(modules: Modules, *places: str) -> float | None:
    """Return the first number found at `module.key`."""
    found = (finite(_of(modules, *place.split("."))) for place in places)
    return next((number for number in found if number is not None), None)


def _count(modules: Modules, *places: str) -> int | None:
    number = _number(modules, *places)
    return int(number) if number is not None and abs(number) <= LARGEST_WHOLE else None


def _text(value: Any) -> str | None:
    """Return a name; PostgreSQL keeps no NUL."""
    return value if isinstance(value, str) and value not in NO_NAME and "\0" not in value else None


def _date(modules: Modules, *places: str) -> date | None:
    at = utc_from_epoch_s(_number(modules, *places))
    return at.date() if at is not None else None


def _split_ratio(modules: Modules) -> float | None:
    """4:1 -> 4.0."""
    said = _text(_of(modules, "defaultKeyStatistics", "lastSplitFactor")) or ""
    new, _, old = said.partition(":")
    try:
        return positive_or_none(float(new) / float(old))
    except (ValueError, ZeroDivisionError):
        return None


def _payout_ratio(modules: Modules, rate: float | None) -> float | None:
    """One who pays from a loss comes with 0 as one who pays nothing does."""
    ratio = _number(modules, "summaryDetail.payoutRatio")
    return None if ratio == 0 and rate else ratio


def _fundamentals(modules: Modules, ticker: str) -> Fundamentals:
    rate = _number(modules, "summaryDetail.dividendRate")
    recommendation = _text(_of(modules, "financialData", "recommendationKey"))
    return Fundamentals(
        ticker=ticker,
        sector=_text(_of(modules, "assetProfile", "sector")),
        industry=_text(_of(modules, "assetProfile", "industry")),
        country=_text(_of(modules, "assetProfile", "country")),
        employees=_count(modules, "assetProfile.fullTimeEmployees"),
        beta=_number(
            modules, "summaryDetail.beta", "defaultKeyStatistics.beta", "defaultKeyStatistics.beta3Year"
        ),  # a fund's is of three years
        one_year_target=_number(modules, "financialData.targetMeanPrice"),
        target_low=_number(modules, "financialData.targetLowPrice"),
        target_high=_number(modules, "financialData.targetHighPrice"),
        recommendation=recommendation,
        analyst_count=_count(modules, "financialData.numberOfAnalystOpinions"),
        dividend_rate=rate,
        ex_dividend_date=_date(modules, "summaryDetail.exDividendDate", "calendarEvents.exDividendDate"),
        payout_ratio=_payout_ratio(modules, rate),
        financial_currency=_text(_of(modules, "financialData", "financialCurrency")),
        revenue_ttm=_number(modules, "financialData.totalRevenue"),
        revenue_growth=_number(modules, "financialData.revenueGrowth"),
        earnings_growth=_number(modules, "financialData.earningsGrowth"),
        ebitda=_number(modules, "financialData.ebitda"),
        profit_margin=_number(modules, "financialData.profitMargins", "defaultKeyStatistics.profitMargins"),
        gross_margin=_number(modules, "financialData.grossMargins"),
        operating_margin=_number(modules, "financialData.operatingMargins"),
        return_on_equity=_number(modules, "financialData.returnOnEquity"),
        return_on_assets=_number(modules, "financialData.returnOnAssets"),
        free_cash_flow=_number(modules, "financialData.freeCashflow"),
        operating_cash_flow=_number(modules, "financialData.operatingCashflow"),
        total_cash=_number(modules, "financialData.totalCash"),
        total_debt=_number(modules, "financialData.totalDebt"),
        debt_to_equity=percent_to_fraction(_number(modules, "financialData.debtToEquity")),
        current_ratio=_number(modules, "financialData.currentRatio"),
        float_shares=_number(modules, "defaultKeyStatistics.floatShares"),
        shares_short=_number(modules, "defaultKeyStatistics.sharesShort"),
        short_percent_of_float=_number(modules, "defaultKeyStatistics.shortPercentOfFloat"),
        held_by_insiders=_number(modules, "defaultKeyStatistics.heldPercentInsiders"),
        held_by_institutions=_number(modules, "defaultKeyStatistics.heldPercentInstitutions"),
        last_split_date=_date(modules, "defaultKeyStatistics.lastSplitDate"),
        last_split_ratio=_split_ratio(modules),
    )


def _witness(modules: Modules) -> Witness:
    shares = [
        finite(_of(modules, "defaultKeyStatistics", key)) or 0
        for key in ("sharesOutstanding", "impliedSharesOutstanding")
    ]
    return Witness(
        currency=_text(_of(modules, "summaryDetail", "currency")) or _text(_of(modules, "price", "currency")),
        price=positive_or_none(_number(modules, "price.regularMarketPrice", "financialData.currentPrice")),
        price_time=utc_from_epoch_s(_of(modules, "price", "regularMarketTime")),
        open=positive_or_none(_of(modules, "price", "regularMarketOpen")),
        high=positive_or_none(_of(modules, "price", "regularMarketDayHigh")),
        low=positive_or_none(_of(modules, "price", "regularMarketDayLow")),
        volume=_count(modules, "price.regularMarketVolume"),
        previous_close=positive_or_none(
            _number(modules, "summaryDetail.previousClose", "price.regularMarketPreviousClose")
        ),
        dividend_yield=_number(modules, "summaryDetail.dividendYield"),
        shares_outstanding=max(shares) or None,
        net_income=_number(modules, "defaultKeyStatistics.netIncomeToCommon"),
        module_margin=_number(modules, "defaultKeyStatistics.profitMargins"),
    )
