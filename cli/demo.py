"""`tickerd demo`: the same daemon against the practice market, in a folder of its own. Never asks a real host."""

from __future__ import annotations

import os
import random
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from cli.common import json_bytes, json_option, print_json
from cli.simulate import simulator_command, wait_until_ready
from core.child import PARENT_VARIABLE
from core.clock import SystemClock, pause
from core.config import ALIASES, PREFIX
from core.config import load as load_config
from core.errors import EXIT_DONE, EXIT_FAILED, FixByHand, RetryLater, TickerdError
from core.files import FileLock, acquire_or_say, make_folder, read_text, write_atomic
from core.settings import Api
from market.universe import FIXED_8782
from storage import schema_version
from storage.counts import FreshCounts, count_fresh
from storage.engine import open_reader_engine
from storage.reader import read_origin

ENOUGH_PRICED, ENOUGH_METRICS = 0.99, 0.95
STOP_TIMEOUT_S = 9.0
LOOK_S = 1.0
SAY_EVERY_S = 5.0
PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")

QUERY = "SELECT ticker, current_price, last_updated FROM stocks_stock ORDER BY last_updated DESC LIMIT 10;"

FLEET = "good=20,good/socks5=4,dead=4,flaky=4,slow=2,tamper_all=2,own_certificate=1,captcha=1"
MARK = "# Written by `tickerd demo`"
DATABASE = "tickerd.db"
TAKEN = ("prices", "daily", "supervisor")
"""The sections of a user's own configuration that a demo may try out: none leads to another host or database."""

CONFIG = """\
{mark}: the practice market in place of Yahoo. Nothing here touches the internet.
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
rest_s = 1.0                  # the fleet's exits know no limit

[proxies]
sources = ["https://raw.githubusercontent.com/monosans/proxy-list/main/proxies/all.txt"]   # the fleet, among dead ones
own_networks = ["127.0.0.0/8"]
wanted = 20

[state]
dir = "state"

[database]
url = "sqlite:///tickerd.db"

[logging]
dir = "logs"
format = "text"

[api]
port = {port}
auth = false                  # invented data, and reachable from this machine alone
"""


@click.command(short_help="See it work now, against a practice market.")
@click.option(
    "--folder",
    default=".tickerd-demo",
    show_default=True,
    type=click.Path(path_type=Path),
    help="Where the demo keeps its files.",
)
@click.option("--seconds", type=click.FloatRange(min=1), help="End by itself after this long. Default: at Ctrl-C.")
@click.option("--config", "config_file", metavar="FILE", help=f"Try your own {', '.join(TAKEN)} settings out.")
@json_option("Print one JSON document at the end instead of text.")
def demo(folder: Path, seconds: float | None, config_file: str | None, as_json: bool) -> int:
    """Watch tickerd work now: the whole daemon against a practice market on this machine.

    Prices are invented, everything else is real: 8,782 tickers over 89 encrypted connections into one SQL table.
    """
    taken = _taken(config_file)
    folder = folder.resolve()
    _refuse_others_files(folder)
    lock = FileLock(make_folder(folder) / "demo.lock")
    acquire_or_say(lock, what="a demo")
    lock.write_owner(str(os.getpid()))
    say = _nothing if as_json else click.echo
    stopping = _stop_requests()
    say("tickerd demo: starting a practice market (invented prices, no internet) ...")
    _begin_anew(folder)
    with _practice_market(folder) as market:
        port = free_port()
        config_written = _write_config(folder, market, port, taken)
        with _daemon(folder, config_written) as daemon:
            result = _watch(folder, daemon, stopping, seconds, say, farewell=_farewell(folder, port))
    lock.release()
    say("tickerd demo: everything has ended; start it again whenever you like")
    if as_json:
        print_json({"folder": str(folder), **asdict(result)})
    return EXIT_DONE if result.full or stopping() else EXIT_FAILED


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How far the table was filled: `after_s` seconds from the start until it was full, None if it never was."""

    full: bool
    after_s: float | None
    total: int
    priced: int
    with_metrics: int


def _nothing(_text: str) -> None:
    """Say nothing."""


def _taken(config_file: str | None) -> str:
    """Return, as TOML, what the user's file sets in the sections that a demo may try out."""
    if config_file is None:
        return ""
    loaded = load_config(config_file, clean_environment(os.environ), Path.cwd())
    lines: list[str] = []
    for section in TAKEN:
        values = msgspec.to_builtins(getattr(loaded.settings, section))
        changed = {key: value for key, value in values.items() if loaded.sources[f"{section}.{key}"] != "default"}
        # Texts, numbers and truth values are written alike in JSON and in TOML.
        lines += ["", f"[{section}]", *(f"{key} = {json_bytes(value).decode()}" for key, value in changed.items())]
    return "\n".join(lines)


def _refuse_others_files(folder: Path) -> None:
    """FixByHand if the folder holds a configuration or a database that no demo has made."""
    right = "give the demo a folder of its own with --folder"
    config, database = folder / "config.toml", folder / DATABASE
    if config.exists() and not read_text(config).startswith(MARK):
        raise FixByHand("was not written by a demo", where=str(config), right=right)
    if database.exists() and _origin(database) == "live":
        raise FixByHand("holds live data", where=str(database), key="origin", right=right)


