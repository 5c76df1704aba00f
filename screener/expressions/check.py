"""Checks a tree: fields, types, what was known when, cost. Computes no value of a ticker."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NoReturn

from market.sectors import NAMES, yahoo_sector
from screener.expressions.errors import ExpressionError
from screener.expressions.fields import Field, Kind
from screener.expressions.grammar import parse
from screener.expressions.tree import Call, Infix, Name, Node, Number, OneOf, Prefix, Text, names, walk

LONGEST_LOOK_BACK = 250
"""Bars that prev() may go back, all of its nested ones together."""
DEAREST = 20_000
"""Passes over one row of the market that an expression may cost."""
RANKING = 20
"""Passes that a ranking costs."""
ACROSS = ("rank", "percentile", "top", "bottom")
LOOKS_BACK = ("prev", "crosses_above", "crosses_below")
ARITHMETIC = ("+", "-", "*", "/")
Known = Literal["always", "now"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """An expression that can be evaluated. `look_back`: bars before the newest that it needs.
    `now_only`: its fields of which only today's value is known. `cost`: passes over one row of the market."""

    text: str
    tree: Node
    kind: Kind
    fields: tuple[str, ...]
    now_only: tuple[str, ...]
    market_wide: bool
    look_back: int
    cost: int


def check(text: str, known: Mapping[str, Field], *, want: Kind = "flag") -> Checked:
    """Return the checked expression; ExpressionError says with a caret what is wrong and what would be right."""
    tree = parse(text)
    checker = _Checker(text, known)
    kind = checker.kind_of(tree)
    if kind != want:
        rights = {"flag": "compare it, like rsi14 < 30", "number": "give a number, like rsi14", "text": ""}
        checker.fail(tree, f"this is a {kind}, a {want} is wanted", rights[want])
    fields = names(tree)
    if not fields:
        checker.fail(tree, "names no field, so it is the same for every ticker", "see `tickerd scan fields`")
    cost = checker.cost_of(tree, 1)
    if cost > DEAREST:
        checker.fail(tree, f"costs {cost:,} passes over the market, at most {DEAREST:,} are made", "look back less far")
    across = any(isinstance(node, Call) and node.name in ACROSS for node in walk(tree))
    return Checked(
        text=text,
        tree=tree,
        kind=kind,
        fields=fields,
        now_only=tuple(name for name in fields if not known[name].dated),
        market_wide=across or any(known[name].market_wide for name in fields),
        look_back=checker.look_back_of(tree),
        cost=cost,
    )


def constant(node: Node) -> float | None:
    """Return the value of a node that is made of numbers alone, NaN where it has none; None for any other."""
    if isinstance(node, Number):
        return node.value
    if isinstance(node, Prefix) and node.sign == "-":
        value = constant(node.of)
        return None if value is None else -value
    if isinstance(node, Infix) and node.sign in ARITHMETIC:
        left, right = constant(node.left), constant(node.right)
        return None if left is None or right is None else _computed(node.sign, left, right)
    return None


def _computed(sign: str, left: float, right: float) -> float:
    if sign == "/":
        return left / right if right else math.nan
    return left + right if sign == "+" else left - right if sign == "-" else left * right


