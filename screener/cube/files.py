"""The cube on disk: one folder a generation, memory-mapped by its readers. Writes nothing; knows no database.

    cube/current          the name of the newest generation, replaced in one step
    cube/000012/*.npy     its arrays; tickers.json, about.json

A generation is written beside the others and renamed when it is whole; it never changes afterwards. A reader that has
opened one keeps its arrays, whatever is renewed or removed meanwhile.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from screener.cube.bars import ARRAYS, Bars

CURRENT = "current"
FORM = 2  # of the files; another one is built anew
MARK = np.dtype([("bars", "i8"), ("newest_day", "i8"), ("prices", "f8"), ("volumes", "f8")])
ATTEMPTS = 3  # a generation may go between the look at `current` and its opening


@dataclass(frozen=True, slots=True, kw_only=True)
class Cube:
    """`write`: the write of daily bars that it holds. `marks`: what a ticker's rows add up to. `number`: 1, 2, 3 ..."""

    bars: Bars
    marks: NDArray[np.void]
    write: str
    number: int = 0


def read(folder: Path) -> Cube | None:
    """Return the current generation; None if there is none of this program's form."""
    for _ in range(ATTEMPTS):
        try:
            return opened(folder / (folder / CURRENT).read_text(encoding="utf-8"))
        except FileNotFoundError:
            continue
        except (ValueError, KeyError, EOFError):  # of another form, or cut short: it is made anew from SQL
            return None
    return None


def number(folder: Path) -> int:
    """Return the number of the current generation, 0 if there is none: so a reader sees that there is a newer one."""
    try:
        return int((folder / CURRENT).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return 0


def opened(generation: Path) -> Cube:
    """Return that generation; FileNotFoundError, or ValueError for one of another form."""
    about = json.loads((generation / "about.json").read_text(encoding="utf-8"))
    if about["form"] != FORM:
        raise ValueError(f"form {about['form']}")
    arrays: dict[str, Any] = {name: _mapped(generation / f"{name}.npy") for name in ARRAYS}
    tickers = tuple(json.loads((generation / "tickers.json").read_text(encoding="utf-8")))
    bars = Bars(tickers=tickers, counts=np.load(generation / "counts.npy"), **arrays)
    if any(array.shape != (bars.rows, len(tickers)) for array in arrays.values()):
        raise ValueError("arrays of different sizes")
    return Cube(bars=bars, marks=np.load(generation / "marks.npy"), write=about["write"], number=int(generation.name))


def _mapped(file: Path) -> NDArray[Any]:
    """Map the file; one without an element cannot be mapped."""
    try:
        return np.asarray(np.load(file, mmap_mode="r"))
    except ValueError:
        return np.asarray(np.load(file))
