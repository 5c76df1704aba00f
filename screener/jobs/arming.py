"""From an expression: which tickers can still fire, and how far each is from its trigger. Knows closed bars alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from screener.expressions.check import ARITHMETIC, SHAPES, Checked, constant
from screener.expressions.evaluate import node_matches, node_values
from screener.expressions.tree import Call, Infix, Name, Node, Number, Prefix, names
from screener.jobs.market import Market
from screener.jobs.priority import Armed, Floats, both, either

ARM = Mapping[str, Callable[[Market], Armed | None]]
NOT_TOLD = 1.0
"""The distance of what does not hold and cannot be measured: one usual move."""
PRICE_UNIT = "price"
USUAL_MOVE = "atr14"


def armed(checked: Checked, market: Market, patterns: ARM) -> Armed:
    """Return for each ticker whether the expression can come to hold on the next bar, and how near it is.

    `patterns`: by name, what a pattern says of itself; None where it cannot be told.
    """
    with np.errstate(all="ignore"):
        return _Arming(market, patterns).of(checked.tree)


@dataclass
class _Arming:
    market: Market
    patterns: ARM
    kinds: dict[str, str] = field(default_factory=dict)

    def of(self, node: Node) -> Armed:
        if isinstance(node, Infix) and node.sign in ("and", "or"):
            join = both if node.sign == "and" else either
            return join([self.of(node.left), self.of(node.right)])
        if isinstance(node, Infix) and node.sign in ("<", "<=", ">", ">=", "=="):
            return self._compared(node)
        if isinstance(node, Call):
            return self._called(node)
        if isinstance(node, Name) and node.name in self.patterns:
            return self._pattern(node)
        return self._as_it_is(node)

    def _compared(self, node: Infix) -> Armed:
        if not _is_number(node.left, self.market):
            return self._as_it_is(node)
        pattern = self._signed_pattern(node)
        if pattern is not None:
            return self._pattern(pattern)
        gap = self._number(node.left) - self._number(node.right)
        over = np.abs(gap) if node.sign == "==" else gap if node.sign in ("<", "<=") else -gap
        return Armed(np.isfinite(gap) | self._is_young(), np.maximum(over, 0) / self._scale(node, gap))

    def _signed_pattern(self, node: Infix) -> Name | None:
        """`cdlengulfing < 0` is that pattern."""
        found = node.left if isinstance(node.left, Name) else None
        return found if found is not None and found.name in self.patterns and constant(node.right) is not None else None

    def _called(self, node: Call) -> Armed:
        if node.name in ("crosses_above", "crosses_below"):
            gap = self._number(node.given[1]) - self._number(node.given[0])
            gap = gap if node.name == "crosses_above" else -gap
            return Armed(gap >= 0, np.abs(gap) / self._scale(node, gap))
        if node.name == "between":
            value, low, high = node.given
            place = {"start": node.start, "end": node.end}
            return both(
                [
                    self._compared(Infix(sign=sign, left=value, right=bound, **place))
                    for sign, bound in ((">=", low), ("<=", high))
                ]
            )
        return self._as_it_is(node)

    def _pattern(self, node: Name) -> Armed:
        found = self.patterns[node.name](self.market)
        return self._as_it_is(node) if found is None else found

    def _as_it_is(self, node: Node) -> Armed:
        """What holds is near; what does not may yet, unless it is a fact that the next bar does not change."""
        answer = node_matches(node, self.market)
        yes = np.broadcast_to(answer.yes, (1, self.market.tickers))[-1]
        no = np.broadcast_to(answer.no, (1, self.market.tickers))[-1]
        is_fact = all(not self.market.vocabulary[name].dated for name in names(node))
        where = ~no if is_fact else np.ones(self.market.tickers, np.bool_)
        return Armed(where, np.where(yes, 0.0, NOT_TOLD))

    def _number(self, node: Node) -> Floats:
        newest: Floats = node_values(node, self.market)[-1]
        return newest

    def _scale(self, node: Node, gap: Floats) -> Any:
        """A usual move: the ticker's own range for prices, what is usual in the market for anything else."""
        units = {self.market.vocabulary[name].unit for name in names(node)}
        if units == {PRICE_UNIT}:
            own = self.market.numbers(USUAL_MOVE, 1)[-1]
            return np.where(own > 0, own, np.nan)
        known = gap[np.isfinite(gap)]
        usual = float(np.median(np.abs(known - np.median(known)))) if len(known) else 0.0
        return usual if usual > 0 else 1.0

    def _is_young(self) -> Any:
        """A ticker too new for the field may have it tomorrow."""
        return self.market.bars.counts < 252


def _is_number(node: Node, market: Market) -> bool:
    if isinstance(node, Name):
        found = market.vocabulary[node.name]
        return found.kind == "number" or found.signed
    if isinstance(node, Call):
        return SHAPES[node.name].gives == "number"
    if isinstance(node, Infix):
        return node.sign in ARITHMETIC
    return isinstance(node, Number | Prefix)
