from __future__ import annotations

import pytest

from api.problems import Problem
from api.streams.opening import tickers_named


@pytest.mark.parametrize(
    ("text", "named"),
    [("", None), ("*", None), ("aapl,*", None), ("aapl,brk.b,,", {"AAPL", "BRK-B"}), ("^GSPC", {"^GSPC"})],
)
def test_tickers_are_named_with_commas(text: str, named: set[str] | None) -> None:
    assert tickers_named(text) == named


@pytest.mark.parametrize("text", ["A B", "A;B", "A'--", "ä", "A" * 16_001, "A\n"])
def test_what_can_be_no_ticker_is_refused(text: str) -> None:
    with pytest.raises(Problem, match="wrong_request"):
        tickers_named(text)
