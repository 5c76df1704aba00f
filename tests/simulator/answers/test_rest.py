from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from core.files import read_text
from core.settings import Market as MarketSettings
from market.sessions import build_calendar
from simulator.answers.harvest import Proxy
from simulator.answers.rest import HOSTS, Request, Response, Rest
from simulator.trouble.faults import Faults
from simulator.world import listings
from simulator.world.walk import Market

NOON = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
INVALID_CRUMB = '{"finance":{"result":null,"error":{"code":"Unauthorized","description":"Invalid Crumb"}}}'
INVALID_COOKIE = '{"finance":{"result":null,"error":{"code":"Unauthorized","description":"Invalid Cookie"}}}'


def rest(faults: Faults | None = None, *, secret: bytes = b"s") -> Rest:
    calendar = build_calendar(MarketSettings(calendar="XNYS"), read=read_text)
    market = Market(listings.chosen(["AAPL", "MSFT"]), calendar=calendar, seed=1, now=NOON)
    return Rest(market, faults or Faults(), secret=secret)


def get(
    app: Rest, target: str, *, cookie: str = "", host: str = "query2.finance.yahoo.com", method: str = "GET"
) -> Response:
    headers = {"cookie": cookie} if cookie else {}
    return app.respond(Request(method=method, host=host, target=target, headers=headers))


def cookie_of(app: Rest) -> str:
    return get(app, "/", host="fc.yahoo.com").headers["set-cookie"].partition(";")[0]


def crumb_of(app: Rest, cookie: str) -> str:
    return get(app, "/v1/test/getcrumb", cookie=cookie).body.decode()


def quote(app: Rest, symbols: str, *, rest_of_query: str = "") -> Any:
    cookie = cookie_of(app)
    target = f"/v7/finance/quote?symbols={symbols}&crumb={crumb_of(app, cookie)}{rest_of_query}"
    answer = get(app, target, cookie=cookie)
    return answer.status, json.loads(answer.body)


def test_the_cookie_host_answers_404_and_sets_the_cookie() -> None:
    answer = get(rest(), "/", host="fc.yahoo.com")

    assert answer.status == 404
    assert answer.headers["set-cookie"].startswith("A3=d=")
    assert "Domain=.yahoo.com" in answer.headers["set-cookie"]


def test_a_cookie_has_its_own_crumb_of_eleven_characters() -> None:
    app = rest()
    first, second = cookie_of(app), cookie_of(app)

    assert len(crumb_of(app, first)) == 11
    assert crumb_of(app, first) == crumb_of(app, first) != crumb_of(app, second)


@pytest.mark.parametrize("cookie", ["", "A3=d=forged&S=forged", "A1=d=x", "A3=", "A3=\x7f;;;="])
def test_without_a_cookie_of_ours_there_is_no_crumb(cookie: str) -> None:
    answer = get(rest(), "/v1/test/getcrumb", cookie=cookie)

    assert (answer.status, answer.body.decode()) == (401, INVALID_COOKIE)


def test_a_crumb_does_not_go_with_another_cookie() -> None:
    app = rest()
    first, second = cookie_of(app), cookie_of(app)
    target = f"/v7/finance/quote?symbols=AAPL&crumb={crumb_of(app, first)}"

    answer = get(app, target, cookie=second)
    assert (answer.status, answer.body.decode()) == (401, INVALID_CRUMB)


def test_a_cookie_does_not_survive_a_restart() -> None:
    answer = get(rest(secret=b"new"), "/v7/finance/quote?symbols=AAPL", cookie=cookie_of(rest(secret=b"old")))

    assert (answer.status, answer.body.decode()) == (401, INVALID_COOKIE)


def test_unknown_symbols_are_absent_without_a_word_and_doubled_ones_come_once() -> None:
    status, document = quote(rest(), "AAPL,NO-SUCH,MSFT,AAPL,")

    assert status == 200
    assert [each["symbol"] for each in document["quoteResponse"]["result"]] == ["AAPL", "MSFT"]
    assert document["quoteResponse"]["error"] is None


def test_a_hundred_symbols_are_answered_and_one_more_is_refused() -> None:
    names = [f"S{number}" for number in range(101)]

    assert quote(rest(), ",".join(names[:100])) == (200, {"quoteResponse": {"result": [], "error": None}})
    assert quote(rest(), ",".join(names))[0] == 400


def test_no_symbols_are_a_bad_request() -> None:
    assert quote(rest(), "")[0] == 400


def test_a_fields_filter_is_obeyed() -> None:
    _, document = quote(rest(), "AAPL", rest_of_query="&fields=trailingPE,beta")

    answer = document["quoteResponse"]["result"][0]
    assert {"trailingPE", "symbol", "regularMarketPrice"} <= answer.keys()
    assert not answer.keys() & {"beta", "forwardPE"}


def test_dropped_symbols_are_unknown() -> None:
    _, document = quote(rest(Faults(drop_symbols={"AAPL"})), "AAPL,MSFT")

    assert [each["symbol"] for each in document["quoteResponse"]["result"]] == ["MSFT"]


