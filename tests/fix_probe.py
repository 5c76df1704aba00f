"""A probe against a practice market of 210 tickers, as `probed_market`; `probed` runs it and tells what was found."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from scanners.probe import stream as probe_stream
from scanners.probe.work import Probe, Report
from simulator import testing
from simulator.world import listings
from tests.fix_clock import UnhurriedClock
from tests.fix_scanners import Stage, staged

TICKERS = [listing.symbol for listing in listings.bundled()][:210]


def believing(*, symbols: int, batch: int) -> dict[str, Any]:
    return {"prices": {"symbols_per_connection": symbols}, "metrics": {"batch_size": batch}}


AS_BELIEVED = believing(symbols=99, batch=100)


async def probed(stage: Stage, *, time_limit_s: float = 60.0, **sections: Any) -> Report:
    """Run the whole probe, believing AS_BELIEVED unless `sections` say otherwise."""
    context = stage.context("probe", once=True, **(sections or AS_BELIEVED))
    return await Probe(context, time_limit_s=time_limit_s).run()


@pytest.fixture
def quick_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each wait of the stream's measures is cut to what a market on this machine needs, also when it is busy."""
    monkeypatch.setattr(probe_stream, "HEAR_S", 1.5)
    monkeypatch.setattr(probe_stream, "SNAPSHOT_S", 0.7)
    monkeypatch.setattr(probe_stream, "RATE_S", 0.3)


@pytest_asyncio.fixture
async def probed_market(
    quick_probe: None, patient_client: None, market_clock: UnhurriedClock, tmp_path: Path, sqlite_file: Path
) -> AsyncIterator[Stage]:
    async with testing.running(tmp_path, symbols=TICKERS, clock=market_clock) as running:
        yield staged(running, tmp_path, sqlite_file, clock=market_clock, tickers=TICKERS)
