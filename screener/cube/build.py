"""Builds the cube from SQL and renews what changed in it. SQL stays the truth: a cube may be deleted at any time.

Whether anything changed is one row (`change_marker`). What changed is told by a mark a ticker: how many bars, the
newest, and two sums over all of them, so that a rewritten history (a split, a correction) shows as well as a new bar. A
ticker whose mark moved gets its whole column anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine

from core.files import FileLock, acquire_or_say, make_folder
from core.logs import get_logger
from screener.cube import files, save
from screener.cube.bars import ARRAYS, EPOCH, PRICES, Bars, Days, Floats, History, Prices, empty, put
from screener.cube.files import MARK, Cube
from storage import bar_rows

log = get_logger(__name__)

LIQUID_BARS = 20
SAME = 1e-12  # a database may add up in another order
MOST_APART = 3  # a third of the tickers changed: one pass over the table is then cheaper than a look-up for each


class DayNumbers(dict[Any, int]):
    """Session date, as text or as a date -> days since 1970-01-01."""

    def __missing__(self, key: Any) -> int:
        found = (date.fromisoformat(key) if isinstance(key, str) else key) - EPOCH
        self[key] = found.days
        return found.days


def keep_current(folder: Path, engine: Engine, *, rows: int) -> Cube:
    """Return the cube as SQL is now, of `rows` bars; written only if something changed. RetryLater: another does."""
    lock = FileLock(make_folder(folder) / "lock")
    acquire_or_say(lock, what="the bar cube")
    try:
        held = files.read(folder)
        renewed = renew(held, engine, rows=rows)
        return save.write(folder, renewed) if renewed is not held else renewed
    finally:
        lock.release()


def renew(held: Cube | None, engine: Engine, *, rows: int) -> Cube:
    """Return a cube as SQL is now: `held` itself if nothing changed."""
    seq = bar_rows.bars_seq(engine)
    if held is not None and held.seq == seq and held.bars.rows == rows:
        return held
    marks = _marks(engine)
    if held is None or held.bars.rows != rows:
        return _built(engine, marks, seq, rows)
    known = dict(zip(held.bars.tickers, held.marks, strict=True))
    changed = [ticker for ticker, mark in marks.items() if ticker not in known or not _same(known[ticker], mark)]
    gone = [ticker for ticker in known if ticker not in marks]
    if MOST_APART * (len(changed) + len(gone)) > len(marks):
        return _built(engine, marks, seq, rows)
    log.info("cube_renewed", tickers=len(marks), changed=len(changed), gone=len(gone))
    return _patched(held, engine, marks, changed, seq)


def _marks(engine: Engine) -> dict[str, NDArray[np.void]]:
    """Return ticker -> mark of each listed ticker that has bars."""
    day, dropped = DayNumbers(), bar_rows.read_unlisted(engine)
    rows = [row for row in bar_rows.read_marks(engine) if row[0] not in dropped]
    marks = np.array([(bars, day[newest], prices, volumes) for _, bars, newest, prices, volumes in rows], MARK)
    return {row[0]: mark for row, mark in zip(rows, marks, strict=True)}


def _same(one: NDArray[np.void], other: NDArray[np.void]) -> bool:
    exact = all(one[name] == other[name] for name in ("bars", "newest_day", "volumes"))
    return exact and bool(abs(one["prices"] - other["prices"]) <= SAME * abs(other["prices"]))


def _built(engine: Engine, marks: dict[str, NDArray[np.void]], seq: int, rows: int) -> Cube:
    code = {ticker: number for number, ticker in enumerate(marks)}
    columns, days, prices, volumes, refused = _read_all(engine, code)
    bars = fill(list(marks), rows, columns, days, prices, volumes)
    order = by_liquidity(bars)
    log.info("cube_built", tickers=bars.width, rows=rows, bars=len(days), refused=refused)
    held = np.array([*marks.values()], MARK)
    return Cube(bars=bars.columns(order), marks=held[order], seq=seq)


def _read_all(engine: Engine, code: dict[str, int]) -> tuple[Days, Days, Prices, Floats, int]:
    """Return (column, day, the four prices, volume) of each sound bar of these tickers, and how many were refused."""
    day = DayNumbers()
    parts: list[tuple[Any, ...]] = []
    refused = 0
    for batch in bar_rows.read_all_bars(engine, since=EPOCH):
        names, dates, *prices, volumes = zip(*batch, strict=True)
        columns = np.array([code.get(name, -1) for name in names], np.int32)
        values = np.array(prices, np.float64)
        sound = np.isfinite(values).all(axis=0) & (values > 0).all(axis=0)
        refused += int(np.count_nonzero(~sound))
        kept = sound & (columns >= 0)
        numbers = np.array([day[key] for key in dates], np.int32)
        volume = np.array(volumes, np.float64)  # None becomes NaN
        parts.append((columns[kept], numbers[kept], values[:, kept].astype(np.float32), volume[kept]))
    if not parts:
        nothing = np.zeros(0, np.int32)
        return nothing, nothing, np.zeros((4, 0), np.float32), np.zeros(0), 0
    columns, numbers, prices_, volume = (np.concatenate(column, axis=-1) for column in zip(*parts, strict=True))
    return columns, numbers, prices_, volume, refused


def fill(tickers: list[str], rows: int, columns: Days, days: Days, prices: Prices, volumes: Floats) -> Bars:
    """Return the newest `rows` bars of each ticker as arrays, from bars in any order; `columns`: the ticker of each."""
    bars = empty(tickers, rows)
    order = np.argsort(columns.astype(np.int64) << 32 | days, kind="stable")
    columns, days = columns[order], days[order]
    ends = np.cumsum(np.bincount(columns, minlength=len(tickers)))
    places = rows - ends[columns] + np.arange(len(columns))
    kept = places >= 0
    order, columns, places = order[kept], columns[kept], places[kept]
    bars.session[places, columns] = days[kept]
    for name, values in zip(PRICES, prices, strict=True):
        getattr(bars, name)[places, columns] = values[order]
    bars.volume[places, columns] = volumes[order]
    bars.counts[:] = np.bincount(columns, minlength=len(tickers))
    return bars


def by_liquidity(bars: Bars) -> NDArray[np.intp]:
    """Return the order of the columns: what turns over most, over its newest 20 bars, comes first."""
    traded = np.nan_to_num(bars.close[-LIQUID_BARS:] * bars.volume[-LIQUID_BARS:])
    return np.argsort(-traded.mean(axis=0), kind="stable") if bars.rows else np.arange(bars.width)


def _patched(held: Cube, engine: Engine, marks: dict[str, NDArray[np.void]], changed: Iterable[str], seq: int) -> Cube:
    """Return `held` with the columns of `changed` read anew, new tickers at the end and those gone left out."""
    kept = [ticker for ticker in held.bars.tickers if ticker in marks]
    known = set(kept)
    tickers = [*kept, *(ticker for ticker in marks if ticker not in known)]
    bars = empty(tickers, held.bars.rows)
    stays = np.array([ticker in known for ticker in held.bars.tickers], np.bool_)
    for name in ARRAYS:
        getattr(bars, name)[:, : len(kept)] = getattr(held.bars, name)[:, stays]
    bars.counts[: len(kept)] = held.bars.counts[stays]
    place = {ticker: column for column, ticker in enumerate(tickers)}
    day = DayNumbers()
    for ticker, rows in bar_rows.read_bars_of(engine, changed):
        put(bars, place[ticker], history_of(ticker, rows, lambda key: day[key]))
    return Cube(bars=bars, marks=np.array([marks[ticker] for ticker in tickers], MARK), seq=seq)


def history_of(ticker: str, rows: Iterable[bar_rows.BarRow], day: Callable[[Any], int]) -> History:
    """Return the sound bars of one ticker, given by date."""
    numbers = np.array([day(row[1]) for row in rows], np.int32)
    values = np.array([row[2:] for row in rows], np.float64).reshape(-1, 5).T
    sound = np.isfinite(values[:4]).all(axis=0) & (values[:4] > 0).all(axis=0)
    return History(ticker, numbers[sound], *values[:, sound])
