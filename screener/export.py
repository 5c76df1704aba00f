"""Writes a scan's results as a file: JSON, CSV or Parquet, put in its place in one step. Reads no database."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from core.errors import FixByHand
from core.files import make_folder, write_atomic, writing

Rows = Sequence[Mapping[str, Any]]
HEAD = ("rank", "ticker", "session", "priority_tier", "tech_rating", "flags")
PRICES = ("entry", "stop", "target_1", "target_2")
SIGNAL = ("pattern", "direction", *PRICES, "position_size", "risk_amount_usd", "confidence")


def as_json(about: Mapping[str, Any], results: Rows) -> bytes:
    """Return one document: what the scan was, and its results as they are."""
    return msgspec.json.encode({"version": 1, **about, "results": list(results)})


def as_csv(_about: Mapping[str, Any], results: Rows) -> bytes:
    """Return a line a result; what is not known is an empty field."""
    out = io.StringIO(newline="")
    flat = [flattened(result) for result in results]
    writer = csv.DictWriter(out, fieldnames=columns_of(flat), lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows({key: "" if value is None else value for key, value in row.items()} for row in flat)
    return out.getvalue().encode()


def as_parquet(_about: Mapping[str, Any], results: Rows) -> bytes:
    """Return a row a result; FixByHand if pyarrow is not installed."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        right = "install it with `pip install 'tickerd[history]'`, or export CSV"
        raise FixByHand("Parquet needs pyarrow, which is not installed", right=right) from error
    flat = [flattened(result) for result in results]
    table = pyarrow.table({name: [row.get(name) for row in flat] for name in columns_of(flat)})
    out = io.BytesIO()
    parquet.write_table(table, out, compression="zstd")
    return out.getvalue()


FORMATS: Mapping[str, Callable[[Mapping[str, Any], Rows], bytes]] = {
    "json": as_json,
    "csv": as_csv,
    "parquet": as_parquet,
}


def flattened(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return a result as one row: its values by field, of its signals the first."""
    row = {key: result.get(key) for key in HEAD} | {"flags": " ".join(result.get("flags") or ())}
    row |= result.get("values") or {}
    told = (result.get("signals") or [{}])[0]
    return row | {key: told[key] for key in SIGNAL if key in told}


def columns_of(rows: Rows) -> list[str]:
    """Return every column that a row has, in the order of their first coming."""
    return list(dict.fromkeys((*HEAD, *(key for row in rows for key in row))))


def write_file(folder: Path, scan_id: str, form: str, about: Mapping[str, Any], results: Rows) -> Path:
    """Write `FOLDER/SCAN.FORM`; a reader sees all of it or nothing. RetryLater or FixByHand if that cannot be."""
    content = FORMATS[form](about, results)
    name = re.sub(r"[^\w.-]", "_", scan_id)  # whoever asked gave it: it leads to no other folder
    file = make_folder(folder) / f"{name}.{form}"
    with writing(file):
        write_atomic(file, content)
    return file


def remove_old(folder: Path, *, before: datetime) -> int:
    """Remove the files of scans that are older; return how many."""
    removed = 0
    for file in folder.glob("scan_*"):
        if file.suffix.removeprefix(".") in FORMATS and file.stat().st_mtime < before.timestamp():
            file.unlink(missing_ok=True)
            removed += 1
    return removed
