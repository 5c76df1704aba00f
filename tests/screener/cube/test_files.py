from __future__ import annotations

from pathlib import Path

import numpy as np

from screener.cube import files, save
from screener.cube.files import MARK, Cube
from tests.fix_screener import walked
from tests.screener.cube.test_bars import same


def cube(seq: int, *, seed: int = 1) -> Cube:
    bars = walked(4, 2, seed=seed)
    return Cube(bars=bars, marks=np.zeros(2, MARK), write=str(seq))


def test_what_is_written_is_read_back_memory_mapped(tmp_path: Path) -> None:
    written = save.write(tmp_path, cube(7))
    read = files.read(tmp_path)
    assert read is not None and same(read.bars, cube(7).bars) and same(written.bars, read.bars)
    assert (read.write, read.number, files.number(tmp_path)) == ("7", 1, 1)
    assert not read.bars.close.flags.writeable


def test_no_folder_no_pointer_and_a_pointer_to_nothing_are_no_cube(tmp_path: Path) -> None:
    assert files.read(tmp_path / "absent") is None and files.number(tmp_path / "absent") == 0
    (tmp_path / "current").write_text("000009")
    assert files.read(tmp_path) is None


def test_a_cube_of_another_form_or_cut_short_is_none(tmp_path: Path) -> None:
    save.write(tmp_path, cube(1))
    about = tmp_path / "000001" / "about.json"
    about.write_text('{"form": 0, "write": "1"}')
    assert files.read(tmp_path) is None
    save.write(tmp_path, cube(2))
    for content in (b"\x93NUMPY", b""):
        (tmp_path / "000002" / "close.npy").write_bytes(content)
        assert files.read(tmp_path) is None


def test_a_cube_without_a_ticker_is_one_too(tmp_path: Path) -> None:
    empty = Cube(bars=walked(rows=5), marks=np.zeros(0, MARK), write="1")
    save.write(tmp_path, empty)
    read = files.read(tmp_path)
    assert read is not None and (read.bars.rows, read.bars.width) == (5, 0)
