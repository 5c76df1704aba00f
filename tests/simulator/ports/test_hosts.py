from __future__ import annotations

import asyncio
import http.client
import ssl

import pytest

from simulator.testing import PracticeMarket
from tests.fix_simulator import QUERY_HOST, YahooClient


def client_of(market: PracticeMarket) -> YahooClient:
    return YahooClient(market.proxy_url, market.ca_file)


async def test_a_client_is_told_its_exit_as_text_and_as_json(still_market: PracticeMarket) -> None:
    client = client_of(still_market)
    text = await asyncio.to_thread(client.request, "api.ipify.org", "/")
    document = await asyncio.to_thread(client.request, "api.ipify.org", "/?format=json")

    assert (text.body, document.json()) == (b"192.0.2.1", {"ip": "192.0.2.1"})


async def test_a_request_is_noted_with_what_was_really_sent(still_market: PracticeMarket) -> None:
    client = client_of(still_market)
    await asyncio.to_thread(client.log_in)
    whole = await asyncio.to_thread(client.quote, ["AAPL", "F"])
    still_market.fault("cut", at_bytes=30)
    with pytest.raises(http.client.IncompleteRead):
        await asyncio.to_thread(client.quote, ["AAPL"])

    asked = still_market.requests(path="/v7/*")
    assert [(each.sent_bytes, each.fault, each.tickers) for each in asked] == [
        (len(whole.body), "", ["AAPL", "F"]),
        (30, "cut", ["AAPL"]),
    ]


async def test_a_client_that_shakes_no_hands_is_told_from_one_that_does(still_market: PracticeMarket) -> None:
    client = client_of(still_market)
    await asyncio.to_thread(client.request, "fc.yahoo.com", "/")
    distrustful = YahooClient(still_market.proxy_url, still_market.ca_file)
    distrustful._trust = ssl.create_default_context()
    with pytest.raises(ssl.SSLCertVerificationError):
        await asyncio.to_thread(distrustful.request, QUERY_HOST, "/")
    await asyncio.to_thread(client.request, "fc.yahoo.com", "/")

    assert [(page.host, page.outcome) for page in still_market.connections()] == [
        ("fc.yahoo.com", "TLS"),
        (QUERY_HOST, "no TLS"),
        ("fc.yahoo.com", "TLS"),
    ]


async def test_a_host_out_of_reach_is_not_one_that_is_unknown(still_market: PracticeMarket) -> None:
    hosts = still_market.server._hosts
    still_market.fault("unreachable", host="query*")

    assert [hosts.status(host, 443) for host in (QUERY_HOST, "fc.yahoo.com", "example.com")] == [502, 200, 403]
    assert hosts.refused == {"example.com": 1}
    hosts.refused.clear()


async def test_what_has_no_body_is_answered_without_one_and_the_connection_goes_on(
    still_market: PracticeMarket,
) -> None:
    client, chart = client_of(still_market), "/v8/finance/chart/AAPL"
    whole = await asyncio.to_thread(client.request, QUERY_HOST, chart)
    head = await asyncio.to_thread(client.request, QUERY_HOST, chart, method="HEAD")
    still_market.fault("answer", status=304, body="no body may follow")
    unchanged = await asyncio.to_thread(client.request, QUERY_HOST, chart)

    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(len(whole.body)))
    assert (unchanged.status, unchanged.body) == (304, b"")
    assert still_market.server.errors == []
