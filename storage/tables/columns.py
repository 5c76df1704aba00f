"""What tables are made of: times, numbers, ids, one way each. Declares no table."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    DateTime,
    Dialect,
    Float,
    Identity,
    Integer,
    MetaData,
    Text,
    TypeDecorator,
)

LARGEST_WHOLE = 2**63 - 1
"""What a BIGINT holds."""


class UtcTime(TypeDecorator[datetime]):
    """An aware UTC datetime; on SQLite the text `YYYY-MM-DD HH:MM:SS.ffffff`, which also sorts as time."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        moment = _in_utc(value)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Given(TypeDecorator[Any]):
    """JSON that another program may have written: of text that is none the text is read, for its reader to refuse."""

    impl = JSON
    cache_ok = True

    def result_processor(self, dialect: Dialect, coltype: Any) -> Any:
        decode = super().result_processor(dialect, coltype)

        def read(value: Any) -> Any:
            try:
                return decode(value) if decode is not None else value
            except ValueError:
                return value

        return read


def _in_utc(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ValueError(f"{at!r} has no time zone; pass an aware datetime")
    return at if at.tzinfo is UTC else at.astimezone(UTC)


def parameter(value: Any, dialect: str) -> Any:
    """Return `value` as a driver takes it in a statement that SQLAlchemy does not compile."""
    if isinstance(value, datetime):
        moment = _in_utc(value)
        return moment.isoformat(" ", "microseconds")[:26] if dialect == "sqlite" else moment  # cut before "+00:00"
    if isinstance(value, date) and dialect == "sqlite":
        return value.isoformat()
    return value


METADATA = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)


def double(name: str) -> Column[float]:
    return Column(name, Float(53))


def whole(name: str) -> Column[int]:
    return Column(name, BigInteger)


def words(name: str) -> Column[str]:
    return Column(name, Text)


def moment(name: str) -> Column[datetime]:
    return Column(name, UtcTime)


def own_id() -> Column[int]:
    return Column("id", BigInteger().with_variant(Integer, "sqlite"), Identity(), primary_key=True)
