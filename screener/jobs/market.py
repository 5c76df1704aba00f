"""One market at one moment, as expressions read it: measures, patterns and columns of the table. Reads no database.

What was computed is kept, so that a hundred scans of one moment compute each field once.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from screener.cube.bars import FIELDS, Bars
from screener.expressions.fields import Bools, Field, Floats, Kind, TextColumn
from screener.measures import market as measures
from screener.measures.flags import flags_of, words

Matrix = NDArray[np.float64]
MOST_KEPT_MB = 32
"""Of what was computed of one market: a year of one field of all tickers is 18. Beyond it all is computed anew."""
MOST_TOLD = 256
"""Conditions of one market whose order of work is kept, of 80 kB each."""
ALL_PAYS_FROM = 0.1
"""Of the tickers: what was computed for so many, a few at a time, has cost what all of them cost at once."""


class Family(Protocol):
    """Fields that are computed from bars."""

    def find(self, name: str) -> Field | None:
        """Return the field of that name, if it is one of this family."""

    def names(self) -> Iterable[str]:
        """Return the names to list; a family may know more."""

    def compute(self, bars: Bars, names: Sequence[str], rows: int) -> Mapping[str, Matrix]:
        """Return the newest rows of each, (at most rows, tickers): 0 where a flag does not hold, NaN: not known."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the table in the order of a market's tickers: `numbers`, or the codes of `texts`."""

    field: Field
    numbers: Matrix | None = None
    texts: TextColumn | None = None

    def take(self, which: NDArray[np.intp]) -> Column:
        """Return the column of these tickers alone."""
        texts = self.texts and TextColumn(self.texts.codes[which], self.texts.words, self.texts.shown)
        return Column(self.field, None if self.numbers is None else self.numbers[which], texts)


class Columns(Protocol):
    """Columns of the table, of which only today's values are known."""

    @property
    def fields(self) -> Mapping[str, Field]:
        """Return every column that an expression may name."""

    def read(self, names: Sequence[str], tickers: Sequence[str]) -> Mapping[str, Column]:
        """Return these columns; a ticker without a row has no value."""


class Vocabulary(Mapping[str, Field]):
    """Every field that an expression may name; families may know more names than they list."""

    def __init__(self, families: Sequence[Family], columns: Mapping[str, Field]) -> None:
        self._families, self._columns = families, columns
        self._found: dict[str, tuple[Family, Field]] = {}

    def __getitem__(self, name: str) -> Field:
        self.family_of(name)
        return self._found[name][1] if name in self._found else self._columns[name]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and (self.family_of(name) is not None or name in self._columns)

    def __iter__(self) -> Any:
        listed = (name for family in self._families for name in family.names())
        return iter(dict.fromkeys((*listed, *self._columns)))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def family_of(self, name: str) -> Family | None:
        """Return who computes it; None for a column of the table."""
        if name not in self._found:
            for family in self._families:
                if (field := family.find(name)) is not None:
                    self._found[name] = family, field
                    break
            else:
                return None
        return self._found[name][0]