def _origin(database: Path) -> str | None:
    """Return whose data the database holds; None before the first write."""
    url = f"sqlite:///{database}"
    state = schema_version.check(url)
    schema_version.refuse_strange(state, url)
    if state.state == "empty":
        return None
    engine = open_reader_engine(url, service="cli")
    try:
        return read_origin(engine)
    finally:
        engine.dispose()


def _stop_requests() -> Callable[[], bool]:
    """From here on Ctrl-C and SIGTERM only ask; return the question whether they did."""
    asked: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _frame: asked.append(number))
    return lambda: bool(asked)


def clean_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without anything that could lead the demo to a real database or host."""
    return {
        name: text
        for name, text in environ.items()
        if name not in ALIASES and name.upper() not in PROXY_VARIABLES and not name.startswith(PREFIX)
    }


@contextmanager
def _practice_market(folder: Path) -> Iterator[dict[str, Any]]:
    ready_file = folder / "practice.json"
    ready_file.unlink(missing_ok=True)
    command = simulator_command(folder / "practice-ca.pem", ready_file, universe=FIXED_8782, fleet=FLEET)
    with _child(command, log=folder / "practice-market.log") as process:
        yield wait_until_ready(ready_file, process.poll)


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


def _begin_anew(folder: Path) -> None:
    """Each practice market has a history of its own: what an earlier one left in table and journal is not of it."""
    for suffix in ("", "-wal", "-shm"):
        (folder / f"{DATABASE}{suffix}").unlink(missing_ok=True)
    shutil.rmtree(folder / "state", ignore_errors=True)


QUIET_PORTS = range(10_000, 30_000)
"""Below those that systems give to whoever connects somewhere: no such port is gone before the API listens on it."""


def free_port(wanted: int = Api().port) -> int:
    """Return a port of this machine that nobody listens on, `wanted` if it may be."""
    for port in (wanted, *random.sample(QUIET_PORTS, 100)):
        with suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
    raise RetryLater("no port is free", where="127.0.0.1", right="try again")


def _write_config(folder: Path, market: Mapping[str, Any], port: int, taken: str) -> Path:
    file = folder / "config.toml"
    own = {"mark": MARK, "universe": FIXED_8782, "port": port}
    text = CONFIG.format(proxy=market["proxy_url"], ca_file=market["ca_file"], **own)
    write_atomic(file, (text + taken + "\n").encode())
    return file


def _watch(
    folder: Path,
    daemon: subprocess.Popen[bytes],
    stopping: Callable[[], bool],
    seconds: float | None,
    say: Callable[[str], None],
    *,
    farewell: str,
) -> Result:
    """Tell how the table fills until asked to stop."""
    clock = SystemClock()
    started_at, started_s = clock.utc_now(), clock.monotonic_s()
    said_s, after_s, counts = started_s, None, FreshCounts(total=0, priced=0, with_metrics=0)
    while not stopping() and (seconds is None or clock.monotonic_s() - started_s < seconds):
        if daemon.poll() is not None:
            raise RetryLater(f"the daemon ended (exit code {daemon.returncode})", right=f"see {folder / 'logs'}")
        if after_s is None:
            counts = _counts(folder, started_at) or counts
            now_s = clock.monotonic_s()
            if _is_full(counts):
                after_s = now_s - started_s
            if after_s is not None or now_s - said_s >= SAY_EVERY_S:
                said_s = now_s
                say(_words(counts, now_s - started_s))
            if after_s is not None:
                say(farewell)
        pause(LOOK_S)
    return Result(full=after_s is not None, after_s=after_s and round(after_s, 3), **asdict(counts))


def _counts(folder: Path, since: datetime) -> FreshCounts | None:
    """Return the table's counts, None while there is no table yet or it is busy."""
    url = f"sqlite:///{folder / DATABASE}"
    try:
        schema_version.require_current(url)
        engine = open_reader_engine(url, service="cli")
        try:
            return count_fresh(engine, since=since)
        finally:
            engine.dispose()
    except TickerdError:
        return None


def _is_full(counts: FreshCounts) -> bool:
    enough_prices = counts.priced >= ENOUGH_PRICED * counts.total
    return counts.total > 0 and enough_prices and counts.with_metrics >= ENOUGH_METRICS * counts.total


def _words(counts: FreshCounts, elapsed_s: float) -> str:
    return (
        f"after {elapsed_s:3.0f} s: {counts.priced:,} of {counts.total:,} tickers have a fresh price, "
        f"{counts.with_metrics:,} have fresh metrics"
    )


def _farewell(folder: Path, port: int) -> str:
    command, database, config = (
        shlex.quote(os.path.relpath(path)) for path in (sys.argv[0], folder / DATABASE, folder / "config.toml")
    )
    return f"""
The table is full and stays fresh: prices each second, metrics each minute, until you press Ctrl-C.
Look at it: http://127.0.0.1:{port}/

or from another terminal:

  sqlite3 {database} "{QUERY}"
  {command} status --watch --config {config}
  {command} quote AAPL BRK.B --config {config}
  {command} logs -f prices --config {config}
"""
