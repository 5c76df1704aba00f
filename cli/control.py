"""`tickerd status|start|stop|restart`: asks the running orchestrator over its control socket."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from cli.common import age_text, load, print_json, state_dir, with_both
from core.clock import pause
from core.errors import EXIT_DONE, EXIT_FAILED, FixByHand
from daemon.client import ask
from daemon.status import all_wanted_run

WATCH_S = 1.0
GROUPS = ("price", "metrics", "daily")


@click.command()
@click.option("--watch", is_flag=True, help="Keep showing it, once a second, until Ctrl-C.")
@with_both
def status(watch: bool, config_file: str | None, as_json: bool) -> int:
    """Show what runs and how fresh the table is. Exit 0: all wanted processes run; 1: one does not; 3: not running."""
    folder = state_dir(load(config_file))
    if watch:
        return _watch(folder)
    document = ask(folder, {"command": "status"})
    if as_json:
        print_json(document)
    else:
        Console().print(_screen(document))
    return EXIT_DONE if all_wanted_run(document) else EXIT_FAILED


def _watch(folder: Path) -> int:
    try:
        with Live(_screen(ask(folder, {"command": "status"})), screen=True, auto_refresh=False) as live:
            while True:
                pause(WATCH_S)
                live.update(_screen(ask(folder, {"command": "status"})), refresh=True)
    except KeyboardInterrupt:
        return EXIT_DONE


def _screen(document: Mapping[str, Any]) -> Group:
    market, database = document["market"], document["database"]
    head = Text(f"tickerd {document['state']}, pid {document['pid']}, since {document['since']}")
    lines = [head, Text(f"market {market['state']}: {market['reason'] or market['session']}")]
    lines.append(Text(f"database {database['url']} ({database['origin'] or 'origin not known yet'})"))
    alerts = [Text(f"ALERT {alert['text']}", style="bold red") for alert in document["alerts"]]
    return Group(*lines, *alerts, _process_table(document["processes"]), _coverage_table(document["coverage"]))


def _process_table(processes: list[dict[str, Any]]) -> Table:
    table = Table("process", "state", "pid", "beat", "data", "memory", "CPU", "restarts", "doing")
    for process in processes:
        memory, cpu = process["rss_mb"], process["cpu_percent"]
        table.add_row(
            process["name"],
            process["state"],
            str(process["pid"] or ""),
            age_text(process["beat_age_s"]) if process["pid"] else "",
            age_text(process["data_age_s"]) if process["data_age_s"] is not None else "",
            f"{memory:.0f} MB" if memory is not None else "",
            f"{cpu:.0f} %" if cpu is not None else "",
            str(process["restarts"]),
            _doing(process),
        )
    return table


def _doing(process: Mapping[str, Any]) -> str:
    progress = process["progress"]
    if not process["pid"] or not progress:
        return str(process["reason"] or "")
    return f"{progress['stage']}: {progress['done']:,} of {progress['total']:,}"


def _coverage_table(coverage: Mapping[str, Mapping[str, int]]) -> Table:
    table = Table("coverage", "fresh", "unchanged", "no trade", "unknown", "of")
    for group in GROUPS:
        if counts := coverage.get(group):
            names = ("fresh", "unchanged", "no_trade", "unknown", "total")
            table.add_row(group, *(f"{counts[name]:,}" for name in names))
    return table


def _order(command: str, name: str, config_file: str | None, as_json: bool) -> None:
    answer = ask(state_dir(load(config_file)), {"command": command, "name": name})
    if "error" in answer:
        raise FixByHand(str(answer["error"]), key=f"tickerd {command}")
    if as_json:
        print_json(answer)
    else:
        click.echo(f"{name}: {command} accepted; `tickerd status` shows the rest")


@click.command()
@click.argument("name")
@with_both
def start(name: str, config_file: str | None, as_json: bool) -> None:
    """Start process NAME, or end a manual stop of it."""
    _order("start", name, config_file, as_json)


@click.command()
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
