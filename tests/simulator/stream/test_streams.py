from __future__ import annotations

import asyncio
import base64
import json
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.http11 import Request

from simulator import testing
from simulator.record.ledger import Connection
from simulator.stream.streams import StreamConnection, _shake_hands
from simulator.testing import PracticeMarket
from simulator.trouble.faults import Faults
from tests.fix_scanners import eventually
from tests.fix_simulator import NOON, STREAM_URL, StillClock, YahooClient, pricing_schema

PATIENCE_S = 60.0


def open_stream(practice: PracticeMarket, url: str = STREAM_URL) -> connect:
    trust = ssl.create_default_context(cafile=practice.ca_file)
    return connect(url, ssl=trust, proxy=practice.proxy_url, compression=None)


async def subscribe(stream: ClientConnection, *symbols: object) -> None:
    await stream.send(json.dumps({"subscribe": symbols}))


async def next_message(stream: ClientConnection) -> Any:
    """Return the next frame as yfinance's schema reads it."""
    envelope = json.loads(await asyncio.wait_for(stream.recv(), PATIENCE_S))
    assert envelope["type"] == "pricing"
    return pricing_schema().FromString(base64.b64decode(envelope["message"]))


async def silent(stream: ClientConnection) -> bool:
    """Whether nothing lies between us and the answer to a ping: a frame sent before it would come first."""
    await asyncio.wait_for(await stream.ping(), PATIENCE_S)
    try:
        await asyncio.wait_for(stream.recv(), 0.05)
    except TimeoutError:
        return True
    return False


async def test_a_subscriber_gets_the_last_price_at_once_with_the_time_of_its_trade(
    still_market: PracticeMarket,
) -> None:
    stock = still_market.market.stocks["AAPL"]
    async with open_stream(still_market) as stream:
        await subscribe(stream, "AAPL")
        message = await next_message(stream)

    assert (message.id, message.market_hours) == ("AAPL", 1)
    assert round(message.price, 2) == stock.price
    assert message.time == 1000 * stock.trade_time_s


async def test_in_a_closed_market_the_last_price_can_be_days_old(tmp_path: Path) -> None:
    sunday = StillClock(datetime(2026, 11, 22, 17, 0, tzinfo=UTC))
    friday_close = datetime(2026, 11, 20, 21, 0, tzinfo=UTC)
    async with testing.running(tmp_path, calendar="XNYS", clock=sunday) as practice, open_stream(practice) as stream:
        await subscribe(stream, "AAPL")
        message = await next_message(stream)

    assert friday_close.timestamp() - 60 < message.time / 1000 <= friday_close.timestamp()
    assert (message.market_hours, message.day_volume) == (2, 0)


async def test_a_trade_reaches_each_subscriber_once_a_second(still_market: PracticeMarket) -> None:
    async with open_stream(still_market) as one, open_stream(still_market) as other:
        for stream in (one, other):
            await subscribe(stream, "AAPL")
            await next_message(stream)
        still_market.server.advance(NOON + timedelta(seconds=1))
        still_market.server.advance(NOON + timedelta(seconds=1.5))
        messages = [await next_message(stream) for stream in (one, other)]
        assert await silent(one)

    assert [message.time for message in messages] == [1000 * int(NOON.timestamp() + 1)] * 2


async def test_the_quote_and_the_stream_agree(still_market: PracticeMarket) -> None:
    client = YahooClient(still_market.proxy_url, still_market.ca_file)
    await asyncio.to_thread(client.log_in)
    async with open_stream(still_market) as stream:
        await subscribe(stream, "AAPL")
        await next_message(stream)
        still_market.server.advance(NOON + timedelta(seconds=1))
        message = await next_message(stream)
    reply = await asyncio.to_thread(client.quote, ["AAPL"])
    quote = reply.json()["quoteResponse"]["result"][0]

    assert f"{message.price:.7g}" == f"{quote['regularMarketPrice']:.7g}"
    assert message.change == pytest.approx(quote["regularMarketChange"], rel=1e-6)
    assert message.change_percent == pytest.approx(quote["regularMarketChangePercent"], rel=1e-6)
    assert message.day_volume == quote["regularMarketVolume"]
    assert message.time == 1000 * quote["regularMarketTime"]


async def test_the_101st_symbol_is_silent(still_market: PracticeMarket) -> None:
    unknown = [f"NO-SUCH-{number}" for number in range(99)]
    async with open_stream(still_market) as stream:
        await subscribe(stream, *unknown, "AAPL", "MSFT")
        assert (await next_message(stream)).id == "AAPL"
        assert await silent(stream)


