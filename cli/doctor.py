"""`tickerd doctor`: what this machine gives. Changes nothing."""

from __future__ import annotations

from dataclasses import asdict

import click

from cli.common import WrongUsage, load, plain_table, print_json, show, with_both
from core.clock import SystemClock


@click.command(short_help="Show what this machine gives.")
@click.option("--performance", is_flag=True, help="Measure processes, threads and async for the work of a scan.")
@with_both
def doctor(performance: bool, config_file: str | None, as_json: bool) -> None:
    """Show what this machine gives: with --performance, how fast a scan is with processes, threads and async."""
    load(config_file)
    if not performance:
        raise WrongUsage("nothing was asked", where="doctor", right="give --performance")
    from screener.jobs.executor import cores
    from screener.performance import advice, measure

    found = measure(SystemClock())
    if as_json:
        print_json({"cores": cores(), "measured": [asdict(each) for each in found], "advice": advice(found)})
        return
    table = plain_table("way", "took", "times as fast")
    for each in found:
        table.add_row(each.name, f"{1000 * each.took_s:,.1f} ms", f"{each.times:.2f}")
    show([f"{cores()} cores, {8782:,} tickers x 260 bars, five fields, best of 3:", table, "", advice(found)])
