from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from screener.expressions.errors import ExpressionError
from screener.expressions.grammar import parse
from screener.expressions.tree import Call, Infix, Name, Node, Number, OneOf, Prefix, Text


def said(node: Node) -> str:
    """The tree with a bracket around everything."""
    if isinstance(node, Number):
        return f"{node.value:g}"
    if isinstance(node, Text):
        return repr(node.value)
    if isinstance(node, Name):
        return node.name
    if isinstance(node, Prefix):
        return f"({node.sign} {said(node.of)})"
    if isinstance(node, Infix):
        return f"({said(node.left)} {node.sign} {said(node.right)})"
    if isinstance(node, Call):
        return f"{node.name}({', '.join(map(said, node.given))})"
    assert isinstance(node, OneOf)
    return f"({said(node.of)} in {', '.join(map(said, node.choices))})"


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a + b * c - d / e", "((a + (b * c)) - (d / e))"),
        ("a - b - c", "((a - b) - c)"),
        ("-a * b", "((- a) * b)"),
        ("a > 1 or b > 2 and not c < 3", "((a > 1) or ((b > 2) and (not (c < 3))))"),
        ("not a and b", "((not a) and b)"),
        ("(a or b) and c", "((a or b) and c)"),
        ("x between 1 + 1 and 3 and y", "(between(x, (1 + 1), 3) and y)"),
        ("close crosses_above sma50 or nr7", "(crosses_above(close, sma50) or nr7)"),
        ("sector not in ['Energy', 'Utilities']", "(not (sector in 'Energy', 'Utilities'))"),
        ("prev(close, 2) <> 1", "(prev(close, 2) != 1)"),
    ],
)
def test_what_binds_stronger_is_nearer_together(text: str, tree: str) -> None:
    assert said(parse(text)) == tree


@pytest.mark.parametrize(
    ("text", "column", "reason"),
    [
        ("", 1, "empty"),
        ("   ", 4, "empty"),
        ("a >", 4, "ends too early"),
        ("(a > 1", 1, "never closed"),
        ("a > 1)", 6, "not expected"),
        ("1 < a < 3", 7, "do not chain"),
        ("a = 3", 3, "sets"),
        ("a b", 3, "not expected"),
        ("sector in 'Energy'", 11, "wants a list"),
        ("sector in ()", 11, "is empty"),
        ("a not b", 3, "not expected"),
        ("x between 1 or 2", 13, "two bounds"),
        ("prev(close, ", 13, "ends too early"),
        ("and", 1, "not expected"),
        ("lambda: 1", 7, "means nothing"),
        ("[x for x in y]", 1, "not expected"),
    ],
)
def test_a_mistake_is_pointed_at(text: str, column: int, reason: str) -> None:
    with pytest.raises(ExpressionError, match=reason) as caught:
        parse(text)
    assert caught.value.start == column - 1


@pytest.mark.parametrize(
    "text", ["(" * 3000 + "a", "-" * 3000 + "a", "not " * 900 + "a", "abs(" * 900 + "a", "a+" * 1900 + "a"]
)
def test_an_endless_expression_ends_with_an_error_and_not_with_the_stack(text: str) -> None:
    with pytest.raises(ExpressionError, match=r"nested more than|more than 240 parts"):
        parse(text)


WORDS = [
    "a",
    "1",
    "'t'",
    "(",
    ")",
    "[",
    "]",
    ",",
    "+",
    "-",
    "*",
    "/",
    "<",
    "==",
    "and",
    "or",
    "not",
    "in",
    "between",
    "prev(",
]


@given(st.lists(st.sampled_from(WORDS), max_size=30).map(" ".join))
def test_any_heap_of_words_gives_a_tree_or_one_kind_of_error(text: str) -> None:
    try:
        tree = parse(text)
    except ExpressionError as error:
        assert error.pointed()
    else:
        assert said(tree)
