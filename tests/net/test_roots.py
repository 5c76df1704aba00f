from __future__ import annotations

import asyncio
from pathlib import Path

import certifi

from net.client import CrowdClient
from net.roots import few_roots
from net.tls import build_trust
from simulator.testing import PracticeMarket

HOSTS = ("query1.finance.yahoo.com", "fc.yahoo.com")


async def test_the_bundle_holds_the_one_root_that_all_these_hosts_end_in(
    practice_market: PracticeMarket, tmp_path: Path
) -> None:
    trust = build_trust(ca_file=str(practice_market.ca_file), state_dir=tmp_path)
    path = await few_roots(HOSTS, trust=trust, proxy=practice_market.proxy_url, state_dir=tmp_path)
    assert path.read_text().split() == practice_market.ca_file.read_text().split()


async def test_a_request_is_verified_by_it(practice_market: PracticeMarket, tmp_path: Path) -> None:
    trust = build_trust(ca_file=str(practice_market.ca_file), state_dir=tmp_path)
    path = await few_roots(HOSTS, trust=trust, proxy=practice_market.proxy_url, state_dir=tmp_path)
    async with CrowdClient(ca_path=path) as client:
        assert (await client.get("https://fc.yahoo.com/", proxy=practice_market.proxy_url)).status == 404


async def test_a_host_that_cannot_be_asked_leaves_the_others(practice_market: PracticeMarket, tmp_path: Path) -> None:
    proxy = practice_market.proxy_url
    trust = build_trust(ca_file=str(practice_market.ca_file), state_dir=tmp_path)
    path = await few_roots((HOSTS[0], "nobody.invalid"), trust=trust, proxy=proxy, state_dir=tmp_path)
    assert path.read_text().split() == practice_market.ca_file.read_text().split()
    practice_market.server.refused_hosts.clear()


async def test_where_no_host_can_be_asked_all_roots_stay(tmp_path: Path) -> None:
    trust = build_trust(ca_file="", state_dir=tmp_path)
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        path = await few_roots(HOSTS, trust=trust, proxy=f"http://127.0.0.1:{port}", state_dir=tmp_path)
    assert path == Path(certifi.where())
