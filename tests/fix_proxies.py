"""A fleet of the practice market and what checks it, for tests of the pool."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from core.clock import SystemClock
from core.settings import Network, Proxies, Settings, State
from proxies.addresses import AddressFilter
from proxies.model import Address, Protocol
from proxies.tools import Tools, open_tools
from simulator.fleet.listener import Member
from simulator.testing import PracticeMarket

LOOPBACK = AddressFilter(own_networks=["127.0.0.0/8"])
"""What a test may contact."""
_NAMES: dict[str, Protocol] = {"socks4a": "socks4"}


def address_of(member: Member) -> Address:
    ip, _, port = member.address.rpartition(":")
    return Address(_NAMES.get(member.protocol, member.protocol), ip, int(port))  # type: ignore[arg-type]


def added(market: PracticeMarket, kind: str, protocol: str = "http", exit: str = "") -> Address:
    """Open one more proxy of the fleet."""
    (member,) = market.add_proxies(kind, protocol=protocol, exit=exit)
    return address_of(member)


def settings_of(
    market: PracticeMarket, folder: Path, *, sources: list[str] | None = None, wanted: int = 100
) -> Settings:
    """Return settings with the market in place of Yahoo, everything in `folder`."""
    return Settings(
        state=State(dir=str(folder / "state")),
        network=Network(
            proxy=market.proxy_url, ca_file=str(market.ca_file), start_requests_per_s=50, max_requests_per_s=50
        ),
        proxies=Proxies(
            file=str(folder / "http_proxies.txt"), sources=sources or [], own_networks=["127.0.0.0/8"], wanted=wanted
        ),
    )


@asynccontextmanager
async def tools_of(market: PracticeMarket, folder: Path) -> AsyncIterator[Tools]:
    async with open_tools(settings_of(market, folder), SystemClock(), urls={}) as tools:
        yield tools
