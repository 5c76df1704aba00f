"""What a page of 100 quotes costs over the API, beside FastAPI with an ORM behind the same layers.

python -m bench.api [--seconds 5] [--runs 3]

The server is a process of its own with the table of 8,800 tickers; key, limits and headers are on. The client keeps 16
connections busy, pages through the whole table, and reads no more of an answer than its length. Rates are of one core:
requests over the processor time that the server spent on them; beside it what came through on this machine, where
the client takes the other core. Each run measures both servers and `/livez` of both: the control. Exit code 1 if a
bound is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import psutil
from sqlalchemy import insert

from core.clock import SystemClock, pause
from storage import schema_version
from storage.schema import stocks_stock
from storage.writer import Transaction, Writer

TICKERS = 8800
CONNECTIONS = 16
PAGE = 100
BOUNDS = {"requests_per_core_s": 3000.0, "times_the_orm": 3.0, "p99_ms": 25.0}
STARTED_WITHIN_S = 60.0
SERVERS = {"tickerd": "bench.stubs.api_server", "FastAPI + ORM": "bench.stubs.api_orm"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """`core_s`: requests a second of the server's processor time; `cpu_us`: of one request."""

    requests_s: float
    core_s: float
    cpu_us: float
    p50_ms: float
    p99_ms: float
    bytes: int


def fill(url: str) -> list[str]:
    """Make a table of random quotes with all columns that a list shows; return its tickers."""
    schema_version.upgrade(url)
    now = datetime.now(UTC)  # noqa: TID251  (a bench's own)
    tickers = [f"T{number:05d}" for number in range(TICKERS)]
    rows = [_row(ticker, 10.0 + number / 7, now) for number, ticker in enumerate(tickers)]
    with Writer.open(url, service="bench", origin="practice", clock=SystemClock()) as writer:

        def body(tx: Transaction) -> None:
            tx.connection.execute(insert(stocks_stock), [row | {"change_seq": tx.seq} for row in rows])
            tx.wrote(len(rows))

        writer.run(body, source="bench")
    return tickers


def _row(ticker: str, price_usd: float, now: datetime) -> dict[str, Any]:
    kinds: dict[Any, Any] = {float: price_usd, int: 1_234_567, str: "Words Inc.", bool: True, datetime: now}
    row = {
        column.name: kinds.get(column.type.python_type)
        for column in stocks_stock.columns
        if column.name not in ("id", "next_earnings_date", "ex_dividend_date")
    }
    return row | {"ticker": ticker, "sector": "Technology"}


@contextmanager
def served(module: str, folder: Path) -> Iterator[tuple[psutil.Process, int, str]]:
    """Run a server; yield its process, its port and the key of a user."""
    command = [sys.executable, "-P", "-m", module, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            told = json.loads(server.stdout.readline())
            _wait(told["port"])
            yield psutil.Process(server.pid), told["port"], told["key"]
        finally:
            server.terminate()
            server.wait()


def _wait(port: int) -> None:
    clock = SystemClock()
    end_s = clock.monotonic_s() + STARTED_WITHIN_S
    while clock.monotonic_s() < end_s:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
                connection.sendall(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                if b" 200 " in connection.recv(64):
                    return
        except OSError:
            pass
        pause(0.1)
    raise TimeoutError(f"nobody answers on port {port}")


class Connection(asyncio.Protocol):
    """One request after the other, each with the next of `requests`; `waits_s` from its sending to its last byte."""

    def __init__(self, requests: list[bytes], start: int) -> None:
        self._requests, self._next = requests, start
        self.waits_s: list[float] = []
        self.bytes = self.refused = 0
        self._left = -1
        self._head = b""
        self._sent_s = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.ask()

    def ask(self) -> None:
        self._next = (self._next + 1) % len(self._requests)
        self._sent_s = perf_counter()
        self._transport.write(self._requests[self._next])

    def data_received(self, data: bytes) -> None:
        if self._left < 0:
            self._head += data
            head, whole, body = self._head.partition(b"\r\n\r\n")
            if not whole:
                return
            self.refused += not head.startswith(b"HTTP/1.1 200")
            self._left = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]) - len(body)
            self._head = b""
        else:
            self._left -= len(data)
        self.bytes += len(data)
        if self._left == 0:
            self._left = -1
            self.waits_s.append(perf_counter() - self._sent_s)
            self.ask()


