"""`tickerd status|start|stop|restart|reload`: asks the running orchestrator over its control socket."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from cli.common import (
    age_text,
    coverage_table,
    json_bytes,
    load,
    open_table,
    plain_table,
    print_json,
    show,
    state_dir,
    with_both,
)
from core.clock import SystemClock, pause
from core.config import Loaded
from core.errors import EXIT_DONE, EXIT_FAILED, TickerdError
from daemon.client import ask
from daemon.status import all_wanted_run

WATCH_S = 1.0
GROUPS = ("price", "metrics", "daily")


@click.command(short_help="Show what runs and how fresh the table is.")
@click.option("--watch", is_flag=True, help="Keep showing it, once a second, until Ctrl-C.")
@click.option("--prometheus", is_flag=True, help="Print metrics in Prometheus' text format.")
@with_both
def status(watch: bool, prometheus: bool, config_file: str | None, as_json: bool) -> int:
    """Show what runs and how fresh the table is. Exit 0: all wanted processes run; 1: one does not; 3: not running."""
    loaded = load(config_file)
    folder = state_dir(loaded)
    if watch:
        return _watch(folder)
    document = ask(folder, {"command": "status"})
    if as_json:
        print_json(document)
    elif prometheus:
        _print_metrics(loaded, document)
    else:
        show(_screen(document))
    return EXIT_DONE if all_wanted_run(document) else EXIT_FAILED


def _print_metrics(loaded: Loaded, document: Mapping[str, Any]) -> None:
    """Print what /metrics tells of all but the API's own process; its counters count what is kept."""
    from api.metrics import Sheet  # here, so that `tickerd status` imports no database
    from api.metrics_logs import Logs
    from api.metrics_status import put_status
    from api.metrics_tables import Tables

    sheet, now = Sheet(), SystemClock().utc_now()
    put_status(sheet, document, now=now)
    logs, tables = Logs(Path(loaded.settings.logging.dir)), Tables()
    logs.read()
    logs.put(sheet)
    try:
        tables.read(open_table(loaded), now)
        tables.put(sheet)
    except TickerdError as error:
        click.echo(f"without what the database tells: {error}", err=True)
    click.echo(sheet.text(), nl=False)


def _watch(folder: Path) -> int:
    try:
        with Live(Group(*_screen(ask(folder, {"command": "status"}))), screen=True, auto_refresh=False) as live:
            while True:
                pause(WATCH_S)
                live.update(Group(*_screen(ask(folder, {"command": "status"}))), refresh=True)
    except KeyboardInterrupt:
        return EXIT_DONE


def _screen(document: Mapping[str, Any]) -> list[RenderableType]:
    database, processes = document["database"], document["processes"]
    head = [
        f"tickerd {document['state']}, pid {document['pid']}, since {_moment(document['since'])}",
        _market(document["market"]),
        f"database {database['url']} ({database['origin'] or 'origin not known yet'})",
    ]
    alerts = [Text(f"ALERT {alert['text']}", style="bold red") for alert in document["alerts"]]
    reasons = [Text(f"{each['name']}: {each['reason']}") for each in processes if each["reason"]]
    groups = {group: counts for group, counts in document["coverage"].items() if group in GROUPS}
    parts: list[RenderableType] = [*map(Text, head), *alerts, Text(), _process_table(processes), *reasons]
    parts += [Text(), coverage_table(groups)] if groups else []
    return [*parts, Text(), Text(_audit(document["audit"]))] if document.get("audit") else parts


def _audit(audit: Mapping[str, Any]) -> str:
    return f"audit of {audit.get('session')}: {audit.get('text')}"


def _moment(text: str | None) -> str:
    """Return `2026-11-23 14:30:00 UTC` of the JSON form."""
    return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M:%S} UTC" if text else "an unknown time"


def _market(market: Mapping[str, Any]) -> str:
    if market["state"] == "open":
        note = f" ({market['reason']})" if market["reason"] else ""
        return f"market open{note} until {_moment(market['closes_at'])}"
    following = f", opens {_moment(market['opens_at'])}" if market["opens_at"] else ""
    return f"market closed ({market['reason']}){following}"


def _process_table(processes: list[dict[str, Any]]) -> Table:
    table = plain_table("process", "state", "pid", "restarts", "memory", "CPU", "data", "done")
    table.columns[1].justify = "left"
    for process in processes:
        memory, cpu = process["rss_mb"], process["cpu_percent"]
        table.add_row(
            process["name"],
            process["state"],
            str(process["pid"] or ""),
            f"{process['restarts']:,}",
            f"{memory:,.0f} MB" if memory is not None else "",
            f"{cpu:.0f} %" if cpu is not None else "",
            age_text(process["data_age_s"]),
            _done(process["progress"]),
        )
    return table


def _done(progress: Mapping[str, Any] | None) -> str:
    return f"{progress['done']:,} of {progress['total']:,}" if progress else ""


class Declined(TickerdError):
    """The orchestrator's own words, and the exit code that goes with them."""

    def __init__(self, answer: Mapping[str, Any], *, command: str) -> None:
        self.exit_code = int(answer.get("exit_code", EXIT_FAILED))
        super().__init__(str(answer["error"]), where="" if "exit_code" in answer else command)


def _answer(folder: Path, command: str, name: str = "") -> dict[str, Any]:
    answer = ask(folder, {"command": command, "name": name})
    if "error" in answer:
        raise Declined(answer, command=command)
    return answer


def _order(command: str, name: str, config_file: str | None, as_json: bool) -> None:
    answer = _answer(state_dir(load(config_file)), command, name)
    if as_json:
        print_json(answer)
    else:
        click.echo(f"{name}: {command} accepted; `tickerd status` shows the rest")


@click.command(short_help="Start process NAME, or end a manual stop.")
@click.argument("name")
@with_both
def start(name: str, config_file: str | None, as_json: bool) -> None:
    """Start process NAME, or end a manual stop of it."""
    _order("start", name, config_file, as_json)


@click.command(short_help="Stop process NAME and keep it stopped.")
@click.argument("name")
@with_both
def stop(name: str, config_file: str | None, as_json: bool) -> None:
    """Stop process NAME and keep it stopped (see `[supervisor] manual_stop`)."""
    _order("stop", name, config_file, as_json)


@click.command()
@click.argument("name")
@with_both
def restart(name: str, config_file: str | None, as_json: bool) -> None:
    """Stop process NAME gently and start it again."""
    _order("restart", name, config_file, as_json)


@click.command(short_help="Apply what has changed in the configuration.")
@with_both
def reload(config_file: str | None, as_json: bool) -> None:
    """Apply what has changed in the configuration; a wrong one is refused (78), and the old one stays.

    Only the processes begin anew that a change concerns. SIGHUP does the same.
    """
    answer = _answer(state_dir(load(config_file)), "reload")
    if as_json:
        print_json(answer)
        return
    for each in (*answer["applied"], *answer["later"]):
        edited = " (its content)" if each.get("edited") else ""
        click.echo(f"{each['key']}: {_short(each['old'])} -> {_short(each['new'])}{edited}")
    if not answer["applied"] and not answer["later"]:
        click.echo("nothing has changed")
    if answer["restarted"]:
        click.echo(f"restarted: {', '.join(answer['restarted'])}")
    if answer["advice"]:
        click.echo(answer["advice"])


def _short(value: Any) -> str:
    return json_bytes(value).decode()
