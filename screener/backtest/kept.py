"""Hit rates in a file, so that a scan shows them without running years of bars. Renewed when there is a new session."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from pathlib import Path

import msgspec

from core.files import write_atomic
from screener.backtest.rates import HitRate
from screener.backtest.run import rates, run
from screener.cube.bars import Bars
from screener.patterns.catalogue import DAILY, PATTERNS

Rates = dict[tuple[str, int], HitRate]
FORM = 1
"""Of the file; another one is computed anew."""


class Entry(msgspec.Struct, frozen=True):
    """One pattern and side, with the fields of HitRate."""

    pattern: str
    side: int
    horizon: int
    events: int
    hits: int
    rate: float | None
    low: float | None
    high: float | None


class Kept(msgspec.Struct, frozen=True):
    """`day`: the newest session that was counted."""

    form: int
    day: int
    entries: list[Entry]


def current(
    file: Path, bars: Bars, names: Sequence[str] = DAILY, *, stopped: Callable[[], bool] = lambda: False
) -> Rates:
    """Return the rates as of the newest completed session, from the file or computed and written there.

    Stopped, and nothing written, if `stopped` says so before it is done.
    """
    completed = without_provisional(bars)
    held = read(file)
    if held is None or held.day != completed.newest_day:
        held = Kept(form=FORM, day=completed.newest_day, entries=_computed(completed, names, stopped))
        write_atomic(file, msgspec.json.encode(held))
    return _rates(held)


def read(file: Path) -> Kept | None:
    """Return what the file holds; None if there is none, or none that this program wrote."""
    try:
        held = msgspec.json.decode(file.read_bytes(), type=Kept)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None
    return held if held.form == FORM else None


def known(file: Path) -> Rates:
    """Return what the file holds, of whatever day; nothing if there is none."""
    held = read(file)
    return {} if held is None else _rates(held)


def without_provisional(bars: Bars) -> Bars:
    """Return the bars of completed sessions."""
    if bars.provisional is None or not bars.provisional.any():
        return bars
    return bars.until(int(bars.session[-1][bars.provisional].min()) - 1)


def _computed(bars: Bars, names: Sequence[str], stopped: Callable[[], bool]) -> list[Entry]:
    ranked = sorted({one for name in names for one in PATTERNS[name].ranked})
    found = rates(run(bars, {name: PATTERNS[name].fire for name in names}, ranked=ranked, stopped=stopped))
    return [Entry(name, side, **asdict(one)) for (name, side), one in found.items()]


def _rates(held: Kept) -> Rates:
    return {
        (one.pattern, one.side): HitRate(**{field.name: getattr(one, field.name) for field in fields(HitRate)})
        for one in held.entries
    }