def test_a_planned_answer_comes_first_and_once() -> None:
    faults = Faults()
    faults.answer_status("/v1/test/getcrumb", 429, b"Too Many Requests\r\n")
    app = rest(faults)
    cookie = cookie_of(app)

    assert get(app, "/v1/test/getcrumb", cookie=cookie).status == 429
    assert get(app, "/v1/test/getcrumb", cookie=cookie).status == 200


@pytest.mark.parametrize(("method", "target", "status"), [("POST", "/", 405), ("GET", "/v6/nothing", 404)])
def test_what_is_not_served_is_refused_in_yahoo_s_form(method: str, target: str, status: int) -> None:
    answer = get(rest(), target, method=method)

    assert answer.status == status
    assert json.loads(answer.body)["finance"]["result"] is None


def test_a_target_that_is_no_address_is_a_bad_request() -> None:
    assert get(rest(), "//[").status == 400


def log_in(app: Rest) -> tuple[str, str]:
    cookie = cookie_of(app)
    return cookie, crumb_of(app, cookie)


@pytest.mark.parametrize(
    "target",
    [
        "/v7/finance/quote?symbols=AAPL",
        "/v10/finance/quoteSummary/AAPL?modules=price",
        "/v1/finance/screener/predefined/saved?scrIds=most_actives",
    ],
)
def test_quotes_summaries_and_screens_want_a_crumb(target: str) -> None:
    app = rest()
    cookie, crumb = log_in(app)

    assert get(app, target).body.decode() == INVALID_COOKIE
    assert get(app, f"{target}&crumb=wrong", cookie=cookie).body.decode() == INVALID_CRUMB
    assert get(app, f"{target}&crumb={crumb}", cookie=cookie).status == 200


@pytest.mark.parametrize(
    "target",
    [
        "/v8/finance/chart/AAPL?range=5d&interval=1d",
        "/v1/finance/search?q=apple",
        "/v1/finance/trending/US",
        "/v6/finance/recommendationsbysymbol/AAPL",
        "/v7/finance/spark?symbols=AAPL",
        "/ws/fundamentals-timeseries/v1/finance/timeseries/AAPL?type=annualTotalRevenue",
    ],
)
def test_charts_and_searches_are_for_anybody(target: str) -> None:
    assert get(rest(), target).status == 200


def test_a_screen_is_posted_with_a_crumb_in_the_address() -> None:
    app = rest()
    cookie, crumb = log_in(app)
    target = f"/v1/finance/screener?crumb={crumb}"
    body = json.dumps({"size": 10, "query": {"operator": "eq", "operands": ["region", "us"]}}).encode()
    asked = Request(
        method="POST", host="query1.finance.yahoo.com", target=target, headers={"cookie": cookie}, body=body
    )

    (result,) = json.loads(app.respond(asked).body)["finance"]["result"]
    assert {row["symbol"] for row in result["quotes"]} == {"AAPL", "MSFT"}
    assert get(app, target, cookie=cookie).status == 405


def test_an_escaped_symbol_is_read() -> None:
    answer = get(rest(), "/v8/finance/chart/BTC%2DUSD?range=1d&interval=1d")

    assert json.loads(answer.body)["chart"]["result"][0]["meta"]["symbol"] == "BTC-USD"


def test_dropped_symbols_are_unknown_to_charts_and_summaries_too() -> None:
    app = rest(Faults(drop_symbols={"AAPL"}))
    cookie, crumb = log_in(app)

    assert get(app, "/v8/finance/chart/AAPL?range=1d").status == 404
    summary = get(app, f"/v10/finance/quoteSummary/AAPL?modules=price&crumb={crumb}", cookie=cookie)
    assert (summary.status, b"Quote not found for symbol: AAPL" in summary.body) == (404, True)


def test_each_host_of_the_table_answers_as_itself() -> None:
    app = rest()
    pages = {
        "fc.yahoo.com": (404, "/"),
        "finance.yahoo.com": (307, "/quote/AAPL"),
        "guce.yahoo.com": (302, "/consent"),
        "consent.yahoo.com": (400, "/v2/collectConsent"),
        "www.nasdaqtrader.com": (200, "/dynamic/SymDir/nasdaqlisted.txt"),
        "ftp.nasdaqtrader.com": (200, "/SymbolDirectory/otherlisted.txt"),
        "free-proxy-list.net": (200, "/"),
        "hooks.practice.test": (200, "/received"),
    }
    assert pages.keys() <= HOSTS
    for host, (status, path) in pages.items():
        assert get(app, path, host=host).status == status, host
    assert get(app, "/nothing", host="www.nasdaqtrader.com").status == 404


def test_a_webhook_call_of_any_method_is_kept() -> None:
    app = rest()
    for method in ("POST", "PUT"):
        assert get(app, "/alerts", host="hooks.practice.test", method=method).status == 200

    assert [call.method for call in app.sinks.calls] == ["POST", "PUT"]


def test_the_harvest_s_lists_name_the_proxies_that_there_are() -> None:
    calendar = build_calendar(MarketSettings(calendar="XNYS"), read=read_text)
    market = Market(listings.chosen(["AAPL"]), calendar=calendar, seed=1, now=NOON)
    fleet = [Proxy(protocol="http", host="127.0.0.1", port=40_001)]
    app = Rest(market, Faults(), secret=b"s", proxies=lambda: fleet)

    assert b"127.0.0.1:40001" in get(app, "/v2/", host="api.proxyscrape.com").body
