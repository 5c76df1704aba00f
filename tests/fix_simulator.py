"""The practice market for tests: as `practice_market` in the test's loop, as `practice_process` on its own.

`YahooClient` is an outside client made of the standard library; `StillClock` never moves by itself.
"""

from __future__ import annotations

import asyncio
import http.client
import importlib.util
import json
import ssl
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
import pytest_asyncio

from simulator import testing
from tests.fix_clock import UnhurriedClock

QUERY_HOST = "query1.finance.yahoo.com"
PATIENCE_S = 60.0
STREAM_URL = "wss://streamer.finance.yahoo.com/?version=2"
NOON = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
"""Monday, 12:00 in New York."""


def pricing_schema() -> Any:
    """Return yfinance's own message class, loaded from its file: an independent reader of our frames."""
    package = importlib.util.find_spec("yfinance")  # finds without importing: that takes half a second
    assert package is not None
    assert package.origin is not None
    path = Path(package.origin).parent / "pricing_pb2.py"
    spec = importlib.util.spec_from_file_location("pricing_pb2_of_yfinance", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.PricingData


class StillClock:
    """A clock that stands at `now` until a test moves it; who sleeps on it waits for good."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def monotonic_s(self) -> float:
        return self.now.timestamp()

    def utc_now(self) -> datetime:
        return self.now

    async def sleep(self, duration_s: float) -> None:
        if duration_s > 0:
            await asyncio.Event().wait()
        await asyncio.sleep(0)  # noqa: TID251  (yields once, as the contract says)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class YahooClient:
    """HTTP through the CONNECT proxy: http.client and ssl, no code of ours."""

    def __init__(self, proxy_url: str, ca_file: Path) -> None:
        self._proxy = urlsplit(proxy_url)
        self._trust = ssl.create_default_context(cafile=ca_file)
        self.cookie = ""
        self.crumb = ""

    def request(self, host: str, target: str, *, headers: dict[str, str] | None = None, method: str = "GET") -> Reply:
        connection = http.client.HTTPSConnection(
            self._proxy.hostname or "", self._proxy.port, context=self._trust, timeout=PATIENCE_S
        )
        connection.set_tunnel(host, 443)
        try:
            cookie = {"Cookie": self.cookie} if self.cookie else {}
            connection.request(method, target, headers={**cookie, **(headers or {})})
            answer = connection.getresponse()
            return Reply(
                status=answer.status,
                headers={name.lower(): value for name, value in answer.getheaders()},
                body=answer.read(),
            )
        finally:
            connection.close()

    def log_in(self) -> None:
        """Get a cookie and its crumb."""
        self.cookie = self.request("fc.yahoo.com", "/").headers["set-cookie"].partition(";")[0]
        self.crumb = self.request(QUERY_HOST, "/v1/test/getcrumb").body.decode()

    def quote(self, symbols: list[str], **parameters: str) -> Reply:
        query = urlencode({"symbols": ",".join(symbols), "crumb": self.crumb, **parameters})
        return self.request(QUERY_HOST, f"/v7/finance/quote?{query}")


@pytest.fixture
def market_clock() -> UnhurriedClock:
    return UnhurriedClock()


@pytest_asyncio.fixture
async def practice_market(tmp_path: Path, market_clock: UnhurriedClock) -> AsyncIterator[testing.PracticeMarket]:
    """Eight tickers and BTC-USD, open at any hour, trading in real time."""
    async with testing.running(tmp_path, clock=market_clock) as running:
        yield running


@pytest_asyncio.fixture
async def still_market(tmp_path: Path) -> AsyncIterator[testing.PracticeMarket]:
    """The same at noon of a Monday; it moves only when the test calls `server.advance`."""
    async with testing.running(tmp_path, calendar="XNYS", clock=StillClock()) as running:
        yield running


@pytest.fixture
def practice_process(tmp_path: Path) -> Iterator[testing.PracticeProcess]:
    """All listings, open at any hour, as the shipped process."""
    with testing.process(tmp_path) as running:
        yield running
