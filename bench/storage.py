"""What storage costs and bears, on SQLite and on a private PostgreSQL, in one run.

Usage: python -m bench.storage [--seconds 60] [--kills 50] [--rounds 15] [PART ...], PART: flush, load, feed, kills.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import text

from bench import storage_flush as flush
from bench.storage_flush import CLOCK, Method
from core import logs
from core.clock import pause
from market.universe import FIXED_8782, Listing
from storage import schema_version
from storage.engine import open_reader_engine
from storage.universe import load_universe
from storage.writer import Writer
from tests.fix_storage import Cluster, running_cluster

FEW = 300  # rows for a way that commits each row
TARGETS = {"sqlite": 1.3, "postgresql": 1.0}


def fill(url: str, tickers: Sequence[str]) -> str:
    schema_version.upgrade(url)
    with Writer.open(url, service="bench", origin="practice", clock=CLOCK) as writer:
        load_universe(writer, [Listing(ticker=ticker) for ticker in tickers])
    return url


class Databases:
    """Fresh databases of both kinds, each with every ticker."""

    def __init__(self, folder: Path, cluster: Cluster, tickers: Sequence[str]) -> None:
        self._folder, self._cluster, self._tickers = folder, cluster, tickers

    def fresh(self, kind: str, name: str) -> str:
        if kind == "sqlite":
            return fill(f"sqlite:///{self._folder}/{name}.db", self._tickers)
        self._cluster.administer(f"CREATE DATABASE {name}")
        return fill(self._cluster.url(name), self._tickers)


KINDS = ("sqlite", "postgresql")


def compare_flushes(databases: Databases, tickers: list[str], rounds: int) -> None:
    names = ("ours", "bare", "orm", "bulk", "django")
    urls = {kind: {name: databases.fresh(kind, f"flush_{name}") for name in names} for kind in KINDS}
    flush.set_up_django(**{kind: urls[kind]["django"] for kind in KINDS})
    for kind in KINDS:
        bare = flush.bare_sqlite if kind == "sqlite" else flush.bare_postgresql
        bare_name = "the same UPDATE, sqlite3" if kind == "sqlite" else "the same UPDATE, psycopg %s"
        methods = [
            Method(bare_name, bare(urls[kind]["bare"])),
            Method("flush_prices", flush.ours(urls[kind]["ours"])),
            Method("SQLAlchemy ORM bulk", flush.orm_bulk(urls[kind]["bulk"])),
            Method("SQLAlchemy ORM per row", flush.orm_per_row(urls[kind]["orm"]), rows=FEW),
            Method("Django get and save", flush.django_per_row(kind), rows=FEW),
        ]
        print(f"\n{kind}: {len(tickers):,} changed rows, median of {rounds} interleaved rounds")
        show(methods, time_methods(methods, tickers, rounds), total=len(tickers), target=TARGETS[kind])


def time_methods(methods: list[Method], tickers: list[str], rounds: int) -> dict[str, list[float]]:
    taken: dict[str, list[float]] = {method.name: [] for method in methods}
    for number in range(1, rounds + 1):
        for method in random.sample(methods, len(methods)):
            batch = flush.a_batch(tickers, number)[: method.rows]
            taken[method.name].append(method.timed(batch) * len(tickers) / len(batch))
    return taken


def show(methods: list[Method], taken: dict[str, list[float]], *, total: int, target: float) -> None:
    base = taken[methods[0].name]
    for method in methods:
        times = taken[method.name]
        ratio = statistics.median(times) / statistics.median(base)
        note = f"target at most {target}" if method.name == "flush_prices" else ""
        if method.rows:
            note = f"scaled from {method.rows} rows to {total:,}"
        print(
            f"  {method.name:<28} {statistics.median(times):>9.1f} ms   min {min(times):>8.1f}   {ratio:>6.2f}x  {note}"
        )


def start(role: str, url: str, seconds: float) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "bench.storage_load", role, url, str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def together(url: str, seconds: float, *roles: str) -> dict[str, dict[str, Any]]:
    processes = {role: start(role, url, seconds) for role in roles}
    said = {role: process.communicate()[0] for role, process in processes.items()}
    failed = [role for role, process in processes.items() if process.returncode != 0]
    assert not failed, failed
    return {role: json.loads(text) for role, text in said.items()}


def two_writers_and_a_reader(databases: Databases, seconds: float) -> None:
    for kind in KINDS:
        url = databases.fresh(kind, "load")
        together(url, 2, "prices")
        idle = together(url, seconds, "read")["read"]
        busy = together(url, seconds, "prices", "metrics", "read")
        errors = sum(said["errors"] for said in busy.values())
        ratio = busy["read"]["p99_ms"] / idle["p99_ms"]
        print(f"\n{kind}: 8,782 prices at 1 Hz, 100 metrics at 10 Hz and a reader at 50 Hz for {seconds:g} s")
        print(f"  errors {errors} (target 0)")
        for name, said in (("reader alone", idle), *busy.items()):
            print(
                f"  {name:<14} {said['count']:>5} times   p50 {said['p50_ms']:>7.2f}   p99 {said['p99_ms']:>7.2f}"
                f"   max {said['max_ms']:>7.2f} ms"
            )
        used = busy["read"]["cpu_p99_ms"] / idle["cpu_p99_ms"]
        print(
            f"  reader p99 {ratio:.2f}x its p99 alone (target at most 2); in its own processor time {used:.2f}x: "
            "the rest is waiting for a core"
        )


def follow_changes(databases: Databases, seconds: float) -> None:
    for kind in KINDS:
        url = databases.fresh(kind, "feed")
        said = together(url, seconds, "prices", "feed")
        ends, seen = said["prices"]["ends"], said["feed"]["seen"]
        lags_s = sorted(seen[seq] - ends[seq] for seq in seen if seq in ends)
        print(
            f"\n{kind}: a feed reader behind flushes of 8,782 rows at 1 Hz for {seconds:g} s: {len(lags_s)} flushes, "
            f"{said['feed']['rows']:,} rows\n  behind by p50 {statistics.median(lags_s):.3f}, max {lags_s[-1]:.3f} s "
            f"(target 0.3)   {said['feed']['cpu_percent']:.1f} % of a core (target 2)"
        )


def kill_writers(databases: Databases, kills: int) -> None:
    for kind in KINDS:
        url = databases.fresh(kind, "kills")
        lost = broken = acknowledged = 0
        for _ in range(kills):
            newest = kill_one(url)
            acknowledged += newest > 0
            missing, whole = inspect(url, newest)
            lost += missing
            broken += not whole
        print(
            f"\n{kind}: a writer killed with -9 in mid-flush {kills} times ({acknowledged} with acknowledged flushes)"
        )
        print(f"  acknowledged flushes lost {lost} (target 0), databases not whole {broken} (target 0)")


def kill_one(url: str) -> int:
    """Kill a writer at a random moment after its second flush; return the seq of its last acknowledged one."""
    process = start("flush", url, 0)
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(2)]
    pause(random.uniform(0.0, 0.3))
    process.send_signal(signal.SIGKILL)
    rest, _ = process.communicate()
    return max((int(line) for line in (*lines, *rest.splitlines(keepends=True)) if line.endswith("\n")), default=0)


def inspect(url: str, newest: int) -> tuple[bool, bool]:
    """Return whether the acknowledged flush `newest` is missing, and whether what is there is whole."""
    engine = open_reader_engine(url, service="bench")
    with engine.connect() as connection:
        seqs = connection.execute(text("SELECT DISTINCT change_seq FROM stocks_stock")).scalars().all()
        marked = connection.execute(text("SELECT seq FROM change_marker WHERE source = 'prices'")).scalar()
        sound = engine.dialect.name != "sqlite" or connection.execute(text("PRAGMA integrity_check")).scalar() == "ok"
    engine.dispose()
    return (marked or 0) < newest, sound and list(seqs) == [marked]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("parts", nargs="*", default=["flush", "load", "feed", "kills"])
    given = parser.parse_args()
    logs.configure(service="bench", level="error", style="text")
    tickers = FIXED_8782.read_text(encoding="ascii").split()
    with tempfile.TemporaryDirectory() as folder, running_cluster(fsync=True) as cluster:
        databases = Databases(Path(folder), cluster, tickers)
        if "flush" in given.parts:
            compare_flushes(databases, tickers, given.rounds)
        if "load" in given.parts:
            two_writers_and_a_reader(databases, given.seconds)
        if "feed" in given.parts:
            follow_changes(databases, given.seconds)
        if "kills" in given.parts:
            kill_writers(databases, given.kills)


if __name__ == "__main__":
    main()
