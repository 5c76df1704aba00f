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
PROGRAM = [sys.executable, "-P", "-m", "core.child", "simulator"]


@click.command(short_help="Run the practice market alone, for tests of your own.")
@click.option("--listen", default="127.0.0.1:0", show_default=True, metavar="HOST:PORT", help="Loopback only.")
@click.option("--universe", type=click.Path(path_type=Path), help="Tickers to trade, one a line. Default: all.")
@click.option("--calendar", default="always", show_default=True, help='"always", "XNYS" or "file:PATH".')
@click.option("--seed", default=1, show_default=True, help="The same seed walks the same prices.")
@click.option("--fault", multiple=True, metavar="NAME[=FOR][@AT][,KEY=VALUE...]", help="Like mute=30s@10s; see --list.")
@click.option("--script", type=click.Path(path_type=Path), help="TOML file: faults, events and proxies, and when.")
@click.option(
    "--fleet", default="", metavar="KIND[/PROTOCOL]=COUNT,...", help="Like good=20,good/socks5=4; see --list."
)
@click.option("--control", default="127.0.0.1:0", show_default=True, metavar="HOST:PORT", help="The control port.")
@click.option("--replay", multiple=True, metavar="FILE", help="Play a recording of the flight recorder, or a folder.")
@click.option("--speed", default=1.0, show_default=True, help="With --replay: so many times as fast.")
@click.option("--to", metavar="HOST:PORT", help="Give the faults to the market that has this control port.")
@click.option("--clear", is_flag=True, help="With --to: end every fault first.")
@click.option("--list", "tell", is_flag=True, help="Tell every fault and every kind of proxy.")
@with_both
def simulate(config_file: str | None, as_json: bool, tell: bool, to: str | None, **options: Any) -> int:
    """Run the practice market alone: Yahoo's protocols on loopback, invented prices, a fleet of proxies, faults.

    Point a configuration at it by `[network] proxy` and `ca_file`, and give that configuration a database of its own.
    """
    if tell:
        return subprocess.call([*PROGRAM, "--list"])
    clear, faults = options.pop("clear"), [f"--fault={text}" for text in options["fault"]]
    if to or clear:
        aim = ["--to", to] if to else []
        return subprocess.call([*PROGRAM, *aim, *faults, *(["--clear"] if clear else [])])
    folder = make_folder(Path(load(config_file).settings.state.dir))
    ca_file, ready_file = folder / "practice-ca.pem", folder / "practice.json"
    ready_file.unlink(missing_ok=True)
    return _run(simulator_command(ca_file, ready_file, **options), ready_file, as_json=as_json)


def _run(command: list[str], ready_file: Path, *, as_json: bool) -> int:
    """Tell how to get in when it is ready, and wait for its end."""
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
    lines = (f"{each['protocol']:8} {each['address']:21} {each['kind']}\n" for each in market["proxies"])
    proxies = "".join(["\nIts proxies:\n", *lines]) if market["proxies"] else ""
    return f"""The practice market is open until Ctrl-C. To use it, write into a configuration of its own:

[network]
proxy = "{market["proxy_url"]}"
ca_file = "{market["ca_file"]}"

Its control port is {market["control"]}: tickerd simulate --to {market["control"]} --fault mute=30s
{proxies}"""


def simulator_command(ca_file: Path, ready_file: Path, **options: object) -> list[str]:
    """Return the command line of the practice market; an option is a value, a list of them, or None."""
    command = [*PROGRAM, "--ca-file", str(ca_file), "--ready-file", str(ready_file)]
    for name, value in options.items():
        values = value if isinstance(value, list | tuple) else [value]
        command += [f"--{name}={each}" for each in values if each not in (None, "")]
    return command
