"""What the flight recorder costs: two price scanners on one market at the same time, one records, the other does not.

Every ticker trades each second, so each hears 8,782 frames a second. Run: python -m bench.flight [SECONDS]
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil

from bench.simulator import SERVER, TICKERS
from core import config, logs
from core.clock import SystemClock, pause
from core.flight import Record, read_flight, segments
from core.settings import Database, Market, Network, Prices, Settings, State, Universe
from storage.prepare import prepare

SETTLE_S = 20.0
LIMIT_MB = 1000


@contextmanager
def started(*arguments: str, **environ: str) -> Iterator[psutil.Process]:
    command = [sys.executable, "-P", "-m", *arguments]
    null = subprocess.DEVNULL
    child = subprocess.Popen(command, env=os.environ | environ, stdout=null, stderr=null)
    try:
        yield psutil.Process(child.pid)
    finally:
        child.kill()
        child.wait()


def prepared(folder: Path, market: Path, flight_recorder_mb: int) -> Path:
    """Write a scanner's settings, and a table that lists every ticker; return the settings' file."""
    ready = json.loads((market / "ready.json").read_bytes())
    settings = Settings(
        state=State(dir=str(folder)),
        database=Database(url=f"sqlite:///{folder}/tickerd.db"),
        network=Network(proxy=ready["proxy_url"], ca_file=str(market / "practice-ca.pem")),
        market=Market(calendar="always"),
        universe=Universe(limit=TICKERS),
        prices=Prices(flight_recorder_mb=flight_recorder_mb),
    )
    prepare(settings)
    file = folder / "settings.json"
    file.write_bytes(config.dump(settings))
    return file


def cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def main() -> None:
    logs.configure(service="bench", level="error", style="text")
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 30.0
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        market = Path(name)
        stack.enter_context(started("bench.simulator", SERVER, name, PYTHONPATH=os.getcwd()))
        while not (market / "ready.json").exists():
            pause(0.05)
        scanners = {}
        for kind, limit_mb in (("without", 0), ("with", LIMIT_MB)):
            (market / kind).mkdir()
            file = prepared(market / kind, market, limit_mb)
            environ = {"TICKERD_SETTINGS": str(file), "PYTHONPATH": os.getcwd()}
            scanners[kind] = stack.enter_context(started("scanners.prices", **environ))
        flight = market / "with/flight/prices"
        pause(SETTLE_S)
        before = {kind: cpu_s(process) for kind, process in scanners.items()}
        size, began_at = size_of(flight), SystemClock().utc_now()
        pause(seconds)
        used = {kind: cpu_s(process) - before[kind] for kind, process in scanners.items()}
        for kind, process in scanners.items():
            rss_mb = process.memory_info().rss / 1e6
            print(f"{kind} recorder: {100 * used[kind] / seconds:.1f} % of a core, {rss_mb:.0f} MB")
        kept_mb = (size_of(flight) - size) / 1e6
        frames = sum(record.at >= began_at for path in segments(flight) for record in records_of(path))
        print(f"{frames / seconds:.0f} frames a second each")
        print(f"ratio {used['with'] / used['without']:.2f}, {kept_mb / seconds:.2f} MB a second on disk")


def records_of(path: Path) -> Iterator[Record]:
    return (record for record in read_flight(path) if isinstance(record, Record))


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in segments(folder))


if __name__ == "__main__":
    main()
