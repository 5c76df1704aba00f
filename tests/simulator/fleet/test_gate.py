from __future__ import annotations

import asyncio
from contextlib import suppress

from simulator.ports.loopback import split_address
from simulator.testing import PracticeMarket

CONNECT = b"CONNECT %b:443 HTTP/1.1\r\nHost: h\r\n\r\n"


async def say(market: PracticeMarket, address: str, said: bytes) -> bytes:
    host, port = split_address(address, key="")
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(said)
    writer.write_eof()
    answer = await asyncio.wait_for(reader.read(), 60)
    writer.close()
    return answer


async def test_the_ledger_tells_what_became_of_each_connection(still_market: PracticeMarket) -> None:
    addresses = {
        kind: still_market.add_proxies(kind)[0].address for kind in ("good", "auth", "busy", "html", "web_server")
    }
    for address in addresses.values():
        await say(still_market, address, CONNECT % b"fc.yahoo.com")
    await say(still_market, addresses["good"], CONNECT % b"example.com")
    await say(still_market, addresses["good"], b"GET /inward HTTP/1.1\r\nHost: h\r\n\r\n")
    still_market.server.refused_hosts.clear()

    pages = still_market.connections()
    assert [page.outcome for page in pages] == ["no TLS", "407", "429", "200", "400", "403", "405 GET /inward"]
    assert [page.proxy for page in pages] == [*addresses.values(), addresses["good"], addresses["good"]]
    assert [page.host for page in pages[-2:]] == ["example.com", ""]
    assert all(page.closed_at_s is not None for page in pages)


async def test_who_is_refused_is_in_the_ledger_too(still_market: PracticeMarket) -> None:
    still_market.fault("refuse")
    host, port = split_address(still_market.proxy_url.removeprefix("http://"), key="")
    reader, writer = await asyncio.open_connection(host, port)
    with suppress(ConnectionResetError):
        await reader.read()
    writer.close()

    assert [(page.proxy, page.outcome) for page in still_market.connections()] == [("direct", "reset")]


async def test_a_fault_of_the_program_is_kept_for_the_test(still_market: PracticeMarket) -> None:
    def broken(host: str, port: int) -> int:
        raise ArithmeticError(host)

    still_market.server._hosts.status = broken  # type: ignore[method-assign]
    address = still_market.proxy_url.removeprefix("http://")
    assert await say(still_market, address, CONNECT % b"fc.yahoo.com") == b""

    assert [str(error) for error in still_market.server.errors] == ["fc.yahoo.com"]
    still_market.server._gate.errors.clear()
