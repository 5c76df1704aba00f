from __future__ import annotations

from core.errors import EXIT_USAGE
from screener.expressions.errors import WIDEST, ExpressionError


def test_the_carets_stand_under_what_is_wrong() -> None:
    error = ExpressionError(
        "unknown field", text="close > 1 and clos > 2", start=14, end=18, right='did you mean "close"?'
    )
    assert error.pointed() == 'close > 1 and clos > 2\n              ^^^^\nunknown field; did you mean "close"?'
    assert str(error) == 'column 15: unknown field; did you mean "close"?'
    assert error.exit_code == EXIT_USAGE


def test_of_several_lines_only_the_one_at_fault_is_shown() -> None:
    error = ExpressionError("wrong", text="close > 1\nand x", start=14, end=15)
    assert error.pointed() == "and x\n    ^\nwrong"


def test_a_long_line_is_cut_around_the_fault() -> None:
    text = "close > 1 and " * 50 + "x"
    line, carets, _ = ExpressionError("wrong", text=text, start=len(text) - 1, end=len(text)).pointed().splitlines()
    assert len(line) <= WIDEST and line[carets.index("^")] == "x"
