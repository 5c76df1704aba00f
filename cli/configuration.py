"""`tickerd config`: what is set, and by what."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from cli.common import load, print_json, with_both
from core.config import ALIASES, Loaded, shown
from core.files import read_text
from market.sessions import build_calendar


@click.group()
def config() -> None:
    """The configuration: file, environment, defaults."""


@config.command()
@with_both
def show(config_file: str | None, as_json: bool) -> None:
    """Show every key, its value and where it comes from."""
    loaded = load(config_file)
    if as_json:
        keys = {key: {"value": _value(loaded, key), "source": source} for key, source in loaded.sources.items()}
        print_json({"file": str(loaded.file) if loaded.file else None, "keys": keys, "aliases": ALIASES})
        return
    click.echo(f"file: {loaded.file or 'none, built-in defaults'}")
    for key, source in loaded.sources.items():
        value = msgspec.json.encode(_value(loaded, key)).decode()
        click.echo(f"{key} = {value}  ({'file' if source == str(loaded.file) else source})")
    click.echo(f"accepted in the environment: {', '.join(f'{name} = {key}' for name, key in ALIASES.items())}")


@config.command(short_help="Check the configuration; start nothing.")
@with_both
def check(config_file: str | None, as_json: bool) -> None:
    """Check the configuration without starting anything. Exit 0 if it is right, 78 with one line if not."""
    loaded = load(config_file)
    build_calendar(loaded.settings.market, read=read_text)
    if as_json:
        print_json({"ok": True, "file": str(loaded.file) if loaded.file else None})
    else:
        click.echo(f"{loaded.file or 'built-in defaults'}: right")


def _value(loaded: Loaded, key: str) -> Any:
    section, _, name = key.partition(".")
    return shown(key, getattr(getattr(loaded.settings, section), name))
