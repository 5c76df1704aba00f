"""`tickerd plan`: what will happen when, from the calendar alone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

import click

from cli.common import WrongUsage, load, print_json, with_both
from core.clock import SystemClock
from core.files import read_text
from daemon.plan import days as planned_days
from market.eastern import local_date, to_local
from market.sessions import build_calendar

SHORTEST, LONGEST = 1, 366


@click.command(short_help="Show sessions, and what will start and stop when.")
@click.option("--date", "start_text", metavar="DATE", help="First day, like 2026-11-27. Default: today.")
@click.option("--days", type=click.IntRange(SHORTEST, LONGEST), help="How many days. Default: 5, or 1 with --date.")
@with_both
def plan(start_text: str | None, days: int | None, config_file: str | None, as_json: bool) -> None:
    """Show sessions and what the orchestrator will start and stop, and when."""
    settings = load(config_file).settings
    calendar = build_calendar(settings.market, read=read_text)
    start = _date(start_text) if start_text else local_date(SystemClock().utc_now(), calendar.zone_name)
    document = planned_days(calendar, settings, start, days or (1 if start_text else 5))
    if as_json:
        print_json({"days": document})
        return
    for day in document:
        _print_day(day, calendar.zone_name)


def _print_day(day: Mapping[str, Any], zone_name: str) -> None:
    click.echo(f"{date.fromisoformat(day['session']):%a} {day['session']}  {_hours(day, zone_name)}")
    for action in day["actions"]:
        click.echo(f"    {_local(action['at'], zone_name)}  {action['action']} {action['process']}")


def _hours(day: Mapping[str, Any], zone_name: str) -> str:
    if day["open"] is None:
        return f"closed ({day['reason'] or day['kind']})"
    note = f" ({day['kind']} close: {day['reason']})" if day["kind"] == "early" else ""
    return f"{_local(day['open'], zone_name)} - {_local(day['close'], zone_name)}{note}"


def _local(text: str, zone_name: str) -> str:
    return f"{to_local(datetime.fromisoformat(text), zone_name):%H:%M:%S %Z}"


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise WrongUsage(
            f"{text!r} is no date", where="plan", key="--date", right="write it like 2026-11-27"
        ) from error
