from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from proxies.addresses import AddressFilter
from proxies.model import Address, Cause
from proxies.probe import Probe
from simulator.testing import PracticeMarket
from tests.fix_proxies import LOOPBACK, added

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def probe(budget_s: float = 3.0) -> Probe:
    return Probe(refusal=LOOPBACK.refusal, budget_s=budget_s)


@asynccontextmanager
async def serving(serve: Serve) -> AsyncIterator[Address]:
    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except OSError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(client, "127.0.0.1", 0)
    async with server:
        yield Address("http", "127.0.0.1", server.sockets[0].getsockname()[1])


async def test_what_each_kind_comes_to(practice_market: PracticeMarket) -> None:
    expected: dict[str, Cause] = {
        "good": "ok",
        "dead": "refused",
        "auth": "needs_password",
        "busy": "proxy_limit",
        "forbidden": "connect_denied",
        "web_server": "connect_denied",
        "html": "html",
        "drip": "reset",
        "flood": "too_big",
        "own_certificate": "ok",  # a probe does not look that far
    }
    fleet = {kind: added(practice_market, kind) for kind in expected}
    found = await asyncio.gather(*(probe().ask(address, any_protocol=True) for address in fleet.values()))
    assert dict(zip(fleet, (each.cause for each in found), strict=True)) == expected


async def test_the_budget_ends_it(practice_market: PracticeMarket) -> None:
    for kind in ("silent", "slow"):
        assert (await probe(budget_s=0.2).ask(added(practice_market, kind))).cause == "timeout"


async def test_a_proxy_listed_as_http_is_found_by_what_it_speaks(practice_market: PracticeMarket) -> None:
    for spoken, protocol in (("http", "http"), ("socks4a", "socks4"), ("socks5", "socks5")):
        address = added(practice_market, "good", spoken)
        found = await probe().ask(Address("http", address.ip, address.port), any_protocol=True)
        assert (found.cause, found.protocol) == ("ok", protocol)


async def test_a_known_one_is_asked_in_its_own_language_alone(practice_market: PracticeMarket) -> None:
    address = added(practice_market, "good", "socks5")
    found = await probe().ask(Address("http", address.ip, address.port))
    assert (found.cause, found.protocol) == ("reset", "http")


async def test_an_address_that_is_refused_gets_no_packet() -> None:
    connections = []

    async def serve(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        connections.append(1)

    strict = Probe(refusal=AddressFilter().refusal)
    async with serving(serve) as address:
        assert (await strict.ask(address)).cause == "refused"
    assert connections == []


async def test_a_line_of_ten_megabytes_costs_eight_kilobytes() -> None:
    sent = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.read(100)
        writer.write(b"HTTP/1.1 200 ")
        while sent < 10_000_000:
            writer.write(b"a" * 50_000)
            await writer.drain()
            sent += 50_000

    async with serving(serve) as address:
        tracemalloc.start()
        assert (await probe().ask(address)).cause == "too_big"
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak_bytes < 2_000_000, "most of it the server's own"
    assert sent < 10_000_000


async def test_control_characters_do_no_harm() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 \x1b[2J\x00\x07 200\r\n\r\n")
        await writer.drain()

    async with serving(serve) as address:
        assert (await probe().ask(address)).cause == "connect_denied"
