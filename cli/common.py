"""Options and output that every command shares. Runs no command."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import click
import msgspec
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from core import config
from core.clock import utc_text
from core.config import Loaded
from core.errors import EXIT_USAGE, TickerdError

if TYPE_CHECKING:
    from sqlalchemy import Engine

VERSION = 1
"""Of every JSON document; it changes when a key goes away or changes its meaning."""

COUNTS = ("fresh", "unchanged", "no_trade", "unknown", "total")

P = ParamSpec("P")
R = TypeVar("R")


class WrongUsage(TickerdError):
    """A command line that makes no sense."""

    exit_code = EXIT_USAGE


def load(config_file: str | None) -> Loaded:
    """Return the configuration of this command line."""
    return config.load(config_file, os.environ, Path.cwd())


def with_config(command: Callable[P, R]) -> Callable[P, R]:
    """Give a command `--config FILE`, as `config_file`."""
    return click.option(
        "--config",
        "config_file",
        metavar="FILE",
        help="Configuration file. Default: $TICKERD_CONFIG, then ./config.toml, then the built-in defaults.",
    )(command)


def with_json(command: Callable[P, R]) -> Callable[P, R]:
    """Give a command `--json`, as `as_json`."""
    return json_option("Print one JSON document instead of text.")(command)


def json_option(words: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Give a command `--json` where its help needs words of its own."""
    return click.option("--json", "as_json", is_flag=True, help=words)


def with_both(command: Callable[P, R]) -> Callable[P, R]:
    """Give a command `--config` and `--json`."""
    return with_config(with_json(command))


def print_json(document: Mapping[str, Any]) -> None:
    """Print one document with its version; times as `2026-11-23T14:30:00.000Z`, dates as `2026-11-23`."""
    click.echo(json_bytes({"version": VERSION, **document}))


def json_bytes(value: Any) -> bytes:
    return msgspec.json.encode(_plain(value))


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return utc_text(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value


def state_dir(loaded: Loaded) -> Path:
    return Path(loaded.settings.state.dir)


def age_text(age_s: float | None) -> str:
    """Return an age for people: `3 s`, `12 min`, `5 h`, `2 d`; nothing if there is none."""
    if age_s is None:
        return ""
    for unit, length_s in (("d", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if age_s >= 2 * length_s:
            return f"{age_s / length_s:.0f} {unit}"
    return f"{age_s:.0f} s"


def open_table(loaded: Loaded) -> Engine:
    """Return a read-only engine; FixByHand if the database is absent or its schema is not this program's."""
    from storage.engine import open_reader_engine  # here, so that `tickerd status` imports no database
    from storage.schema_version import require_current

    url = loaded.settings.database.url
    require_current(url)
    return open_reader_engine(url, service="cli")


def plain_table(first: str, *others: str, last: str = "") -> Table:
    """Return a table without lines: texts on the left, numbers on the right, no word broken at 80 columns."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column(first, no_wrap=True)
    for name in others:
        table.add_column(name, no_wrap=True, justify="right")
    if last:
        table.add_column(last, no_wrap=True, overflow="ellipsis")
    return table


def coverage_table(groups: Mapping[str, Mapping[str, Any]]) -> Table:
    """Return the counts of each group, in tickers."""
    table = plain_table("coverage", "fresh", "unchanged", "no trade", "unknown", "of")
    for name, counts in groups.items():
        table.add_row(name, *(f"{counts.get(key, 0):,}" for key in COUNTS))
    return table


def show(parts: Iterable[RenderableType]) -> None:
    """Print for people; a line that is too long is broken between words."""
    console = Console(highlight=False)
    for part in parts:
        console.print(Text(part) if isinstance(part, str) else part)
