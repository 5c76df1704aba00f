"""Builds the cube from SQL and renews what changed in it. SQL stays the truth: a cube may be deleted at any time.

Whether anything changed is one row (`change_marker`). What changed is told by a mark a ticker: how many bars, the
newest, and two sums over all of them, so that a rewritten history (a split, a correction) shows as well as a new bar. A
ticker whose mark moved gets its whole column anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine

from core.errors import RetryLater
from core.files import FileLock, acquire_or_say, make_folder
from core.logs import get_logger
from screener.cube import files, save
from screener.cube.bars import ARRAYS, EPOCH, PRICES, Bars, Days, History, empty, group_starts, put
from screener.cube.files import MARK, Cube
from storage import bar_rows

log = get_logger(__name__)

T = TypeVar("T")

LIQUID_BARS = 20
SAME = 1e-12  # a database may add up in another order
MOST_APART = 3  # a third of the tickers changed: one pass over the table is then cheaper than a look-up for each


class Stopped(RetryLater):
    """Somebody asked the building of a cube to end before its end."""

    def __init__(self) -> None:
        super().__init__("the building of the bar cube was stopped", right="ask again")


def _never() -> bool:
    return False


class DayNumbers(dict[Any, int]):
    """Session date, as text or as a date -> days since 1970-01-01."""

    def __missing__(self, key: Any) -> int:
        found = (date.fromisoformat(key) if isinstance(key, str) else key) - EPOCH
        self[key] = found.days
        return found.days


def keep_current(folder: Path, engine: Engine, *, rows: int, stopped: Callable[[], bool] = _never) -> Cube:
    """Return the cube as SQL is now, of `rows` bars; written only if something changed. RetryLater: another does.

    `stopped` is asked after each batch of rows: Stopped if it says so, and the cube stays as it was.
    """
    lock = FileLock(make_folder(folder) / "lock")
    acquire_or_say(lock, what="the bar cube")
    try:
        held = files.read(folder)
        renewed = renew(held, engine, rows=rows, stopped=stopped)
        return save.write(folder, renewed) if renewed is not held else renewed
    finally:
        lock.release()


def renew(held: Cube | None, engine: Engine, *, rows: int, stopped: Callable[[], bool] = _never) -> Cube:
    """Return a cube as SQL is now: `held` itself if nothing changed."""
    write = bar_rows.bars_write(engine)
    if held is not None and held.write == write and held.bars.rows == rows:
        return held
    marks = _marks(engine)
    if held is None or held.bars.rows != rows:
        return _built(engine, marks, write, rows, stopped)
    known = dict(zip(held.bars.tickers, held.marks, strict=True))
    changed = [ticker for ticker, mark in marks.items() if ticker not in known or not _same(known[ticker], mark)]
    gone = [ticker for ticker in known if ticker not in marks]
    if MOST_APART * (len(changed) + len(gone)) > len(marks):
        return _built(engine, marks, write, rows, stopped)
    log.info("cube_renewed", tickers=len(marks), changed=len(changed), gone=len(gone))
    return _patched(held, marks, _unless(stopped, bar_rows.read_bars_of(engine, changed)), write)


def _marks(engine: Engine) -> dict[str, NDArray[np.void]]:
    """Return ticker -> mark of each listed ticker that has bars."""
    day, dropped = DayNumbers(), bar_rows.read_unlisted(engine)
    rows = [row for row in bar_rows.read_marks(engine) if row[0] not in dropped]
    marks = np.array([(bars, day[newest], prices, volumes) for _, bars, newest, prices, volumes in rows], MARK)
    return {row[0]: mark for row, mark in zip(rows, marks, strict=True)}


def _same(one: NDArray[np.void], other: NDArray[np.void]) -> bool:
    exact = all(one[name] == other[name] for name in ("bars", "newest_day", "volumes"))
    return exact and bool(abs(one["prices"] - other["prices"]) <= SAME * abs(other["prices"]))


def _unless(stopped: Callable[[], bool], batches: Iterable[T]) -> Iterator[T]:
    for batch in batches:
        if stopped():
            raise Stopped
        yield batch


def _built(
    engine: Engine, marks: dict[str, NDArray[np.void]], write: str, rows: int, stopped: Callable[[], bool]
) -> Cube:
    rings = Rings(list(marks), rows)
    for batch in _unless(stopped, bar_rows.read_all_bars(engine, since=EPOCH)):
        rings.take(batch)
    for _, bars in _unless(stopped, bar_rows.read_bars_of(engine, rings.jumbled())):
        rings.take(bars)
    log.info("cube_built", tickers=len(marks), rows=rows, bars=rings.taken, refused=rings.refused)
    order = rings.by_liquidity()
    return Cube(bars=rings.bars(order), marks=np.array([*marks.values()], MARK)[order], write=write)


class Rings:
    """The newest `rows` bars of each ticker, of bars that come by date: each overwrites its oldest one.

    So they stand in the table, each written after the one before, but for a gap that was filled later: a ticker of
    which an older bar comes after a newer one is `jumbled`, and to be given again in order.
    """

    def __init__(self, tickers: list[str], rows: int) -> None:
        self._held, self._seen = empty(tickers, rows), np.zeros(len(tickers), np.int64)
        self._newest, self._jumbled = np.zeros(len(tickers), np.int32), np.zeros(len(tickers), np.bool_)
        self._code, self._day = {ticker: column for column, ticker in enumerate(tickers)}, DayNumbers()
        self.taken = self.refused = 0

    def take(self, batch: list[bar_rows.BarRow]) -> None:
        """Take in bars; one of another ticker is left out, one without sound prices is refused."""
        if not batch:
            return
        names, dates, *prices, volumes = zip(*batch, strict=True)
        columns = np.array([self._code.get(name, -1) for name in names])
        values = np.array(prices, np.float64)
        sound = np.isfinite(values).all(axis=0) & (values > 0).all(axis=0)
        kept = np.flatnonzero(sound & (columns >= 0))
        kept = kept[np.argsort(columns[kept], kind="stable")]
        self.refused, self.taken = self.refused + len(batch) - int(sound.sum()), self.taken + len(kept)
        days = np.array([self._day[key] for key in dates], np.int32)[kept]
        places = self._places(columns[kept], days), columns[kept]
        self._held.session[places] = days
        self._held.volume[places] = np.array(volumes, np.float64)[kept]  # None becomes NaN
        for name, column in zip(PRICES, values, strict=True):
            getattr(self._held, name)[places] = column[kept]

    def _places(self, columns: NDArray[np.int64], days: Days) -> NDArray[np.int64]:
        """Return the rows of these bars, given by ticker."""
        begins = group_starts(columns)
        counts = np.diff(begins, append=len(columns))
        before = np.roll(days, 1)
        before[begins] = self._newest[columns[begins]]
        self._jumbled[columns[days <= before]] = True
        self._newest[columns[begins]] = days[begins + counts - 1]
        places = self._seen[columns] + np.arange(len(columns)) - np.repeat(begins, counts)
        self._seen[columns[begins]] += counts
        return places % max(self._held.rows, 1)

    def jumbled(self) -> list[str]:
        """Return the tickers whose bars did not come by date, and forget those bars."""
        which = np.flatnonzero(self._jumbled)
        for name in ARRAYS:
            getattr(self._held, name)[:, which] = 0 if name == "session" else np.nan
        self.taken -= int(self._seen[which].sum())
        self._seen[which] = self._newest[which] = 0
        return [self._held.tickers[place] for place in which]

    def by_liquidity(self) -> NDArray[np.intp]:
        """Return the order of the columns: what turns over most, over its newest 20 bars, comes first."""
        newest = self._rows(LIQUID_BARS), np.arange(self._held.width)
        traded = np.nan_to_num(self._held.close[newest] * self._held.volume[newest])
        return np.argsort(-traded.sum(axis=0), kind="stable")

    def _rows(self, newest: int) -> NDArray[np.int64]:
        """Return where in each ring the newest bars stand, the oldest of them first."""
        rows = self._held.rows
        return (self._seen + np.arange(max(rows - newest, 0), rows)[:, None]) % max(rows, 1)

    def bars(self, order: NDArray[np.intp]) -> Bars:
        """Return them as columns in that order, the newest bar in the last row; nothing is to be taken in any more."""
        turned = self._rows(self._held.rows)[:, order], order
        for name in ARRAYS:  # one at a time: all of them twice would be a fifth of the memory that a scan may use
            held = getattr(self._held, name)
            held[...] = held[turned]
        counts = np.minimum(self._seen, self._held.rows).astype(np.int32)[order]
        return replace(self._held, tickers=tuple(self._held.tickers[place] for place in order), counts=counts)


def _patched(
    held: Cube,
    marks: dict[str, NDArray[np.void]],
    changed: Iterable[tuple[str, list[bar_rows.BarRow]]],
    write: str,
) -> Cube:
    """Return `held` with the columns of `changed` put anew, new tickers at the end and those gone left out."""
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
    for ticker, rows in changed:
        put(bars, place[ticker], history_of(ticker, rows, lambda key: day[key]))
    return Cube(bars=bars, marks=np.array([marks[ticker] for ticker in tickers], MARK), write=write)


def history_of(ticker: str, rows: Iterable[bar_rows.BarRow], day: Callable[[Any], int]) -> History:
    """Return the sound bars of one ticker, given by date."""
    numbers = np.array([day(row[1]) for row in rows], np.int32)
    values = np.array([row[2:] for row in rows], np.float64).reshape(-1, 5).T
    sound = np.isfinite(values[:4]).all(axis=0) & (values[:4] > 0).all(axis=0)
    return History(ticker, numbers[sound], *values[:, sound])
