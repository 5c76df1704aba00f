"""Writes a whole table as CSV or Parquet, row by row from one snapshot. Never changes the database.

CSV: NULL is an empty field, true and false are words, times are UTC like 2026-11-23T14:30:00.000000Z. Parquet keeps
the types. A ticker may be NA or NAN: tell a reader of the CSV not to take these words for "not known".
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, BinaryIO, TextIO

from sqlalchemy import BigInteger, Boolean, Column, Date, Engine, Float, Table, Text, select

from core.errors import FixByHand
from storage.schema import UtcTime, stocks_daily_bar, stocks_stock

if TYPE_CHECKING:
    import pyarrow

TABLES = {"stocks_stock": stocks_stock, "stocks_daily_bar": stocks_daily_bar}
ROWS_A_READ = 5000


def write_csv(engine: Engine, table: Table, out: TextIO) -> int:
    """Write the table with a line of column names; return the number of rows."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(table.columns.keys())
    written = 0
    with _batches(engine, table) as batches:
        for batch in batches:
            writer.writerows([_text(value) for value in row] for row in batch)
            written += len(batch)
    return written


def write_parquet(engine: Engine, table: Table, out: BinaryIO) -> int:
    """Write the table as one Parquet file; return the number of rows. FixByHand if pyarrow is not installed."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        right = "install it with `pip install 'tickerd[history]'`, or export CSV"
        raise FixByHand("Parquet needs pyarrow, which is not installed", right=right) from error
    schema = pyarrow.schema([(column.name, _arrow_type(column)) for column in table.columns])
    written = 0
    with _batches(engine, table) as batches, parquet.ParquetWriter(out, schema, compression="zstd") as writer:
        for batch in batches:
            given = zip(zip(*batch, strict=True), schema.types, strict=True)
            columns = [pyarrow.array(values, kind) for values, kind in given]
            writer.write_table(pyarrow.Table.from_arrays(columns, schema=schema))
            written += len(batch)
    return written


@contextmanager
def _batches(engine: Engine, table: Table) -> Iterator[Iterator[Sequence[Sequence[Any]]]]:
    """Give the rows in the order of their key, a few thousand at a time: a table may be larger than memory."""
    order = table.primary_key.columns
    with engine.connect().execution_options(stream_results=True, yield_per=ROWS_A_READ) as connection:
        yield connection.execute(select(table).order_by(*order)).partitions()


def _text(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bool):
        return "true" if value else "false"
    return value


def _arrow_type(column: Column[Any]) -> pyarrow.DataType:
    import pyarrow

    kinds: tuple[tuple[type, pyarrow.DataType], ...] = (
        (UtcTime, pyarrow.timestamp("us", tz="UTC")),
        (Date, pyarrow.date32()),
        (Boolean, pyarrow.bool_()),
        (Float, pyarrow.float64()),
        (BigInteger, pyarrow.int64()),
        (Text, pyarrow.string()),
    )
    return next(arrow for kind, arrow in kinds if isinstance(column.type, kind))
