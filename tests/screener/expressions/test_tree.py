from __future__ import annotations

from screener.expressions.grammar import parse
from screener.expressions.tree import Infix, Number, names, parts, walk


def test_the_fields_of_an_expression_are_each_named_once_in_the_order_written() -> None:
    assert names(parse("close > prev(open) and sma50 > close and sector in ('Energy')")) == (
        "close",
        "open",
        "sma50",
        "sector",
    )


def test_walking_meets_every_node() -> None:
    tree = parse("not (close + 1 > 2)")
    assert len(list(walk(tree))) == 6
    assert parts(Number(value=1.0, start=0, end=1)) == ()
    assert isinstance(parts(tree)[0], Infix)
