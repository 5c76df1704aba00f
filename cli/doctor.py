"""`tickerd doctor`: what this machine gives, and which numbers were refused. Changes nothing."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from cli.common import load, open_table, plain_table, print_json, show, with_both
from core.clock import SystemClock

if TYPE_CHECKING:
    from sqlalchemy import Engine


@click.command(short_help="Show what was refused, and what this machine gives.")
@click.option("--performance", is_flag=True, help="Measure processes, threads and async for the work of a scan.")
@with_both
def doctor(performance: bool, config_file: str | None, as_json: bool) -> None:
    """Show which numbers of the last week were refused, by rule.

    With --performance instead how fast a scan is on this machine with processes, threads and async.
    """
    loaded = load(config_file)
    if not performance:
        _refusals(open_table(loaded), as_json)
        return
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


def _refusals(engine: Engine, as_json: bool) -> None:
    from cli import refusals

    try:
        found = refusals.checks(engine, SystemClock())
    finally:
        engine.dispose()
    if as_json:
        print_json({"checks": found})
        return
    show([refusals.table(found)] if found else ["no number was refused in the last week"])
    advice = {each["advice"]: each["name"].split(" ")[-1] for each in found if each["advice"]}
    show(["", *(f"{rule}: {text}" for text, rule in advice.items())] if advice else [])
