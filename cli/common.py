"""Options and output that every command shares. Runs no command."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import click
import msgspec

from core import config
from core.clock import utc_text
from core.config import Loaded

VERSION = 1
"""Of every JSON document; it changes when a key goes away or changes its meaning."""

P = ParamSpec("P")
R = TypeVar("R")


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
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")(command)


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
    """Return an age for people: `3 s`, `12 min`, `5 h`, `2 d`, or `never`."""
    if age_s is None:
        return "never"
    for unit, length_s in (("d", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if age_s >= 2 * length_s:
            return f"{age_s / length_s:.0f} {unit}"
    return f"{age_s:.0f} s"
