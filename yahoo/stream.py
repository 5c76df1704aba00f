"""The price stream's frames, without a socket: text in, ticks out. Never reads a clock and never waits.

The v2 stream sends JSON `{"type": "pricing", "message": BASE64}`, the message being a protobuf `PricingData`.
"""

from __future__ import annotations

import binascii
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from functools import cache, lru_cache
from typing import Any

import orjson
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor_pb2 import FieldDescriptorProto as Field
from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet

from market.quotes import Tick
from market.units import shortest_float32, utc_from_epoch_ms
from yahoo.private import load_pricing_data

ORIGIN = "https://finance.yahoo.com"
"""The stream expects this Origin header."""


MAX_UNKNOWN_FIELDS = 100
"""So many numbers are counted, should a stream invent one with each frame."""
UNNAMED = (46, 47)
"""Numbers that the stream sends and yfinance's schema does not name. They are counted like any other, sooner found."""
ABSENT = {"price": "nan", "change": "nan", "change_percent": "nan", "day_volume": "-1", "market_hours": "-1"}
"""What a field that was not sent is read as: never what the stream says of a trade. 0 would be."""


def subscribe_text(symbols: Iterable[str]) -> str:
    """Return the frame that subscribes `symbols`. A null or empty symbol would close the connection."""
    asked = list(symbols)
    if not all(asked):
        raise ValueError("an empty symbol closes the stream")
    return orjson.dumps({"subscribe": asked}).decode()


@lru_cache(maxsize=4096)
def _time_of(epoch_ms: int) -> datetime | None:
    """The stream's times lie on whole seconds: thousands of ticks share one object."""
    return utc_from_epoch_ms(epoch_ms)


@cache
def _pricing_data() -> Any:
    """Return yfinance's `PricingData` with the defaults of ABSENT: by itself it reads what is absent as 0."""
    known = load_pricing_data().DESCRIPTOR
    file = descriptor_pb2.FileDescriptorProto()
    known.file.CopyToProto(file)
    file.syntax, file.edition = "editions", descriptor_pb2.EDITION_2023  # proto3 knows no defaults
    message = next(each for each in file.message_type if each.name == known.name)
    for field in message.field:
        if field.type == Field.TYPE_ENUM:  # the default of an enum is one of its names
            field.type = Field.TYPE_INT32
            field.ClearField("type_name")
        if field.name in ABSENT:
            field.default_value = ABSENT[field.name]
    for number in UNNAMED:
        message.field.add(name=f"unnamed_{number}", number=number, type=Field.TYPE_FLOAT, label=Field.LABEL_OPTIONAL)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(known.full_name))


class FrameParser:
    """Turns frames into ticks and counts, by reason, what it could not use.

    `unknown_fields`: how often each field came that the schema does not name, by its number.
    """

    def __init__(self) -> None:
        self._message_of = _pricing_data().FromString
        self.skipped: Counter[str] = Counter()
        self.unknown_fields: Counter[int] = Counter()

    def parse(self, frame: str | bytes) -> Tick | None:
        """Return the tick of one frame, or None (counted in `skipped`) for anything else."""
        try:
            envelope = orjson.loads(frame)
        except orjson.JSONDecodeError:
            self.skipped["not_json"] += 1
            return None
        if not isinstance(envelope, dict) or envelope.get("type") != "pricing":
            self.skipped["other_type"] += 1
            return None
        try:
            message = self._message_of(binascii.a2b_base64(envelope["message"], strict_mode=True))
        except (KeyError, TypeError, ValueError, DecodeError):
            self.skipped["not_pricing_data"] += 1
            return None
        self._count_unknown(message)
        return self._tick(message)

    def _count_unknown(self, message: Any) -> None:
        if message.HasField("unnamed_46"):
            self.unknown_fields[46] += 1
        if message.HasField("unnamed_47"):
            self.unknown_fields[47] += 1
        for field in UnknownFieldSet(message):  # type: ignore[attr-defined]  # a sequence, whatever its stub says
            number = field.field_number
            if number in self.unknown_fields or len(self.unknown_fields) < MAX_UNKNOWN_FIELDS:
                self.unknown_fields[number] += 1

    def _tick(self, message: Any) -> Tick | None:
        ticker, price, at = message.id, shortest_float32(message.price), _time_of(message.time)
        if not ticker or at is None:
            self.skipped["no_id_or_time"] += 1
            return None
        if price is None or price <= 0:
            self.skipped["no_price"] += 1
            return None
        day_volume, market_hours = message.day_volume, message.market_hours
        return Tick(
            ticker=ticker,
            price=price,
            price_time=at,
            change=shortest_float32(message.change),
            change_percent=shortest_float32(message.change_percent),
            day_volume=day_volume if day_volume >= 0 else None,
            market_hours=market_hours if market_hours >= 0 else None,
        )
