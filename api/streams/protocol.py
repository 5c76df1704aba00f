"""What a client of the stream may say, and its answers. No socket, no clock: text in, text out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from api.answers import encode
from core.errors import TickerdError
from market.tickers import BadTicker, normalise_ticker
from storage.schema import LARGEST_WHOLE

VERSION = 1
MOST_TICKERS = 10_000
MOST_SCANS = 50
LONGEST_THROTTLE_MS = 60_000

OVER, GONE, LATER = 1000, 1001, 1013
"""Close codes: all was told, the server stops, come again later."""
BAD, AUTH, FORBIDDEN, UNKNOWN, SLOW, TOO_MANY = 4400, 4401, 4403, 4404, 4408, 4429
"""A message without sense, who are you, not allowed, no such scan, too slow, too many streams."""

Ticker = Annotated[str, Meta(min_length=1, max_length=16, pattern=r"^[A-Za-z0-9.^=\-]+\Z|^\*\Z")]
ScanName = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_\-]+\Z")]
Word = Annotated[str, Meta(max_length=64)]
Seq = Annotated[int, Meta(ge=0, le=LARGEST_WHOLE)]
Number = Annotated[int, Meta(ge=0, le=2**53)]


class BadMessage(TickerdError):
    """A message that makes no sense."""


def ticker_named(text: str) -> str:
    """Return a ticker in the form of the table, so BRK.B as BRK-B; one of another form, as an index has, as it is."""
    try:
        return normalise_ticker(text)
    except BadTicker:
        return text.upper()


class Channels(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Channel -> what of it; `["*"]`: all. None: nothing is said of this channel."""

    quotes: Annotated[list[Ticker], Meta(max_length=MOST_TICKERS)] | None = None
    signals: Annotated[list[Word], Meta(max_length=1)] | None = None
    events: Annotated[list[Word], Meta(max_length=1)] | None = None
    scanners: Annotated[list[Word], Meta(max_length=1)] | None = None
    scan: Annotated[list[ScanName], Meta(max_length=MOST_SCANS)] | None = None

    @property
    def tickers(self) -> frozenset[str] | None:
        """Return the tickers asked for; None: all of them."""
        named = frozenset(map(ticker_named, self.quotes or ()))
        return None if "*" in named or self.quotes == [] else named


class Auth(msgspec.Struct, frozen=True, tag="auth", forbid_unknown_fields=True):
    token: Annotated[str, Meta(min_length=1, max_length=4096)]
    id: Number | None = None


class Subscribe(msgspec.Struct, frozen=True, tag="subscribe", forbid_unknown_fields=True):
    """`since`: the number of the last thing that one has, for `signals`, `events` and each scan by its id.

    `snapshot`: whether quotes begin with the newest of each; not said: if tickers are named.
    """

    channels: Channels
    id: Number | None = None
    since: Annotated[dict[Word, Seq], Meta(max_length=MOST_SCANS + 2)] = {}
    throttle_ms: Annotated[int, Meta(ge=0, le=LONGEST_THROTTLE_MS)] = 0
    snapshot: bool | None = None


class Unsubscribe(msgspec.Struct, frozen=True, tag="unsubscribe", forbid_unknown_fields=True):
    channels: Channels
    id: Number | None = None


class Ping(msgspec.Struct, frozen=True, tag="ping", forbid_unknown_fields=True):
    id: Number | None = None


Said = Auth | Subscribe | Unsubscribe | Ping
_decoder = msgspec.json.Decoder(Said)


def read(text: str | bytes) -> Said:
    """Return what a client says; BadMessage."""
    try:
        said: Said = _decoder.decode(text)
    except (msgspec.MsgspecError, UnicodeError) as error:
        right = 'say {"type": "subscribe", "channels": {"quotes": ["AAPL"]}}; see docs/streams.md'
        raise BadMessage(str(error)[:200], right=right) from error
    return said


def auth_required() -> bytes:
    return encode({"type": "auth_required", "version": VERSION})


def auth_ok(user: str) -> bytes:
    return encode({"type": "auth_ok", "user": user, "version": VERSION})


def auth_invalid(reason: str) -> bytes:
    return encode({"type": "auth_invalid", "reason": reason})


def result(number: int | None, subscriptions: Mapping[str, Any]) -> bytes:
    """The answer to a request: the whole list of what is listened to now."""
    return encode({"id": number, "type": "result", "success": True, "subscriptions": subscriptions})


def failure(number: int | None, code: str, reason: str) -> bytes:
    return encode({"id": number, "type": "result", "success": False, "error": {"code": code, "reason": reason}})


def pong(number: int | None) -> bytes:
    return encode({"id": number, "type": "pong"})
