"""The practice market for tests: inside the test's own event loop, or as the real process. Fakes nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from core.clock import Clock, SystemClock, pause
from core.files import read_text, write_atomic
from core.settings import Market as MarketSettings
from market.sessions import build_calendar
from simulator import listings
from simulator.faults import Faults
from simulator.server import PracticeServer
from simulator.walk import Market

SYMBOLS = ("AAPL", "MSFT", "QQQ", "F", "BRK-B", "ABBV", "SOHO", "SPY")
READY_POLL_S = 0.02
READY_S = 10.0
STOP_S = 5.0
ROOT = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True, kw_only=True)
class PracticeMarket:
    """A market in this loop. `server.market` holds the last true values, `faults` what goes wrong."""

    proxy_url: str
    ca_file: Path
    server: PracticeServer

    @property
    def market(self) -> Market:
        return self.server.market

    @property
    def faults(self) -> Faults:
        return self.server.faults


@asynccontextmanager
async def running(
    folder: Path,
    *,
    symbols: Sequence[str] | None = SYMBOLS,
    calendar: str = "always",
    seed: int = 1,
    canary_interval_s: int = 1,
    clock: Clock | None = None,
) -> AsyncIterator[PracticeMarket]:
    """Run a market of `symbols` (None: all listings) on a free port; the CA goes into `folder`."""
    clock = clock or SystemClock()
    market = Market(
        listings.chosen(symbols) if symbols is not None else listings.bundled(),
        calendar=build_calendar(MarketSettings(calendar=calendar), read=read_text),
        seed=seed,
        now=clock.utc_now(),
        canary_interval_s=canary_interval_s,
    )
    server = PracticeServer(market, clock=clock)
    failures: list[BaseException] = []
    await server.start("127.0.0.1", 0, on_failure=failures.append)
    try:
        ca_file = folder / "practice-ca.pem"
        write_atomic(ca_file, server.authority.pem)
        yield PracticeMarket(proxy_url=server.proxy_url, ca_file=ca_file, server=server)
    finally:
        await server.stop()
    for error in failures:
        raise error


@dataclass(frozen=True, slots=True, kw_only=True)
class PracticeProcess:
    """A market in a process of its own."""

    proxy_url: str
    ca_file: Path
    process: subprocess.Popen[bytes]


@contextmanager
def process(folder: Path, *arguments: str) -> Iterator[PracticeProcess]:
    """Start `python -P -m simulator` with `arguments`, wait until it is ready, and end it afterwards."""
    ca_file, ready_file = folder / "practice-ca.pem", folder / "practice-ready.json"
    command = [sys.executable, "-m", "simulator", "--ca-file", str(ca_file), "--ready-file", str(ready_file)]
    child = subprocess.Popen([*command, *arguments], cwd=ROOT)
    try:
        _wait_for(ready_file, child)
        ready = json.loads(ready_file.read_bytes())
        yield PracticeProcess(proxy_url=ready["proxy_url"], ca_file=ca_file, process=child)
    finally:
        child.terminate()
        try:
            child.wait(STOP_S)
        finally:
            child.kill()


def _wait_for(ready_file: Path, child: subprocess.Popen[bytes]) -> None:
    for _ in range(int(READY_S / READY_POLL_S)):
        if ready_file.exists():
            return
        if child.poll() is not None:
            raise RuntimeError(f"the practice market ended with {child.returncode} before it was ready")
        pause(READY_POLL_S)
    raise RuntimeError(f"the practice market was not ready within {READY_S} s")
