"""`tickerd demo`: the same daemon against the practice market, in a folder of its own. Never asks a real host."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from cli.simulate import simulator_command
from core.child import PARENT_VARIABLE
from core.clock import SystemClock, pause
from core.config import ALIASES, PREFIX
from core.errors import EXIT_DONE, EXIT_FAILED, RetryLater, TickerdError
from core.files import make_folder, write_atomic
from market.universe import FIXED_8782
from storage.counts import FreshCounts, count_fresh
from storage.engine import open_reader_engine

ENOUGH_PRICED, ENOUGH_METRICS = 0.99, 0.95
READY_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 9.0
LOOK_S = 1.0
SAY_EVERY_S = 5.0
PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")

QUERY = "SELECT ticker, current_price, last_updated FROM stocks_stock ORDER BY last_updated DESC LIMIT 10;"

CONFIG = """\
# Written by `tickerd demo`: the practice market in place of Yahoo. Nothing here touches the internet.
[network]
proxy = "{proxy}"
ca_file = "{ca_file}"
start_requests_per_s = 20.0   # the practice market is on this machine; the real one gets 0.25 at first
max_requests_per_s = 50.0

[market]
calendar = "always"           # it never closes, so the demo works at any hour

[universe]
file = "{universe}"

[metrics]
interval_s = 60.0
direct = "only"

[state]
dir = "state"

[database]
url = "sqlite:///tickerd.db"

[logging]
dir = "logs"
format = "text"

[api]
enabled = false
"""


@click.command()
@click.option(
    "--folder",
    default=".tickerd-demo",
    show_default=True,
    type=click.Path(path_type=Path),
    help="Where the demo keeps its files.",
)
@click.option("--seconds", type=click.FloatRange(min=1), help="End by itself after this long. Default: at Ctrl-C.")
def demo(folder: Path, seconds: float | None) -> int:
    """Watch tickerd work now: the whole daemon against a practice market on this machine.

    Prices are invented, everything else is real: 8,782 tickers over 89 encrypted connections into one SQL table.
    """
    folder = make_folder(folder.resolve())
    stopping = _stop_requests()
    click.echo("tickerd demo: starting a practice market (invented prices, no internet) ...")
    with _practice_market(folder) as market:
        config = _write_config(folder, market)
        with _daemon(folder, config) as daemon:
            reached = _watch(folder, daemon, stopping, seconds)
    click.echo("tickerd demo: everything has ended; start it again whenever you like")
    return EXIT_DONE if reached else EXIT_FAILED


def _stop_requests() -> Callable[[], bool]:
    """From here on Ctrl-C and SIGTERM only ask; return the question whether they did."""
    asked: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _frame: asked.append(number))
    return lambda: bool(asked)


def clean_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without anything that could lead the demo to a real database or host."""
    unwanted = {*ALIASES, *PROXY_VARIABLES, *(name.lower() for name in PROXY_VARIABLES)}
    return {name: text for name, text in environ.items() if name not in unwanted and not name.startswith(PREFIX)}


@contextmanager
def _practice_market(folder: Path) -> Iterator[dict[str, Any]]:
    ready_file = folder / "practice.json"
    ready_file.unlink(missing_ok=True)
    command = simulator_command(
        "127.0.0.1:0", folder / "practice-ca.pem", ready_file, universe=FIXED_8782, calendar="always", seed=1
    )
    with _child(command, log=folder / "practice-market.log") as process:
        _wait_for(ready_file.exists, process, what="the practice market")
        yield msgspec.json.decode(ready_file.read_bytes(), type=dict[str, Any])


@contextmanager
def _daemon(folder: Path, config: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-P", "-m", "core.child", "cli.main", "run", "--config", str(config)]
    with _child(command, log=None) as process:
        yield process


@contextmanager
def _child(command: list[str], *, log: Path | None) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process in a session of its own, so that Ctrl-C reaches only us; end it gently afterwards."""
    environ = clean_environment(os.environ) | {PARENT_VARIABLE: str(os.getpid())}
    output = log.open("wb") if log else None
    process = subprocess.Popen(command, env=environ, start_new_session=True, stdin=subprocess.DEVNULL, stderr=output)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if output:
            output.close()


def _wait_for(true: Callable[[], bool], process: subprocess.Popen[bytes], *, what: str) -> None:
    clock = SystemClock()
    deadline_s = clock.monotonic_s() + READY_TIMEOUT_S
    while not true():
        if process.poll() is not None or clock.monotonic_s() > deadline_s:
            raise RetryLater(f"{what} did not start (exit code {process.poll()})", right="see its log in the folder")
        pause(0.05)


def _write_config(folder: Path, market: Mapping[str, Any]) -> Path:
    file = folder / "config.toml"
    text = CONFIG.format(proxy=market["proxy_url"], ca_file=market["ca_file"], universe=FIXED_8782)
    write_atomic(file, text.encode())
    return file


def _watch(folder: Path, daemon: subprocess.Popen[bytes], stopping: Callable[[], bool], seconds: float | None) -> bool:
    """Tell how the table fills until asked to stop; True if it filled."""
    clock = SystemClock()
    started_at, started_s = clock.utc_now(), clock.monotonic_s()
    said_s, reached = started_s, False
    while not stopping() and (seconds is None or clock.monotonic_s() - started_s < seconds):
        if daemon.poll() is not None:
            raise RetryLater(f"the daemon ended (exit code {daemon.returncode})", right=f"see {folder / 'logs'}")
        now_s = clock.monotonic_s()
        if not reached:
            counts = _counts(folder, started_at)
            reached = counts is not None and _is_full(counts)
            if counts and (reached or now_s - said_s >= SAY_EVERY_S):
                said_s = now_s
                click.echo(_words(counts, now_s - started_s))
            if reached:
                click.echo(_farewell(folder))
        pause(LOOK_S)
    return reached


def _counts(folder: Path, since: datetime) -> FreshCounts | None:
    """Return the table's counts, None while there is no table yet."""
    try:
        engine = open_reader_engine(f"sqlite:///{folder / 'tickerd.db'}", service="cli")
    except TickerdError:
        return None
    try:
        return count_fresh(engine, since=since)
    finally:
        engine.dispose()


def _is_full(counts: FreshCounts) -> bool:
    enough_prices = counts.priced >= ENOUGH_PRICED * counts.total
    return counts.total > 0 and enough_prices and counts.with_metrics >= ENOUGH_METRICS * counts.total


def _words(counts: FreshCounts, elapsed_s: float) -> str:
    return (
        f"after {elapsed_s:3.0f} s: {counts.priced:,} of {counts.total:,} tickers have a fresh price, "
        f"{counts.with_metrics:,} have fresh metrics"
    )


def _farewell(folder: Path) -> str:
    where, command = os.path.relpath(folder), os.path.relpath(sys.argv[0])
    config = f"--config {where}/config.toml"
    return f"""
The table is full and stays fresh: prices each second, metrics each minute, until you press Ctrl-C.
Look at it from another terminal:

  sqlite3 {where}/tickerd.db "{QUERY}"
  {command} status --watch {config}
  {command} quote AAPL BRK.B {config}
  {command} logs -f prices {config}
"""
