"""How far a long piece of work is: one value that a terminal bar and a heartbeat both show. Prints nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """`done` of `total` items of `stage`; `eta_s` seconds to the end, None while it cannot be known."""

    stage: str
    done: int
    total: int
    eta_s: float | None = None


Reporter = Callable[[Progress], None]


def measured(stage: str, *, done: int, total: int, elapsed_s: float) -> Progress:
    """Return the progress with an ETA from the pace so far."""
    eta_s = elapsed_s / done * (total - done) if done else None
    return Progress(stage=stage, done=done, total=total, eta_s=eta_s)
