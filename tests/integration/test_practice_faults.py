"""Every fault of the practice market, seen from outside: by curl or over a bare socket, by no client of ours."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from simulator.server import DIRECT_EXIT
from simulator.testing import PracticeMarket
from simulator.trouble.catalogue import KINDS
from tests.fix_outside import BINARY, CLOSE, PONG, TEXT, BareStream, Curl, bare_stream
from tests.fix_simulator import NOON

TOO_MANY = b"Edge: Too Many Requests"
CHART = "/v8/finance/chart/AAPL?range=1d&interval=1d"
Look = Callable[[PracticeMarket, Curl], Awaitable[None]]
STREAM_LOOKS: dict[str, Look] = {}
HTTP_LOOKS: dict[str, Look] = {}


def seen(looks: dict[str, Look]) -> Callable[[Look], Look]:
    """File a look under the fault that its name ends with."""

    def file(look: Look) -> Look:
        looks[look.__name__.removeprefix("sees_")] = look
        return look

    return file


def test_every_fault_is_looked_at() -> None:
    assert STREAM_LOOKS.keys() | HTTP_LOOKS.keys() == KINDS.keys()
    assert not STREAM_LOOKS.keys() & HTTP_LOOKS.keys()


@pytest.mark.parametrize("name", [name for name in KINDS if KINDS[name].area == "streams"])
async def test_a_fault_of_streams_shows(name: str, still_market: PracticeMarket, tmp_path: Path) -> None:
    curl = Curl(still_market.proxy_url, still_market.ca_file, tmp_path)
    await STREAM_LOOKS[name](still_market, curl)


@pytest.mark.parametrize("name", [name for name in KINDS if KINDS[name].area != "streams"])
async def test_a_fault_of_requests_shows(name: str, practice_market: PracticeMarket, tmp_path: Path) -> None:
    curl = Curl(practice_market.proxy_url, practice_market.ca_file, tmp_path)
    await curl.log_in()
    await HTTP_LOOKS[name](practice_market, curl)


def connected(market: PracticeMarket) -> AbstractAsyncContextManager[BareStream]:
    return bare_stream(market.proxy_url, market.ca_file)


def tick(market: PracticeMarket, seconds: int) -> None:
    market.server.advance(NOON + timedelta(seconds=seconds))


@seen(STREAM_LOOKS)
async def sees_close(market: PracticeMarket, _curl: Curl) -> None:
    async with connected(market) as one, connected(market) as other:
        market.fault("close", code=4321, connections=[market.connections()[0].number])
        assert await one.frame() == (CLOSE, (4321).to_bytes(2, "big"))
        assert await other.pinged() == []
        market.fault("close", code=0)
        assert await other.frame() == (CLOSE, b"")


@pytest.mark.parametrize("code", [1000, 1005, 1006, 1011, 1015, 4999, 7, 65_535])
async def test_a_stream_is_closed_with_any_code_also_those_that_nobody_may_send(
    still_market: PracticeMarket, code: int
) -> None:
    async with connected(still_market) as stream:
        stream.subscribe("AAPL")
        await stream.price()
        still_market.fault("close", code=code)
        tick(still_market, 1)
        assert await stream.frame() == (CLOSE, code.to_bytes(2, "big"))
        stream.say(CLOSE, code.to_bytes(2, "big"))
        with pytest.raises(EOFError):
            while True:
                assert (await stream.frame())[0] == CLOSE


@seen(STREAM_LOOKS)
async def sees_reset(market: PracticeMarket, _curl: Curl) -> None:
    async with connected(market) as stream:
        market.fault("reset")
        with pytest.raises(ConnectionResetError):
            await stream.frame()


@seen(STREAM_LOOKS)
async def sees_half_open(market: PracticeMarket, _curl: Curl) -> None:
    async with connected(market) as stream:
        stream.subscribe("AAPL")
        await stream.price()
        market.fault("half_open")
        tick(market, 1)
        assert await stream.silent()
        async with connected(market) as later:
            assert await later.pinged() == []


@seen(STREAM_LOOKS)
async def sees_mute(market: PracticeMarket, _curl: Curl) -> None:
    async with connected(market) as stream:
        stream.subscribe("AAPL")
        await stream.price()
        market.fault("mute")
        tick(market, 1)
        assert await stream.pinged() == []
        market.clear("mute")
        tick(market, 2)
        assert (await stream.price()).time == 1000 * (NOON.timestamp() + 2)


@seen(STREAM_LOOKS)
async def sees_freeze(market: PracticeMarket, _curl: Curl) -> None:
    async with connected(market) as stream:
        stream.subscribe("AAPL")
        await stream.price()
        market.fault("freeze")
        tick(market, 1)
        assert await stream.silent()
        market.clear("freeze")
        assert await stream.frame() == (PONG, b"?")  # of the ping before


@seen(STREAM_LOOKS)
async def sees_cut_symbols(market: PracticeMarket, _curl: Curl) -> None:
    market.fault("cut_symbols", symbols=1)
    async with connected(market) as stream:
        stream.subscribe("AAPL", "MSFT")
        assert (await stream.price()).id == "AAPL"
        assert await stream.pinged() == []
        # A connection that has both already is cut as well.
        market.clear()
        stream.subscribe("MSFT")
        assert (await stream.price()).id == "MSFT"
        market.fault("cut_symbols", symbols=1)
        for symbol in ("MSFT", "AAPL"):
            market.event("gap", symbol, percent=1.0)
        assert (await stream.price()).id == "AAPL"
        assert await stream.pinged() == []


@seen(STREAM_LOOKS)
async def sees_stale_snapshot(market: PracticeMarket, _curl: Curl) -> None:
    market.fault("stale_snapshot", age_s=86_400)
    stock = market.market.stocks["AAPL"]
    async with connected(market) as stream:
        stream.subscribe("AAPL")
        stale = await stream.price()
    assert stale.time == 1000 * (stock.trade_time_s - 86_400)
    assert round(stale.price, 2) == stock.previous_close


@seen(STREAM_LOOKS)
async def sees_out_of_order(market: PracticeMarket, _curl: Curl) -> None:
    market.fault("out_of_order")
    async with connected(market) as stream:
        stream.subscribe("AAPL")
        await stream.price()
        tick(market, 1)
        tick(market, 2)
        times = [(await stream.price()).time / 1000 - NOON.timestamp() for _ in range(3)]
    assert times == [1, 2, 1]


@seen(STREAM_LOOKS)
async def sees_repeat_second(market: PracticeMarket, _curl: Curl) -> None:
    market.fault("repeat_second")
    async with connected(market) as stream:
        stream.subscribe("AAPL")
        await stream.price()
        tick(market, 1)
        first, again = await stream.price(), await stream.price()
    assert (first.time, first.price) == (again.time, again.price)
    assert again.day_volume < first.day_volume


@seen(STREAM_LOOKS)
async def sees_garbage(market: PracticeMarket, _curl: Curl) -> None:
    found: dict[str, tuple[int, bytes]] = {}
    async with connected(market) as stream:
        stream.subscribe("NOBODY")
        for number, form in enumerate(("json", "kind", "base64", "protobuf", "binary", "price", "ticker"), start=1):
            market.clear()
            market.fault("garbage", forms=[form])
            tick(market, number)
            found[form] = (await stream.pinged())[0]
    with pytest.raises(ValueError, match="Expecting value"):
        json.loads(found["json"][1])
    assert json.loads(found["kind"][1])["type"] == "earnings"
    assert json.loads(found["base64"][1])["message"] == "?!"
    assert found["binary"] == (BINARY, b"\x00\xff\x00\xff")
    assert {opcode for form, (opcode, _) in found.items() if form != "binary"} == {TEXT}


@seen(STREAM_LOOKS)
async def sees_huge(market: PracticeMarket, _curl: Curl) -> None:
    market.fault("huge", frame_bytes=100_000)
    async with connected(market) as stream:
        tick(market, 1)
        assert [(opcode, len(payload)) for opcode, payload in await stream.pinged()] == [(TEXT, 100_000)]


@seen(HTTP_LOOKS)
async def sees_refuse(market: PracticeMarket, _curl: Curl) -> None:
    market.fault("refuse")
    proxy = urlsplit(market.proxy_url)
    reader, writer = await asyncio.open_connection(proxy.hostname, proxy.port)
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()


@seen(HTTP_LOOKS)
async def sees_unreachable(market: PracticeMarket, curl: Curl) -> None:
    market.fault("unreachable", host="query1.*")
    page = await curl.get(CHART)
    assert (page.exit_code, "502" in page.said) == (56, True)
    assert (await curl.get("https://fc.yahoo.com/")).status == 404


@seen(HTTP_LOOKS)
async def sees_drop(market: PracticeMarket, curl: Curl) -> None:
    market.fault("drop", symbols=["F"])
    assert list((await curl.quote("AAPL", "F")).quotes()) == ["AAPL"]
    market.clear("drop")
    assert list((await curl.quote("AAPL", "F")).quotes()) == ["AAPL", "F"]


@seen(HTTP_LOOKS)
async def sees_answer(market: PracticeMarket, curl: Curl) -> None:
    market.fault("answer", path="/v1/test/getcrumb", body="Too Many Requests", type="text/plain", times=1)
    first, second = [await curl.get("/v1/test/getcrumb") for _ in range(2)]
    assert (first.status, first.body) == (200, b"Too Many Requests")
    assert second.body.decode() == curl.crumb


@seen(HTTP_LOOKS)
async def sees_unauthorized(market: PracticeMarket, curl: Curl) -> None:
    market.fault("unauthorized", path="/v7/*")
    page = await curl.quote("AAPL")
    assert (page.status, page.json()["finance"]["error"]["description"]) == (401, "Invalid Crumb")
    assert (await curl.get(CHART)).status == 200


@seen(HTTP_LOOKS)
async def sees_too_many(market: PracticeMarket, curl: Curl) -> None:
    """To everybody or to one exit, with and without Retry-After."""
    market.fault("too_many")
    page = await curl.get(CHART)
    assert (page.status, page.body, "retry-after" in page.headers) == (429, TOO_MANY, False)
    market.clear()
    market.fault("too_many", exit="198.18.*", retry_after_s=7)
    assert (await curl.get(CHART)).status == 200
    market.clear()
    market.fault("too_many", exit=DIRECT_EXIT, retry_after_s=7)
    page = await curl.get(CHART)
    assert (page.status, page.headers["retry-after"]) == (429, "7")


@seen(HTTP_LOOKS)
async def sees_rate_limit(market: PracticeMarket, curl: Curl) -> None:
    market.fault("rate_limit", requests=2, window_s=60, penalty_s=60)
    assert [(await curl.get(CHART)).status for _ in range(3)] == [200, 200, 429]


@seen(HTTP_LOOKS)
async def sees_server_error(market: PracticeMarket, curl: Curl) -> None:
    market.fault("server_error", status=502, retry_after_s=9)
    page = await curl.get(CHART)
    assert (page.status, page.headers["retry-after"]) == (502, "9")


@seen(HTTP_LOOKS)
async def sees_truncate(market: PracticeMarket, curl: Curl) -> None:
    market.fault("truncate", at_bytes=50)
    page = await curl.quote("AAPL")
    assert (page.exit_code, page.status, len(page.body)) == (0, 200, 50)


@seen(HTTP_LOOKS)
async def sees_cut(market: PracticeMarket, curl: Curl) -> None:
    market.fault("cut", at_bytes=50)
    page = await curl.quote("AAPL")
    assert (page.exit_code, len(page.body)) == (18, 50)  # CURLE_PARTIAL_FILE


@seen(HTTP_LOOKS)
async def sees_hollow(market: PracticeMarket, curl: Curl) -> None:
    market.fault("hollow", what="times")
    (chart,) = (await curl.get("/v8/finance/chart/AAPL?range=5d&interval=1d")).json()["chart"]["result"]
    assert None in chart["timestamp"]
    market.clear()
    market.fault("hollow", what="modules")
    page = await curl.get(f"/v10/finance/quoteSummary/AAPL?modules=price&crumb={curl.crumb}")
    assert page.json()["quoteSummary"]["result"] == [{"price": {}}]


@seen(HTTP_LOOKS)
async def sees_html(market: PracticeMarket, curl: Curl) -> None:
    market.fault("html")
    page = await curl.quote("AAPL")
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert page.body.startswith(b"<!DOCTYPE html>")


@seen(HTTP_LOOKS)
async def sees_captcha(market: PracticeMarket, curl: Curl) -> None:
    market.fault("captcha")
    page = await curl.quote("AAPL")
    assert (page.status, b"human" in page.body) == (200, True)


@seen(HTTP_LOOKS)
async def sees_wrong_ticker(market: PracticeMarket, curl: Curl) -> None:
    true = (await curl.quote("AAPL", "F")).quotes()
    market.fault("wrong_ticker")
    wrong = (await curl.quote("AAPL", "F")).quotes()
    assert wrong["F"]["longName"] == true["AAPL"]["longName"]
    assert list((await curl.quote("AAPL")).quotes()) == ["ZVZZT"]


@seen(HTTP_LOOKS)
async def sees_missing_tickers(market: PracticeMarket, curl: Curl) -> None:
    market.fault("missing_tickers")
    assert list((await curl.quote("AAPL", "F", "MSFT", "QQQ")).quotes()) == ["AAPL", "MSFT"]
    market.fault("missing_tickers", symbols=["AAPL"])
    assert list((await curl.quote("AAPL", "F", "MSFT", "QQQ")).quotes()) == ["MSFT"]


@seen(HTTP_LOOKS)
async def sees_unit_change(market: PracticeMarket, curl: Curl) -> None:
    true = (await curl.quote("AAPL")).quotes()["AAPL"]["dividendYield"]
    market.fault("unit_change")
    assert (await curl.quote("AAPL")).quotes()["AAPL"]["dividendYield"] == pytest.approx(true / 100)


@seen(HTTP_LOOKS)
async def sees_tamper_all(market: PracticeMarket, curl: Curl) -> None:
    true = (await curl.quote("AAPL", "F")).quotes()
    market.fault("tamper_all", factor=2)
    wrong = (await curl.quote("AAPL", "F")).quotes()
    for symbol in ("AAPL", "F"):
        for key in ("regularMarketPreviousClose", "fiftyTwoWeekLow", "sharesOutstanding"):
            assert wrong[symbol][key] == pytest.approx(2 * true[symbol][key])
        assert wrong[symbol]["firstTradeDateMilliseconds"] == true[symbol]["firstTradeDateMilliseconds"]


@seen(HTTP_LOOKS)
async def sees_tamper_one(market: PracticeMarket, curl: Curl) -> None:
    market.fault("tamper_one", factor=2)
    wrong = (await curl.quote("AAPL", "F", "MSFT")).quotes()
    doubled = [symbol for symbol, quote in wrong.items() if quote["regularMarketPrice"] > 1.5 * quote["bid"]]
    assert len(doubled) == 1


@seen(HTTP_LOOKS)
async def sees_batch_limit(market: PracticeMarket, curl: Curl) -> None:
    market.fault("batch_limit", symbols=2)
    assert (await curl.quote("AAPL", "F")).status == 200
    assert (await curl.quote("AAPL", "F", "MSFT")).status == 400


@seen(HTTP_LOOKS)
async def sees_slow_answer(market: PracticeMarket, curl: Curl) -> None:
    market.fault("slow_answer", delay_s=30)
    page = await curl.get(CHART, "--max-time", "0.3")
    assert (page.exit_code, page.status) == (28, 0)  # CURLE_OPERATION_TIMEDOUT, and not a byte


@seen(HTTP_LOOKS)
async def sees_slow_body(market: PracticeMarket, curl: Curl) -> None:
    market.fault("slow_body", bytes_per_s=50)
    page = await curl.get(CHART, "--max-time", "4")
    assert (page.exit_code, page.status) == (28, 200)
    assert 0 < len(page.body) <= 200


@seen(HTTP_LOOKS)
async def sees_bomb(market: PracticeMarket, curl: Curl) -> None:
    market.fault("bomb", unpacked_mb=20)
    page = await curl.get(CHART, "--compressed")
    assert (page.exit_code, int(page.headers["content-length"]) < 100_000) == (0, True)
    assert len(page.body) == 20 << 20


@seen(HTTP_LOOKS)
async def sees_redirect(market: PracticeMarket, curl: Curl) -> None:
    market.fault("redirect", location="http://127.0.0.1:1/inside")
    page = await curl.get(CHART)
    assert (page.status, page.headers["location"]) == (302, "http://127.0.0.1:1/inside")
