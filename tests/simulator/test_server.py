from __future__ import annotations

import asyncio
import gzip
import http.client
import json
import shutil
import socket
import subprocess
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from core.errors import FixByHand, RetryLater
from simulator.server import PracticeServer
from simulator.testing import PracticeMarket
from tests.fix_simulator import QUERY_HOST, StillClock, YahooClient


@pytest.fixture
def client(still_market: PracticeMarket) -> YahooClient:
    return YahooClient(still_market.proxy_url, still_market.ca_file)


async def raw(practice: PracticeMarket, data: bytes) -> bytes:
    """Return all that the proxy says to `data`."""
    proxy = urlsplit(practice.proxy_url)
    reader, writer = await asyncio.open_connection(proxy.hostname, proxy.port)
    writer.write(data)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


async def test_cookie_crumb_and_quote_work_through_the_proxy(client: YahooClient) -> None:
    await asyncio.to_thread(client.log_in)
    reply = await asyncio.to_thread(client.quote, ["AAPL", "QQQ"])

    assert reply.status == HTTPStatus.OK
    assert [quote["symbol"] for quote in reply.json()["quoteResponse"]["result"]] == ["AAPL", "QQQ"]


async def test_a_connection_serves_many_requests(still_market: PracticeMarket, client: YahooClient) -> None:
    proxy = urlsplit(still_market.proxy_url)

    def ask_thrice() -> list[int]:
        connection = http.client.HTTPSConnection(proxy.hostname or "", proxy.port, context=client._trust)
        connection.set_tunnel(QUERY_HOST, 443)
        statuses = []
        for _ in range(3):
            connection.request("GET", "/v1/test/getcrumb")
            answer = connection.getresponse()
            answer.read()
            statuses.append(answer.status)
        connection.close()
        return statuses

    assert await asyncio.to_thread(ask_thrice) == [401, 401, 401]


async def test_a_big_answer_is_packed_for_a_client_that_can_unpack(client: YahooClient) -> None:
    await asyncio.to_thread(client.log_in)
    target = f"/v7/finance/quote?symbols=AAPL&crumb={client.crumb}"
    headers = {"Accept-Encoding": "gzip, br"}
    reply = await asyncio.to_thread(lambda: client.request(QUERY_HOST, target, headers=headers))

    assert reply.headers["content-encoding"] == "gzip"
    assert json.loads(gzip.decompress(reply.body))["quoteResponse"]["error"] is None


async def test_a_host_that_is_not_served_is_refused_and_counted(still_market: PracticeMarket) -> None:
    answer = await raw(still_market, b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 403 ")
    assert still_market.server.refused_hosts == {"example.com": 1}
    still_market.server.refused_hosts.clear()


async def test_another_port_of_a_served_host_is_refused(still_market: PracticeMarket) -> None:
    answer = await raw(still_market, b"CONNECT fc.yahoo.com:80 HTTP/1.1\r\nHost: fc.yahoo.com\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 403 ")
    still_market.server.refused_hosts.clear()


async def test_a_plain_request_for_another_host_is_refused_and_counted(still_market: PracticeMarket) -> None:
    answer = await raw(still_market, b"GET http://example.com/ HTTP/1.1\r\nHost: example.com\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 403 ")
    assert still_market.server.refused_hosts == {"example.com": 1}
    still_market.server.refused_hosts.clear()


async def test_bytes_that_are_not_http_end_the_connection_and_nothing_else(
    still_market: PracticeMarket, client: YahooClient
) -> None:
    assert await raw(still_market, b"\x16\x03\x01\x00\x05hello\r\n\r\n") == b""
    assert (await asyncio.to_thread(client.request, "fc.yahoo.com", "/")).status == HTTPStatus.NOT_FOUND


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "example.com", ""])
async def test_an_address_that_others_can_reach_is_refused(still_market: PracticeMarket, host: str) -> None:
    server = PracticeServer(still_market.market, clock=StillClock())

    with pytest.raises(FixByHand, match="is not a loopback address"):
        await server.start(host, 0, on_failure=_raise)


async def test_the_market_listens_on_loopback_only(still_market: PracticeMarket) -> None:
    # /proc/net/tcp: the listening address in hexadecimal, 0100007F = 127.0.0.1; state 0A = LISTEN
    port = urlsplit(still_market.proxy_url).port
    rows = Path("/proc/net/tcp").read_text().splitlines() + Path("/proc/net/tcp6").read_text().splitlines()
    listening = [row.split()[1] for row in rows[1:] if row.split()[3] == "0A"]

    assert [place for place in listening if place.endswith(f":{port:04X}")] == [f"0100007F:{port:04X}"]


async def test_a_port_in_use_is_said_in_one_line(still_market: PracticeMarket) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = PracticeServer(still_market.market, clock=StillClock())
        with pytest.raises(RetryLater, match=f"port {port} is in use") as refused:
            await server.start("127.0.0.1", port, on_failure=_raise)

    assert refused.value.exit_code == 75


async def test_refused_connections_are_reset(still_market: PracticeMarket) -> None:
    still_market.faults.refuse_connections = True

    with pytest.raises(ConnectionResetError):
        await raw(still_market, b"")


async def test_a_cut_body_is_shorter_than_its_length_says(still_market: PracticeMarket, client: YahooClient) -> None:
    await asyncio.to_thread(client.log_in)
    still_market.faults.cut_at = 100

    with pytest.raises(http.client.IncompleteRead) as cut:
        await asyncio.to_thread(client.quote, ["AAPL"])
    assert len(cut.value.partial) == 100


async def test_a_planned_answer_is_sent_as_often_as_ordered(still_market: PracticeMarket, client: YahooClient) -> None:
    await asyncio.to_thread(client.log_in)
    still_market.server.answer_status("/v7/finance/quote", 429, b"Edge: Too Many Requests", times=1)

    replies = [await asyncio.to_thread(client.quote, ["AAPL"]) for _ in range(2)]
    assert [reply.status for reply in replies] == [429, 200]
    assert replies[0].body == b"Edge: Too Many Requests"


async def test_openssl_sees_the_practice_market_as_issuer_and_http_1_1(still_market: PracticeMarket) -> None:
    openssl = shutil.which("openssl")
    assert openssl is not None
    proxy = urlsplit(still_market.proxy_url).netloc
    command = [openssl, "s_client", "-proxy", proxy, "-connect", f"{QUERY_HOST}:443", "-servername", QUERY_HOST]
    options = ["-alpn", "h2,http/1.1", "-CAfile", str(still_market.ca_file), "-verify_return_error"]

    def shake_hands() -> subprocess.CompletedProcess[str]:
        return subprocess.run([*command, *options], input="", text=True, capture_output=True, timeout=60)

    said = (await asyncio.to_thread(shake_hands)).stdout
    issuer = next(line for line in said.splitlines() if line.startswith("issuer="))
    assert "O = tickerd practice market" in issuer.replace("O=", "O = ")
    assert "ALPN protocol: http/1.1" in said
    assert "Verify return code: 0 (ok)" in said


def _raise(error: BaseException) -> None:
    raise error
