"""A checked tree -> answers over arrays. Logic has three values: what is not known neither matches nor its opposite.

Row -1 is each ticker's newest bar. A ranking is among the bars of one session: that of a ticker's earlier bar is its
place on the day of that bar, whatever row the others' bars of the day stand in. Never reads a file or a database.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from market.sectors import yahoo_sector
from screener.expressions import ranks
from screener.expressions.check import SHAPES, Checked, constant
from screener.expressions.fields import Bools, Floats, Kind, Source
from screener.expressions.tree import Call, Infix, Name, Node, Number, OneOf, Prefix, Text

COMPARE: Mapping[str, tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any]]] = {
    "<": (operator.lt, operator.ge),
    "<=": (operator.le, operator.gt),
    ">": (operator.gt, operator.le),
    ">=": (operator.ge, operator.lt),
}
COMPUTE: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
}


@dataclass(frozen=True, slots=True)
class Answer:
    """`yes`: it holds; `no`: it does not hold; neither: a value that it needs is not known."""

    yes: Any
    no: Any


def matches(checked: Checked, source: Source, *, rows: int = 1) -> Answer:
    """Return where the expression holds, each (rows, tickers), the last row being the newest bar of each ticker."""
    with np.errstate(all="ignore"):
        answer = _Evaluation(source).flag(checked.tree, rows)
    shape = (rows, source.tickers)
    return Answer(np.broadcast_to(answer.yes, shape), np.broadcast_to(answer.no, shape))


def values(checked: Checked, source: Source, *, rows: int = 1) -> Floats:
    """Return the numbers that the expression gives, (rows, tickers), NaN where not known."""
    with np.errstate(all="ignore"):
        found = _Evaluation(source).number(checked.tree, rows)
        finite = np.where(np.isfinite(found), found, np.nan)
    return np.broadcast_to(np.asarray(finite, dtype=np.float64), (rows, source.tickers))


def node_matches(node: Node, source: Source) -> Answer:
    """Return where a flag of a checked tree holds on the newest bars."""
    return _Evaluation(source).flag(node, 1)


def node_values(node: Node, source: Source) -> Floats:
    """Return the numbers of a part of a checked tree on the newest bars, (1, tickers)."""
    found = _Evaluation(source).number(node, 1)
    return np.broadcast_to(np.asarray(found, dtype=np.float64), (1, source.tickers))


class _Evaluation:
    def __init__(self, source: Source) -> None:
        self._source = source

    def number(self, node: Node, rows: int) -> Any:
        if isinstance(node, Number):
            return node.value
        if isinstance(node, Name):
            return self._source.numbers(node.name, rows)
        if isinstance(node, Prefix):
            return -self.number(node.of, rows)
        if isinstance(node, Infix):
            return _finite(COMPUTE[node.sign](self.number(node.left, rows), self.number(node.right, rows)))
        assert isinstance(node, Call)
        return self._called_number(node, rows)

    def _called_number(self, node: Call, rows: int) -> Any:
        if node.name == "prev":
            back = _count(node)
            return _rows(self.number(node.given[0], rows + back), rows + back)[:rows]
        if node.name in ("rank", "percentile"):
            across = ranks.rank if node.name == "rank" else ranks.percentile
            return self._across(node.given[0], rows, across)
        if node.name == "abs":
            return np.abs(self.number(node.given[0], rows))
        fold = np.minimum if node.name == "min" else np.maximum
        found = self.number(node.given[0], rows)
        for given in node.given[1:]:
            found = fold(found, self.number(given, rows))  # both pass NaN on
        return found

    def _across(self, node: Node, rows: int, across: ranks.Across, *, sign: int = 1) -> Floats:
        """Rank within each session; the newest one alone is one row of those who trade in it."""
        deep = self._source.reach(rows)
        given = sign * self.number(node, deep)
        spread: Floats = np.broadcast_to(np.asarray(given, dtype=np.float64), (deep, self._source.tickers))
        if deep == 1:
            return ranks.newest(spread, self._source.current(), across)
        return ranks.by_session(spread, self._source.sessions(deep), across)[-rows:]

    def flag(self, node: Node, rows: int) -> Answer:
        if isinstance(node, Name):
            return Answer(*self._source.flags(node.name, rows))
        if isinstance(node, Prefix):
            of = self.flag(node.of, rows)
            return Answer(of.no, of.yes)
        if isinstance(node, OneOf):
            return self._one_of(node, rows)
        if isinstance(node, Call):
            return self._called_flag(node, rows)
        assert isinstance(node, Infix)
        return self._infix(node, rows)

    def _infix(self, node: Infix, rows: int) -> Answer:
        if node.sign in ("and", "or"):
            left, right = self.flag(node.left, rows), self.flag(node.right, rows)
            return both(left, right) if node.sign == "and" else either(left, right)
        if isinstance(node.right, Text) and isinstance(node.left, Name):
            found = self._texts(node.left.name, (node.right.value,))
        elif node.sign in ("==", "!="):
            found = _equal(self.number(node.left, rows), self.number(node.right, rows))
        else:
            left_value, right_value = self.number(node.left, rows), self.number(node.right, rows)
            holds, fails = COMPARE[node.sign]
            return Answer(holds(left_value, right_value), fails(left_value, right_value))
        return Answer(found.no, found.yes) if node.sign == "!=" else found

    def _called_flag(self, node: Call, rows: int) -> Answer:
        if node.name in ("crosses_above", "crosses_below"):
            return self._crosses(node, rows)
        if node.name in ("top", "bottom"):
            sign = -1 if node.name == "bottom" else 1
            among = self._across(node.given[0], rows, partial(ranks.among, _count(node)), sign=sign)
            return Answer(among == 1, among == 0)
        if node.name == "known":
            return self._known(node.given[0], rows)
        if node.name == "prev":
            back = _count(node)
            of = self.flag(node.given[0], rows + back)
            return Answer(_rows(of.yes, rows + back)[:rows], _rows(of.no, rows + back)[:rows])
        value, low, high = (self.number(given, rows) for given in node.given)
        return both(Answer(value >= low, value < low), Answer(value <= high, value > high))

    def _crosses(self, node: Call, rows: int) -> Answer:
        first, second = (_rows(self.number(given, rows + 1), rows + 1) for given in node.given)
        if node.name == "crosses_below":
            first, second = second, first
        now, before = (first[1:], second[1:]), (first[:-1], second[:-1])
        above = Answer(now[0] > now[1], now[0] <= now[1])
        return both(above, Answer(before[0] <= before[1], before[0] > before[1]))

    def _known(self, node: Node, rows: int) -> Answer:
        kind = self._kind(node)
        if isinstance(node, Name) and kind == "text":
            known: Any = self._source.texts(node.name).codes >= 0
        elif kind == "flag":
            answer = self.flag(node, rows)
            known = answer.yes | answer.no
        else:
            known = np.isfinite(self.number(node, rows))
        return Answer(known, ~np.asarray(known))

    def _kind(self, node: Node) -> Kind:
        """Return the kind of a node that was checked."""
        if isinstance(node, Name):
            return self._source.kind(node.name)
        if isinstance(node, Call):
            return self._kind(node.given[0]) if node.name == "prev" else SHAPES[node.name].gives
        arithmetic = isinstance(node, Infix) and node.sign in COMPUTE
        minus = isinstance(node, Prefix) and node.sign == "-"
        return "number" if arithmetic or minus or isinstance(node, Number) else "flag"

    def _one_of(self, node: OneOf, rows: int) -> Answer:
        if isinstance(node.of, Name) and all(isinstance(choice, Text) for choice in node.choices):
            return self._texts(node.of.name, [choice.value for choice in node.choices if isinstance(choice, Text)])
        value = self.number(node.of, rows)
        equals = [_equal(value, self.number(choice, rows)) for choice in node.choices]
        found = equals[0]
        for other in equals[1:]:
            found = either(found, other)
        return found

    def _texts(self, name: str, choices: Any) -> Answer:
        column = self._source.texts(name)
        words = (_word(name, choice) for choice in choices)
        wanted = [column.words[word] for word in words if word in column.words]
        known = column.codes >= 0
        yes: Bools = np.isin(column.codes, wanted) & known
        return Answer(yes, known & ~yes)


def both(left: Answer, right: Answer) -> Answer:
    return Answer(left.yes & right.yes, left.no | right.no)


def either(left: Answer, right: Answer) -> Answer:
    return Answer(left.yes | right.yes, left.no & right.no)


def _equal(left: Any, right: Any) -> Answer:
    known = np.isfinite(left) & np.isfinite(right)
    same = left == right
    return Answer(known & same, known & ~np.asarray(same))


def _finite(value: Any) -> Any:
    """What a division by zero or an overflow gives is not known."""
    return np.where(np.isfinite(value), value, np.nan)


def _word(name: str, text: str) -> str:
    return ((yahoo_sector(text) or text) if name == "sector" else text).casefold()


def _count(node: Call) -> int:
    return int(constant(node.given[1]) or 1) if len(node.given) > 1 else 1


def _rows(value: Any, rows: int) -> NDArray[Any]:
    """Return `value` with its rows spelt out, whatever its shape."""
    found = np.asarray(value)
    return np.broadcast_to(found, (rows, found.shape[-1] if found.ndim else 1))
