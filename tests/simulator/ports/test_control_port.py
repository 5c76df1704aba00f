from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from core.errors import FixByHand, NotRunning, TickerdError
from simulator.ports.control_port import LINE_BYTES, ask
from simulator.ports.loopback import split_address
from simulator.testing import PracticeMarket
from tests.fix_ports import deaf_port


async def speak(market: PracticeMarket, *lines: bytes) -> list[dict[str, Any]]:
    """Say lines over a bare socket and return all answers until the market has enough of us."""
    host, port = split_address(market.control, key="")
    reader, writer = await asyncio.open_connection(host, port)
    for line in lines:
        writer.write(line + b"\n")
    writer.write_eof()
    answers = (await asyncio.wait_for(reader.read(), 60)).splitlines()
    writer.close()
    return [json.loads(answer) for answer in answers]


async def test_each_line_is_an_order_and_each_answer_a_line(still_market: PracticeMarket) -> None:
    answers = await speak(still_market, b'{"do":"fault","name":"mute=30s"}', b'{"do":"faults"}', b'{"do":"clear"}')

    assert [answer["ok"] for answer in answers] == [True] * 3
    assert [fault["name"] for fault in answers[1]["result"]] == ["mute"]
    assert (answers[0]["result"], answers[2]["result"], answers[0]["version"]) == (1, 1, 1)


async def test_a_wrong_order_is_told_and_the_next_one_is_heard(still_market: PracticeMarket) -> None:
    wrong, right = await speak(still_market, b'{"do":"dance"}', b'{"do":"status"}')

    assert (wrong["ok"], wrong["exit_code"]) == (False, 78)
    assert "known orders: fault, " in wrong["error"]
    assert right["result"]["tickers"] == 9


async def test_who_speaks_no_json_is_told_so_and_left(still_market: PracticeMarket) -> None:
    """A browser that posts an order to the port gets no further than its own first line."""
    answers = await speak(still_market, b"POST / HTTP/1.1", b"", b'{"do":"fault","name":"mute"}')

    assert [answer["ok"] for answer in answers] == [False]
    assert still_market.faults_on() == []


async def test_a_line_too_long_ends_the_connection_and_nothing_else(still_market: PracticeMarket) -> None:
    host, port = split_address(still_market.control, key="")
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(b" " * (LINE_BYTES + 100_000))
    with pytest.raises(ConnectionError):
        await writer.drain()
        assert await asyncio.wait_for(reader.read(), 60) == b""
        raise ConnectionResetError
    writer.close()
    assert (await speak(still_market, b'{"do":"status"}'))[0]["ok"]


async def test_asking_gives_the_result_or_raises_what_the_market_said(still_market: PracticeMarket) -> None:
    address = split_address(still_market.control, key="")

    assert await asyncio.to_thread(ask, address, {"do": "fleet"}) == []
    with pytest.raises(TickerdError, match="'moot' is no fault; known: answer, ") as refused:
        await asyncio.to_thread(ask, address, {"do": "fault", "name": "moot"})
    assert refused.value.exit_code == FixByHand.exit_code


def test_where_no_market_is_somebody_has_to_start_one() -> None:
    with deaf_port() as port, pytest.raises(NotRunning, match=rf"127\.0\.0\.1:{port}: no practice market answers"):
        ask(("127.0.0.1", port), {"do": "status"})


async def test_a_line_nested_without_end_is_told_to_be_none(still_market: PracticeMarket) -> None:
    (answer,) = await speak(still_market, b"[" * 200_000)

    assert (answer["ok"], answer["exit_code"]) == (False, 78)
    assert "no JSON" in answer["error"]
