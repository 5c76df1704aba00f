from __future__ import annotations

from pathlib import Path

from screener.cube import files, save
from tests.screener.cube.test_bars import same
from tests.screener.cube.test_files import cube


def test_a_reader_keeps_its_generation_while_newer_ones_come_and_it_is_removed(tmp_path: Path) -> None:
    old = save.write(tmp_path, cube(1))
    for seq in (2, 3, 4):
        save.write(tmp_path, cube(seq, seed=seq))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["000003", "000004", "current"]
    assert same(old.bars, cube(1).bars)
    newest = files.read(tmp_path)
    assert newest is not None and newest.write == "4" and same(newest.bars, cube(4, seed=4).bars)


def test_what_a_killed_writer_left_is_written_over(tmp_path: Path) -> None:
    left = tmp_path / ".000001"
    left.mkdir()
    (left / "close.npy").write_bytes(b"half")
    assert save.write(tmp_path, cube(1)).number == 1
    assert not left.exists()
