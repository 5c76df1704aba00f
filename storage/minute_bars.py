"""Minute bars as Parquet files: one a minute, one a session after its close. Knows no SQL and no source.

    FOLDER/session_date=2026-11-23/2026-11-23T1430Z.parquet   while the session lasts, one a minute
    FOLDER/session_date=2026-11-23/day.parquet                afterwards, sorted by ticker and minute
    FOLDER.work/                                              what is made or taken away; no reader looks there

A file appears whole or not at all. A session's folder is exchanged in one step for the one that holds its single file;
what a kill leaves half done, `open` finishes. pyarrow is imported by `open`, and by nothing else.
"""

from __future__ import annotations

import os
import shutil
import threading
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import FixByHand, RetryLater
from core.files import make_folder, patiently, read_text, write_atomic, writing
from market.bars import MinuteBar, joined

if TYPE_CHECKING:
    import pyarrow

PREFIX = "session_date="
"""Hive's form: DuckDB and polars make a column of it and skip the folders that a query does not want."""
DAY = "day.parquet"
TICKERS_AT_ONCE = 1000
"""Rows of a minute that are read together. A compaction takes so many tickers at a time, which bounds its memory."""
ROWS_A_GROUP = 120_000
"""A reader of one ticker decodes one such group of its columns."""
LEVEL = 6
ORDER = [("ticker", "ascending"), ("minute", "ascending")]
PRICES = ("open", "high", "low", "close")
INTEGERS = ("minute", "volume", "day_volume")


class NotParquet(RetryLater):
    """A file of bars cannot be read."""


