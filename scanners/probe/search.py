"""Where a yes turns into a no, in few tries; and what follows for the settings. Pure: asks nobody."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from core.settings import Settings


@dataclass(slots=True)
class Search:
    """`passed`: the largest number that did, 0 if none has; `failed`: the smallest that did not."""

    most: int
    passed: int = 0
    failed: int | None = None

    def next(self, hints: Iterable[int]) -> int | None:
        """Return what to try now, the first hint that would tell something, or None if all is known."""
        top = self.most + 1 if self.failed is None else self.failed
        untold = range(self.passed + 1, top)
        return next((hint for hint in hints if hint in untold), (self.passed + top) // 2) if untold else None

    def note(self, number: int, *, has_passed: bool) -> None:
        if has_passed:
            self.passed = max(self.passed, number)
        else:
            self.failed = number


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """`found`: so many are honoured at least, `refused`: so many are not, None if all that was tried passed.

    Without `found` it could not be measured, and `reason` says why.
    """

    believed: int
    found: int | None = None
    refused: int | None = None
    reason: str = ""

    @property
    def is_exact(self) -> bool:
        return self.found is not None and self.refused == self.found + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """What one connection with `symbols` busy tickers brought in `seconds_s`; `busiest_per_s`: of one ticker."""

    symbols: int = 0
    heard: int = 0
    seconds_s: float = 0.0
    messages_per_s: float | None = None
    busiest_per_s: float | None = None
    bytes_per_s: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Crumb:
    """`is_bound_to_cookie`: another's crumb is refused; None: not measured, `reason` says why."""

    is_bound_to_cookie: bool | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A setting that what was found speaks against."""

    key: str
    now: Any
    proposed: Any


def proposals(settings: Settings, *, symbols: Limit, batch: Limit) -> list[Proposal]:
    """Return what to change: where less is honoured than believed, or exactly so much more.

    One place of a connection is the canary's.
    """
    wanted = (
        ("prices.symbols_per_connection", settings.prices.symbols_per_connection, symbols, 1),
        ("metrics.batch_size", settings.metrics.batch_size, batch, 0),
    )
    found = []
    for key, now, limit, reserved in wanted:
        if limit.found is None or limit.refused is None or limit.found <= reserved:
            continue
        if (limit.is_exact or limit.refused <= limit.believed) and limit.found - reserved != now:
            found.append(Proposal(key=key, now=now, proposed=limit.found - reserved))
    return found
