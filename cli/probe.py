"""`tickerd probe`: measures on the live service what the settings only believe, and proposes. Changes no setting."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.common import load, print_json, show, with_both
from core.errors import EXIT_DONE, EXIT_TRY_LATER
from core.files import FileLock, acquire_or_say
from core.notify import Notifier
from core.program import run_loop
from core.settings import Settings

if TYPE_CHECKING:
    from scanners.probe.search import Crumb, Limit, Proposal, Rate
    from scanners.probe.work import Report

TIME_LIMIT_S = 300.0


@click.command(short_help="Measure what Yahoo honours, and propose the settings.")
@click.option("--time-limit", "time_limit_s", default=TIME_LIMIT_S, show_default=True, metavar="SECONDS")
@with_both
def probe(time_limit_s: float, config_file: str | None, as_json: bool) -> int:
    """Measure what the live service honours: symbols a connection, tickers a request, messages a second, and whether
    a crumb is bound to its cookie. Compare it with the settings, and propose others where they differ.

    It asks gently: at most 14 requests of the rate that all processes share, and 12 connections one after the other.
    Exit 69 if the upstream cannot be reached, 75 if something was broken off.
    """
    settings = load(config_file).settings
    report = run_loop(_probe(settings, time_limit_s))
    if as_json:
        print_json(asdict(report))
    else:
        show(_parts(report))
    return EXIT_TRY_LATER if report.broken_off else EXIT_DONE


async def _probe(settings: Settings, time_limit_s: float) -> Report:
    from scanners.context import Context  # here, so that `--help` does not import the network and the database
    from scanners.probe.work import Probe

    context = Context.build("probe", settings, asyncio.Event(), Notifier(None), once=True)
    lock = FileLock(Path(settings.state.dir) / "probe.lock")
    acquire_or_say(lock, what="a probe")
    try:
        return await Probe(context, time_limit_s=time_limit_s).run()
    finally:
        lock.release()


def _parts(report: Report) -> Iterator[str]:
    found = {
        "symbols a connection": _limit(report.symbols_per_connection),
        "tickers a request": _limit(report.batch_size),
        "messages of a connection": _rate(report.message_rate),
        "a crumb and its cookie": _crumb(report.crumb),
        "a crumb and its address": "not measured: that takes a second address",
    }
    yield from (f"{what:24}  {words}" for what, words in found.items())
    used = f"{report.requests} requests, {report.connections} connections, {report.duration_s:.0f} s"
    yield f"\nThe upstream is {report.origin}; used: {used}."
    for reason in report.broken_off:
        yield f"Broken off: {reason}"
    yield from _advice(report.proposals)


def _limit(limit: Limit) -> str:
    believed = f" (believed: {limit.believed})"
    if limit.found is None:
        return f"not measured: {limit.reason}"
    if limit.is_exact:
        return f"{limit.found}{believed}"
    return f"at least {limit.found}" + (f", less than {limit.refused}" if limit.refused else "") + believed


def _rate(rate: Rate) -> str:
    if rate.messages_per_s is None:
        return f"not measured: {rate.reason}"
    return f"{rate.messages_per_s:.1f}/s of {rate.heard} tickers, {rate.busiest_per_s:.1f}/s of the busiest"


def _crumb(crumb: Crumb) -> str:
    if crumb.is_bound_to_cookie is None:
        return f"not measured: {crumb.reason}"
    return "bound (believed: bound)" if crumb.is_bound_to_cookie else "not bound: another's crumb is taken"


def _advice(proposals: Sequence[Proposal]) -> Iterator[str]:
    if not proposals:
        yield "Nothing that was found speaks against the settings."
        return
    yield "\nPut into config.toml:\n"
    for section, own in groupby(proposals, key=lambda each: each.key.partition(".")[0]):
        yield f"[{section}]"
        for each in own:
            yield f"{each.key.partition('.')[2]} = {each.proposed}  # now {each.now}"
