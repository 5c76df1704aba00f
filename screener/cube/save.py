"""Writes the cube as files, a generation at a time. Changes none that was written before.

Apart from their reading, so that a scan loads nothing of what only writing needs.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np

from core.files import make_folder, write_atomic, writing
from screener.cube.bars import ARRAYS
from screener.cube.files import CURRENT, FORM, Cube, opened

KEPT = 2  # generations: the newest, and the one that a reader may be about to open


def write(folder: Path, cube: Cube) -> Cube:
    """Write `cube` as the next generation, make it the current one, and return it as a reader sees it."""
    make_folder(folder)
    number = max((int(name.name) for name in folder.iterdir() if name.name.isdigit()), default=0) + 1
    fresh, final = folder / f".{number:06d}", folder / f"{number:06d}"
    shutil.rmtree(fresh, ignore_errors=True)
    with writing(final):
        fresh.mkdir()
        for name in ARRAYS:
            np.save(fresh / f"{name}.npy", getattr(cube.bars, name))
        np.save(fresh / "counts.npy", cube.bars.counts)
        np.save(fresh / "marks.npy", cube.marks)
        (fresh / "tickers.json").write_text(json.dumps(cube.bars.tickers), encoding="utf-8")
        (fresh / "about.json").write_text(json.dumps({"form": FORM, "write": cube.write}), encoding="utf-8")
        fresh.rename(final)
    write_atomic(folder / CURRENT, final.name.encode())
    _remove_old(folder, number)
    return opened(final)


def _remove_old(folder: Path, newest: int) -> None:
    for old in folder.iterdir():
        if old.name.lstrip(".").isdigit() and int(old.name.lstrip(".")) <= newest - KEPT:
            shutil.rmtree(old, ignore_errors=True)  # on Windows one that is still read goes the next time
