"""What streams cost: many clients, slow ones, the first result of a scan, clients that come and go.

python -m bench.api_streams                 # everything, some two minutes
python -m bench.api_streams fanout          # 100 and 1,000 WebSocket and SSE clients x 10 updates/s of 1 kB
python -m bench.api_streams slow            # 50 readers beside 20 clients that take nothing, 100 x 8 kB a second
python -m bench.api_streams scans           # the first result after POST, 50 scans at once
python -m bench.api_streams resume          # 1,000 times away in the middle of a scan and back

The server is a process of its own, as it is shipped; the updates of `fanout` and `slow` are put into its book of quotes
ten times a second, everything else comes the whole way. CPU is the server's; latency is from the update to the client's
socket and has the client's own share in it. Exit code 1 if a bound is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import os
import random
import resource
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from time import monotonic_ns, perf_counter
from typing import Any

from websockets.sync.client import ClientConnection, connect

from api.app import build_app, build_context
from api.app import running as running_app
from api.auth.holders import hash_of
from api.context import Context
from api.main import Server, listen, loop_factory, server_config
from bench import api_clients
from bench.api_clients import MARK, Client
from core import logs
from core.bell import ring
from core.clock import SystemClock, pause
from core.settings import Api, Database, Settings, State
from storage import accounts, scans, schema_version
from storage.schema import stocks_stock
from storage.writer import Writer

BOUNDS = {
    "websocket_1000_p99_ms": 100.0,
    "websocket_1000_core_percent": 40.0,
    "websocket_1000_kb_a_client": 35.0,
    "websocket_100_p99_ms": 20.0,
    "sse_1000_p99_ms": 100.0,
    "sse_1000_core_percent": 40.0,
    "sse_1000_kb_a_client": 35.0,
    "sse_100_p99_ms": 20.0,
    "slow_readers_p99_ms": 100.0,
    "slow_readers_missed": 0.0,
    "slow_growth_mb": 10.0,
    "first_result_p95_ms": 100.0,
    "fifty_scans_p95_s": 2.0,
    "fifty_scans_lost": 0.0,
    "resume_lost": 0.0,
}
TICKER = "UPDATE"
RUN_S = 10.0


def serve(folder: Path, every_s: float, size: int) -> None:
    """The server's process: the whole API, with updates put into its book."""
    logs.configure(service="bench", level="error", style="json")
    settings = Settings(
        state=State(dir=str(folder)),
        database=Database(url=f"sqlite:///{folder}/tickerd.db"),
        api=Api(port=0, max_streams=2000, max_streams_per_user=2000, requests_per_s=1e6, burst=1_000_000),
    )
    context = build_context(settings, SystemClock())

    def lost(error: BaseException) -> None:
        raise error

    async def main() -> None:
        async with running_app(context, lost):
            await _serve(context, every_s, size)

    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(main())


async def _serve(context: Context, every_s: float, size: int) -> None:
    listeners = listen(context.settings.api)
    server = Server(server_config(build_app(context), context.settings.api))
    served = asyncio.ensure_future(server.serve(sockets=listeners))
    while not server.started:
        await context.clock.sleep(0.01)
    await _add_key(context)
    sys.stdout.write(f"{listeners[0].getsockname()[1]}\n")
    sys.stdout.flush()
    blank = dict.fromkeys(stocks_stock.columns.keys())
    while size:
        made = f"{MARK.decode()}{monotonic_ns()}{MARK.decode()}".ljust(size, "x")
        context.book._take([{**blank, "ticker": TICKER, "change_seq": 1, "company_name": made}])
        await context.clock.sleep(every_s)
    await served


async def _add_key(context: Context) -> None:
    user, at = (await context.accounts.users(after=0, limit=1))[0]["id"], context.clock.utc_now()
    new = accounts.NewToken(user_id=user, name="bench", token_hash=hash_of("stk_bench"), scopes=["read", "scan"])
    chosen = {"must_change_password": False}
    await context.database.write(lambda writer: accounts.change_user(writer, user, chosen, at=at))
    await context.database.write(lambda writer: accounts.add_token(writer, new, at=at))


