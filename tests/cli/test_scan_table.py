from __future__ import annotations

from pathlib import Path

import pytest

from cli.scan_table import cell
from tests.fix_cli import Run, fits_80_columns

UP = "close > prev(close)"


def test_a_scan_prints_a_table_and_what_it_looked_at(scan_folder: Path, here: Run) -> None:
    done = here("scan", UP, "--closed")
    assert done.code == 0 and fits_80_columns(done.out)
    assert "A " in done.out and "1 of 3 tickers" in done.out and "as of 2026-11-20" in done.out
    assert "B " not in done.out.replace("B of", "")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, ""),
        (True, "yes"),
        ("Energy", "Energy"),
        (0.00412, "0.00412"),
        (12.345, "12.35"),
        (3_120_000.4, "3,120,000"),
    ],
)
def test_a_number_is_shown_with_the_digits_that_count(value: object, shown: str) -> None:
    assert cell(value) == shown