async def test_the_canary_ticks_by_itself(practice_market: PracticeMarket) -> None:
    async with open_stream(practice_market) as stream:
        await subscribe(stream, "BTC-USD")
        ticks = [await next_message(stream) for _ in range(2)]

    assert {message.id for message in ticks} == {"BTC-USD"}
    assert ticks[1].time - ticks[0].time == 1000


@pytest.mark.parametrize("text", ['{"subscribe": "BTC-USD"}', "hello", '{"bogus_action": []}', '{"subscribe": [null]}'])
async def test_nonsense_closes_the_stream_without_a_status(still_market: PracticeMarket, text: str) -> None:
    async with open_stream(still_market) as stream:
        await stream.send(text)
        with pytest.raises(ConnectionClosed) as closed:
            await asyncio.wait_for(stream.recv(), PATIENCE_S)

    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1005


async def test_an_order_in_fragments_is_one_order(still_market: PracticeMarket) -> None:
    async with open_stream(still_market) as stream:
        await stream.send(iter(['{"subscribe"', ': ["AAPL', '"]}']))
        assert (await next_message(stream)).id == "AAPL"


async def test_another_path_is_not_a_stream(still_market: PracticeMarket) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await open_stream(still_market, "wss://streamer.finance.yahoo.com/other").__aenter__()

    assert refused.value.response.status_code == 404


async def test_streams_close_with_the_code_that_is_ordered(still_market: PracticeMarket) -> None:
    async with open_stream(still_market) as stream:
        await asyncio.wait_for(await stream.ping(), PATIENCE_S)
        still_market.server.close_streams(1001)
        with pytest.raises(ConnectionClosed) as closed:
            await asyncio.wait_for(stream.recv(), PATIENCE_S)

    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1001


async def test_without_a_code_streams_are_cut_without_a_close(still_market: PracticeMarket) -> None:
    async with open_stream(still_market) as stream:
        await asyncio.wait_for(await stream.ping(), PATIENCE_S)
        still_market.server.close_streams()
        with pytest.raises(ConnectionClosed) as closed:
            await asyncio.wait_for(stream.recv(), PATIENCE_S)

    assert closed.value.rcvd is None
    assert isinstance(closed.value.__cause__, ConnectionResetError)


async def test_a_mute_stream_answers_pings_and_says_nothing(still_market: PracticeMarket) -> None:
    still_market.faults.mute_streams = True
    async with open_stream(still_market) as stream:
        await subscribe(stream, "AAPL")
        assert await silent(stream)
        still_market.server.advance(NOON + timedelta(seconds=1))
        assert await silent(stream)


def test_a_path_that_is_no_address_is_not_a_stream() -> None:
    page = Connection(number=1, opened_at_s=0.0, proxy="direct", exit="192.0.2.1")
    connection = StreamConnection(None, Faults(), page)  # type: ignore[arg-type]
    _shake_hands(connection, Request("//[", Headers()))
    assert connection.protocol.data_to_send()[0].startswith(b"HTTP/1.1 404 ")


async def test_the_ledger_counts_what_each_stream_was_sent(still_market: PracticeMarket) -> None:
    async with open_stream(still_market) as stream:
        await subscribe(stream, "AAPL", "NO-SUCH")
        first = await next_message(stream)
        still_market.server.advance(NOON + timedelta(seconds=1))
        await next_message(stream)
        (page,) = still_market.connections()
        assert (page.frames, page.symbols, page.closed_at_s) == (2, ["AAPL", "NO-SUCH"], None)
        sent = still_market.sent("AAPL")
        assert [(each.connection, each.at_s - NOON.timestamp()) for each in sent] == [
            (page.number, 0),
            (page.number, 1),
        ]
        assert sent[0].price == round(first.price, 2)
    await eventually(lambda: still_market.connections()[0].closed_at_s)
    assert still_market.connections()[0].outcome == "closed 1000"


async def test_frames_that_a_fault_makes_are_counted_apart(still_market: PracticeMarket) -> None:
    still_market.fault("garbage")
    async with open_stream(still_market) as stream:
        await subscribe(stream, "AAPL")
        await next_message(stream)
        still_market.server.advance(NOON + timedelta(seconds=1))
        await next_message(stream)
        (page,) = still_market.connections()

    assert (page.frames, page.spoiled) == (2, 1)


async def test_a_mute_of_one_connection_leaves_the_others_alone(still_market: PracticeMarket) -> None:
    async with open_stream(still_market) as one, open_stream(still_market) as other:
        for stream in (one, other):
            await subscribe(stream, "AAPL")
            await next_message(stream)
        first, _second = (page.number for page in still_market.connections())
        still_market.fault("mute", connections=[first])
        still_market.server.advance(NOON + timedelta(seconds=1))
        assert await silent(one)
        assert (await next_message(other)).id == "AAPL"
