from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest

from simulator.stream import wire
from simulator.world.listings import Listing, canary
from simulator.world.walk import Stock
from tests.fix_simulator import pricing_schema

LISTING = Listing(
    symbol="RELIANCE.NS",
    name="",
    exchange="NSI",
    kind="Common",
    price=1192.3,
    change=10.3,
    daily_volume=0,
    market_cap_usd=None,
)
STOCK = Stock(
    listing=LISTING,
    digits=2,
    value=1192.3,
    price=1192.3,
    previous_close=1182.0,
    open=1182.0,
    high=1195.0,
    low=1180.0,
    volume=5_872_483,
    trade_time_s=1_790_748_968,
    trades_per_s=1.0,
    swing=0.01,
    last_size=7,
)


@pytest.fixture(scope="module")
def pricing_data() -> Any:
    return pricing_schema()


def message(stock: Stock, *, market_hours: int = wire.REGULAR) -> bytes:
    return wire.stock_message(
        stock, wire.fixed(stock), time=wire.time_field(stock.trade_time_s), market_hours=market_hours
    )


def fields(data: bytes) -> list[tuple[int, int]]:
    """Return (field number, wire type) of each field: a second reader, to see what the schema does not name."""
    found, position = [], 0
    while position < len(data):
        tag, position = _varint(data, position)
        kind = tag & 7
        found.append((tag >> 3, kind))
        if kind == 0:
            _, position = _varint(data, position)
        elif kind == 2:
            length, position = _varint(data, position)
            position += length
        else:
            position += {1: 8, 5: 4}[kind]
    return found


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, position


@pytest.mark.parametrize(("value", "encoded"), [(0, "00"), (1, "01"), (127, "7f"), (128, "8001"), (300, "ac02")])
def test_varints_are_those_of_the_protobuf_handbook(value: int, encoded: str) -> None:
    assert wire.varint(value).hex() == encoded


def test_a_signed_time_is_twice_its_value_on_the_wire() -> None:
    # Recorded: RELIANCE.NS at 2026-09-30T06:16:08Z is the varint 3581497936000.
    assert wire.time_field(1_790_748_968) == b"\x18" + wire.varint(3_581_497_936_000)


def test_yfinance_reads_our_frame_of_a_share(pricing_data: Any) -> None:
    read = pricing_data.FromString(message(STOCK))

    assert read.id == "RELIANCE.NS"
    assert f"{read.price:.7g}" == "1192.3"
    assert read.time == 1_790_748_968_000
    assert (read.exchange, read.quote_type, read.market_hours) == ("NSI", 8, 1)
    assert f"{read.change_percent:.6g}" == "0.871404"  # 100 * 10.3 / 1182
    assert (read.day_volume, read.price_hint) == (5_872_483, 2)
    assert f"{read.change:.4g}" == "10.3"


def test_a_share_s_frame_has_the_fields_of_a_recorded_one_in_their_order() -> None:
    # RELIANCE.NS, 2026-09-30T06:16:08Z: a frame of the regular session with fields 46 and 47.
    assert fields(message(replace(STOCK, last_size=1))) == [
        (1, 2),
        (2, 5),
        (3, 0),
        (5, 2),
        (6, 0),
        (7, 0),
        (8, 5),
        (9, 0),
        (12, 5),
        (22, 0),
        (27, 0),
        (46, 5),
        (47, 5),
    ]


@pytest.mark.parametrize("market_hours", [wire.PRE, wire.POST])
def test_outside_the_session_there_is_no_volume_but_always_market_hours(pricing_data: Any, market_hours: int) -> None:
    data = message(STOCK, market_hours=market_hours)

    # MU, 2026-09-30T20:07:57Z
    assert [number for number, _ in fields(data)] == [1, 2, 3, 5, 6, 7, 8, 12, 27, 46, 47]
    assert pricing_data.FromString(data).market_hours == market_hours


def test_an_etf_says_so(pricing_data: Any) -> None:
    etf = replace(STOCK, listing=replace(LISTING, kind="ETF"))

    assert pricing_data.FromString(message(etf)).quote_type == 20


def test_the_canary_s_frame_has_the_fields_of_a_recorded_one(pricing_data: Any) -> None:
    coin = replace(STOCK, listing=canary(), price=63_391.56, volume=21_288_488_960)
    data = wire.canary_message(coin)
    read = pricing_data.FromString(data)

    # BTC-USD, 2026-08-13T12:03:09Z
    assert [number for number, _ in fields(data)] == [
        *(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 15, 22, 27, 28, 29, 30, 32, 33)
    ]
    assert (read.id, read.currency, read.exchange, read.quote_type) == ("BTC-USD", "USD", "CCC", 41)
    assert read.vol_24hr == 21_288_488_960
    assert read.circulating_supply == 20_069_600.0


@pytest.mark.parametrize("size", [20, 60, 61, 66, 67, 400])
def test_a_text_frame_has_the_length_that_its_head_says(size: int) -> None:
    frame = wire.text_frame(bytes(size))
    assert frame[0] == 0x81
    text = frame[2:] if frame[1] < 126 else frame[4:]
    length = frame[1] if frame[1] < 126 else int.from_bytes(frame[2:4], "big")

    assert length == len(text)
    assert json.loads(text) == {"type": "pricing", "message": base64.b64encode(bytes(size)).decode()}


@pytest.mark.parametrize(
    ("size", "head"),
    [
        (0, b"\x81\x00"),
        (125, b"\x81\x7d"),
        (126, b"\x81\x7e\x00\x7e"),
        (65_535, b"\x81\x7e\xff\xff"),
        (65_536, b"\x81\x7f" + (65_536).to_bytes(8, "big")),
    ],
)
def test_a_frame_s_length_is_written_in_the_shortest_form(size: int, head: bytes) -> None:
    """RFC 6455 section 5.2."""
    assert wire.frame_of(b"x" * size) == head + b"x" * size