@dataclass
class Running:
    port: int
    pid: int

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss_kb(self) -> int:
        text = Path(f"/proc/{self.pid}/status").read_text()
        return int(text.split("VmRSS:")[1].split()[0])


@contextmanager
def running(folder: Path, *, every_s: float = 0.1, size: int = 0) -> Iterator[Running]:
    command = [sys.executable, "-m", "bench.api_streams", "serve", str(folder), str(every_s), str(size)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield Running(int(process.stdout.readline()), process.pid)
    finally:
        process.kill()
        process.wait()


def new_database(folder: Path) -> None:
    schema_version.upgrade(f"sqlite:///{folder}/tickerd.db")


def quantile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def opened(server: Running, transport: str, count: int) -> list[Client]:
    subscribe = json.dumps({"type": "subscribe", "channels": {"quotes": [TICKER]}})
    path = f"/api/v1/stream?channels=quotes&tickers={TICKER}"
    clients = []
    for _ in range(count):
        if transport == "websocket":
            clients.append(Client(api_clients.websocket(server.port, "/api/v1/stream", "stk_bench", subscribe)))
        else:
            clients.append(Client(api_clients.events(server.port, path, "stk_bench")))
    return clients


def fanout() -> dict[str, float]:
    found: dict[str, float] = {}
    for transport in ("websocket", "sse"):
        for count in (100, 1000):
            found |= {f"{transport}_{count}_{key}": value for key, value in fanned(transport, count).items()}
    return found


def fanned(transport: str, count: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        new_database(folder)
        with running(folder, size=320) as server:
            pause(1.0)
            before_kb = server.rss_kb()
            clients = opened(server, transport, count)
            api_clients.read_for(clients, 2.0)
            for client in clients:
                client.waits_ns.clear()
            begun_s, used_s = perf_counter(), server.cpu_s()
            had = sum(client.received for client in clients)
            api_clients.read_for(clients, RUN_S)
            took_s, used_s = perf_counter() - begun_s, server.cpu_s() - used_s
            held_kb = (server.rss_kb() - before_kb) / count
    waits_ms = [wait / 1e6 for client in clients for wait in client.waits_ns]
    got = sum(client.received for client in clients) - had
    figures = {
        "p50_ms": quantile(waits_ms, 0.5),
        "p99_ms": quantile(waits_ms, 0.99),
        "core_percent": 100 * used_s / took_s,
        "us_a_message": 1e6 * used_s / max(1, got),
        "kb_a_client": held_kb,
        "messages_per_s": got / took_s,
    }
    for client in clients:
        client.connection.close()
    return figures


def slow() -> dict[str, float]:
    """Clients that take nothing stand beside others; the server's memory is looked at all the while."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        new_database(folder)
        with running(folder, every_s=0.01, size=7300) as server:
            pause(1.0)
            readers, sleepers = opened(server, "websocket", 50), opened(server, "websocket", 20)
            api_clients.read_for(readers, 3.0)
            for client in readers:
                client.waits_ns.clear()
            had = [client.received for client in readers]
            held_mb = []
            for _ in range(6):
                held_mb.append(server.rss_kb() / 1024)
                api_clients.read_for(readers, 2.0)
            held_mb.append(server.rss_kb() / 1024)
            got = [client.received - before for client, before in zip(readers, had, strict=True)]
    for client in (*readers, *sleepers):
        client.connection.close()
    waits_ms = [wait / 1e6 for client in readers for wait in client.waits_ns]
    print("  memory, MB:", " ".join(f"{mb:.0f}" for mb in held_mb))
    return {
        "slow_readers_p99_ms": quantile(waits_ms, 0.99),
        "slow_readers_least_per_s": min(got) / 12.0,
        "slow_readers_missed": float(max(got) - min(got) > max(got) * 0.05),
        "slow_growth_mb": held_mb[-1] - held_mb[0],
    }


TICKERS, SESSIONS = 2000, 120
SCAN = {"expression": "rsi14 < 35"}
RUNS = 40


def new_market(folder: Path) -> None:
    """Bars that wander at random, written past the program: it is not their writing that is measured."""
    new_database(folder)
    luck = random.Random(7)
    days = [date(2026, 11, 20) - timedelta(days=back) for back in range(SESSIONS * 7 // 5, -1, -1)]
    sessions = [day.isoformat() for day in days if day.weekday() < 5]
    with closing(sqlite3.connect(folder / "tickerd.db")) as connection, connection:
        for number in range(TICKERS):
            ticker, price = f"T{number:04d}", luck.uniform(5, 300)
            rows = []
            for session in sessions:
                price *= luck.gauss(1.0, 0.02)
                rows.append((ticker, session, price, price * 1.01, price * 0.99, price, 1_000_000, "bench"))
            connection.executemany(
                "INSERT INTO stocks_daily_bar (ticker, session_date, open, high, low, close, volume, source)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                rows,
            )
            connection.execute("INSERT INTO stocks_stock (ticker, is_listed, change_seq) VALUES (?, 1, 1)", (ticker,))
        connection.execute("INSERT OR REPLACE INTO change_marker VALUES ('daily', 1, 1, '2026-11-20 22:00:00.000000')")


@contextmanager
def engine(folder: Path) -> Iterator[None]:
    """The scan engine's process, warm."""
    config = folder / "config.toml"
    config.write_text(f'[state]\ndir = "{folder}"\n[database]\nurl = "sqlite:///{folder}/tickerd.db"\n')
    environ = os.environ | {"TICKERD_CONFIG": str(config), "TICKERD_LOGGING__LEVEL": "error"}
    process = subprocess.Popen([sys.executable, "-P", "-m", "screener"], env=environ)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


class Asking:
    """One client: a socket that stays open, and requests beside it."""

    def __init__(self, port: int) -> None:
        self._http = http.client.HTTPConnection("127.0.0.1", port)
        self._port = port

    def post(self) -> str:
        sent = {"X-API-Key": "stk_bench", "Content-Type": "application/json", "Host": "localhost"}
        self._http.request("POST", "/api/v1/scans", json.dumps(SCAN), sent)
        answer = self._http.getresponse()
        body = json.loads(answer.read())
        if answer.status not in (200, 202):
            raise RuntimeError(body)
        return str(body["scan_id"])

    def socket(self) -> ClientConnection:
        headers = {"X-API-Key": "stk_bench"}
        return connect(f"ws://localhost:{self._port}/api/v1/stream", additional_headers=headers, proxy=None)

    def scan(self, socket: ClientConnection) -> tuple[float, float, int, int]:
        """Start a scan; return seconds to its first result and its end, the results told and those it says it has."""
        begun_s = perf_counter()
        scan_id = self.post()
        socket.send(json.dumps({"type": "subscribe", "channels": {"scan": [scan_id]}}))
        first_s, seen = 0.0, 0
        while True:
            told = json.loads(socket.recv())
            for one in told if isinstance(told, list) else ():
                if one["type"] == "result":
                    first_s = first_s or perf_counter() - begun_s
                    seen += 1
                elif one["type"] == "complete":
                    socket.send(json.dumps({"type": "unsubscribe", "channels": {"scan": [scan_id]}}))
                    return first_s, perf_counter() - begun_s, seen, one["data"]["signals"]


def scanned() -> dict[str, float]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        new_market(folder)
        with running(folder) as server, engine(folder):
            asking = Asking(server.port)
            with asking.socket() as socket:
                asking.scan(socket)
                asking.scan(socket)  # warm by now
                one_by_one = [asking.scan(socket) for _ in range(RUNS)]
            at_once: list[tuple[float, float, int, int]] = []

            def client() -> None:
                asking = Asking(server.port)
                with asking.socket() as socket:
                    at_once.append(asking.scan(socket))

            clients = [threading.Thread(target=client) for _ in range(50)]
            for one in clients:
                one.start()
            for one in clients:
                one.join()
    return {
        "first_result_p50_ms": 1000 * quantile([first for first, *_ in one_by_one], 0.5),
        "first_result_p95_ms": 1000 * quantile([first for first, *_ in one_by_one], 0.95),
        "scan_results": float(one_by_one[0][2]),
        "fifty_scans_p95_s": quantile([end for _, end, *_ in at_once], 0.95),
        "fifty_scans_lost": float(50 - len(at_once) + sum(had - seen for *_, seen, had in at_once)),
    }


@dataclass
class Coming:
    """Clients that leave a scan at random and come back with the last number they have."""

    port: int
    tries: int
    found: list[dict[str, Any]] = field(default_factory=list)
    returns: list[int] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)
    are_over: threading.Event = field(default_factory=threading.Event)

    def client(self, seed: int) -> None:
        luck, asking, seen, ended = random.Random(seed), Asking(self.port), list[int](), False
        while not ended:
            with asking.socket() as socket:
                ended = self._listen(socket, seen, luck.uniform(0.01, 0.15))
            self.returns.append(1)
            if len(self.returns) >= self.tries:
                self.are_over.set()
        twice = len(seen) - len(set(seen))
        self.lost.append(len(set(range(1, len(self.found) + 1)) - set(seen)) + twice)

    def _listen(self, socket: ClientConnection, seen: list[int], duration_s: float) -> bool:
        """Take what comes for so long, once all tries are done to the end; return whether it came."""
        since = {RESUMED: seen[-1]} if seen else {}
        socket.send(json.dumps({"type": "subscribe", "channels": {"scan": [RESUMED]}, "since": since}))
        leave_s = perf_counter() + duration_s
        while perf_counter() < leave_s or self.are_over.is_set():
            told = json.loads(socket.recv())
            for one in told if isinstance(told, list) else ():
                if one["type"] == "result":
                    seen.append(one["seq"])
                elif one["type"] == "complete":
                    return True
        return False

    def find(self, writer: Writer, folder: Path) -> None:
        """Be the scan's engine: five results twenty times a second until all tries are done, then its end."""
        while not self.are_over.wait(0.05):
            first = len(self.found) + 1
            fresh = [{"seq": seq, "ticker": f"T{seq}"} | RESULT for seq in range(first, first + 5)]
            self.found += fresh
            scans.note_progress(writer, RESUMED, {"scan_id": RESUMED, "overall_progress": float(first)}, fresh)
            ring(folder / "api.bell")
        ended = scans.Ended(status="complete", values={}, results=self.found, errors=[])
        scans.end(writer, RESUMED, ended, at=SystemClock().utc_now())


RESUMED = "scan_resumed"
RESULT = {"session": "2026-11-20", "values": {}, "flags": []}


def resumed() -> dict[str, float]:
    logs.configure(service="bench", level="error", style="json")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        new_database(folder)
        url = f"sqlite:///{folder}/tickerd.db"
        with (
            running(folder) as server,
            Writer.open(url, service="bench", origin=None, clock=SystemClock()) as writer,
        ):
            scans.begin(writer, RESUMED, {}, name=None, at=SystemClock().utc_now())
            coming = Coming(server.port, tries=1000)
            threads = [threading.Thread(target=coming.client, args=(seed,)) for seed in range(10)]
            for one in threads:
                one.start()
            coming.find(writer, folder)
            for one in threads:
                one.join()
    figures = {
        "resume_tries": len(coming.returns),
        "resume_results": len(coming.found),
        "resume_lost": sum(coming.lost),
    }
    return {key: float(value) for key, value in figures.items()}


PARTS: dict[str, Callable[[], dict[str, float]]] = {
    "fanout": fanout,
    "slow": slow,
    "scans": scanned,
    "resume": resumed,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}")
    wanted = parser.parse_args().parts or list(PARTS)
    resource.setrlimit(resource.RLIMIT_NOFILE, (8192, 8192))
    missed = 0
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    for part in wanted:
        for key, value in PARTS[part]().items():
            bound = BOUNDS.get(key)
            failed = bound is not None and not value <= bound
            missed += failed
            told = "" if bound is None else f"  (at most {bound:g}){' MISSED' if failed else ''}"
            print(f"  {key:32} {value:10.2f}{told}")
    return 1 if missed else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(Path(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]))
    else:
        sys.exit(main())
