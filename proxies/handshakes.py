"""The first words to a proxy, and what its answer means: HTTP CONNECT, SOCKS4a, SOCKS5. Pure: moves no bytes."""

from __future__ import annotations

from proxies.model import Cause, Protocol

LIMIT_BYTES = 8192
"""Of an answer: more headers than that are no answer."""
END_OF_HEAD = b"\r\n\r\n"
DENIED: dict[int, Cause] = {407: "needs_password", 429: "proxy_limit"}
SOCKS4_GRANTED, SOCKS4_BYTES = 0x5A, 8
SOCKS5_NO_PASSWORD = b"\x05\x00"
SOCKS5_LENGTHS = {1: 10, 4: 22}
"""Of an answer with an address of this kind (RFC 1928 section 6); one with a name tells its own."""


class NotThisProtocol(Exception):
    """It answers, in another language."""


def hello(protocol: Protocol, host: str, port: int) -> bytes:
    """Return what is sent first."""
    if protocol == "socks5":
        return b"\x05\x01\x00"  # one method: no password
    if protocol == "socks4":  # 0.0.0.1: the name follows the empty user name
        return b"\x04\x01" + port.to_bytes(2, "big") + b"\x00\x00\x00\x01\x00" + host.encode("ascii") + b"\x00"
    return f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode("ascii")


def judged(protocol: Protocol, heard: bytes, host: str, port: int) -> Cause | bytes | None:
    """Return what the whole answer so far means: a cause, more to send (once, after the greeting), or None: read on.

    Raises NotThisProtocol.
    """
    if protocol == "http":
        return _connect(heard)
    return _socks4(heard) if protocol == "socks4" else _socks5(heard, host, port)


def _connect(heard: bytes) -> Cause | None:
    if not b"HTTP/1."[: len(heard)] == heard[:7]:
        raise NotThisProtocol
    head, end, rest = heard.partition(END_OF_HEAD)
    if not end:
        return "too_big" if len(heard) >= LIMIT_BYTES else None
    words = head.split(b"\r\n", 1)[0].split(b" ", 2)
    status = int(words[1]) if len(words) > 1 and len(words[1]) == 3 and words[1].isdigit() else 0
    if not 200 <= status < 300:
        return DENIED.get(status, "connect_denied")
    return "html" if rest else "ok"  # behind a tunnel, TLS lets the client speak first: this is a page


def _socks4(heard: bytes) -> Cause | None:
    if heard[0] != 0:
        raise NotThisProtocol
    if len(heard) < SOCKS4_BYTES:
        return None
    return "ok" if heard[1] == SOCKS4_GRANTED else "connect_denied"


def _socks5(heard: bytes, host: str, port: int) -> Cause | bytes | None:
    if heard[0] != 5:
        raise NotThisProtocol
    if len(heard) < 2:
        return None
    if not heard.startswith(SOCKS5_NO_PASSWORD):
        return "needs_password"
    if len(heard) == 2:
        name = host.encode("ascii")
        return b"\x05\x01\x00\x03" + bytes([len(name)]) + name + port.to_bytes(2, "big")
    answer = heard[2:]
    if len(answer) > 1 and answer[1] != 0:
        return "connect_denied"
    if len(answer) < 5:
        return None
    length = SOCKS5_LENGTHS.get(answer[3], 7 + answer[4])
    return "ok" if len(answer) >= length else None
