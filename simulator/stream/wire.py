"""The stream's wire format, written from field numbers seen on recorded frames. Never decodes, does no I/O.

A frame is the JSON text {"type":"pricing","message":"<base64>"} around one protobuf message.
"""

from __future__ import annotations

import struct
from binascii import b2a_base64
from dataclasses import dataclass

from simulator.world.listings import Listing
from simulator.world.walk import Stock

PRE, REGULAR, POST = 0, 1, 2
QUOTE_TYPES = {"ETF": 20, "Crypto": 41}
EQUITY = 8

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
TEXT, BINARY = 1, 2
_FINAL = 0x80
_tagged_float = struct.Struct("<Bf").pack
# Fields 46 and 47: on each frame since about 2026-09-30, the whole day's change and change percent.
_full_day = struct.Struct("<2sf2sf").pack
_float = struct.Struct("<f").pack
_double = struct.Struct("<d").pack


def varint(value: int) -> bytes:
    """Return `value` (>= 0) as a base-128 varint."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def zigzag(value: int) -> bytes:
    """Return a sint64, for `value` >= 0 (times, volumes, sizes)."""
    return varint(value << 1)


def _tag(number: int, kind: int) -> bytes:
    return varint(number << 3 | kind)


def _text(number: int, value: str) -> bytes:
    data = value.encode()
    return _tag(number, _LENGTH) + varint(len(data)) + data


_TIME, _HOURS, _VOLUME, _SIZE = (_tag(number, _VARINT) for number in (3, 7, 9, 22))
_HINTS = {digits: _tag(27, _VARINT) + zigzag(digits) for digits in (2, 4)}
_TAG_46, _TAG_47 = _tag(46, _FIXED32), _tag(47, _FIXED32)
_PRICE, _CHANGE_PERCENT, _CHANGE = (_tag(number, _FIXED32)[0] for number in (2, 8, 12))


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixed:
    """The bytes that stay as long as a ticker's `listing`: field 1, fields 5 and 6."""

    listing: Listing
    head: bytes
    middle: bytes


def fixed(stock: Stock) -> Fixed:
    listing = stock.listing
    kind = QUOTE_TYPES.get(listing.kind, EQUITY)
    return Fixed(
        listing=listing,
        head=_text(1, listing.symbol),
        middle=_text(5, listing.exchange) + _tag(6, _VARINT) + varint(kind),
    )


def time_field(at_s: int) -> bytes:
    """Return field 3: whole seconds, said in milliseconds."""
    return _TIME + zigzag(at_s * 1000)


def stock_message(stock: Stock, known: Fixed, *, time: bytes, market_hours: int) -> bytes:
    """Return a share's message: without volume outside the regular session, with market_hours even when 0."""
    change, percent = stock.change, stock.change_percent
    volume = _VOLUME + zigzag(stock.volume) if market_hours == REGULAR else b""
    # On about a quarter of the recorded frames the size of the last trade is there.
    size = _SIZE + zigzag(stock.last_size) if volume and stock.last_size & 3 == 1 else b""
    return b"".join(
        (
            known.head,
            _tagged_float(_PRICE, stock.price),
            time,
            known.middle,
            _HOURS,
            varint(market_hours),
            _tagged_float(_CHANGE_PERCENT, percent),
            volume,
            _tagged_float(_CHANGE, change),
            size,
            _HINTS[stock.digits],
            _full_day(_TAG_46, change, _TAG_47, percent),
        )
    )


def canary_message(stock: Stock) -> bytes:
    """Return the crypto pair's message: the fields of its recorded frames, in their order."""
    volume, coins = zigzag(stock.volume), 20_069_600.0
    floats = [(10, stock.high), (11, stock.low), (12, stock.change), (15, stock.open)]
    return b"".join(
        (
            _text(1, stock.listing.symbol),
            _tagged_float(_PRICE, stock.price),
            time_field(stock.trade_time_s),
            _text(4, "USD"),
            _text(5, stock.listing.exchange),
            _tag(6, _VARINT) + varint(QUOTE_TYPES["Crypto"]),
            _HOURS + varint(REGULAR),
            _tagged_float(_CHANGE_PERCENT, stock.change_percent),
            _VOLUME + volume,
            *(_tag(number, _FIXED32) + _float(value) for number, value in floats),
            _SIZE + volume,
            _tag(27, _VARINT) + zigzag(2),
            _tag(28, _VARINT) + volume,
            _tag(29, _VARINT) + volume,
            _text(30, "BTC"),
            _tag(32, _FIXED64) + _double(coins),
            _tag(33, _FIXED64) + _double(coins * stock.price),
        )
    )


def text_frame(message: bytes) -> bytes:
    """Return the whole WebSocket text frame for one protobuf message."""
    return frame_of(b'{"type":"pricing","message":"%b"}' % b2a_base64(message, newline=False))


def frame_of(payload: bytes, opcode: int = TEXT) -> bytes:
    """Return one whole frame, unmasked: from a server (RFC 6455 section 5.2)."""
    size = len(payload)
    if size < 126:
        length = bytes((size,))
    elif size < 1 << 16:
        length = b"\x7e" + size.to_bytes(2, "big")
    else:
        length = b"\x7f" + size.to_bytes(8, "big")
    return bytes((_FINAL | opcode,)) + length + payload
