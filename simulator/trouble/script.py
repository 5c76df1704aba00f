"""A script of faults, events and proxies in TOML: what happens when. Reads text, makes nothing happen.

[[proxies]]
kind = "good"
count = 20

[[step]]
at_s = 10
fault = "mute"
for_s = 30

[[step]]
at_s = 60
event = "halt"
ticker = "AAPL"
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from core.errors import FixByHand
from core.files import read_text
from simulator.fleet import kinds
from simulator.trouble import catalogue
from simulator.trouble.catalogue import EVENTS, Fault

RIGHT = "write [[step]] and [[proxies]]; see docs/practice-market.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """An event of the market, `at_s` seconds after the start."""

    at_s: float
    event: str
    ticker: str
    details: Mapping[str, object]


@dataclass(slots=True)
class Script:
    """Everything that one or several scripts ask for."""

    faults: list[Fault] = field(default_factory=list)
    events: list[Happening] = field(default_factory=list)
    fleet: list[kinds.Order] = field(default_factory=list)


def from_file(path: Path) -> Script:
    """Return the script; FixByHand, with the number of the step, for what cannot be read."""
    try:
        table = tomllib.loads(read_text(path))
    except tomllib.TOMLDecodeError as error:
        raise FixByHand(f"no TOML: {error}", where=str(path), right=RIGHT) from error
    for name in table:
        catalogue.known(name, {"step": 0, "proxies": 0}, what="part of a script", where=str(path))
    script = Script()
    for number, row in _rows(table, "proxies", path):
        script.fleet.append(_proxies(row, f"{path}: proxies {number}"))
    for number, row in _rows(table, "step", path):
        _step(script, row, f"{path}: step {number}")
    return script


def _rows(table: Mapping[str, object], name: str, path: Path) -> list[tuple[int, dict[str, object]]]:
    rows = table.get(name, [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise FixByHand(f"{name} is no list of tables", where=str(path), right=RIGHT)
    return list(enumerate(rows, start=1))


def _proxies(row: dict[str, object], where: str) -> kinds.Order:
    texts = {"kind": "", "protocol": "http", "exit": ""}
    for name in row:
        catalogue.known(name, {**texts, "count": 1}, what="key", where=where)
    found = {name: _text(row, name, where, default) for name, default in texts.items()}
    return kinds.order(**found, count=row.get("count", 1), where=where)


def _step(script: Script, row: dict[str, object], where: str) -> None:
    values = dict(row)
    if "fault" in values:
        name = _text(values, "fault", where)
        del values["fault"]
        script.faults.append(catalogue.fault(name, values, where=where))
        return
    if "event" not in values:
        raise FixByHand("neither fault nor event", where=where, right='give fault = "mute" or event = "halt"')
    event, ticker = _text(values, "event", where), _text(values, "ticker", where)
    catalogue.known(event, dict.fromkeys(EVENTS), what="event", where=where)
    at_s = catalogue.duration_s(values.pop("at_s", 0), where=where, key="at_s")
    details = {name: value for name, value in values.items() if name not in ("event", "ticker")}
    script.events.append(Happening(at_s=at_s, event=event, ticker=ticker, details=details))


def _text(row: Mapping[str, object], name: str, where: str, default: str | None = None) -> str:
    text = row.get(name, default)
    if not isinstance(text, str):
        raise FixByHand(f"{text!r} is no text", where=where, key=name, right=f'give {name} = "..."')
    return text
