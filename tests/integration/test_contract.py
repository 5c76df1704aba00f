"""One contract, held against recorded answers of Yahoo and the practice market's to the same requests."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest

from core.files import read_text
from core.settings import Market as MarketSettings
from market.sessions import build_calendar
from simulator.answers.messages import Request, Response
from simulator.answers.rest import Rest
from simulator.trouble.faults import Faults
from simulator.world import listings
from simulator.world.walk import Market

DATA = Path(__file__).parent.parent / "data"
NOON = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
NOW_S = int(NOON.timestamp())
DAY_S = 86_400
RECORDS = [json.loads(line) for line in (DATA / "yahoo_answers.jsonl").read_text(encoding="utf-8").splitlines()]
ERRORS = {each["case"]: each for each in json.loads((DATA / "yahoo_errors.json").read_text(encoding="utf-8"))}
ANSWERS = [record for record in RECORDS if record["kind"] not in ("consent", "crumb", "download")]
FILES = [record for record in RECORDS if record["kind"] == "download"]
COMES_AND_GOES = (
    "relatedTickers",
    "marketCap",  # QQQ: in 2025, not in 2026
    "preMarket",
    "postMarket",
    "dispSecIndFlag",
    "prevName",
    "nameChangeDate",
    "thumbnail",
    "sector",
    "industry",
)
"""Beginnings of keys that recorded answers of one kind have now and then: by the hour, the ticker or the year."""
WINDOWS = {
    # Recorded windows lie in another year: here is the same kind of window of this market.
    ("1d", True): {"period1": str(NOW_S - 5 * 365 * DAY_S), "period2": str(NOW_S)},
    ("30m", True): {"period1": str(NOW_S - 5 * DAY_S), "period2": str(NOW_S - 2 * DAY_S)},
    ("1m", True): {"period1": str(NOW_S - 5 * DAY_S), "period2": str(NOW_S - 2 * DAY_S)},
    ("1m", False): {"period1": str(NOW_S - 2 * DAY_S), "period2": str(NOW_S - DAY_S)},  # noon of Saturday to Sunday
}


@pytest.fixture(scope="module")
def app() -> Rest:
    calendar = build_calendar(MarketSettings(calendar="XNYS"), read=read_text)
    # Of the first seeds this one gives AAPL a split within five years.
    market = Market(listings.bundled(), calendar=calendar, seed=3, now=NOON)
    market.delisted |= {"ADH", "QQQQ"}
    return Rest(market, Faults(), secret=b"contract")


class Client:
    """Asks as a browser does: one cookie, one crumb."""

    def __init__(self, app: Rest) -> None:
        self._app = app
        self.cookie = self.get("fc.yahoo.com", "/").headers["set-cookie"].partition(";")[0]
        self.crumb = self.get("query1.finance.yahoo.com", "/v1/test/getcrumb").body.decode()

    def get(
        self, host: str, target: str, *, method: str = "GET", body: bytes = b"", cookie: str | None = None
    ) -> Response:
        headers = {"cookie": getattr(self, "cookie", "") if cookie is None else cookie}
        return self._app.respond(Request(method=method, host=host, target=target, headers=headers, body=body))

    def repeat(self, record: Mapping[str, Any]) -> Response:
        """Send the recorded request again, with our crumb and, for bars, a window of this market."""
        query = dict(record["request"]["query"])
        if "crumb" in query or record["kind"] in ("quoteSummary", "screener", "quote"):
            query["crumb"] = self.crumb
        if record["kind"] in ("chart", "download") and record["status"] == 200:
            has_bars = record["kind"] == "download" or "timestamp" in record["body"]["chart"]["result"][0]
            query |= WINDOWS[query["interval"], has_bars]
        if record["kind"] == "options" and "date" in query:
            query["date"] = str(NOW_S - 3 * 365 * DAY_S)  # as long past as the recorded one
        if record["kind"] == "download" and record["status"] == 400:
            query |= {"period1": "0", "period2": "86400"}  # before anybody's first trade
        target = quote(record["request"]["path"], safe="/,") + "?" + urlencode(query)
        return self.get(record["request"]["host"], target)


def rows() -> Iterator[dict[str, Any]]:
    for record in RECORDS:
        if record["kind"] == "quote":
            yield from record["body"]["quoteResponse"]["result"]
        if record["kind"] == "screener":
            yield from record["body"]["finance"]["result"][0]["quotes"]


SOMETIMES = {key for row in rows() for key in row} - set[str].intersection(*(set(row) for row in rows()))
"""Keys that not every recorded row of v7 and the screener has."""


def differences(recorded: Any, ours: Any, where: str = "") -> Iterator[str]:
    """Yield each place where keys or types are not the same; a number is a number, null may be anything."""
    if recorded is None or ours is None:
        return
    if isinstance(recorded, dict) and isinstance(ours, dict):
        yield from _differing_keys(recorded, ours, where)
    elif isinstance(recorded, list) and isinstance(ours, list):
        if recorded and ours:
            yield from differences(recorded[0], ours[0], f"{where}[0]")
    elif _kind(recorded) != _kind(ours):
        yield f"{where}: {_kind(recorded)} was recorded, {_kind(ours)} is ours"


def _differing_keys(recorded: dict[str, Any], ours: dict[str, Any], where: str) -> Iterator[str]:
    if recorded and all(key.isdecimal() for key in recorded):  # events by their second
        yield from differences(list(recorded.values()), list(ours.values()), where)
        return
    for key in sorted(recorded.keys() ^ ours.keys()):
        is_row = ".quotes[" in where or where == ".optionChain.result[0].quote"
        is_untraded = where.endswith((".calls[0]", ".puts[0]")) and key in ("volume", "openInterest")
        if not key.startswith(COMES_AND_GOES) and not (is_row and key in SOMETIMES) and not is_untraded:
            yield f"{where}.{key} is {'missing' if key in recorded else 'new'}"
    for key in recorded.keys() & ours.keys():
        yield from differences(recorded[key], ours[key], f"{where}.{key}")


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    return "number" if isinstance(value, (int, float)) else type(value).__name__


def check_chart(body: Any) -> None:
    for result in body["chart"]["result"] or []:
        meta, times = result["meta"], result.get("timestamp", [])
        columns = result["indicators"]["quote"][0]
        assert columns.keys() == ({"open", "high", "low", "close", "volume"} if times else set())
        assert times == sorted(set(times))
        assert all(len(column) == len(times) for column in columns.values())
        for opened, high, low, close, volume in zip(
            *(columns.get(name, []) for name in ("open", "high", "low", "close", "volume")), strict=True
        ):
            assert 0 < low <= min(opened, close) <= max(opened, close) <= high
            assert isinstance(volume, int)
        in_minutes = meta["dataGranularity"].endswith(("m", "h"))
        assert ("adjclose" in result["indicators"]) is not in_minutes
        assert all((key in meta) is in_minutes for key in ("previousClose", "scale"))
        assert ("tradingPeriods" in meta) is (in_minutes and bool(times))
        period = meta["currentTradingPeriod"]["regular"]
        assert period["start"] < period["end"]
        for name, events in result.get("events", {}).items():
            assert name in ("dividends", "splits")
            assert all(int(second) == event["date"] for second, event in events.items())


def check_summary(body: Any) -> None:
    for modules in body["quoteSummary"]["result"] or []:
        detail, price = modules.get("summaryDetail", {}), modules.get("price", {})
        if detail:
            assert detail["dayLow"] <= detail["dayHigh"]
            assert detail["fiftyTwoWeekLow"] <= detail["fiftyTwoWeekHigh"]
            assert 0 <= detail.get("dividendYield", 0) < 1  # a fraction here
            assert detail.get("bidSize", 0) % 100 == 0  # shares here
        if price:
            change = price["regularMarketPrice"] - price["regularMarketPreviousClose"]
            fraction = change / price["regularMarketPreviousClose"]
            # Crypto pairs are compared with another moment's price.
            assert price["quoteType"] == "CRYPTOCURRENCY" or price["regularMarketChangePercent"] == pytest.approx(
                fraction, abs=1e-5
            )


def check_quote(body: Any) -> None:
    for row in body["quoteResponse"]["result"]:
        check_row(row)


def check_row(row: Any) -> None:
    """A row of v7 or of the screener: percent, and lots."""
    price, close = row["regularMarketPrice"], row["regularMarketPreviousClose"]
    assert row["regularMarketDayLow"] <= price <= row["regularMarketDayHigh"]
    assert row["regularMarketChangePercent"] == pytest.approx(100 * (price - close) / close, abs=1e-3)
    assert row["fiftyTwoWeekRange"] == f"{row['fiftyTwoWeekLow']} - {row['fiftyTwoWeekHigh']}"


def check_screener(body: Any) -> None:
    for result in body["finance"]["result"]:
        assert result["count"] >= len(result["quotes"])
        assert result["total"] >= result["count"]
        for row in result["quotes"]:
            check_row(row)


def check_search(body: Any) -> None:
    if "finance" not in body:
        assert body["count"] >= len(body["quotes"])
        assert all(row["index"] == "quotes" and row["isYahooFinance"] for row in body["quotes"])


def check_series(body: Any) -> None:
    for result in body["timeseries"]["result"]:
        (name,) = result["meta"]["type"]
        assert len(result.get(name, [])) == len(result.get("timestamp", []))


def check_recommendations(body: Any) -> None:
    for result in body["finance"]["result"]:
        scores = [each["score"] for each in result["recommendedSymbols"]]
        assert scores == sorted(scores, reverse=True)


def check_trending(body: Any) -> None:
    for result in body["finance"]["result"]:
        assert result["count"] == len(result["quotes"])


def check_options(body: Any) -> None:
    for result in body["optionChain"]["result"]:
        assert result["expirationDates"] == sorted(result["expirationDates"])
        assert result["strikes"] == sorted(result["strikes"])
        price = result["quote"].get("regularMarketPrice")
        for chain in result["options"]:
            for contract, side in [*((each, 1) for each in chain["calls"]), *((each, -1) for each in chain["puts"])]:
                assert contract["inTheMoney"] is (side * (price - contract["strike"]) > 0)
                assert contract["expiration"] == chain["expirationDate"]
                assert contract["bid"] <= contract["ask"]
                day = datetime.fromtimestamp(contract["expiration"], UTC)
                letter = "C" if side == 1 else "P"
                assert contract["contractSymbol"].endswith(f"{day:%y%m%d}{letter}{contract['strike'] * 1000:08.0f}")


def check_insights(body: Any) -> None:
    result = body["finance"]["result"]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", each["date"]) for each in result["sigDevs"])
    if technicals := result.get("instrumentInfo", {}).get("keyTechnicals"):
        assert technicals["support"] < technicals["resistance"]


CHECKS: dict[str, Callable[[Any], None]] = {
    "chart": check_chart,
    "quoteSummary": check_summary,
    "quote": check_quote,
    "screener": check_screener,
    "search": check_search,
    "timeseries": check_series,
    "recommendations": check_recommendations,
    "trending": check_trending,
    "options": check_options,
    "insights": check_insights,
}


def name_of(record: Mapping[str, Any]) -> str:
    query = dict(record["request"]["query"])
    return "-".join(filter(None, (record["kind"], record["symbol"], query.get("modules"), query.get("interval"))))


@pytest.mark.parametrize("record", ANSWERS, ids=name_of)
def test_a_recorded_answer_keeps_the_contract(record: dict[str, Any]) -> None:
    CHECKS[record["kind"]](record["body"])


@pytest.mark.parametrize("record", ANSWERS, ids=name_of)
def test_the_market_s_answer_to_the_same_request_keeps_it_with_the_recorded_keys_and_types(
    record: dict[str, Any], app: Rest
) -> None:
    answer = Client(app).repeat(record)
    body = json.loads(answer.body)

    assert answer.status == record["status"]
    CHECKS[record["kind"]](body)
    if record["status"] >= 400:
        assert body == record["body"]
    if record["kind"] == "timeseries":  # in no order
        wanted = record["body"]["timeseries"]["result"][0]["meta"]["type"]
        body["timeseries"]["result"].sort(key=lambda result: result["meta"]["type"] != wanted)
    found = differences(record["body"], body)
    # Yahoo adds keys as years go by; what was there in 2021 still is.
    is_old = record["recorded_at"] < "2024"
    assert [each for each in found if not (is_old and each.endswith("is new"))] == []


LINES = {
    "Date,Open,High,Low,Close,Adj Close,Volume": r"\d{4}-\d\d-\d\d(,\d+\.\d{6}){5},\d+",
    "Date,Dividends": r"\d{4}-\d\d-\d\d,\d+\.\d{6}",
}


def check_file(text: str) -> None:
    head, *lines = text.split("\n")
    assert all(re.fullmatch(LINES[head], line) for line in lines)
    assert lines == sorted(lines)


@pytest.mark.parametrize("record", FILES, ids=name_of)
def test_a_file_of_bars_or_dividends_keeps_the_recorded_lines_name_and_type(record: dict[str, Any], app: Rest) -> None:
    answer = Client(app).repeat(record)
    ours, recorded = answer.body.decode(), record["body"]

    assert answer.status == record["status"]
    assert answer.content_type.partition(";")[0] == record["headers"]["content-type"].partition(";")[0]
    assert answer.headers.get("content-disposition") == record["headers"].get("content-disposition")
    if record["status"] == 400:
        window = "startDate = {}, endDate = {}"
        assert ours == recorded.replace(window.format(1577836800, 1578009600), window.format(0, 86400))
        return
    assert ours.partition("\n")[0] == recorded.partition("\n")[0]
    check_file(recorded)
    check_file(ours)


REFUSALS = {
    "invalid_crumb": "/v7/finance/quote?symbols=AAPL&crumb=Too+Many+Requests",
    "symbol_not_found_summary": "/v10/finance/quoteSummary/WBA?modules=price&crumb={crumb}",
    "no_fundamentals": "/v10/finance/quoteSummary/QQQQ?modules=assetProfile&crumb={crumb}",
    "chart_delisted": "/v8/finance/chart/MDLY?range=1mo",
    "quote_unknown_symbol": "/v7/finance/quote?symbols=NONEXIST&crumb={crumb}",
    "search_missing_q": "/v1/finance/search",
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_refusal_has_the_recorded_status_body_and_type(case: str, app: Rest) -> None:
    client, recorded = Client(app), ERRORS[case]
    answer = client.get("query2.finance.yahoo.com", REFUSALS[case].format(crumb=client.crumb))

    assert (answer.status, answer.body.decode()) == (recorded["status"], recorded["body"])
    assert answer.content_type.partition(";")[0] == recorded["content_type"].partition(";")[0]


def test_without_a_cookie_the_body_is_the_recorded_one(app: Rest) -> None:
    answer = Client(app).get("query1.finance.yahoo.com", "/v7/finance/quote?symbols=AAPL", cookie="")

    assert (answer.status, answer.body.decode()) == (401, ERRORS["invalid_cookie"]["body"])


def test_minutes_of_last_year_are_refused_in_the_recorded_words(app: Rest) -> None:
    start_s, end_s = NOW_S - 300 * DAY_S, NOW_S - 299 * DAY_S
    target = f"/v8/finance/chart/AAPL?interval=1m&period1={start_s}&period2={end_s}"
    answer = Client(app).get("query2.finance.yahoo.com", target)

    recorded = ERRORS["chart_1m_out_of_window"]
    words = recorded["body"].replace("startTime=...", f"startTime={start_s}").replace("endTime=...", f"endTime={end_s}")
    assert (answer.status, answer.body.decode()) == (recorded["status"], words)


def pages() -> dict[tuple[str, str, str], dict[str, Any]]:
    """Return (method, host, path) -> the last recorded step of the consent flow there."""
    return {
        (record["request"]["method"], record["request"]["host"], record["request"]["path"]): record
        for record in RECORDS
        if record["kind"] == "consent"
    }


def same_place(recorded: str, ours: str) -> bool:
    """Whether two addresses are one but for the values of their parameters."""
    parts, others = urlsplit(recorded), urlsplit(ours)
    names = parse_qs(parts.query).keys()
    return (parts.netloc, parts.path, names) == (others.netloc, others.path, parse_qs(others.query).keys())


def test_the_consent_flow_leads_along_the_recorded_steps_to_a_cookie(app: Rest) -> None:
    client, steps = Client(app), pages()
    location, cookie, seen = "https://finance.yahoo.com/quote/AAPL", "", []
    for method in ("GET", "GET", "GET", "POST", "GET", "GET", "GET"):
        url = urlsplit(location)
        target = f"{url.path}?{url.query}"
        body = (
            urlencode({"csrfToken": csrf_of(location, client), "agree": "agree"}).encode() if method == "POST" else b""
        )
        answer = client.get(url.netloc, target, method=method, body=body, cookie=cookie)
        recorded = steps.get((method, url.netloc, url.path))
        seen.append((method, url.netloc, answer.status))
        if recorded and "location" in recorded["headers"] and "location" in answer.headers:
            assert same_place(recorded["headers"]["location"], answer.headers["location"]) or answer.status == 301
            if answer.status == recorded["status"]:
                names = {each.partition("=")[0] for each in recorded["headers"].get("set-cookie", [])}
                assert {each.partition("=")[0] for each in answer.cookies} >= names - {"dflow"}
        cookie = next((each.partition(";")[0] for each in answer.cookies if each.startswith("A3=")), cookie)
        location = answer.headers.get("location", location)

    assert seen == [
        ("GET", "finance.yahoo.com", 307),
        ("GET", "guce.yahoo.com", 302),
        ("GET", "consent.yahoo.com", 200),
        ("POST", "consent.yahoo.com", 302),
        ("GET", "guce.yahoo.com", 302),
        ("GET", "finance.yahoo.com", 301),
        ("GET", "finance.yahoo.com", 200),
    ]
    assert client.get("query2.finance.yahoo.com", "/v1/test/getcrumb", cookie=cookie).status == 200


def csrf_of(location: str, client: Client) -> str:
    url = urlsplit(location)
    page = client.get(url.netloc, f"{url.path}?{url.query}").body.decode()
    return page.partition('name="csrfToken" value="')[2].partition('"')[0]


def test_a_crumb_is_as_long_as_the_recorded_ones_and_plain_text(app: Rest) -> None:
    client = Client(app)
    recorded = [record for record in RECORDS if record["kind"] == "crumb"]
    answer = client.get("query1.finance.yahoo.com", "/v1/test/getcrumb")

    assert {len(record["body_text"]) for record in recorded} == {len(answer.body)} == {11}
    assert {record["headers"]["content-type"] for record in recorded} == {answer.content_type}


def test_every_kind_of_recorded_request_is_among_them() -> None:
    assert {record["kind"] for record in RECORDS} == {*CHECKS, "consent", "crumb", "download"}
    assert len(ANSWERS) > 60
