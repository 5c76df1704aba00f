"""Reads the named statements of storage/sql/*.sql. Runs none of them.

A block starts with `-- name: NAME` or, where the databases differ, `-- name: NAME DIALECT`. Parameters are
written `:name` and rewritten to what the driver takes.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path

FOLDER = Path(__file__).parent / "sql"
HEADING = re.compile(r"^-- name: (\w+)(?: (sqlite|postgresql))?$")
PARAMETER = re.compile(r"(?<!:):(\w+)")


def query(name: str, dialect: str) -> str:
    """Return the statement `name` for `dialect` ("sqlite" or "postgresql"); KeyError if there is none."""
    blocks = _blocks()
    return blocks[name, dialect] if (name, dialect) in blocks else _rewritten(blocks[name, ""], dialect)


@functools.cache
def _rewritten(statement: str, dialect: str) -> str:
    return statement if dialect == "sqlite" else PARAMETER.sub(r"%(\1)s", statement)


@functools.cache
def _blocks() -> dict[tuple[str, str], str]:
    blocks: dict[tuple[str, str], str] = {}
    for path in sorted(FOLDER.glob("*.sql")):
        blocks |= parse(path.read_text(encoding="utf-8"))
    return blocks


def parse(text: str) -> dict[tuple[str, str], str]:
    """Return the blocks of one file by (name, dialect), "" where one text serves both; ValueError on a repeat."""
    lines: dict[tuple[str, str], list[str]] = {}
    key: tuple[str, str] | None = None
    for line in text.splitlines():
        heading = HEADING.match(line)
        if heading:
            key = (heading[1], heading[2] or "")
            if key in lines:
                raise ValueError(f"two statements are named {key[0]}")
            lines[key] = []
        elif key is not None and not line.startswith("--"):
            lines[key].append(line)
    return {key: "\n".join(block).strip() for key, block in lines.items()}
