"""An expression on bars of the past: for the back-test, and what was not known then. Opens nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from screener.cube.bars import Bars
from screener.expressions.check import Checked, check
from screener.expressions.errors import ExpressionError
from screener.expressions.evaluate import matches
from screener.expressions.fields import Bools
from screener.expressions.tree import Name, walk
from screener.jobs.families import families
from screener.jobs.market import Columns, Family, Market
from screener.patterns.window import Limits, Window


@dataclass
class Past:
    """`fire` is what a back-test asks. `biased`: fields of which today's value stands for every day."""

    checked: Checked
    bars: Bars
    families: Sequence[Family]
    columns: Columns | None = None

    @property
    def biased(self) -> tuple[str, ...]:
        return self.checked.now_only

    def fire(self, window: Window) -> Bools:
        """Return where the expression holds, in the window's rows and columns."""
        if self.checked.market_wide:
            places = {ticker: place for place, ticker in enumerate(self.bars.tickers)}
            which = [places[ticker] for ticker in window.bars.tickers]
            held: Bools = self._whole[-window.rows :][:, which]
            return held
        return self._over(window.bars, window.rows)

    @cached_property
    def _whole(self) -> Bools:
        """Rankings are among all tickers of a session, however the window cuts them."""
        return self._over(self.bars, self.bars.rows)

    def _over(self, bars: Bars, rows: int) -> Bools:
        market = Market(bars, self.families, self.columns)
        market.prepare(self.checked.fields, rows + self.checked.look_back)
        found: Bools = np.array(matches(self.checked, market, rows=rows).yes)
        return found


def compiled(
    text: str,
    bars: Bars,
    *,
    columns: Columns | None = None,
    allow_biased: bool = False,
    limits: Limits | None = None,
) -> Past:
    """Return the expression for the past; ExpressionError if it is wrong or was not known then."""
    standard = families(limits)
    checked = check(text, Market(bars, standard, columns).vocabulary)
    if not allow_biased:
        refuse_biased(checked)
    return Past(checked, bars, standard, columns)


def refuse_biased(checked: Checked) -> None:
    """Raise ExpressionError at the first field of which only today's value is known."""
    for node in walk(checked.tree):
        if isinstance(node, Name) and node.name in checked.now_only:
            raise ExpressionError(
                f"only today's {node.name} is known, not what it was then",
                text=checked.text,
                start=node.start,
                end=node.end,
                right="leave it out, or give --biased to take today's value and have the answer labelled",
            )
