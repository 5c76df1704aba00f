from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxies.handshakes import LIMIT_BYTES, NotThisProtocol, hello, judged
from proxies.model import PROTOCOLS, Cause, Protocol

WHERE = ("query1.finance.yahoo.com", 443)
NAME = b"query1.finance.yahoo.com"
OK = b"HTTP/1.1 200 Connection established\r\n\r\n"


def test_the_first_words() -> None:
    assert hello("http", *WHERE) == b"CONNECT %b:443 HTTP/1.1\r\nHost: %b:443\r\n\r\n" % (NAME, NAME)
    assert hello("socks4", *WHERE) == b"\x04\x01\x01\xbb\x00\x00\x00\x01\x00" + NAME + b"\x00"  # SOCKS 4A, 443 = 0x1bb
    assert hello("socks5", *WHERE) == b"\x05\x01\x00"  # RFC 1928 section 3


@pytest.mark.parametrize(
    ("heard", "cause"),
    [
        (OK, "ok"),
        (b"HTTP/1.0 200\r\n\r\n", "ok"),
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "needs_password"),
        (b"HTTP/1.1 429 Too Many Requests\r\n\r\n", "proxy_limit"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n<html>", "connect_denied"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://10.0.0.1/\r\n\r\n", "connect_denied"),
        (b"HTTP/1.1 \xff\xfe\r\n\r\n", "connect_denied"),
        (OK + b"<html>Please log in", "html"),
        (b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 1400, "too_big"),
        (b"HTTP/1.1 20", None),
        (b"H", None),
    ],
)
def test_answers_to_a_connect(heard: bytes, cause: Cause | None) -> None:
    assert judged("http", heard, *WHERE) == cause


@pytest.mark.parametrize(
    ("protocol", "heard", "verdict"),
    [
        ("socks4", b"\x00\x5a" + bytes(6), "ok"),
        ("socks4", b"\x00\x5b" + bytes(6), "connect_denied"),
        ("socks4", b"\x00\x5a", None),
        ("socks5", b"\x05", None),
        ("socks5", b"\x05\x00", b"\x05\x01\x00\x03\x18" + NAME + b"\x01\xbb"),
        ("socks5", b"\x05\xff", "needs_password"),
        ("socks5", b"\x05\x02", "needs_password"),
        ("socks5", b"\x05\x00\x05\x00\x00\x01" + bytes(6), "ok"),
        ("socks5", b"\x05\x00\x05\x00\x00\x03\x01x" + bytes(2), "ok"),
        ("socks5", b"\x05\x00\x05\x00\x00\x01" + bytes(5), None),
        ("socks5", b"\x05\x00\x05\x02\x00\x01" + bytes(6), "connect_denied"),
    ],
)
def test_answers_of_socks(protocol: Protocol, heard: bytes, verdict: Cause | bytes | None) -> None:
    assert judged(protocol, heard, *WHERE) == verdict


@pytest.mark.parametrize(
    ("protocol", "heard"), [("http", b"\x05\xff"), ("http", b"SSH-2.0"), ("socks4", b"HTTP"), ("socks5", b"\x00\x5b")]
)
def test_another_language_is_told_from_a_refusal(protocol: Protocol, heard: bytes) -> None:
    with pytest.raises(NotThisProtocol):
        judged(protocol, heard, *WHERE)


@given(st.sampled_from(PROTOCOLS), st.binary(min_size=1, max_size=LIMIT_BYTES))
def test_no_answer_breaks_it(protocol: Protocol, heard: bytes) -> None:
    try:
        verdict = judged(protocol, heard, *WHERE)
    except NotThisProtocol:
        return
    assert verdict is None or isinstance(verdict, bytes | str)
