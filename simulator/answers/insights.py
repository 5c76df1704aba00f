"""Yahoo's insights of a ticker: outlooks, targets and reports, made up from the symbol as recorded. Does no I/O."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import UTC, datetime

from simulator.answers.chart import Answer
from simulator.answers.facts import COMPANIES, Facts
from simulator.answers.summary import industries
from simulator.world.walk import Market, Stock

DAY_S = 86_400
REPORTS = 2
"""How many there are if nobody says."""
TERMS = ("shortTermOutlook", "intermediateTermOutlook", "longTermOutlook")
EVIDENCE = ("No Evidence", "Weak {} Evidence", "{} Evidence", "Strong {} Evidence")
QUALITIES = ("innovativeness", "hiring", "sustainability", "insiderSentiments", "earningsReports", "dividends")
RATINGS = {"BUY": "Bullish", "HOLD": "Neutral", "SELL": "Bearish"}


def answer(market: Market, query: Mapping[str, str]) -> Answer:
    """Return status and document for /ws/insights/v2/finance/insights; of an unknown ticker there is only its name."""
    symbol = query.get("symbol", "")
    stock = market.stocks.get(symbol)
    result: Facts = {"symbol": symbol}
    if stock is not None and stock is not market.canary:
        made = _Insights(market, stock, count=_count(query.get("reportsCount")))
        result |= made.of_company() if stock.listing.kind in COMPANIES else made.of_fund()
    return 200, {"finance": {"result": {"sigDevs": [], **result}, "error": None}}


def _count(text: str | None) -> int:
    return min(int(text[:9]), 20) if text and text.isascii() and text.isdecimal() else REPORTS


class _Insights:
    """What is said of one ticker: the same at each request of a day."""

    def __init__(self, market: Market, stock: Stock, *, count: int) -> None:
        self._stock = stock
        self._opened_s = market.hours.open_s
        self._dice = random.Random(f"insights {stock.origin}")
        self._sector = industries().get(stock.origin, ("Industrials", ""))[0]
        self._rating = self._dice.choice(list(RATINGS))
        self._target = round(stock.price * self._dice.uniform(0.8, 1.4))
        self._reports = [self._report(number) for number in range(count)]

    def of_fund(self) -> Facts:
        return {
            "instrumentInfo": self._instrument({}),
            "upsell": {},
            "events": self._events(),
            "reports": self._reports,
        }

    def of_company(self) -> Facts:
        name, at_s = self._stock.listing.name, self._opened_s - 20 * DAY_S
        report = self._report(0)
        found = {
            "reportId": report["id"],
            "provider": "Practice",
            "title": report["title"],
            "reportDate": report["reportDate"],
            "summary": report["reportTitle"],
            "investmentRating": RATINGS[self._rating],
        }
        return {
            "instrumentInfo": self._instrument({"sector": self._sector}),
            "companySnapshot": {
                "sectorInfo": self._sector,
                "company": {quality: round(self._dice.random(), 4) for quality in QUALITIES},
                "sector": dict.fromkeys(QUALITIES, 0.5),
            },
            "recommendation": {"targetPrice": self._target, "provider": "Practice Research", "rating": self._rating},
            "upsell": {
                "msBullishSummary": [f"{name} may rise."],
                "msBearishSummary": [f"{name} may fall."],
                "companyName": name,
                "msBullishBearishSummariesPublishDate": at_s * 1000,
                "upsellReportType": "MORNINGSTAR_ANALYST",
            },
            "upsellSearchDD": {"researchReports": found},
            "events": self._events(),
            "reports": self._reports,
            "sigDevs": [{"headline": f"{name} practices", "date": f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%d}"}],
            "secReports": [self._filing()],
        }

    def _instrument(self, of_company: Facts) -> Facts:
        price, digits = self._stock.price, self._stock.digits
        valuation: Facts = {"provider": "Trading Central"}
        if of_company:
            valuation |= {"color": 0, "description": "Overvalued", "discount": "-5%", "relativeValue": "Premium"}
        outlooks = {term: self._outlook(("", "sector", "index") if of_company else ("", "index")) for term in TERMS}
        return {
            "technicalEvents": {"provider": "Trading Central", **of_company, **outlooks},
            "keyTechnicals": {
                "provider": "Trading Central",
                "support": round(0.93 * price, digits),
                "resistance": round(1.06 * price, digits),
                "stopLoss": round(0.95 * price, 6),
            },
            "valuation": valuation,
        }

    def _outlook(self, whose: tuple[str, ...]) -> Facts:
        """Return direction and score of the ticker (""), its sector and the index."""
        found: Facts = {"stateDescription": "There are practice events."}
        for who in whose:
            score = self._dice.randint(0, 3)
            direction = self._dice.choice(("Bullish", "Bearish")) if score else "Neutral"
            values = (direction, score, EVIDENCE[score].format(direction))
            for key, value in zip(("direction", "score", "scoreDescription"), values, strict=True):
                found[who + key[0].upper() + key[1:] if who else key] = value
        return found

    def _events(self) -> list[Facts]:
        event = {"eventType": "Commodity Channel Index", "pricePeriod": "D", "tradingHorizon": "S", "tradeType": "L"}
        at_s = self._opened_s
        return [event | {"imageUrl": "https://s.yimg.com/practice.svg", "startDate": at_s, "endDate": at_s}]

    def _report(self, number: int) -> Facts:
        symbol, at_s = self._stock.listing.symbol, self._opened_s - (number + 1) * 7 * DAY_S
        return {
            "id": f"PRACTICE_{number}_AnalystReport_{at_s * 1000}",
            "headHtml": f"Analyst Report: {symbol}",
            "provider": "Practice Research",
            "reportDate": f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%dT%H:%M:%SZ}",
            "reportTitle": f"{symbol} has an Investment Rating of {self._rating}",
            "reportType": "Analyst Report",
            "targetPrice": self._target,
            "targetPriceStatus": "Maintained",
            "investmentRating": RATINGS[self._rating],
            "tickers": [symbol],
            "title": f"Practice report {number + 1} about {symbol}",
        }

    def _filing(self) -> Facts:
        return {
            "id": f"practice_{self._stock.origin}",
            "type": "Corporate Changes & Voting Matters",
            "title": "8-K : Corporate Changes & Voting Matters",
            "description": "Current report filing",
            "filingDate": (self._opened_s - 3 * DAY_S) * 1000,
            "snapshotUrl": "https://s.yimg.com/practice.png",
            "formType": "8-K",
        }
