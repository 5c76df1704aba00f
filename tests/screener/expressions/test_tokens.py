from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from screener.expressions.errors import ExpressionError
from screener.expressions.tokens import LONGEST_CHARACTERS, tokens


def test_words_numbers_texts_and_signs_are_told_apart() -> None:
    found = [(token.kind, token.word) for token in tokens("RSI14 <= 1_000.5e3 and sector == 'Real Estate'")]
    assert found == [
        ("name", "rsi14"),
        ("sign", "<="),
        ("number", "1_000.5e3"),
        ("name", "and"),
        ("name", "sector"),
        ("sign", "=="),
        ("text", "Real Estate"),
        ("end", ""),
    ]
    assert tokens("1_000.5e3")[0].number == 1_000_500.0


@pytest.mark.parametrize(
    ("text", "column", "right"),
    [
        ("a & b", 3, 'write "and"'),
        ("a | b", 3, 'write "or"'),
        ("x.y", 2, "one word"),
        ("sector == 'Energy", 11, "close the quote"),
        ("close > 1e999", 9, ""),
    ],
)
def test_what_means_nothing_is_pointed_at_with_what_would_be_right(text: str, column: int, right: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        tokens(text)
    assert caught.value.start == column - 1
    assert right in str(caught.value)


def test_a_huge_text_is_refused_before_it_is_read() -> None:
    with pytest.raises(ExpressionError, match="at most 4,000"):
        tokens("x" * (LONGEST_CHARACTERS + 1))


@given(st.text(max_size=60))
def test_any_text_gives_tokens_or_one_kind_of_error(text: str) -> None:
    try:
        found = tokens(text)
    except ExpressionError as error:
        assert error.pointed()
    else:
        assert found[-1].kind == "end"