class MinuteBarFiles:
    """The folder of all bars. Its methods block, and may be called from several threads."""

    def __init__(self, folder: Path, *, keep_sessions: int, arrow: Any, parquet: Any) -> None:
        self._folder, self._work = folder, folder.with_name(f"{folder.name}.work")
        self._keep_sessions = keep_sessions
        self._arrow, self._parquet = arrow, parquet
        self._lock = threading.Lock()
        self._schema = arrow.schema(
            [
                ("ticker", arrow.string()),
                ("minute", arrow.timestamp("ms", tz="UTC")),
                *((name, arrow.float64()) for name in PRICES),
                ("volume", arrow.int64()),
                ("day_volume", arrow.int64()),
                ("is_whole", arrow.bool_()),
            ]
        )

    @classmethod
    def open(cls, folder: Path, *, keep_sessions: int, origin: str) -> MinuteBarFiles:
        """Make the folder, or go on with it; FixByHand without pyarrow, or if its bars are of the other origin."""
        try:
            import pyarrow
            from pyarrow import parquet
        except ImportError as error:
            right = "install it with `pip install 'tickerd[history]'`, or set it to false"
            raise FixByHand("needs pyarrow, which is not installed", key="prices.minute_bars", right=right) from error
        make_folder(folder)
        _check_origin(folder / "ORIGIN", origin)
        files = cls(folder, keep_sessions=keep_sessions, arrow=pyarrow, parquet=parquet)
        with writing(folder):
            files._finish_exchanges()
        return files

    def write(self, bars: Iterable[MinuteBar]) -> int:
        """Write bars into the files of their minutes, joined with what these hold; return how many came too late.

        Too late is what belongs to a session that is compacted. To write the same bars twice changes nothing.
        """
        minutes: dict[tuple[date, datetime], list[MinuteBar]] = defaultdict(list)
        for bar in bars:
            minutes[bar.session_date, bar.minute].append(bar)
        too_late = 0
        with self._lock:
            for (session_date, minute), own in minutes.items():
                if (self._day(session_date) / DAY).exists():
                    too_late += len(own)
                else:
                    self._write_minute(self._day(session_date) / f"{minute:%Y-%m-%dT%H%MZ}.parquet", own)
        return too_late

    def uncompacted(self) -> list[date]:
        """Return the sessions that are still a file a minute, the oldest first."""
        return [each for each in self.sessions() if not (self._day(each) / DAY).exists()]

    def sessions(self) -> list[date]:
        """Return the sessions that have bars, the oldest first."""
        names = (path.name.removeprefix(PREFIX) for path in self._folder.glob(f"{PREFIX}????-??-??"))
        return sorted(date.fromisoformat(name) for name in names)

    def compact(self, session_date: date, *, is_stopping: Callable[[], bool] = lambda: False) -> int | None:
        """Make one file of a session's minutes; return its rows, or None if broken off: nothing has changed then."""
        day, new = self._day(session_date), self._work / f"{PREFIX}{session_date}"
        with self._lock, writing(new):
            shutil.rmtree(new, ignore_errors=True)
            new.mkdir(parents=True)
            rows = self._merge(sorted(day.glob("*.parquet")), new / DAY, is_stopping)
            if rows is not None:
                self._exchange(day, new)
            self._arrow.default_memory_pool().release_unused()
        return rows

    def prune(self) -> list[date]:
        """Remove all but the newest sessions; return those that are gone."""
        old = self.sessions()[: -self._keep_sessions]
        with self._lock, writing(self._work):
            self._work.mkdir(exist_ok=True)
            for each in old:
                self._discard(self._day(each))
        return old

    def _day(self, session_date: date) -> Path:
        return self._folder / f"{PREFIX}{session_date}"

    def _write_minute(self, path: Path, bars: Sequence[MinuteBar]) -> None:
        rows = {bar.ticker: bar for bar in self._read(path, bars[0].session_date)} if path.exists() else {}
        for bar in bars:
            rows[bar.ticker] = joined(rows[bar.ticker], bar) if bar.ticker in rows else bar
        columns = zip(*(_values(rows[ticker]) for ticker in sorted(rows)), strict=True)
        arrays = [self._arrow.array(values, kind) for values, kind in zip(columns, self._schema.types, strict=True)]
        sink = self._arrow.BufferOutputStream()
        with self._writer(sink) as writer:
            writer.write_table(self._arrow.Table.from_arrays(arrays, schema=self._schema), TICKERS_AT_ONCE)
        with writing(path):
            path.parent.mkdir(exist_ok=True)
            write_atomic(path, sink.getvalue().to_pybytes())

    def _read(self, path: Path, session_date: date) -> Iterator[MinuteBar]:
        for row in self._table(path).to_pylist():
            yield MinuteBar(session_date=session_date, **row)

    def _table(
        self, path: Path, *, columns: list[str] | None = None, groups: Callable[[Any], list[int]] | None = None
    ) -> pyarrow.Table:
        """Return the rows of a file, or of those of its groups that `groups` chooses by the file's metadata."""
        try:
            with self._parquet.ParquetFile(path) as file:
                chosen = groups(file.metadata) if groups else list(range(file.metadata.num_row_groups))
                return file.read_row_groups(chosen, columns, use_threads=False)
        except (self._arrow.ArrowException, OSError) as error:
            raise NotParquet(f"cannot be read ({error})", where=str(path), right="move it away") from error

    def _between(self, path: Path, first: str, until: str | None) -> pyarrow.Table:
        """Return the rows of a minute's tickers from `first` to before `until` (None: to the end)."""

        def wanted(metadata: Any) -> list[int]:
            ranges = [metadata.row_group(number).column(0).statistics for number in range(metadata.num_row_groups)]
            return [n for n, own in enumerate(ranges) if own.max >= first and (until is None or own.min < until)]

        table = self._table(path, groups=wanted)
        tickers = table.column("ticker").to_pylist()
        begin = bisect_left(tickers, first)
        end = bisect_left(tickers, until) if until is not None else len(tickers)
        return table.slice(begin, end - begin)

    def _writer(self, to: Any) -> Any:
        """Prices of a minute differ too much for a dictionary: plain and compressed they take a fifth less."""
        return self._parquet.ParquetWriter(
            to,
            self._schema,
            compression="zstd",
            compression_level=LEVEL,
            use_dictionary=["ticker"],
            column_encoding=dict.fromkeys(INTEGERS, "DELTA_BINARY_PACKED"),
        )

    def _merge(self, parts: Sequence[Path], target: Path, is_stopping: Callable[[], bool]) -> int | None:
        """Write all rows, some tickers at a time; None if asked to stop before the end."""
        told = (self._table(part, columns=["ticker"]).column(0).to_pylist() for part in parts)
        firsts = sorted(set().union(*told))[::TICKERS_AT_ONCE]
        rows = 0
        with target.open("xb") as file:
            with self._writer(file) as writer:
                for first, until in zip(firsts, [*firsts[1:], None], strict=True):
                    if is_stopping():
                        return None
                    own = self._arrow.concat_tables(self._between(part, first, until) for part in parts)
                    writer.write_table(own.sort_by(ORDER), ROWS_A_GROUP)
                    rows += own.num_rows
            file.flush()
            os.fsync(file.fileno())
        return rows

    def _exchange(self, day: Path, new: Path) -> None:
        """Put `new` in the place of `day`; killed between the two renames, it is finished by the next `open`."""
        parts = new.with_name(f"{new.name}.parts")
        patiently(lambda: day.rename(parts))
        patiently(lambda: new.rename(day))
        shutil.rmtree(parts)

    def _finish_exchanges(self) -> None:
        for parts in self._work.glob(f"{PREFIX}*.parts"):
            new = parts.with_suffix("")
            if not (self._folder / new.name).exists():
                (new if new.exists() else parts).rename(self._folder / new.name)
        shutil.rmtree(self._work, ignore_errors=True)

    def _discard(self, day: Path) -> None:
        """Take a session out of sight in one step, then remove it."""
        gone = self._work / f"{day.name}.gone"
        patiently(lambda: day.rename(gone))
        shutil.rmtree(gone)


def _values(bar: MinuteBar) -> tuple[object, ...]:
    """Return the columns of the schema."""
    prices = (bar.open, bar.high, bar.low, bar.close)
    return (bar.ticker, bar.minute, *prices, bar.volume, bar.day_volume, bar.is_whole)


def _check_origin(marker: Path, origin: str) -> None:
    """Practice and real bars never meet: a folder holds those of one origin."""
    if not marker.exists():
        with writing(marker):
            write_atomic(marker, origin.encode())
    elif (held := read_text(marker).strip()) != origin:
        right = "use another [state] dir, or move that folder away"
        raise FixByHand(f"holds {held} minute bars, these are {origin}", where=str(marker.parent), right=right)
