"""Two cycles of the shipped metrics scanner through a fleet of 100 proxies, for `bench.metrics`: a process of its own.

Times are scaled: an exit rests one second instead of twelve. The practice market answers at once.
"""

from __future__ import annotations

import json
import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from core.clock import SystemClock
from market.universe import Listing
from proxies import pool
from proxies.model import Address, Outcome, Protocol
from simulator import testing
from storage.engine import open_reader_engine
from storage.universe import load_universe
from storage.writer import Writer

ROOT = Path(__file__).parent.parent
FLEET = "dead=15,silent=15,flaky=40,good=20,good/socks5=5,tamper_all=5"
TICKERS = 8782
PROTOCOLS: dict[str, Protocol] = {"http": "http", "socks4a": "socks4", "socks5": "socks5"}
CONFIG = """
[network]
proxy = "{proxy}"
ca_file = "{ca_file}"
[market]
calendar = "always"
[metrics]
rest_s = 1.0
direct = "{direct}"
[proxies]
sources = []
own_networks = ["127.0.0.0/8"]
[state]
dir = "state"
[database]
url = "sqlite:///tickerd.db"
"""


def real_cycles() -> list[dict[str, Any]]:
    """Run one cold and one warm cycle, never directly; return what each took, cost and wrote."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with testing.process(folder, "--fleet", FLEET) as market:
            _prepare(folder, market)
            return [_cycle(folder, market, warmth) for warmth in ("cold", "warm")]


def _prepare(folder: Path, market: testing.PracticeProcess) -> None:
    text = CONFIG.format(proxy=market.proxy_url, ca_file=market.ca_file, direct="never")
    (folder / "config.toml").write_text(text)
    _tickerd(folder, "db", "upgrade")
    url, clock = f"sqlite:///{folder / 'tickerd.db'}", SystemClock()
    tickers = [each for each in sorted(market.prices()) if "-USD" not in each][:TICKERS]
    found: dict[Address, str] = {}
    for member in market.proxies():
        ip, _, port = member.address.rpartition(":")
        found[Address(PROTOCOLS[member.protocol], ip, int(port))] = member.exit
    engine = open_reader_engine(url, service="bench")
    with Writer.open(url, service="bench", origin=None, clock=clock) as writer:
        load_universe(writer, [Listing(ticker=each) for each in tickers])
        at = clock.utc_now()
        pool.add(writer, dict.fromkeys(found, "bench"), at=at)
        pool.record(writer, engine, [Outcome(address=each, cause="ok", at=at, latency_ms=500.0) for each in found])
        for address, exit_ip in found.items():
            pool.set_identity(writer, address, exit_ip=exit_ip, cookie="", crumb="", at=at)
    engine.dispose()


def _cycle(folder: Path, market: testing.PracticeProcess, warmth: str) -> dict[str, Any]:
    clock, asked_before = SystemClock(), market.status().requests
    began_s = clock.monotonic_s()
    used = _tickerd(folder, "scanner", "metrics", "--once")
    took_s = clock.monotonic_s() - began_s
    with closing(sqlite3.connect(folder / "tickerd.db")) as connection:
        status, updated, text = connection.execute(
            "SELECT status, updated, detail FROM scanner_run WHERE scanner = 'metrics' ORDER BY id DESC LIMIT 1"
        ).fetchone()
        rows = connection.execute(
            "SELECT ticker, current_price, price_time FROM stocks_stock WHERE price_time IS NOT NULL"
        ).fetchall()
    held = {ticker: (price, datetime.fromisoformat(at).replace(tzinfo=UTC)) for ticker, price, at in rows}
    wrong = market.check(held, lag_s=3600.0)
    detail = json.loads(text)
    cpu_s = used.ru_utime + used.ru_stime
    return {
        "cycle": warmth,
        "status": status,
        "updated": updated,
        "took_s": round(took_s, 1),
        "cpu_s": round(cpu_s, 2),
        "cpu_percent_of_600_s": round(cpu_s / 6.0, 2),
        "rss_mb": round(used.ru_maxrss / 1024, 1),
        "requests": market.status().requests - asked_before,
        "causes": detail["causes"],
        "banned": len(detail["banned"]),
        "wrong_rows": len(wrong),
    }


def _tickerd(folder: Path, *arguments: str) -> resource.struct_rusage:
    """Run a command to its end; return what it used."""
    command = [sys.executable, "-P", "-m", "cli.main", *arguments, "--config", str(folder / "config.toml")]
    inherited = {name: text for name, text in os.environ.items() if not name.startswith("TICKERD_")}
    with subprocess.Popen(command, env=inherited | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return used
