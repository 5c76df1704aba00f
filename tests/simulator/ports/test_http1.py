from __future__ import annotations

import asyncio
import gzip

import h11

from simulator.answers.messages import Response
from simulator.ports.http1 import BODY_BYTES, head, next_request, packed, pieces

POST = b"POST /v1/finance/screener HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhel"


async def read(*parts: bytes) -> tuple[h11.Request, bytes] | None:
    reader = asyncio.StreamReader()
    for part in parts:
        reader.feed_data(part)
    reader.feed_eof()
    return await next_request(h11.Connection(h11.SERVER), reader)


async def test_a_request_comes_when_all_of_its_body_is_here() -> None:
    found = await read(POST, b"lo")

    assert found is not None
    assert (found[0].method, found[1]) == (b"POST", b"hello")


async def test_a_client_that_has_gone_asks_nothing() -> None:
    assert await read() is None


async def test_a_body_too_long_is_not_read_on() -> None:
    assert await read(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9999999\r\n\r\n", bytes(BODY_BYTES + 1)) is None


def test_the_head_says_length_type_and_what_the_answer_adds() -> None:
    said = head(Response(status=429, body=b"slow", content_type="text/html", headers={"retry-after": "5"}))

    assert (said.status_code, said.reason) == (429, b"Too Many Requests")
    assert {(b"content-length", b"4"), (b"content-type", b"text/html"), (b"retry-after", b"5")} <= set(said.headers)


def test_a_body_is_one_piece_or_as_many_tenths_of_a_second_as_its_speed_says() -> None:
    assert list(pieces(b"abcdef", 0)) == [b"abcdef"]
    assert list(pieces(b"abcdef", 25)) == [b"ab", b"cd", b"ef"]
    assert list(pieces(b"abc", 1)) == [b"a", b"b", b"c"]
    assert list(pieces(b"", 0)) == []


def test_only_a_big_body_that_is_not_packed_yet_is_packed_and_only_for_who_can_unpack() -> None:
    big, small = Response(status=200, body=b"x" * 2_000), Response(status=200, body=b"x")
    bomb = Response(status=200, body=b"y" * 2_000, headers={"content-encoding": "gzip"})

    assert gzip.decompress(packed(big, "gzip, br").body) == big.body
    assert packed(big, "br") is big
    assert packed(small, "gzip") is small
    assert packed(bomb, "gzip") is bomb
