"""The newest lines of a process's log file. Follows none and reads no more than a part of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

READ_BYTES = 1024 * 1024
"""From the end of a file: some 4,000 lines."""
LEVELS = ("debug", "info", "warning", "error")


def known(folder: Path) -> list[str]:
    """Return the names of the processes that have a log."""
    return sorted(file.stem for file in folder.glob("*.jsonl"))


def newest(file: Path, *, limit: int, level: str, search: str) -> list[dict[str, Any]]:
    """Return at most `limit` events of `level` or graver that hold `search`, the newest last."""
    wanted = LEVELS[LEVELS.index(level) :]
    found: list[dict[str, Any]] = []
    for line in reversed(_tail(file)):
        event = _event(line)
        if event.get("log.level", "info") in wanted and search.lower().encode() in line.lower():
            found.append(event)
            if len(found) == limit:
                break
    return found[::-1]


def _tail(file: Path) -> list[bytes]:
    with file.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - READ_BYTES))
        lines = stream.read(READ_BYTES).splitlines()
    return lines[1:] if size > READ_BYTES else lines


def _event(line: bytes) -> dict[str, Any]:
    """Return an event; what is none of ours, a traceback say, as a message."""
    try:
        event = orjson.loads(line)
    except orjson.JSONDecodeError:
        event = None
    return event if isinstance(event, dict) else {"message": line.decode(errors="replace")}


def counts(folder: Path) -> Iterator[tuple[str, int, int]]:
    """Give (process, warnings, errors) of the newest part of each log."""
    for name in known(folder):
        events = [_event(line).get("log.level") for line in _tail(folder / f"{name}.jsonl")]
        yield name, events.count("warning"), events.count("error")