class _Checker:
    def __init__(self, text: str, known: Mapping[str, Field]) -> None:
        self._text, self._known = text, known
        self._kinds: dict[int, Kind] = {}  # each node is asked once: a nest of calls would double with each level

    def fail(self, node: Node, reason: str, right: str = "") -> NoReturn:
        raise ExpressionError(reason, text=self._text, start=node.start, end=node.end, right=right)

    def kind_of(self, node: Node) -> Kind:
        if id(node) not in self._kinds:
            self._kinds[id(node)] = self._found_kind(node)
        return self._kinds[id(node)]

    def _found_kind(self, node: Node) -> Kind:
        kinds: dict[type[Node], Callable[..., Kind]] = {
            Name: self._name,
            Prefix: self._prefix,
            Infix: self._infix,
            Call: self._call,
            OneOf: self._one_of,
        }
        if isinstance(node, Number):
            return "number"
        return kinds[type(node)](node) if type(node) in kinds else "text"

    def _name(self, node: Name) -> Kind:
        if node.name in self._known:
            return self._known[node.name].kind
        if node.name in SHAPES:
            self.fail(node, f"{node.name} is a function", f"write {SHAPES[node.name].example}")
        near = difflib.get_close_matches(node.name, self._known, n=1)
        right = f'did you mean "{near[0]}"?' if near else "`tickerd scan fields` lists them"
        self.fail(node, f'unknown field "{node.name}"', right)

    def _prefix(self, node: Prefix) -> Kind:
        wanted: Kind = "flag" if node.sign == "not" else "number"
        self._want(node.of, wanted, f'"{node.sign}"')
        return wanted

    def _infix(self, node: Infix) -> Kind:
        if node.sign in ("and", "or"):
            self._want(node.left, "flag", f'"{node.sign}"')
            self._want(node.right, "flag", f'"{node.sign}"')
            return "flag"
        if node.sign in ARITHMETIC:
            return self._arithmetic(node)
        left, right = self._compared(node.left, node.right), self._compared(node.right, node.left)
        if left != right:
            self.fail(node, f"compares a {left} with a {right}", "compare like with like")
        if left != "number" and node.sign not in ("==", "!="):
            self.fail(node, f'a {left} is not smaller or larger than another: "{node.sign}"', 'use "==" or "!="')
        if left == "flag":
            self.fail(node, "a flag is compared with a flag", 'use the flag itself, or "not" before it')
        if left == "text":
            self._texts(node, node.left, (node.right,))
        return "flag"

    def _compared(self, node: Node, other: Node) -> Kind:
        """A signed flag is a number beside a number."""
        kind = self.kind_of(node)
        return "number" if self._is_signed(node) and self.kind_of(other) == "number" else kind

    def _is_signed(self, node: Node) -> bool:
        return isinstance(node, Name) and self._known[node.name].signed

    def _arithmetic(self, node: Infix) -> Kind:
        self._want(node.left, "number", f'"{node.sign}"')
        self._want(node.right, "number", f'"{node.sign}"')
        if node.sign == "/" and constant(node.right) == 0:
            self.fail(node.right, "divides by zero", "divide by something else")
        value = constant(node)
        if value is not None and not math.isfinite(value):
            self.fail(node, "has no finite value", "use smaller numbers")
        return "number"

    def _one_of(self, node: OneOf) -> Kind:
        kind = self.kind_of(node.of)
        for choice in node.choices:
            if self.kind_of(choice) != kind or isinstance(choice, Name):
                self.fail(choice, f'the list after "in" must hold {kind}s as they are written', "list the values")
        if kind == "flag":
            self.fail(node, 'a flag is not "in" a list', "use the flag itself")
        if kind == "text":
            self._texts(node, node.of, node.choices)
        return "flag"

    def _texts(self, node: Node, left: Node, choices: Sequence[Node]) -> None:
        """A text field on the left, written texts on the right; a sector's name must be one."""
        if not isinstance(left, Name) or not all(isinstance(choice, Text) for choice in choices):
            self.fail(node, "a text field is compared with a written text", 'write it like sector == "Energy"')
        if left.name != "sector":
            return
        for choice in choices:
            assert isinstance(choice, Text)
            if yahoo_sector(choice.value) is None:
                near = difflib.get_close_matches(choice.value, NAMES, n=1)
                right = f'did you mean "{near[0]}"?' if near else f"known: {', '.join(NAMES)}"
                self.fail(choice, f'there is no sector "{choice.value}"', right)

    def _call(self, node: Call) -> Kind:
        shape = SHAPES.get(node.name)
        if shape is None:
            near = difflib.get_close_matches(node.name, SHAPES, n=1)
            right = f"did you mean {SHAPES[near[0]].example}?" if near else f"known: {', '.join(SHAPES)}"
            self.fail(node, f'unknown function "{node.name}"', right)
        if not shape.least <= len(node.given) <= shape.most:
            self.fail(node, f"{node.name} does not take {len(node.given)} values", f"write {shape.example}")
        if node.name == "known":
            self.kind_of(node.given[0])
            return "flag"
        return self._shaped(node, shape)

    def _shaped(self, node: Call, shape: Shape) -> Kind:
        first = self.kind_of(node.given[0])
        counted = node.given[1:] if shape.count else ()
        for value in node.given[:1] if shape.count else node.given:
            if node.name == "prev" and first != "text":
                continue
            self._want(value, "number", node.name)
        for value in counted:
            self._whole(node, value, shape)
        if node.name in (*LOOKS_BACK, *ACROSS) and not names(node):
            self.fail(node, "is the same for every ticker at any time", f"write {shape.example}")
        if node.name in LOOKS_BACK:
            self._dated(node)
        return first if node.name == "prev" else shape.gives

    def _whole(self, node: Call, value: Node, shape: Shape) -> None:
        number = constant(value)
        if number is None or number != number // 1 or not 1 <= number <= shape.largest:
            reason = f"{node.name} wants a whole number from 1 to {shape.largest:,} here"
            self.fail(value, reason, f"write {shape.example}")

    def _dated(self, node: Call) -> None:
        for part in (part for given in node.given for part in walk(given)):
            if isinstance(part, Name) and not self._known[part.name].dated:
                reason = f"only today's {part.name} is known, {node.name} needs an earlier one"
                self.fail(part, reason, "use a field that comes from bars")

    def _want(self, node: Node, kind: Kind, where: str) -> None:
        found = self.kind_of(node)
        if found != kind and not (kind == "number" and self._is_signed(node)):
            rights = {"flag": "compare it, like rsi14 < 30", "number": "use a field that is a number", "text": ""}
            self.fail(node, f"{where} wants a {kind}, this is a {found}", rights[kind])

    def look_back_of(self, node: Node) -> int:
        """Return how many bars before the newest the node needs; ExpressionError if that is too many."""
        own = 0
        parts = _parts(node)
        if isinstance(node, Call) and node.name in LOOKS_BACK:
            own = 1 if node.name != "prev" else _count(node)
        total = own + max((self.look_back_of(part) for part in parts), default=0)
        if total > LONGEST_LOOK_BACK:
            self.fail(node, f"looks {total} bars back, at most {LONGEST_LOOK_BACK} are kept", "look back less far")
        return total

    def cost_of(self, node: Node, rows: int) -> int:
        """Return the passes over one row of the market that the node costs if `rows` rows of it are asked."""
        inner = rows
        if isinstance(node, Call) and node.name in LOOKS_BACK:
            inner += 1 if node.name != "prev" else min(_count(node), LONGEST_LOOK_BACK)
        own = RANKING if isinstance(node, Call) and node.name in ACROSS else 1
        return own * rows + sum(self.cost_of(part, inner) for part in _parts(node))


