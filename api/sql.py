"""Where the API reads and writes SQL: one thread to read, one to write, so that no request blocks the loop.

sqlite3 gives up the interpreter's lock at each row: many threads that read at once are several times slower than one.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, TypeVar

import orjson
from sqlalchemy import Column, ColumnElement, Date, Engine, Select, and_, literal, or_, select

from api.answers import encode
from api.problems import Problem
from api.traffic import Durations
from core.clock import Clock
from core.errors import TickerdError
from storage.reader import Reader
from storage.schema import LARGEST_WHOLE, UtcTime
from storage.writer import Writer

T = TypeVar("T")
SERVICE = "api"


class Database:
    """`reader`: for whoever follows the changes. `writes`, `errors`: by kind, for the metrics."""

    def __init__(self, url: str, clock: Clock) -> None:
        """FixByHand if the database is absent or its schema is not this program's."""
        self._url, self._clock = url, clock
        self.reader = Reader(url, service=SERVICE, clock=clock)
        self._reading = ThreadPoolExecutor(1, thread_name_prefix="read")
        self._writing = ThreadPoolExecutor(1, thread_name_prefix="write")
        self._writer: Writer | None = None
        self.writes = Durations()
        self.errors: Counter[str] = Counter()

    async def read(self, work: Callable[[Engine], T]) -> T:
        """Return what `work` reads, in the reading thread."""
        return await self._counted(self._reading, lambda: work(self.reader.engine()))

    async def write(self, work: Callable[[Writer], T]) -> T:
        """Return what `work` gives, in the writing thread."""
        begun_s = self._clock.monotonic_s()
        done = await self._counted(self._writing, lambda: work(self._own_writer()))
        self.writes.add(self._clock.monotonic_s() - begun_s)
        return done

    async def _counted(self, thread: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(thread, work)
        except TickerdError as error:
            self.errors[type(error).__name__] += 1
            raise

    def _own_writer(self) -> Writer:
        if self._writer is None:
            self._writer = Writer.open(self._url, service=SERVICE, origin=None, clock=self._clock)
        return self._writer

    def close(self) -> None:
        """Let what is under way end, then close every connection."""
        self._reading.shutdown()
        self._writing.shutdown()
        if self._writer is not None:
            self._writer.close()
        self.reader.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A list as it is asked for. `key`: what orders it, the last column unique; `falling`: the largest first."""

    columns: Sequence[Column[Any]]
    key: Sequence[Column[Any]]
    falling: bool = False
    where: Sequence[ColumnElement[bool]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Rows in the order of `names`; `next`: the cursor of the page after, None on the last one."""

    names: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    next: str | None

    def dicts(self) -> list[dict[str, Any]]:
        return [dict(zip(self.names, row, strict=True)) for row in self.rows]


def read_page(engine: Engine, listing: Listing, *, limit: int, cursor: str) -> Page:
    """Return a page by its key, not by counting: no row is told twice or left out while others come.

    Rows without a value of the key are no part of the list. Problem 422 for a cursor that is not ours.
    """
    with engine.connect() as connection:
        found = connection.execute(statement(listing, cursor).limit(limit + 1)).all()
    rows = [tuple(row) for row in found[:limit]]
    extra = len(listing.columns)
    more = encode_cursor(rows[-1][extra:]) if len(found) > limit else None
    return Page(names=tuple(c.name for c in listing.columns), rows=[row[:extra] for row in rows], next=more)


def statement(listing: Listing, cursor: str) -> Select[Any]:
    """Return the query of a listing behind a cursor; the key comes last in each row."""
    order = [column.desc() if listing.falling else column.asc() for column in listing.key]
    keys = [column.label(f"key_{place}") for place, column in enumerate(listing.key)]
    known = [column.is_not(None) for column in listing.key if column.nullable]
    wanted = select(*listing.columns, *keys).where(*listing.where, *known).order_by(*order)
    if not cursor:
        return wanted
    values = decode_cursor(cursor, listing.key)
    return wanted.where(_behind(listing.key, values, falling=listing.falling))


def _behind(key: Sequence[Column[Any]], values: Sequence[Any], *, falling: bool) -> ColumnElement[bool]:
    choices = []
    for place, (column, value) in enumerate(zip(key, values, strict=True)):
        bound = literal(value, column.type)  # else no yes or no could be compared
        further = column < bound if falling else column > bound
        equal = [key[before] == values[before] for before in range(place)]
        choices.append(and_(*equal, further))
    return or_(*choices)


def encode_cursor(values: Sequence[Any]) -> str:
    """Return the key of a row as text of a URL."""
    plain = [value.isoformat() if isinstance(value, date) else value for value in values]
    return base64.urlsafe_b64encode(encode(plain)).decode().rstrip("=")


def decode_cursor(cursor: str, key: Sequence[Column[Any]]) -> list[Any]:
    try:
        values = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if not isinstance(values, list) or len(values) != len(key):
            raise ValueError("another list's")
        return [_value(column, value) for column, value in zip(key, values, strict=True)]
    except (ValueError, TypeError, OverflowError, binascii.Error) as error:
        raise Problem(422, "cursor_invalid", "this cursor is not of this list; ask without one") from error


def _value(column: Column[Any], value: Any) -> Any:
    if isinstance(column.type, UtcTime):
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            raise ValueError("without a zone")
        return moment.astimezone(UTC)
    if isinstance(column.type, Date):
        return date.fromisoformat(value)
    wanted = column.type.python_type
    if isinstance(value, bool) != (wanted is bool) or not isinstance(value, int | float | str):
        raise ValueError("no value of a key")
    if wanted is float and isinstance(value, int):
        return float(value)
    if not isinstance(value, wanted) or (isinstance(value, str) and "\x00" in value):
        raise ValueError("of another kind")
    if isinstance(value, int) and abs(value) > LARGEST_WHOLE:
        raise ValueError("larger than a column holds")
    return value
