"""What the faults of HTTP make of one answer. Decides; the shell sends. Does no I/O, reads no clock."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache
from urllib.parse import parse_qs
from weakref import WeakKeyDictionary

from simulator.answers.messages import HTML, JSON, Request, Response, refusal
from simulator.trouble.catalogue import Fault
from simulator.trouble.limits import RateLimit
from simulator.trouble.spoiling import SPOILING, spoil

MEGABYTE = 1 << 20
GZIP_HEADER = b"\x1f\x8b\x08\0\0\0\0\0\x02\xff"  # RFC 1952: deflate, no name, no time
LAST_BLOCK = b"\x03\0"  # RFC 1951: an empty final block
EDGE = b"Edge: Too Many Requests"
PAGE = b"<!DOCTYPE html><html><head><title>Welcome</title></head><body><h1>Free Wi-Fi</h1></body></html>"
CAPTCHA = b"<!DOCTYPE html><html><head><title>Are you a human?</title></head><body><form>captcha</form></body></html>"
SPOILED = ("application/json", "text/plain")
"""Kinds of answers that can be spoiled; a web page cannot."""
_OF_ONE = ("/v8/finance/chart/", "/v10/finance/quoteSummary/", "/v7/finance/options/", "/v7/finance/download/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """An answer and how it is sent. `cut_at`: bytes of the body before the end; `faults`: what shaped it."""

    response: Response
    delay_s: float = 0.0
    bytes_per_s: int = 0
    cut_at: int | None = None
    faults: tuple[Fault, ...] = ()


class Mischief:
    """Keeps the count of each rate limit."""

    def __init__(self) -> None:
        self._limits: WeakKeyDictionary[Fault, RateLimit] = WeakKeyDictionary()

    def deliver(
        self, request: Request, faults: Iterable[Fault], *, exit: str, now_s: float, true: Callable[[], Response]
    ) -> Delivery:
        """Return what `request` gets under `faults`, of which the last one that replaces the answer wins."""
        shaped: list[Fault] = []
        response: Response | None = None
        ordered = list(faults)
        for fault in reversed(ordered):
            response = self._replaced(request, fault, exit=exit, now_s=now_s)
            if response is not None:
                shaped.append(fault)
                break
        response = response or true()
        for fault in ordered:
            if fault.kind.name in SPOILING and response.content_type.startswith(SPOILED):
                spoiled = spoil(response.body, fault)
                if spoiled != response.body:
                    response = replace(response, body=spoiled)
                    shaped.append(fault)
        return _paced(response, ordered, shaped)

    def _replaced(self, request: Request, fault: Fault, *, exit: str, now_s: float) -> Response | None:
        """Return the answer in place of the true one, if `fault` has one for this request."""
        match fault.kind.name:
            case "rate_limit":
                key = exit if fault.text("per") == "exit" else ""
                return None if self._limit(fault).admits(key, now_s) else _too_many(fault)
            case "batch_limit":
                over = len(symbols_of(request.target).split(",")) > fault.whole("symbols")
                return refusal(400, "Bad Request", "Too many symbols") if over else None
        make = _REPLACEMENTS.get(fault.kind.name)
        return make(fault) if make else None

    def _limit(self, fault: Fault) -> RateLimit:
        if fault not in self._limits:
            self._limits[fault] = RateLimit(
                requests=fault.whole("requests"),
                window_s=fault.seconds("window_s"),
                penalty_s=fault.seconds("penalty_s"),
            )
        return self._limits[fault]


def symbols_of(target: str) -> str:
    """Return the tickers that a request asks for, commas between them; "" for none."""
    path, _, query = target.partition("?")
    if path.startswith(_OF_ONE):
        return path.rpartition("/")[2]
    return parse_qs(query).get("symbols", [""])[0]


def _paced(response: Response, ordered: list[Fault], shaped: list[Fault]) -> Delivery:
    """Add how slowly it comes, and where it ends."""
    last = {fault.kind.name: fault for fault in ordered}
    shaped += [last[name] for name in ("slow_answer", "slow_body", "cut") if name in last]
    cut = last.get("cut")
    return Delivery(
        response=response,
        delay_s=last["slow_answer"].seconds("delay_s") if "slow_answer" in last else 0.0,
        bytes_per_s=last["slow_body"].whole("bytes_per_s") if "slow_body" in last else 0,
        cut_at=cut.whole("at_bytes") if cut else None,
        faults=tuple(shaped),
    )


def _planned(fault: Fault) -> Response:
    headers = _retry_after(fault)
    kind = fault.text("type")
    return Response(status=fault.whole("status"), body=fault.text("body").encode(), content_type=kind, headers=headers)


def _too_many(fault: Fault) -> Response:
    return Response(status=429, body=EDGE, content_type=HTML, headers=_retry_after(fault))


def _server_error(fault: Fault) -> Response:
    return Response(status=fault.whole("status"), content_type=HTML, headers=_retry_after(fault))


def _bomb(fault: Fault) -> Response:
    body = _packed_spaces(fault.whole("unpacked_mb"))
    return Response(status=200, body=body, content_type=JSON, headers={"content-encoding": "gzip"})


@cache
def _packed_spaces(megabytes: int) -> bytes:
    """Return so many MiB of spaces as one gzip stream, a thousandth of that.

    After a full flush the packer knows nothing of what came before: one packed MiB serves for all.
    """
    packer, block, checksum = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS), b" " * MEGABYTE, 0
    packed = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    for _ in range(megabytes):
        checksum = zlib.crc32(block, checksum)
    end = struct.pack("<II", checksum, (megabytes * MEGABYTE) & 0xFFFFFFFF)
    return GZIP_HEADER + packed * megabytes + LAST_BLOCK + end


def _retry_after(fault: Fault) -> dict[str, str]:
    seconds = fault.whole("retry_after_s")
    return {"retry-after": str(seconds)} if seconds else {}


_REPLACEMENTS: dict[str, Callable[[Fault], Response]] = {
    "answer": _planned,
    "unauthorized": lambda _fault: refusal(401, "Unauthorized", "Invalid Crumb"),
    "too_many": _too_many,
    "server_error": _server_error,
    "html": lambda _fault: Response(status=200, body=PAGE, content_type=HTML),
    "captcha": lambda _fault: Response(status=200, body=CAPTCHA, content_type=HTML),
    "bomb": _bomb,
    "redirect": lambda fault: Response(status=302, content_type=HTML, headers={"location": fault.text("location")}),
}
