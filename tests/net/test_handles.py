from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
import trustme
from curl_cffi import CurlOpt

from core.clock import SystemClock
from net.handles import Handles, Heard
from net.tls import Trust
from tests.fix_tls import HOST, TUNNEL_OPEN, TUNNEL_REFUSED, Upstream, reply, upstream

URL = f"https://{HOST}/v8/finance/chart/AAPL"


@pytest_asyncio.fixture
async def server(practice_authority: trustme.CA) -> AsyncIterator[Upstream]:
    async with upstream(practice_authority) as running:
        yield running


@pytest_asyncio.fixture
async def one(practice_trust: Trust) -> AsyncIterator[Handles]:
    """A single handle: each request is made with what the one before it left behind."""
    options = {
        CurlOpt.CAINFO: str(practice_trust.ca_path),
        CurlOpt.FORBID_REUSE: 1,
        CurlOpt.SUPPRESS_CONNECT_HEADERS: 1,
    }
    handles = Handles(options, max_clients=1)
    yield handles
    await handles.close()


def given(server: Upstream, *, cookie: str = "", total_ms: int = 5000) -> dict[CurlOpt, object]:
    return {
        CurlOpt.PROXY: server.url,
        CurlOpt.HTTPHEADER: [f"Cookie: {cookie}".encode()] if cookie else [],
        CurlOpt.TIMEOUT_MS: total_ms,
    }


async def test_a_request_has_a_browsers_headers_and_an_escaped_address(server: Upstream, one: Handles) -> None:
    heard = await one.get(f"{URL}/^GSPC?symbols=A%2CB", given(server))
    assert (heard.status, heard.body, heard.error, heard.secured) == (200, b"{}", None, True)
    assert server.requests[0].startswith("GET /v8/finance/chart/AAPL/%5EGSPC?symbols=A%2CB HTTP/1.1\r\n")
    assert "Chrome/" in server.requests[0]
    assert "accept-encoding: gzip, deflate, br" in server.requests[0].lower()


async def test_a_cookie_that_is_given_or_set_is_of_that_request_alone(server: Upstream, one: Handles) -> None:
    server.handler = lambda _: reply(200, b"", {"set-cookie": "A3=theirs; Domain=.yahoo.com; Path=/; Secure"})
    for cookie in ("A3=mine", "", "A3=other", ""):
        await one.get(URL, given(server, cookie=cookie))
    sent = [[line for line in each.split("\r\n") if line.lower().startswith("cookie:")] for each in server.requests]
    assert sent == [["Cookie: A3=mine"], [], ["Cookie: A3=other"], []]


async def test_nothing_of_an_answer_is_in_the_next_one(server: Upstream, one: Handles) -> None:
    server.handler = lambda _: reply(404, b"gone", {"x-first": "1"})
    first = await one.get(URL, given(server))
    assert (first.status, first.body, b"x-first: 1" in first.head) == (404, b"gone", True)
    server.tunnel_reply = TUNNEL_REFUSED
    refused = await one.get(URL, given(server))
    assert (refused.status, refused.head, refused.body) == (0, b"", b"")
    assert (refused.connect_status, refused.secured, refused.error is not None) == (407, False, True)
    server.hang = True
    silent = await one.get(URL, given(server, total_ms=200))
    assert (silent.connect_status, silent.secured, silent.error and int(silent.error.code)) == (0, False, 28)
    server.hang, server.tunnel_reply = False, TUNNEL_OPEN
    assert await one.get(URL, given(server)) == first


async def test_a_request_that_is_cancelled_leaves_its_handle_to_the_next(server: Upstream, one: Handles) -> None:
    server.hang = True
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await one.get(URL, given(server))
    server.hang = False
    assert (await one.get(URL, given(server))).status == 200


async def test_no_more_than_allowed_are_asked_at_a_time(server: Upstream, practice_trust: Trust) -> None:
    handles = Handles({CurlOpt.CAINFO: str(practice_trust.ca_path)}, max_clients=2)
    server.hang = True
    heard: list[Heard] = await asyncio.gather(*(handles.get(URL, given(server, total_ms=150)) for _ in range(5)))
    await handles.close()
    assert [each.error is not None for each in heard] == [True] * 5
    assert len(server.connects) == 5


async def test_a_request_that_is_under_way_when_all_is_closed_ends(server: Upstream, one: Handles) -> None:
    server.hang = True
    asked = asyncio.ensure_future(one.get(URL, given(server)))
    while not server.connects:
        await SystemClock().sleep(0)
    await one.close()
    assert (await asked).status == 0


async def test_a_certificate_that_no_given_root_signed_is_refused(server: Upstream, other_trust: Trust) -> None:
    root = Path(other_trust.ca_path)
    handles = Handles({CurlOpt.CAINFO: str(root), CurlOpt.CAPATH: "/dev/null"}, max_clients=1)
    heard = await handles.get(URL, given(server))
    await handles.close()
    assert (heard.error and int(heard.error.code), heard.secured, server.requests) == (60, False, [])
