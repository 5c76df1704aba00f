"""The practice market for tests: inside the test's own event loop, or as the real process. Fakes nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from core.clock import Clock, SystemClock, pause
from core.files import read_text, write_atomic
from core.settings import Market as MarketSettings
from market.sessions import build_calendar
from simulator.fleet import kinds
from simulator.practice import Practice
from simulator.running import RemoteMarket, RunningMarket
from simulator.server import PracticeServer
from simulator.trouble.faults import Faults
from simulator.trouble.script import Script
from simulator.world import listings
from simulator.world.walk import Market

SYMBOLS = ("AAPL", "MSFT", "QQQ", "F", "BRK-B", "ABBV", "SOHO", "SPY")
ANY_PORT = ("127.0.0.1", 0)
READY_POLL_S = 0.02
READY_S = 60.0
STOP_S = 60.0
ROOT = Path(__file__).parent.parent


class PracticeMarket(RunningMarket):
    """A market in this loop. `market` holds the last true values, `faults` what goes wrong."""

    def __init__(self, practice: Practice, ca_file: Path) -> None:
        self._practice = practice
        self.ca_file = ca_file
        self.proxy_url = practice.server.proxy_url
        self.control = practice.control_address

    def ask(self, do: str, **arguments: object) -> Any:
        return self._practice.control.obey({"do": do, **arguments})

    @property
    def server(self) -> PracticeServer:
        return self._practice.server

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
    fleet: str = "",
) -> AsyncIterator[PracticeMarket]:
    """Run a market of `symbols` (None: all listings) on a free port; the CA goes into `folder`.

    `fleet`: its proxies, as in "good=20,good/socks5=4,dead=10". At the end RuntimeError if somebody asked for a host
    that the market is not, unless the test has cleared `server.refused_hosts`.
    """
    clock = clock or SystemClock()
    market = Market(
        listings.chosen(symbols) if symbols is not None else listings.bundled(),
        calendar=build_calendar(MarketSettings(calendar=calendar), read=read_text),
        seed=seed,
        now=clock.utc_now(),
        canary_interval_s=canary_interval_s,
    )
    practice = Practice(market, clock=clock)
    failures: list[BaseException] = []
    script = Script(fleet=kinds.from_text(fleet))
    await practice.start(ANY_PORT, ANY_PORT, script=script, on_failure=failures.append)
    try:
        ca_file = folder / "practice-ca.pem"
        write_atomic(ca_file, practice.server.authority.pem)
        yield PracticeMarket(practice, ca_file)
    finally:
        await practice.stop()
    for error in [*failures, *practice.server.errors]:
        raise error
    if hosts := sorted(practice.server.refused_hosts):
        raise RuntimeError(f"somebody asked for hosts that are not served: {', '.join(hosts)}")


class PracticeProcess(RemoteMarket):
    """A market in a process of its own."""

    def __init__(self, ready: Mapping[str, Any], process: subprocess.Popen[bytes]) -> None:
        super().__init__(ready["control"])
        self.control: str = ready["control"]
        self.proxy_url: str = ready["proxy_url"]
        self.ca_file = Path(ready["ca_file"])
        self.process = process


@contextmanager
def process(folder: Path, *arguments: str) -> Iterator[PracticeProcess]:
    """Start `python -P -m simulator` with `arguments`, wait until it is ready, and end it afterwards."""
    ca_file, ready_file = folder / "practice-ca.pem", folder / "practice-ready.json"
    command = [sys.executable, "-m", "simulator", "--ca-file", str(ca_file), "--ready-file", str(ready_file)]
    child = subprocess.Popen([*command, *arguments], cwd=ROOT)
    try:
        _wait_for(ready_file, child)
        yield PracticeProcess(json.loads(ready_file.read_bytes()), child)
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
