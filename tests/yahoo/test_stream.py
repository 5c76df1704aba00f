import base64
import json
import math
import struct
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.quotes import Tick
from yahoo.stream import ORIGIN, FrameParser, subscribe_text

FRAMES: list[dict[str, Any]] = json.loads((Path(__file__).parents[1] / "data" / "pricing_frames.json").read_bytes())
PARSER = FrameParser()
TIME_MS = 1_795_453_200_000  # 2026-11-23T17:00:00Z


def frame_of(message: str, kind: object = "pricing") -> str:
    return json.dumps({"type": kind, "message": message})


def varint(number: int) -> bytes:
    number &= 2**64 - 1
    found = b""
    while number > 127:
        found += bytes([number & 127 | 128])
        number >>= 7
    return found + bytes([number])


def zigzag(number: int) -> bytes:
    return varint(number << 1 if number >= 0 else (-number << 1) - 1)


def packed(*parts: bytes, price: float = 1.5, time_ms: int = TIME_MS, ticker: bytes = b"A") -> str:
    """Return a frame built field by field, without yfinance's schema."""
    head = b"\x0a" + varint(len(ticker)) + ticker + b"\x15" + struct.pack("<f", price) + b"\x18" + zigzag(time_ms)
    return frame_of(base64.b64encode(head + b"".join(parts)).decode())


def skipped(frame: str | bytes) -> dict[str, int]:
    parser = FrameParser()
    assert parser.parse(frame) is None
    return dict(parser.skipped)


@pytest.mark.parametrize("recorded", FRAMES, ids=lambda found: f"{found['decoded']['id']}-{found['time_utc']}")
@pytest.mark.parametrize("form", [str, str.encode], ids=["text", "bytes"])
def test_each_recorded_frame_is_a_tick_without_float32_noise(recorded: dict[str, Any], form: Any) -> None:
    parser = FrameParser()
    tick = parser.parse(form(frame_of(recorded["message"])))
    decoded = recorded["decoded"]
    assert tick is not None
    assert tick.ticker == decoded["id"]
    assert tick.price == decoded["price"]
    assert tick.change == decoded["change"]
    assert tick.change_percent == decoded["change_percent"]
    assert tick.price_time == datetime.fromisoformat(recorded["time_utc"])
    assert tick.day_volume == (int(decoded["day_volume"]) if "day_volume" in decoded else None)
    assert tick.market_hours == recorded["market_hours"]
    assert not parser.skipped


def recorded_tick(ticker: str, at: str) -> Tick:
    found = next(found for found in FRAMES if found["decoded"]["id"] == ticker and found["time_utc"].startswith(at))
    tick = PARSER.parse(frame_of(found["message"]))
    assert tick is not None
    return tick


def test_the_recordings_cover_what_the_stream_sends() -> None:
    assert len(FRAMES) == 21
    assert {found["market_hours"] for found in FRAMES} == {0, 1, 2, 4}
    assert {found["transport"] for found in FRAMES} == {"bare base64 text frame", "version=2 JSON envelope"}
    assert sum(bool(found["unknown_fields"]) for found in FRAMES) == 2


def test_fields_that_no_schema_names_are_skipped() -> None:
    found = next(found for found in FRAMES if found["decoded"]["id"] == "MU")
    assert [unknown["field"] for unknown in found["unknown_fields"]] == [46, 47]
    assert recorded_tick("MU", "2026-09-30") == Tick(
        ticker="MU",
        price=1059.7094,
        price_time=datetime(2026, 9, 30, 20, 7, 57, tzinfo=UTC),
        change=-5.400635,
        change_percent=-0.5070495,
        day_volume=None,
        market_hours=2,
    )


def test_pre_market_is_hour_zero_and_stays_zero() -> None:
    tick = recorded_tick("AAPL", "2026-05-22")
    assert tick.market_hours == 0
    assert tick.market_hours is not None


def test_a_volume_that_was_not_sent_is_not_zero() -> None:
    assert recorded_tick("TSLA", "2026-03-11").day_volume is None


def test_the_canary_is_read_with_its_volume_in_dollars() -> None:
    tick = recorded_tick("BTC-USD", "2026-07-29")
    assert (tick.price, tick.day_volume) == (63343.95, 27_724_728_320)


