"""yfinance's own listener as a process of its own, for `bench.stream`: unmodified, as its documentation shows it.

Its handler keeps the newest message of each ticker and writes nothing to a table. One connection for each line of the
list file. Notes when a message came (`heard`, one line each, if asked), and at SIGTERM of how many tickers.

Usage: python -m bench.stream_peers URL LIST_FILE OUT_FOLDER [heard]
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import psutil

from bench.flight import cpu_s
from bench.processes import peak_mb
from bench.stream_scanner import Upstream
from core.clock import SystemClock, pause

STREAM_URL = "wss://streamer.finance.yahoo.com/?version=2"
CANARY = "BTC-USD"
FIRST, COUNT, ENOUGH, HEARD = "first", "count", "enough", "heard"
LATEST_S, STOP_S = 60.0, 5.0


class Handler:
    """What each message is given to."""

    def __init__(self, folder: Path, wanted: int, heard: TextIO | None) -> None:
        self._folder, self._wanted, self._heard = folder, wanted, heard
        self._clock = SystemClock()
        self._newest: dict[str, Any] = {}

    @property
    def tickers(self) -> int:
        return len(self._newest)

    def __call__(self, message: dict[str, Any]) -> None:
        if message["id"] not in self._newest:
            self._note(len(self._newest) + 1)
        self._newest[message["id"]] = message
        if self._heard is not None:
            self._heard.write(f"{self._clock.utc_now().timestamp()}\n")

    def _note(self, known: int) -> None:
        if known == 1:
            (self._folder / FIRST).touch()
        if known == self._wanted:
            (self._folder / ENOUGH).write_text(str(self._clock.monotonic_s()))


async def listen(url: str, lists: list[list[str]], folder: Path, heard: TextIO | None) -> None:
    from yfinance import AsyncWebSocket

    names = {name for names in lists for name in names if name != CANARY}
    handler = Handler(folder, int(0.99 * len(names)), heard)

    def end(*_: object) -> None:
        (folder / COUNT).write_text(str(handler.tickers))
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    sockets = [AsyncWebSocket(url=url, verbose=False) for _ in lists]
    async with asyncio.TaskGroup() as tasks:
        for socket, names_of_one in zip(sockets, lists, strict=True):
            await socket.subscribe(names_of_one)
            tasks.create_task(socket.listen(handler))


class Peer:
    """The running process."""

    def __init__(self, folder: Path, child: subprocess.Popen[bytes], began_s: float) -> None:
        self.folder, self.process, self._child, self._began_s = folder, psutil.Process(child.pid), child, began_s

    def wait_for(self, name: str) -> float:
        """Return how many seconds after its start it wrote the file `name`."""
        clock = SystemClock()
        while not (self.folder / name).exists():
            if self._child.poll() is not None or clock.monotonic_s() - self._began_s > LATEST_S:
                raise RuntimeError(f"yfinance's listener did not come so far: {name}")
            pause(0.02)
        return clock.monotonic_s() - self._began_s

    def cpu_s(self) -> float:
        return cpu_s(self.process)

    def peak_mb(self) -> float:
        return peak_mb(self.process.pid)

    def stop(self) -> int:
        """End it; return how many tickers it has heard of."""
        self._child.terminate()
        self._child.wait(STOP_S)
        return int((self.folder / COUNT).read_text())

    def heard_at(self) -> list[float]:
        """Return when each message came; the last lines may still be in the process."""
        lines = (self.folder / HEARD).read_text().split("\n")
        return [float(line) for line in lines[:-1]]


def lists_of(symbols: Sequence[str], per_connection: int) -> list[list[str]]:
    """Deal the symbols out to connections, a canary behind each list."""
    count = -(-len(symbols) // per_connection)
    return [[*symbols[first::count], CANARY] for first in range(count)]


@contextmanager
def listening(folder: Path, market: Upstream, lists: list[list[str]], *, heard: bool = False) -> Iterator[Peer]:
    """Run yfinance behind the practice market's proxy and CA."""
    folder.mkdir(parents=True)
    (folder / "lists.json").write_text(json.dumps(lists))
    through = dict.fromkeys(("HTTPS_PROXY", "https_proxy"), market.proxy_url) | {"SSL_CERT_FILE": str(market.ca_file)}
    kept = {name: value for name, value in os.environ.items() if name.lower() not in ("no_proxy", "all_proxy")}
    command = [sys.executable, "-W", "ignore", "-m", "bench.stream_peers", STREAM_URL, str(folder / "lists.json")]
    command += [str(folder), *([HEARD] if heard else [])]
    began_s = SystemClock().monotonic_s()
    with (folder / "log").open("wb") as log:
        child = subprocess.Popen(command, env=kept | through, stdout=log, stderr=log)
    try:
        yield Peer(folder, child, began_s)
    finally:
        child.kill()
        child.wait()


def main(url: str, lists: Path, folder: Path, heard: bool) -> None:
    file = (folder / HEARD).open("w", buffering=1) if heard else None
    asyncio.run(listen(url, json.loads(lists.read_bytes()), folder, file))


if __name__ == "__main__" and len(sys.argv) > 1:
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), HEARD in sys.argv[4:])