def _parts(node: Node) -> tuple[Node, ...]:
    """The parts that are evaluated: not the count after a comma."""
    if isinstance(node, Call) and SHAPES[node.name].count:
        return node.given[:1]
    return node.given if isinstance(node, Call) else _plain_parts(node)


def _plain_parts(node: Node) -> tuple[Node, ...]:
    if isinstance(node, Infix):
        return node.left, node.right
    if isinstance(node, Prefix | OneOf):
        return (node.of,)
    return ()


def _count(node: Call) -> int:
    return int(constant(node.given[1]) or 1) if len(node.given) > 1 else 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What a function takes. `count`: what follows the first value is a whole number of at most `largest`."""

    least: int
    most: int
    gives: Kind
    example: str
    doc: str
    count: bool = False
    largest: int = 0


SHAPES: Mapping[str, Shape] = {
    "prev": Shape(
        least=1,
        most=2,
        gives="number",
        example="prev(close, 1)",
        doc="the value so many bars ago (1 if not said)",
        count=True,
        largest=LONGEST_LOOK_BACK,
    ),
    "crosses_above": Shape(
        least=2,
        most=2,
        gives="flag",
        example="crosses_above(close, sma50)",
        doc="above now, not above one bar ago",
    ),
    "crosses_below": Shape(
        least=2,
        most=2,
        gives="flag",
        example="crosses_below(close, sma50)",
        doc="below now, not below one bar ago",
    ),
    "between": Shape(
        least=3, most=3, gives="flag", example="between(rsi14, 40, 60)", doc="at least the one, at most the other"
    ),
    "rank": Shape(
        least=1, most=1, gives="number", example="rank(market_cap) <= 100", doc="1 for the largest of the market"
    ),
    "percentile": Shape(
        least=1, most=1, gives="number", example="percentile(rvol) > 95", doc="percent of the market below it, 0-100"
    ),
    "top": Shape(
        least=2,
        most=2,
        gives="flag",
        example="top(rs_rating, 50)",
        doc="among the so many largest",
        count=True,
        largest=100_000,
    ),
    "bottom": Shape(
        least=2,
        most=2,
        gives="flag",
        example="bottom(rsi14, 50)",
        doc="among the so many smallest",
        count=True,
        largest=100_000,
    ),
    "abs": Shape(least=1, most=1, gives="number", example="abs(gap_percent)", doc="without its sign"),
    "min": Shape(least=2, most=8, gives="number", example="min(open, close)", doc="the smallest of them"),
    "max": Shape(least=2, most=8, gives="number", example="max(open, close)", doc="the largest of them"),
    "known": Shape(least=1, most=1, gives="flag", example="known(pe_ratio)", doc="whether there is a value"),
}