class Market:
    """Values of `bars` for expressions; usable by any thread. `keep`: compute a field once for all scans."""

    def __init__(self, bars: Bars, families: Sequence[Family], columns: Columns | None, *, keep: bool = True) -> None:
        self._bars, self._families, self._columns, self.keep = bars, families, columns, keep
        self.vocabulary = Vocabulary(families, columns.fields if columns else {})
        self._computed: dict[str, Matrix] = {}
        self._rows: dict[str, int] = {}
        self._read: dict[str, Column] = {}
        self._current: Bools | None = None
        self._lock = threading.RLock()
        self._before: Market | None = None
        self._flags: NDArray[np.uint8] | None = None
        self.told: dict[Any, Any] = {}
        """What was found out about the whole market once, by what it is of."""
        self._served = 0
        self.computed = 0
        """How many fields were computed or read; what was kept is not counted again."""

    @property
    def bars(self) -> Bars:
        return self._bars

    @property
    def tickers(self) -> int:
        return self._bars.width

    @property
    def names(self) -> tuple[str, ...]:
        return self._bars.tickers

    @property
    def rows(self) -> int:
        return self._bars.rows

    @cached_property
    def newest_day(self) -> int:
        return self._bars.newest_day

    @property
    def is_live(self) -> bool:
        """Whether newest bars are of a session that still runs."""
        return self._bars.provisional is not None

    def part(self, which: NDArray[np.intp]) -> Bars:
        """Return the bars of these tickers alone."""
        return self._bars.columns(which)

    def kind(self, name: str) -> Kind:
        return self.vocabulary[name].kind

    def until(self, day: int) -> Market:
        """Return the market as it was after session `day`; the table's columns are still today's."""
        return Market(self.bars.until(day), self._families, self._columns, keep=self.keep)

    def stands_on(self, closed: Market) -> None:
        """Say which market this one was before its provisional bars."""
        self._before = closed

    def before(self) -> Market:
        """Return the market without each ticker's newest bar: what was known when that bar began."""
        if self._before is None:
            self._before = Market(without_newest(self.bars), self._families, self._columns, keep=self.keep)
        return self._before

    def take(self, which: NDArray[np.intp]) -> Market:
        """Return the market of these tickers alone, with what was computed for them."""
        return Part(self, which)

    def with_bars(self, bars: Bars) -> Market:
        """Return the same fields over other bars, say fresher ones of a few tickers."""
        return Market(bars, self._families, self._columns, keep=self.keep)

    def with_families(self, families: Sequence[Family], *, anew: Collection[str]) -> Market:
        """Return the same bars with what was computed, but for the fields `anew`: those `families` say differently."""
        other = self._like(families, self._columns, anew)
        other._read = dict(self._read)
        return other

    def with_columns(self, columns: Columns) -> Market:
        """Return the same bars with what was computed of them, but with other columns."""
        other = self._like(self._families, columns, ())
        other.told = {key: told for key, told in self.told.copy().items() if isinstance(key, str)}  # orders of work
        return other

    def _like(self, families: Sequence[Family], columns: Columns | None, anew: Collection[str]) -> Market:
        other = Market(self.bars, families, columns, keep=self.keep)
        with self._lock:
            other._computed = {name: matrix for name, matrix in self._computed.items() if name not in anew}
            other._rows = {name: rows for name, rows in self._rows.items() if name not in anew}
        other._current, other._before = self._current, self._before
        return other

    def has(self, names: Iterable[str]) -> bool:
        """Whether all of these are computed or read already, or as good as that."""
        return all(self.holds(name, 1) for name in names)

    def holds(self, name: str, rows: int) -> bool:
        """Whether this field is, with so many rows."""
        with self._lock:
            return self._rows.get(name, 0) >= rows or name in self._read

    def serving(self, names: Sequence[str], rows: int, which: NDArray[np.intp]) -> tuple[Market, NDArray[np.intp]]:
        """Return a market that has `names` for the tickers at `which`, and their places there.

        A few tickers are computed for themselves, until so many were asked for that all of them cost less.
        """
        self._served += len(which)
        if self.has(names) or (self.keep and self._served > self.tickers * ALL_PAYS_FROM):
            self.prepare(names, rows)
            return self, which
        tickers = sorted(set(which.tolist()))  # numpy's own loads half of numpy
        few = self.take(np.array(tickers, np.intp))
        few.prepare(names, rows)
        places = dict(zip(tickers, range(len(tickers)), strict=True))
        return few, np.array([places[place] for place in which.tolist()], np.intp)

    def kind_or_none(self, name: str) -> Kind | None:
        """Return the kind of a field; None if there is no such field here."""
        return self.vocabulary[name].kind if name in self.vocabulary else None

    def prepare(self, names: Sequence[str], rows: int) -> None:
        """Compute or read all of `names` that are not there yet with so many rows: together costs less than singly."""
        with self._lock:
            self._compute([name for name in dict.fromkeys(names) if self._rows.get(name, 0) < rows], rows)

    def _compute(self, wanted: Sequence[str], rows: int) -> None:
        columns = [name for name in wanted if self.vocabulary.family_of(name) is None and name not in self._read]
        if columns and self._columns is not None:
            self._read.update(self._columns.read(columns, self.names))
            self.computed += len(columns)
        self.adopt(self.from_bars(wanted, rows), rows)

    def from_bars(self, wanted: Sequence[str], rows: int) -> Mapping[str, Matrix]:
        """Return what of `wanted` comes from the bars of this market."""
        return self.of_bars(self.bars, wanted, rows)

    def of_bars(self, bars: Bars, wanted: Sequence[str], rows: int) -> dict[str, Matrix]:
        """Return what of `wanted` comes from bars, computed for these. Takes no lock: a forked worker may call it."""
        found: dict[str, Matrix] = {}
        for family in self._families:
            names = [name for name in wanted if self.vocabulary.family_of(name) is family]
            found |= family.compute(bars, names, rows) if names else {}
        return found

    def adopt(self, computed: Mapping[str, Matrix], rows: int) -> None:
        """Keep what was computed for these bars, here or elsewhere."""
        with self._lock:
            self._computed |= computed
            self._rows |= dict.fromkeys(computed, rows)
            self.computed += len(computed)

    def forget(self) -> None:
        """Let go of what was computed, if it is not to be kept or has become too much."""
        with self._lock:
            held_mb = sum(matrix.nbytes for matrix in self._computed.values()) / 1e6
            if not self.keep or held_mb > MOST_KEPT_MB or len(self.told) > MOST_TOLD:
                self._computed, self._rows, self.told = {}, {}, {}
            if not self.keep:
                self._read = {}
        if self._before is not None:
            self._before.forget()

    def numbers(self, name: str, rows: int) -> Floats:
        with self._lock:  # another scan may let go of it
            self.prepare([name], rows)
            column = self._read.get(name)
            if column is not None:
                assert column.numbers is not None
                return column.numbers
            found = self._computed[name]
        return found[-rows:] if len(found) >= rows else _padded(found, rows)

    def flags(self, name: str, rows: int) -> tuple[Bools, Bools]:
        found = self.numbers(name, rows)
        return (found != 0) & ~np.isnan(found), found == 0

    def column(self, name: str) -> Column | None:
        """Return a column of the table that was read; None for what comes from bars."""
        return self._read.get(name)

    def texts(self, name: str) -> TextColumn:
        with self._lock:
            self.prepare([name], 1)
            texts = self._read[name].texts
        assert texts is not None
        return texts

    def flag_words(self, places: NDArray[np.intp]) -> list[tuple[str, ...]]:
        """Return what is to be known of the bars of each: warming, flat, missing, stale, provisional."""
        if self._flags is None:
            self._flags = flags_of(self.bars)
        return [_words(flag) for flag in self._flags[places].tolist()]

    def sessions(self, rows: int) -> NDArray[np.int32]:
        """Return the day numbers of each ticker's newest rows, 0 where there is no bar."""
        held = self._bars.session[-rows:]
        missing = rows - len(held)
        return np.pad(held, ((missing, 0), (0, 0))) if missing else held

    def reach(self, rows: int) -> int:
        """Return how many rows hold whole sessions as far back as the last `rows` bars of any current ticker."""
        return measures.reach(self.sessions(self.rows), rows) if rows > 1 else rows

    def current(self) -> Bools:
        """Return which tickers have a bar of the market's newest session: the others are halted or gone."""
        if self._current is None:
            newest = self.newest_day
            self._current = self.sessions(1)[-1] == newest if newest else np.zeros(self.tickers, np.bool_)
        return self._current


