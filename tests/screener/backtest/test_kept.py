from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from screener.backtest import kept
from screener.backtest.kept import current, known, read, without_provisional
from screener.cube.bars import Bars
from tests.fix_patterns import walks

MARKET = walks(40, 200, seed=10, tick=0.25, ragged=False)
NAMES = ("nr7", "inside_bar_bullish_breakout")


def test_rates_are_computed_once_a_session_and_read_from_the_file_after_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "hit_rates.json"
    assert known(file) == {}
    first = current(file, MARKET, NAMES)
    assert set(first) == {("nr7", 1), ("nr7", -1), ("inside_bar_bullish_breakout", 1)}
    assert known(file) == first

    def not_again(bars: Bars, *_: object) -> list[kept.Entry]:
        raise AssertionError(bars.newest_day)

    monkeypatch.setattr(kept, "_computed", not_again)
    assert current(file, MARKET, NAMES) == first
    with pytest.raises(AssertionError):
        current(file, MARKET.until(MARKET.newest_day - 1), NAMES)


@pytest.mark.parametrize("content", [b"", b"{}", b"not json", b'{"form": 99, "day": 1, "entries": []}'])
def test_a_file_of_another_kind_is_computed_anew(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "hit_rates.json"
    file.write_bytes(content)
    assert read(file) is None
    assert current(file, MARKET, NAMES) == known(file) != {}


def test_a_bar_of_a_session_that_still_runs_is_no_completed_one() -> None:
    some = np.zeros(MARKET.width, bool)
    some[0] = True
    running = replace(MARKET, provisional=some)
    assert without_provisional(running).newest_day == MARKET.newest_day - 1
    assert without_provisional(MARKET) is MARKET
