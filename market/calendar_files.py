"""Texts that change the calendar: a CSV list of sessions and a TOML list of overrides. Reads no file, decides no plan.

Every refusal names the file and the line or entry, and says what would be right.
"""

from __future__ import annotations

import csv
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NoReturn

from core.errors import FixByHand
from market.eastern import DateOutOfRange, check_date

CSV_COLUMNS = ("session", "open_utc", "close_utc", "reason")
OVERRIDE_KEYS = frozenset({"date", "open", "close", "closed", "reason"})
CSV_HEADER_RIGHT = f"start with the header {','.join(CSV_COLUMNS)}"
CSV_ROW_RIGHT = "write 2026-11-23,2026-11-23T14:30:00Z,2026-11-23T21:00:00Z,reason"
OVERRIDE_RIGHT = 'write date with open and close like "09:30", or date with closed = true and a reason'


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSession:
    """One row of a session list. `session_date` is a label: sessions of minutes on one real day have several."""

    session_date: date
    opens_at: datetime
    closes_at: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """One `[[session]]`: local `hours` (open, close), or None for a closed day. `entry` counts from 1."""

    entry: int
    session_date: date
    hours: tuple[time, time] | None
    reason: str


def parse_sessions(text: str, *, source: str) -> tuple[FileSession, ...]:
    """The sessions of a CSV with the columns CSV_COLUMNS, in order; at least one."""
    sessions: list[FileSession] = []
    for line, row in _csv_rows(text, source):
        found = _file_session(row, source, line)
        if sessions and found.session_date <= sessions[-1].session_date:
            _refuse(source, line, "session dates do not rise", "write each session once, in order of date")
        if sessions and found.opens_at < sessions[-1].closes_at:
            _refuse(source, line, "opens before the session above closes", "write sessions that do not overlap")
        sessions.append(found)
    if not sessions:
        raise FixByHand("holds no session", where=source, right=CSV_ROW_RIGHT)
    return tuple(sessions)


def _csv_rows(text: str, source: str) -> Iterator[tuple[int, dict[str, str]]]:
    reader = csv.reader(text.removeprefix("\ufeff").splitlines(), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        if sorted(header) != sorted(CSV_COLUMNS):
            _refuse(source, 1, f"unknown or missing columns in {','.join(header)!r}", CSV_HEADER_RIGHT)
        for row in reader:
            if len(row) not in (0, len(header)):
                _refuse(source, reader.line_num, f"{len(row)} columns, not {len(header)}", CSV_ROW_RIGHT)
            if row:
                yield reader.line_num, dict(zip(header, (cell.strip() for cell in row), strict=True))
    except csv.Error as exc:
        raise FixByHand(str(exc), where=f"{source}: line {reader.line_num}", right=CSV_ROW_RIGHT) from exc


def _file_session(row: dict[str, str], source: str, line: int) -> FileSession:
    try:
        session_date = date.fromisoformat(row["session"])
        opens_at, closes_at = _utc(row["open_utc"]), _utc(row["close_utc"])
        for on in (session_date, opens_at.date(), closes_at.date()):
            check_date(on)
    except DateOutOfRange as exc:
        _refuse(source, line, exc.reason, exc.right)
    except ValueError as exc:
        raise FixByHand(str(exc), where=f"{source}: line {line}", right=CSV_ROW_RIGHT) from exc
    if closes_at <= opens_at:
        _refuse(source, line, "closes before it opens", "write an open_utc before the close_utc")
    return FileSession(session_date=session_date, opens_at=opens_at, closes_at=closes_at, reason=row["reason"])


def _utc(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.utcoffset() != timedelta(0):
        raise ValueError(f"{text!r} is not in UTC")
    return at.astimezone(UTC)


def _refuse(source: str, line: int, reason: str, right: str) -> NoReturn:
    raise FixByHand(reason, where=f"{source}: line {line}", right=right)


def parse_overrides(text: str, *, source: str) -> tuple[Override, ...]:
    """The `[[session]]` entries of a TOML text; none is fine, a wrong or doubled one is not."""
    try:
        document = tomllib.loads(text.removeprefix("\ufeff"))
    except tomllib.TOMLDecodeError as exc:
        raise FixByHand(str(exc), where=source, right=f"under [[session]] {OVERRIDE_RIGHT}") from exc
    tables = document.pop("session", [])
    if document or not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise FixByHand("holds more than [[session]] entries", where=source, right=OVERRIDE_RIGHT)
    overrides = tuple(_override(table, entry, source) for entry, table in enumerate(tables, start=1))
    seen: set[date] = set()
    for override in overrides:
        if override.session_date in seen:
            raise bad_override(source, override.entry, f"{override.session_date} is written twice")
        seen.add(override.session_date)
    return overrides


def bad_override(source: str, entry: int, reason: str, right: str = OVERRIDE_RIGHT) -> FixByHand:
    """The error for one entry of an overrides file."""
    return FixByHand(reason, where=source, key=f"session {entry}", right=right)


def _override(table: dict[str, Any], entry: int, source: str) -> Override:
    if unknown := sorted(table.keys() - OVERRIDE_KEYS):
        raise bad_override(source, entry, f"unknown key {unknown[0]}")
    try:
        session_date = _toml_date(table.get("date"))
        check_date(session_date)
        hours = _toml_hours(table)
    except DateOutOfRange as exc:
        raise bad_override(source, entry, exc.reason, exc.right) from exc
    except ValueError as exc:
        raise bad_override(source, entry, str(exc)) from exc
    reason = table.get("reason", "set by hand")
    if not isinstance(reason, str):
        raise bad_override(source, entry, f"reason is {reason!r}")
    return Override(entry=entry, session_date=session_date, hours=hours, reason=reason)


def _toml_hours(table: dict[str, Any]) -> tuple[time, time] | None:
    if "closed" in table:
        if table["closed"] is not True or "open" in table or "close" in table:
            raise ValueError("closed goes alone and is true")
        return None
    opens, closes = _toml_time(table, "open"), _toml_time(table, "close")
    if closes <= opens:
        raise ValueError("closes before it opens")
    return opens, closes


def _toml_date(value: object) -> date:
    if isinstance(value, str):
        return date.fromisoformat(value)
    if not isinstance(value, date) or isinstance(value, datetime):
        raise ValueError(f"date is {value!r}" if value is not None else "date is missing")
    return value


def _toml_time(table: dict[str, Any], key: str) -> time:
    value = table.get(key)
    if isinstance(value, str):
        value = time.fromisoformat(value)
    if not isinstance(value, time) or value.tzinfo is not None:
        raise ValueError(f"{key} is {value!r}" if value is not None else f"{key} is missing")
    return value
