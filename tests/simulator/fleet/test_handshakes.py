"""Bytes as RFC 1928 and the SOCKS4a note write them, by hand."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from simulator.fleet.handshakes import HANDSHAKES, NotMyProtocol

CONNECT = b"CONNECT Query1.finance.yahoo.com:443 HTTP/1.1\r\nHost: query1.finance.yahoo.com:443\r\n\r\n"
SOCKS4A = b"\x04\x01\x01\xbb\x00\x00\x00\x01me\x00fc.yahoo.com\x00"
SOCKS5 = b"\x05\x02\x00\x02" + b"\x05\x01\x00\x03\x0cFC.yahoo.com\x01\xbb"


class Heard:
    """A writer that keeps what is said."""

    def __init__(self) -> None:
        self.said = b""

    def write(self, data: bytes) -> None:
        self.said += data


async def wanted(protocol: str, said: bytes, heard: Heard | None = None) -> tuple[str, int] | None:
    reader = asyncio.StreamReader()
    reader.feed_data(said)
    reader.feed_eof()
    return await HANDSHAKES[protocol].wanted(reader, cast(Any, heard or Heard()))


@pytest.mark.parametrize(
    ("protocol", "said", "target"),
    [
        ("http", CONNECT, ("query1.finance.yahoo.com", 443)),
        ("http", CONNECT.replace(b":443 HTTP", b":https HTTP"), ("query1.finance.yahoo.com", 0)),
        ("http", b"GET http://Example.com/a HTTP/1.1\r\nHost: x\r\n\r\n", ("example.com", 0)),
        ("http", b"", None),
        ("socks4a", SOCKS4A, ("fc.yahoo.com", 443)),
        ("socks4a", b"\x04\x01\x00\x50\x08\x08\x04\x04\x00", ("8.8.4.4", 80)),
        ("socks5", SOCKS5, ("fc.yahoo.com", 443)),
        ("socks5", b"\x05\x01\x00\x05\x01\x00\x01\x08\x08\x04\x04\x00\x50", ("8.8.4.4", 80)),
        ("socks5", b"\x05\x01\x00\x05\x01\x00\x04" + bytes(16) + b"\x00\x50", ("::", 80)),
    ],
)
async def test_where_a_client_wants_to_go_is_read(protocol: str, said: bytes, target: tuple[str, int] | None) -> None:
    assert await wanted(protocol, said) == target


@pytest.mark.parametrize(
    ("protocol", "said"),
    [
        ("http", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
        ("http", b"GET http://[/ HTTP/1.1\r\nHost: x\r\n\r\n"),
        ("socks4a", SOCKS5 + bytes(8)),
        ("socks4a", b"\x04\x02\x01\xbb\x00\x00\x00\x01me\x00fc\x00"),
        ("socks4a", b"\x04\x01\x01\xbb\x00\x00\x00\x01\x00" + b"a" * 300 + b"\x00"),
        ("socks5", SOCKS4A),
        ("socks5", b"\x05\x01\x02\x05\x01\x00\x03\x02fc\x00\x50"),
        ("socks5", b"\x05\x01\x00\x05\x01\x00\x09\x08\x08\x04\x04\x00\x50"),
        ("socks5", b"\x05\x01\x00\x05\x02\x00\x01\x08\x08\x04\x04\x00\x50"),
    ],
)
async def test_another_protocol_or_order_is_refused(protocol: str, said: bytes) -> None:
    with pytest.raises(NotMyProtocol):
        await wanted(protocol, said)


@pytest.mark.parametrize(("protocol", "said"), [("socks4a", SOCKS4A), ("socks5", SOCKS5)])
async def test_a_client_that_breaks_off_wants_nothing(protocol: str, said: bytes) -> None:
    for length in range(len(said)):
        with pytest.raises(EOFError):
            await wanted(protocol, said[:length])


async def test_a_request_to_the_proxy_itself_gets_405() -> None:
    heard = Heard()
    with pytest.raises(NotMyProtocol, match="405 GET /inward"):
        await wanted("http", b"GET /inward HTTP/1.1\r\nHost: x\r\n\r\n", heard)
    assert heard.said.startswith(b"HTTP/1.1 405 Method Not Allowed\r\n")


async def test_socks5_chooses_the_method_without_a_password_before_the_target_is_known() -> None:
    heard = Heard()
    await wanted("socks5", SOCKS5, heard)
    assert heard.said == b"\x05\x00"


def test_the_answers_are_those_of_the_protocols() -> None:
    http, four, five = (HANDSHAKES[name] for name in ("http", "socks4a", "socks5"))

    assert http.granted() == b"HTTP/1.1 200 Connection established\r\n\r\n"
    assert (four.granted(), five.granted()) == (b"\x00\x5a" + bytes(6), b"\x05\x00\x00\x01" + bytes(6))
    assert (four.refused(407, {}, b""), five.refused(407, {}, b"")) == (
        b"\x00\x5b" + bytes(6),
        b"\x05\x02\x00\x01" + bytes(6),
    )
    refusal = http.refused(429, {"retry-after": "60"}, b"busy")
    assert refusal.startswith(b"HTTP/1.1 429 Too Many Requests\r\n")
    assert b"\r\nretry-after: 60\r\n" in refusal
    assert refusal.endswith(b"\r\n\r\nbusy")


def test_a_page_in_place_of_a_tunnel_follows_a_granted_one() -> None:
    for protocol in ("socks4a", "socks5"):
        handshake = HANDSHAKES[protocol]
        assert handshake.refused(200, {}, b"page") == handshake.granted() + b"page"


async def test_socks5_tells_a_client_that_has_only_a_password_that_no_method_will_do() -> None:
    heard = Heard()
    with pytest.raises(NotMyProtocol, match="without a password"):
        await wanted("socks5", b"\x05\x01\x02", heard)
    assert heard.said == b"\x05\xff"
