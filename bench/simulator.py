"""Measures the practice market: CPU and memory with 89 stream clients and every ticker trading each second.

Run: python -m bench.simulator [SECONDS]
"""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
from websockets.asyncio.client import ClientConnection, connect

from core.clock import SystemClock, pause
from simulator import testing

TICKERS = 8_782
PER_CONNECTION = 99
MOST_OF_A_CORE, LONGEST_START_S = 0.25, 3.0
STREAM_URL = "wss://streamer.finance.yahoo.com/?version=2"
SERVER = "serve"


async def serve(folder: Path) -> None:
    """Be the practice market until the parent ends us; every ticker trades each second."""
    async with testing.running(folder, symbols=None, canary_interval_s=2) as practice:
        for stock in practice.market.stocks.values():
            stock.trades_per_s = 1.0
        practice.market.canary.trades_per_s = 0.0
        symbols = [symbol for symbol in practice.market.stocks if symbol != "BTC-USD"][:TICKERS]
        ready = {"proxy_url": practice.proxy_url, "symbols": symbols}
        (folder / "partial").write_text(json.dumps(ready))
        (folder / "partial").rename(folder / "ready.json")
        await asyncio.Event().wait()


class Client:
    """One stream connection that counts what it gets."""

    def __init__(self) -> None:
        self.messages = 0

    async def read(self, connection: ClientConnection) -> None:
        while True:
            await connection.recv(decode=False)
            self.messages += 1


async def measure(folder: Path, server: psutil.Process, seconds: float) -> float:
    """Connect everybody, wait for the snapshots, measure `seconds` of trading; return the share of a core."""
    ready = json.loads((folder / "ready.json").read_bytes())
    trust = ssl.create_default_context(cafile=folder / "practice-ca.pem")
    clients: list[Client] = []
    readers: list[asyncio.Task[None]] = []
    clock = SystemClock()
    async with asyncio.TaskGroup() as tasks:
        for start in range(0, TICKERS, PER_CONNECTION):
            connection = await connect(STREAM_URL, ssl=trust, proxy=ready["proxy_url"], compression=None)
            shard = ready["symbols"][start : start + PER_CONNECTION]
            await connection.send(json.dumps({"subscribe": [*shard, "BTC-USD"]}))
            clients.append(Client())
            readers.append(tasks.create_task(clients[-1].read(connection)))
        await clock.sleep(2)
        cpu, messages, began_s = sum(server.cpu_times()[:2]), sum(c.messages for c in clients), clock.monotonic_s()
        await clock.sleep(seconds)
        took_s = clock.monotonic_s() - began_s
        share = (sum(server.cpu_times()[:2]) - cpu) / took_s
        rate = (sum(c.messages for c in clients) - messages) / took_s
        rss_mb = server.memory_info().rss / 1e6
        print(
            f"the practice market's own cost, ledger included: {len(clients)} connections, {rate:.0f} messages/s: "
            f"{100 * share:.1f} % of a core, {rss_mb:.0f} MB"
        )
        for reader in readers:
            reader.cancel()
    return share


def main() -> int:
    """Return 1 if the market is no longer cheap: then what it measures is itself."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 20.0
    clock = SystemClock()
    with tempfile.TemporaryDirectory() as name:
        began_s = clock.monotonic_s()
        child = subprocess.Popen([sys.executable, "-m", "bench.simulator", SERVER, name])
        try:
            while not (Path(name) / "ready.json").exists():
                if child.poll() is not None:
                    return 1
                pause(0.01)
            start_s = clock.monotonic_s() - began_s
            print(f"start to ready: {start_s:.2f} s")
            share = asyncio.run(measure(Path(name), psutil.Process(child.pid), seconds))
        finally:
            child.kill()
            child.wait()
    return 0 if share <= MOST_OF_A_CORE and start_s <= LONGEST_START_S else 1


if __name__ == "__main__":
    if sys.argv[1:2] == [SERVER]:
        asyncio.run(serve(Path(sys.argv[2])))
    else:
        sys.exit(main())
