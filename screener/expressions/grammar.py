"""Tokens -> tree: a Pratt parser with a bound on depth and size. Knows no field and no type."""

from __future__ import annotations

from collections.abc import Callable

from screener.expressions.errors import ExpressionError
from screener.expressions.tokens import Token, tokens
from screener.expressions.tree import Call, Infix, Name, Node, Number, OneOf, Prefix, Text

DEEPEST = 40
MOST_NODES = 240  # a chain of so many is walked some 500 calls deep, half of what Python allows
OR, AND, NOT, COMPARE, SUM, PRODUCT, SIGN = range(10, 80, 10)
COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")
STRENGTHS = (
    {"or": OR, "and": AND, "+": SUM, "-": SUM, "*": PRODUCT, "/": PRODUCT}
    | dict.fromkeys(COMPARISONS, COMPARE)
    | dict.fromkeys(("=", "in", "not", "between", "crosses_above", "crosses_below"), COMPARE)
)
WORDS = ("and", "or", "not", "in", "between")
CLOSING = {"(": ")", "[": "]"}


def parse(text: str) -> Node:
    """Return the tree of `text`; ExpressionError with the place of what is wrong."""
    return _Parser(text).whole()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text, self._tokens, self._at = text, tokens(text), 0
        self._depth = self._nodes = 0

    def whole(self) -> Node:
        if self._peek().kind == "end":
            raise self._wrong(self._peek(), "the expression is empty", "write one like rsi14 < 30 and close > sma200")
        node = self._expression(0)
        if self._peek().kind != "end":
            raise self._wrong(self._peek(), f"{self._said(self._peek())} is not expected here", 'join with "and"')
        return node

    def _expression(self, strength: int) -> Node:
        """Read as far as signs bind stronger than `strength`."""
        self._depth += 1
        self._nodes += 1
        if self._depth > DEEPEST:
            raise self._wrong(self._peek(), f"is nested more than {DEEPEST} deep", "take brackets away")
        left = self._first()
        while (found := self._strength(self._peek())) > strength:
            self._nodes += 1
            if self._nodes > MOST_NODES:
                raise self._wrong(self._peek(), f"has more than {MOST_NODES} parts", "split it in two scans")
            left = self._joined(left, self._next(), found)
        self._depth -= 1
        return left

    def _strength(self, token: Token) -> int:
        return STRENGTHS.get(token.word, 0) if token.kind in ("sign", "name") else 0

    def _first(self) -> Node:
        token = self._next()
        place = {"start": token.start, "end": token.end}
        if token.kind == "number":
            return Number(value=token.number, **place)
        if token.kind == "text":
            return Text(value=token.word, **place)
        if token.kind == "sign" and token.word == "(":
            inside = self._expression(0)
            self._expect(")", opened=token)
            return inside
        if token.word in ("-", "+") and token.kind == "sign":
            of = self._expression(SIGN)
            return of if token.word == "+" else Prefix(sign="-", of=of, start=token.start, end=of.end)
        if token.kind == "name" and token.word == "not":
            of = self._expression(NOT)
            return Prefix(sign="not", of=of, start=token.start, end=of.end)
        if token.kind == "name" and (token.word not in WORDS or self._is_between_call(token)):
            return self._name(token)
        what = "the expression ends too early" if token.kind == "end" else f"{self._said(token)} is not expected here"
        raise self._wrong(token, what, "a field, a number, a text or a bracket belongs here")

    def _is_between_call(self, token: Token) -> bool:
        return token.word == "between" and self._peek().word == "("

    def _name(self, token: Token) -> Node:
        if self._peek().word != "(" or self._peek().kind != "sign":
            return Name(name=token.word, start=token.start, end=token.end)
        given, end = self._list(self._next())
        return Call(name=token.word, given=given, start=token.start, end=end)

    def _list(self, opened: Token) -> tuple[tuple[Node, ...], int]:
        """Return what stands up to the closing bracket, separated by commas, and the bracket's end."""
        closing = CLOSING[opened.word]
        given: list[Node] = []
        if self._peek().word != closing:
            given.append(self._expression(0))
        while self._peek().word == "," and self._peek().kind == "sign":
            self._next()
            given.append(self._expression(0))
        return tuple(given), self._expect(closing, opened=opened).end

    def _joined(self, left: Node, token: Token, strength: int) -> Node:
        if strength == COMPARE:
            special: dict[str, Callable[[Node, Token], Node]] = {
                "in": self._in,
                "not": self._not_in,
                "between": self._between,
                "crosses_above": self._crosses,
                "crosses_below": self._crosses,
                "=": self._one_equal_sign,
            }
            if token.word in special:
                return special[token.word](left, token)
        right = self._expression(strength)
        if strength == COMPARE and self._peek().word in COMPARISONS:
            raise self._wrong(self._peek(), "comparisons do not chain", "write `x between low and high`")
        return Infix(sign=token.word, left=left, right=right, start=left.start, end=right.end)

    def _in(self, left: Node, _token: Token) -> Node:
        opened = self._next()
        if opened.word not in CLOSING or opened.kind != "sign":
            raise self._wrong(opened, '"in" wants a list', 'write it like sector in ("Energy", "Utilities")')
        choices, end = self._list(opened)
        if not choices:
            raise self._wrong(opened, "the list is empty", "give at least one choice")
        return OneOf(of=left, choices=choices, start=left.start, end=end)

    def _not_in(self, left: Node, token: Token) -> Node:
        if self._peek().word != "in":
            raise self._wrong(token, '"not" is not expected here', 'write "not in", or put "and" before it')
        of = self._in(left, self._next())
        return Prefix(sign="not", of=of, start=left.start, end=of.end)

    def _between(self, left: Node, _token: Token) -> Node:
        low = self._expression(COMPARE)
        middle = self._next()
        if middle.word != "and":
            raise self._wrong(middle, '"between" wants two bounds', "write `x between low and high`")
        high = self._expression(COMPARE)
        return Call(name="between", given=(left, low, high), start=left.start, end=high.end)

    def _crosses(self, left: Node, token: Token) -> Node:
        right = self._expression(COMPARE)
        return Call(name=token.word, given=(left, right), start=left.start, end=right.end)

    def _one_equal_sign(self, _left: Node, token: Token) -> Node:
        raise self._wrong(token, '"=" sets, it does not compare', 'write "=="')

    def _peek(self) -> Token:
        return self._tokens[self._at]

    def _next(self) -> Token:
        token = self._tokens[self._at]
        self._at = min(self._at + 1, len(self._tokens) - 1)
        return token

    def _expect(self, sign: str, *, opened: Token) -> Token:
        token = self._next()
        if token.kind != "sign" or token.word != sign:
            if token.kind == "end":
                raise self._wrong(opened, "this bracket is never closed", f'add "{sign}"')
            raise self._wrong(token, f"{self._said(token)} is not expected here", f'"{sign}" or a comma belongs here')
        return token

    def _said(self, token: Token) -> str:
        return f'"{token.word}"' if token.kind != "end" else "the end"

    def _wrong(self, token: Token, reason: str, right: str) -> ExpressionError:
        return ExpressionError(reason, text=self._text, start=token.start, end=token.end, right=right)
