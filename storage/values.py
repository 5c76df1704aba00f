"""Tells the values that a column holds as they are from all others. Changes no value and runs no statement."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from math import inf
from typing import Any

from sqlalchemy import BigInteger, Column, Date, Float, Table, Text

from storage.schema import LARGEST_WHOLE, UtcTime, parameter

FUTURE_TOLERANCE = timedelta(seconds=60)
"""How far an exchange's clock may be ahead of ours; a later price_time is wrong, and would freeze its row till then."""
NO_TEXT = re.compile("[\x00\ud800-\udfff]")


def holds(table: Table, name: str, value: object) -> bool:
    """Whether column `name` keeps `value` on every database; SQLite alone would take a word for a number."""
    return value is None or _holds(_kind(table.c[name]), value)


@functools.cache
def _kind(column: Column[Any]) -> type:
    return type(column.type)


def _holds(kind: type, value: object) -> bool:
    if kind is Float:
        return is_number(value)
    if kind is BigInteger:
        return is_number(value) and isinstance(value, int)
    if kind is Text:
        return is_words(value)
    if kind is UtcTime:
        return is_moment(value)
    return kind is Date and isinstance(value, date) and not isinstance(value, datetime)


def is_number(value: object) -> bool:
    """Whether `value` is a finite number that fits a DOUBLE and, if whole, a BIGINT."""
    if isinstance(value, float):
        return -inf < value < inf
    return isinstance(value, int) and not isinstance(value, bool) and -LARGEST_WHOLE <= value <= LARGEST_WHOLE


def is_words(value: object) -> bool:
    """Whether `value` is text without a NUL or half a character, for which PostgreSQL refuses a whole batch."""
    return isinstance(value, str) and (value.isprintable() or not NO_TEXT.search(value))


def is_moment(value: object) -> bool:
    """Whether `value` is a time with its zone: without one it could be any of 26 hours."""
    return isinstance(value, datetime) and value.tzinfo is not None


def times_as_parameters(times: Sequence[datetime | None], dialect: str) -> list[Any]:
    """Return each time as `storage.schema.parameter` does, the text of each object made once."""
    if dialect != "sqlite" or not any(times):
        return list(times)
    # By identity: comparing aware times costs more than making their texts, and a feed hands the same object on.
    keys = list(map(id, times))
    texts = {key: parameter(time, dialect) for key, time in dict(zip(keys, times, strict=True)).items()}
    return [texts[key] for key in keys]
