"""`tickerd simulate`: the practice market alone, until Ctrl-C."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click

from cli.common import load, with_config
from core.files import make_folder


@click.command()
@click.option("--listen", default="127.0.0.1:0", show_default=True, metavar="HOST:PORT", help="Loopback only.")
@click.option("--universe", type=click.Path(path_type=Path), help="Tickers to trade, one a line. Default: all.")
@click.option("--calendar", default="always", show_default=True, help='"always", "XNYS" or "file:PATH".')
@click.option("--seed", default=1, show_default=True, help="The same seed walks the same prices.")
@with_config
def simulate(listen: str, universe: Path | None, calendar: str, seed: int, config_file: str | None) -> int:
    """Run the practice market alone: Yahoo's protocols on loopback, with invented prices.

    Point a configuration at it by `[network] proxy` and `ca_file`, and give that configuration a database of its own.
    """
    folder = make_folder(Path(load(config_file).settings.state.dir))
    ca_file, ready_file = folder / "practice-ca.pem", folder / "practice.json"
    click.echo(f"practice market: its proxy and CA will stand in {ready_file}", err=True)
    command = simulator_command(listen, ca_file, ready_file, universe=universe, calendar=calendar, seed=seed)
    with subprocess.Popen(command) as process:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                continue  # the practice market got the same Ctrl-C and is ending


def simulator_command(
    listen: str, ca_file: Path, ready_file: Path, *, universe: Path | None, calendar: str, seed: int
) -> list[str]:
    """Return the command line of the practice market."""
    command = [sys.executable, "-P", "-m", "core.child", "simulator", "--listen", listen]
    command += ["--ca-file", str(ca_file), "--ready-file", str(ready_file), "--calendar", calendar, "--seed", str(seed)]
    return [*command, "--universe", str(universe)] if universe else command
