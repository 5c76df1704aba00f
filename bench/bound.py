"""A bound that a benchmark is held to, and the line that says whether it was kept."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """`judged`: False where the machine was too busy for a figure in seconds."""

    what: str
    found: float
    limit: float
    at_least: bool = False
    judged: bool = True

    @property
    def missed(self) -> bool:
        return self.judged and (self.found < self.limit if self.at_least else self.found > self.limit)

    def line(self) -> str:
        verdict = "MISSED" if self.missed else "kept" if self.judged else "not judged: machine busy"
        return f"{self.what:<64}{self.found:>9.3f} {'>=' if self.at_least else '<='} {self.limit:<7g}{verdict}"
