"""`tickerd simulate`: the practice market alone, until Ctrl-C."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import msgspec

from cli.common import load, print_json, with_both
from core.child import PARENT_VARIABLE
from core.clock import SystemClock, pause
from core.errors import EXIT_FAILED, RetryLater
from core.files import make_folder

READY_TIMEOUT_S = 30.0
POLL_S = 0.05


@click.command(short_help="Run the practice market alone, for tests of your own.")
@click.option("--listen", default="127.0.0.1:0", show_default=True, metavar="HOST:PORT", help="Loopback only.")
@click.option("--universe", type=click.Path(path_type=Path), help="Tickers to trade, one a line. Default: all.")
@click.option("--calendar", default="always", show_default=True, help='"always", "XNYS" or "file:PATH".')
@click.option("--seed", default=1, show_default=True, help="The same seed walks the same prices.")
@with_both
def simulate(
    listen: str, universe: Path | None, calendar: str, seed: int, config_file: str | None, as_json: bool
) -> int:
    """Run the practice market alone: Yahoo's protocols on loopback, with invented prices.

    Point a configuration at it by `[network] proxy` and `ca_file`, and give that configuration a database of its own.
    """
    folder = make_folder(Path(load(config_file).settings.state.dir))
    ca_file, ready_file = folder / "practice-ca.pem", folder / "practice.json"
    ready_file.unlink(missing_ok=True)
    command = simulator_command(listen, ca_file, ready_file, universe=universe, calendar=calendar, seed=seed)
    environ = os.environ | {PARENT_VARIABLE: str(os.getpid())}
    with subprocess.Popen(command, env=environ) as process:
        try:
            market = wait_until_ready(ready_file, process.poll)
            if as_json:
                print_json(market)
            else:
                click.echo(_words(market))
            return _code(process.wait())
        except RetryLater:
            if process.returncode is None:
                process.terminate()
                raise
            return _code(process.returncode)  # it has said itself why
        except KeyboardInterrupt:
            return _code(process.wait())  # the practice market got the same Ctrl-C and is ending


def _code(returncode: int) -> int:
    return returncode if returncode >= 0 else EXIT_FAILED  # below zero: a signal


def wait_until_ready(ready_file: Path, poll: Callable[[], int | None]) -> dict[str, Any]:
    """Return what the practice market writes when it is ready; RetryLater if it has ended or takes too long."""
    clock = SystemClock()
    deadline_s = clock.monotonic_s() + READY_TIMEOUT_S
    while not ready_file.exists():
        if poll() is not None or clock.monotonic_s() > deadline_s:
            raise RetryLater(f"the practice market did not start (exit code {poll()})", right="see what it said")
        pause(POLL_S)
    return msgspec.json.decode(ready_file.read_bytes(), type=dict[str, Any])


def _words(market: dict[str, Any]) -> str:
    return f"""The practice market is open until Ctrl-C. To use it, write into a configuration of its own:

[network]
proxy = "{market["proxy_url"]}"
ca_file = "{market["ca_file"]}"
"""


def simulator_command(
    listen: str, ca_file: Path, ready_file: Path, *, universe: Path | None, calendar: str, seed: int
) -> list[str]:
    """Return the command line of the practice market."""
    command = [sys.executable, "-P", "-m", "core.child", "simulator", "--listen", listen]
    command += ["--ca-file", str(ca_file), "--ready-file", str(ready_file), "--calendar", calendar, "--seed", str(seed)]
    return [*command, "--universe", str(universe)] if universe else command
