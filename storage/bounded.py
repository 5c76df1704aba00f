"""A PostgreSQL connection that gives up a server gone silent. Knows no SQL and never tries again.

The server's own time-outs do not help where its answer no longer arrives: the network is cut, a machine between
hangs. TCP alone would wait for minutes, or for ever where only the far end is stopped.
"""

from __future__ import annotations

from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.rows import TupleRow

from core.clock import SystemClock

T = TypeVar("T")
CLOCK = SystemClock()


class BoundedConnection(psycopg.Connection[TupleRow]):
    """Ends itself with OperationalError where one answer takes longer than `patience_s`."""

    patience_s = 20.0

    def wait(self, gen: PQGen[T], *given: Any, **named: Any) -> T:
        return super().wait(self._bounded(gen), *given, **named)

    def _bounded(self, gen: PQGen[T]) -> PQGen[T]:
        """Pass on between the driver's conversation `gen` and its wait loop, which looks in every 0.1 s."""
        deadline_s = CLOCK.monotonic_s() + self.patience_s
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if not ready and CLOCK.monotonic_s() > deadline_s:
                    self.pgconn.finish()  # so that the roll-back does not wait once more
                    raise psycopg.OperationalError(f"no answer for {self.patience_s:g} s")
                wanted = gen.send(ready)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
