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
from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet

from market.quotes import Tick
from market.units import shortest_float32, utc_from_epoch_ms
from yahoo.private import load_pricing_data

ORIGIN = "https://finance.yahoo.com"
"""The stream expects this Origin header."""


MAX_UNKNOWN_FIELDS = 100
"""So many numbers are counted, should a stream invent one with each frame."""


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
    """Return yfinance's `PricingData` with a presence for each field: by itself it reads what is absent as 0."""
    known = load_pricing_data().DESCRIPTOR
    file = descriptor_pb2.FileDescriptorProto()
    known.file.CopyToProto(file)
    message = next(each for each in file.message_type if each.name == known.name)
    for number, field in enumerate(message.field):
        message.oneof_decl.add(name=f"_{field.name}")
        field.oneof_index, field.proto3_optional = number, True
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(known.full_name))


class FrameParser:
    """Turns frames into ticks and counts, by reason, what it could not use.

    `unknown_fields`: how often each field came that the schema does not name, by its number.
    """

    def __init__(self) -> None:
        self._pricing_data = _pricing_data()
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
        message = self._pricing_data()
        try:
            message.ParseFromString(binascii.a2b_base64(envelope["message"], strict_mode=True))
        except (KeyError, TypeError, ValueError, DecodeError):
            self.skipped["not_pricing_data"] += 1
            return None
        self._count_unknown(message)
        return self._tick(message)

    def _count_unknown(self, message: Any) -> None:
        for field in UnknownFieldSet(message):  # type: ignore[attr-defined]  # a sequence, whatever its stub says
            number = field.field_number
            if number in self.unknown_fields or len(self.unknown_fields) < MAX_UNKNOWN_FIELDS:
                self.unknown_fields[number] += 1

    def _tick(self, message: Any) -> Tick | None:
        price = shortest_float32(message.price)
        at = _time_of(message.time)
        if not message.id or at is None:
            self.skipped["no_id_or_time"] += 1
            return None
        if price is None or price <= 0:
            self.skipped["no_price"] += 1
            return None
        return Tick(
            ticker=message.id,
            price=price,
            price_time=at,
            change=shortest_float32(message.change) if message.HasField("change") else None,
            change_percent=shortest_float32(message.change_percent) if message.HasField("change_percent") else None,
            day_volume=message.day_volume if message.HasField("day_volume") and message.day_volume >= 0 else None,
            market_hours=message.market_hours if message.HasField("market_hours") else None,
        )
