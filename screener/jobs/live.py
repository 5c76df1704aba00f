"""A market whose newest bars are the running session's prices, on what is known of its completed bars.

A new price does not change what the bars before it say: that is computed once until the next close, and the newest row
alone anew, by the state of `screener.measures.state`. What the state does not hold is computed from the bars, which are
joined only if something asks for them. Gives what the joined bars would give. Reads no database.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from screener.cube.bars import Bars
from screener.cube.live import Live, with_live
from screener.expressions.fields import Bools, Floats
from screener.jobs.market import Columns, Family, Market, Matrix
from screener.measures.catalogue import find
from screener.measures.flags import flags_of, words
from screener.measures.state import NAMES, State


class LiveMarket(Market):
    """`closed`: the market of completed bars; `state` gives that of these bars, and is asked if a field wants it."""

    def __init__(
        self,
        closed: Market,
        live: Live,
        state: Callable[[], State],
        families: Sequence[Family],
        columns: Columns | None,
    ) -> None:
        super().__init__(closed.bars, families, columns, keep=closed.keep)
        self._live, self._state = live, state
        self._counts = closed.bars.counts
        self._running: Bools = live.known & (closed.sessions(1)[-1] < live.day)
        self.stands_on(closed)

    @cached_property
    def bars(self) -> Bars:
        return with_live(self.before().bars, self._live)

    @cached_property
    def newest_day(self) -> int:
        return self._live.day if self._running.any() else self.before().newest_day

    def part(self, which: NDArray[np.intp]) -> Bars:
        return with_live(self.before().part(which), self._live.take(which))

    @property
    def is_live(self) -> bool:
        return True

    def sessions(self, rows: int) -> NDArray[np.int32]:
        return self._joined(self.before().sessions(rows), np.int32(self._live.day))

    def holds(self, name: str, rows: int) -> bool:
        """What the state holds costs next to nothing."""
        return super().holds(name, rows) or (name in NAMES and self.before().holds(name, rows))

    def flag_words(self, places: NDArray[np.intp]) -> list[tuple[str, ...]]:
        few = sorted(set(places.tolist()))
        flags = flags_of(self.part(np.array(few, np.intp)), newest_day=self.newest_day).tolist()
        said = {place: tuple(words(flag)) for place, flag in zip(few, flags, strict=True)}
        return [said[place] for place in places.tolist()]

    def from_bars(self, wanted: Sequence[str], rows: int) -> Mapping[str, Matrix]:
        quick = [name for name in wanted if name in NAMES]
        others = [name for name in wanted if name not in NAMES]
        self.before().prepare(quick, rows)
        newest = self._newest(quick)
        found = {name: self._joined(self.before().numbers(name, rows), newest[name]) for name in quick}
        return found | self.of_bars(self.bars, others, rows) if others else found

    def _newest(self, names: Sequence[str]) -> dict[str, Floats]:
        """Return the newest row of each; a measure's first value ever is of the bars, the state has no past for it."""
        values = {name: self._values[name] for name in names}
        warmups = {measure.warmup_bars for name in names if (measure := find(name)) is not None}
        first = np.flatnonzero(self._running & np.isin(self._counts + 1, list(warmups)))
        if len(first):
            for name, rows in self.of_bars(self.part(first), names, 1).items():
                values[name] = values[name].copy()
                values[name][first] = rows[-1]
        return values

    @cached_property
    def _values(self) -> Mapping[str, Floats]:
        return self._state().values(self._live)

    def _joined(self, completed: NDArray[Any], newest: Any) -> NDArray[Any]:
        """Return the rows with the newest one of the tickers that have a price, whose older ones move up."""
        joined = completed.copy()
        joined[:-1, self._running] = completed[1:, self._running]
        joined[-1] = np.where(self._running, newest, completed[-1])
        return joined