class Part(Market):
    """Some tickers of a market; their bars are gathered if something is to be computed from them."""

    def __init__(self, whole: Market, which: NDArray[np.intp]) -> None:
        super().__init__(whole._bars, whole._families, whole._columns, keep=whole.keep)
        self.vocabulary = whole.vocabulary
        self._whole, self._which = whole, which

    @cached_property
    def bars(self) -> Bars:
        return self._whole.part(self._which)

    @property
    def tickers(self) -> int:
        return len(self._which)

    @cached_property
    def names(self) -> tuple[str, ...]:
        whole = self._whole.names
        return tuple(whole[place] for place in self._which.tolist())

    @cached_property
    def newest_day(self) -> int:
        return self._whole.newest_day

    @property
    def is_live(self) -> bool:
        return self._whole.is_live

    def part(self, which: NDArray[np.intp]) -> Bars:
        return self._whole.part(self._which[which])

    def before(self) -> Market:
        return self._whole.before().take(self._which)

    def holds(self, name: str, rows: int) -> bool:
        return super().holds(name, rows) or self._whole.holds(name, rows)

    def _compute(self, wanted: Sequence[str], rows: int) -> None:
        for name in [name for name in wanted if self._whole.holds(name, rows)]:
            column = self._whole.column(name)
            if column is not None:
                self._read[name] = column.take(self._which)
            else:
                self._computed[name] = self._whole.numbers(name, rows)[:, self._which]
                self._rows[name] = rows
        super()._compute([name for name in wanted if name not in self._read and self._rows.get(name, 0) < rows], rows)

    def flag_words(self, places: NDArray[np.intp]) -> list[tuple[str, ...]]:
        return self._whole.flag_words(self._which[places])

    def sessions(self, rows: int) -> NDArray[np.int32]:
        return self._whole.sessions(rows)[:, self._which]

    def current(self) -> Bools:
        return self._whole.current()[self._which]


@lru_cache(maxsize=256)
def _words(flags: int) -> tuple[str, ...]:
    return tuple(words(flags))


def without_newest(bars: Bars) -> Bars:
    """Return the bars before the newest of each ticker; copies nothing."""
    rows = {name: getattr(bars, name)[:-1] for name in ("session", *FIELDS)}
    return replace(bars, **rows, counts=np.maximum(bars.counts - 1, 0).astype(np.int32), provisional=None)


def _padded(found: Matrix, rows: int) -> Matrix:
    return np.pad(found, ((rows - len(found), 0), (0, 0)), constant_values=np.nan)