async def load(process: psutil.Process, port: int, requests: list[bytes], seconds: float) -> Load:
    """Keep 16 connections busy for so long; after a tenth of it the counting begins."""
    loop = asyncio.get_running_loop()
    clock = SystemClock()
    connections = [Connection(requests, number * 7) for number in range(CONNECTIONS)]
    made = [await loop.create_connection(lambda one=one: one, "127.0.0.1", port) for one in connections]  # type: ignore[misc]
    await clock.sleep(seconds / 10)
    before = [len(one.waits_s) for one in connections]
    cpu_s, began_s = sum(process.cpu_times()[:2]), perf_counter()
    await clock.sleep(seconds)
    cpu_s, took_s = sum(process.cpu_times()[:2]) - cpu_s, perf_counter() - began_s
    waits_s = sorted(wait for one, skip in zip(connections, before, strict=True) for wait in one.waits_s[skip:])
    for transport, _ in made:
        transport.abort()
    refused = sum(one.refused for one in connections)
    if refused:
        raise RuntimeError(f"{refused} requests were refused")
    count = len(waits_s)
    whole = sum(one.bytes for one in connections) / sum(len(one.waits_s) for one in connections)
    return Load(
        requests_s=count / took_s,
        core_s=count / cpu_s,
        cpu_us=1e6 * cpu_s / count,
        p50_ms=1000 * waits_s[count // 2],
        p99_ms=1000 * waits_s[count * 99 // 100],
        bytes=int(whole),
    )


def asked(path: str, key: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {key}\r\n\r\n".encode()


def measure(folder: Path, seconds: float) -> dict[str, dict[str, Load]]:
    """Return the load of each server: a page of quotes, and `/livez` as the control."""
    found = {}
    cursors = json.loads((folder / "cursors.json").read_text())
    for name, module in SERVERS.items():
        with served(module, folder) as (process, port, key):
            pages = [asked(f"/api/v1/quotes?limit={PAGE}&cursor={cursor}", key) for cursor in cursors]
            found[name] = {
                "quotes": asyncio.run(load(process, port, pages, seconds)),
                "livez": asyncio.run(load(process, port, [asked("/livez", key)], seconds / 2)),
            }
    return found


def report(runs: list[dict[str, dict[str, Load]]]) -> dict[str, float]:
    """Print a line a server and path, the median of the runs; return what the bounds are for."""
    print(f"{'':26}{'a core':>9}{'here':>9}{'CPU':>9}{'p50':>8}{'p99':>8}{'answer':>10}")
    middle: dict[tuple[str, str], Load] = {}
    for name in SERVERS:
        for path in ("quotes", "livez"):
            ones = [run[name][path] for run in runs]
            one = Load(**{field: median(getattr(each, field) for each in ones) for field in Load.__slots__})
            middle[name, path] = one
            print(
                f"{name + ', ' + path:26}{one.core_s:7,.0f}/s{one.requests_s:7,.0f}/s{one.cpu_us:6.0f} us"
                f"{one.p50_ms:5.1f} ms{one.p99_ms:5.1f} ms{one.bytes:7,} B"
            )
    ours, orm = middle["tickerd", "quotes"], middle["FastAPI + ORM", "quotes"]
    return {
        "requests_per_core_s": ours.core_s,
        "times_the_orm": ours.core_s / orm.core_s,
        "p99_ms": ours.p99_ms,
    }


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tickers = fill(f"sqlite:///{folder}/tickerd.db")
        _keep_cursors(folder, tickers)
        runs = [measure(folder, given.seconds) for _ in range(given.runs)]
    found = report(runs)
    missed = [key for key, bound in BOUNDS.items() if (found[key] > bound) == (key == "p99_ms")]
    for key, bound in BOUNDS.items():
        print(f"{key:22} {found[key]:10,.1f}   asked {bound:,.0f}{'   MISSED' if key in missed else ''}")
    return 1 if missed else 0


def _keep_cursors(folder: Path, tickers: list[str]) -> None:
    from api.sql import encode_cursor

    cursors = [encode_cursor([tickers[place]]) for place in range(0, TICKERS - PAGE - 1, PAGE)]
    (folder / "cursors.json").write_text(json.dumps(cursors))


if __name__ == "__main__":
    sys.exit(main())