@pytest.mark.parametrize(
    "recorded",
    [found for found in FRAMES if found["transport"] == "bare base64 text frame"],
    ids=lambda f: f["time_utc"],
)
def test_a_frame_of_the_old_transport_is_counted_and_not_used(recorded: dict[str, Any]) -> None:
    assert skipped(recorded["message"]) == {"not_json": 1}


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        ("", "not_json"),
        (b"\xff\x00", "not_json"),
        ("\ud800", "not_json"),
        ("[" * 100_000, "not_json"),
        ('{"type":"pricing","message":NaN}', "not_json"),
        ("null", "other_type"),
        ("[]", "other_type"),
        ("5", "other_type"),
        ("{}", "other_type"),
        ('{"message":"CgFB"}', "other_type"),
        (frame_of("CgFB", "earnings"), "other_type"),
        (frame_of("CgFB", None), "other_type"),
        (frame_of("CgFB", ["pricing"]), "other_type"),
        ('{"type":"pricing"}', "not_pricing_data"),
        ('{"type":"pricing","message":null}', "not_pricing_data"),
        ('{"type":"pricing","message":5}', "not_pricing_data"),
        ('{"type":"pricing","message":{}}', "not_pricing_data"),
        (frame_of("CgRNU0ZU%%%"), "not_pricing_data"),
        (frame_of("CgRNU0Z"), "not_pricing_data"),
        (frame_of("äöü"), "not_pricing_data"),
        (frame_of("CgRNU0"), "not_pricing_data"),
        (frame_of(base64.b64encode(b"\x0a\x02\xff\xfe").decode()), "not_pricing_data"),  # an id that is not UTF-8
        (frame_of(base64.b64encode(b"\x0a\x7fA").decode()), "not_pricing_data"),  # shorter than it says
        (frame_of(base64.b64encode(b"\xff" * 12).decode()), "not_pricing_data"),
        (frame_of(""), "no_id_or_time"),
        (frame_of("CgFB"), "no_id_or_time"),
        (packed(ticker=b""), "no_id_or_time"),
        (packed(time_ms=0), "no_id_or_time"),
        (packed(time_ms=-5), "no_id_or_time"),
        (packed(time_ms=TIME_MS // 1000), "no_id_or_time"),  # seconds
        (packed(time_ms=2**62), "no_id_or_time"),
        (packed(price=0.0), "no_price"),
        (packed(price=-1.5), "no_price"),
        (packed(price=math.nan), "no_price"),
        (packed(price=math.inf), "no_price"),
        (packed(price=-math.inf), "no_price"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_bad_frame_is_counted_by_its_reason_and_yields_nothing(frame: str | bytes, reason: str) -> None:
    assert skipped(frame) == {reason: 1}


def test_reasons_add_up_over_frames() -> None:
    parser = FrameParser()
    for frame in ("", "{}", "{}", packed(price=0.0)):
        parser.parse(frame)
    assert parser.skipped == {"not_json": 1, "other_type": 2, "no_price": 1}


def test_a_field_of_the_wrong_wire_type_is_as_if_it_were_absent() -> None:
    as_varint = b"\x10\x05"  # field 2, the price, as a whole number
    assert skipped(frame_of(base64.b64encode(b"\x0a\x01A" + as_varint + b"\x18" + zigzag(TIME_MS)).decode())) == {
        "no_price": 1
    }
    as_text = b"\x4a\x01x"  # field 9, the volume, as text
    tick = PARSER.parse(packed(as_text))
    assert tick is not None
    assert tick.day_volume is None


@pytest.mark.parametrize(("volume", "found"), [(5, 5), (2**63 - 1, 2**63 - 1), (0, 0), (-5, None), (-(2**63), None)])
def test_a_volume_below_zero_is_not_known(volume: int, found: int | None) -> None:
    tick = PARSER.parse(packed(b"\x48" + zigzag(volume)))
    assert tick is not None
    assert tick.day_volume == found


@pytest.mark.parametrize("change", [math.nan, math.inf, -math.inf])
def test_a_change_beyond_sense_is_not_known_and_the_price_counts(change: float) -> None:
    number = struct.pack("<f", change)
    tick = PARSER.parse(packed(b"\x45" + number, b"\x65" + number))
    assert tick == Tick(ticker="A", price=1.5, price_time=datetime(2026, 11, 23, 17, 0, tzinfo=UTC))


def test_a_field_that_is_zero_and_one_that_is_absent_are_two_things() -> None:
    zero = struct.pack("<f", 0.0)
    told = PARSER.parse(packed(b"\x45" + zero, b"\x65" + zero, b"\x48" + zigzag(0), b"\x38" + varint(0)))
    untold = PARSER.parse(packed())
    assert told is not None
    assert untold is not None
    assert (told.change, told.change_percent, told.day_volume, told.market_hours) == (0.0, 0.0, 0, 0)
    assert (untold.change, untold.change_percent, untold.day_volume, untold.market_hours) == (None,) * 4


def test_fields_that_the_schema_does_not_name_are_skipped_and_counted_by_number() -> None:
    parser = FrameParser()
    number_46, text_500 = b"\xf5\x02" + struct.pack("<f", 1.0), b"\xa2\x1f\x02hi"
    for parts in ((number_46,), (number_46, text_500), ()):
        assert parser.parse(packed(*parts)) is not None
    assert parser.unknown_fields == {46: 2, 500: 1}
    for recorded in FRAMES:
        parser.parse(frame_of(recorded["message"]))
    assert parser.unknown_fields == {46: 4, 47: 2, 500: 1}


def test_an_unnamed_field_that_changes_its_kind_is_counted_all_the_same() -> None:
    parser = FrameParser()
    for part in (b"\xf0\x02\x05", b"\xf2\x02\x02hi", b"\xf5\x02" + struct.pack("<f", 0.0)):  # 46: whole, text, 0.0
        assert parser.parse(packed(part)) is not None
    assert parser.unknown_fields == {46: 3}


def test_numbers_of_unknown_fields_without_end_take_no_memory_without_end() -> None:
    parser = FrameParser()
    for number in range(100, 400):
        parser.parse(packed(varint(number << 3) + b"\x01"))
    assert len(parser.unknown_fields) == 100


@pytest.mark.parametrize("price", [0.0001, 1e-30, 3.4e38, 754_321.0])
def test_every_price_that_a_float32_holds_is_read(price: float) -> None:
    tick = PARSER.parse(packed(price=price))
    assert tick is not None
    assert tick.price == price


def test_an_hour_that_no_enum_names_is_kept() -> None:
    tick = PARSER.parse(packed(b"\x38" + varint(77)))
    assert tick is not None
    assert tick.market_hours == 77


def test_a_subscription_is_a_list_of_symbols() -> None:
    assert json.loads(subscribe_text(["AAPL", "BTC-USD"])) == {"subscribe": ["AAPL", "BTC-USD"]}
    assert json.loads(subscribe_text(iter([]))) == {"subscribe": []}
    assert ORIGIN == "https://finance.yahoo.com"


@pytest.mark.parametrize("symbols", [["AAPL", ""], ["AAPL", None]])
def test_an_empty_symbol_is_never_sent_because_it_closes_the_connection(symbols: list[Any]) -> None:
    with pytest.raises(ValueError, match="empty symbol"):
        subscribe_text(symbols)


@given(
    st.text(max_size=80)
    | st.binary(max_size=80)
    | st.binary(max_size=80).map(lambda message: frame_of(base64.b64encode(message).decode()))
)
def test_any_frame_is_a_tick_or_nothing(frame: str | bytes) -> None:
    tick = PARSER.parse(frame)
    assert tick is None or (tick.ticker and 0 < tick.price < 3.5e38)


@given(st.sampled_from(FRAMES), st.data())
def test_a_recorded_frame_with_a_flipped_byte_is_a_tick_or_nothing(
    recorded: dict[str, Any], data: st.DataObject
) -> None:
    message = bytearray(base64.b64decode(recorded["message"]))
    message[data.draw(st.integers(0, len(message) - 1))] = data.draw(st.integers(0, 255))
    cut = message[: data.draw(st.integers(0, len(message)))]
    for damaged in (message, cut):
        tick = PARSER.parse(frame_of(base64.b64encode(bytes(damaged)).decode()))
        assert tick is None or math.isfinite(tick.price)
