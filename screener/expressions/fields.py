"""What an expression may name: fields with their kinds, and where their values come from. Computes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Kind = Literal["number", "flag", "text"]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """`dated`: its value at any past bar can be told from the bars up to it; else only today's is known.
    `market_wide`: its value depends on the other tickers too. `signed`: a flag that compares as a number, above 0 for
    the one direction and below for the other."""

    name: str
    kind: Kind = "number"
    unit: str = ""
    doc: str = ""
    dated: bool = True
    market_wide: bool = False
    signed: bool = False


@dataclass(frozen=True, slots=True)
class TextColumn:
    """`codes[i]` is the place of ticker i's text in `shown`, -1 where there is none; `words` finds it case-folded."""

    codes: NDArray[np.int32]
    words: Mapping[str, int] = field(default_factory=dict)
    shown: Sequence[str] = ()

    @classmethod
    def of(cls, texts: Iterable[str | None]) -> TextColumn:
        """Return the column of these texts; those that differ in case alone are one."""
        words: dict[str, int] = {}
        shown: list[str] = []
        codes: list[int] = []
        for text in texts:
            if text is None:
                codes.append(-1)
                continue
            code = words.setdefault(text.casefold(), len(shown))
            if code == len(shown):
                shown.append(text)
            codes.append(code)
        return cls(np.array(codes, np.int32), words, shown)

    def text(self, place: int) -> str | None:
        code = int(self.codes[place])
        return None if code < 0 else self.shown[code]


class Source(Protocol):
    """Values of one market at one moment; row -1 is each ticker's newest bar."""

    @property
    def tickers(self) -> int:
        """How many."""

    def kind(self, name: str) -> Kind:
        """Return whether it is a number, a flag or a text."""

    def numbers(self, name: str, rows: int) -> NDArray[Any]:
        """Return the last `rows` rows of a number, oldest first, NaN where not known; or (tickers,) if not dated."""

    def flags(self, name: str, rows: int) -> tuple[Bools, Bools]:
        """Return (yes, no) of a flag in the same shape; both False where not known."""

    def texts(self, name: str) -> TextColumn:
        """Return a text of each ticker."""

    def sessions(self, rows: int) -> NDArray[np.int32]:
        """Return the session of each of the last `rows` bars in days since 1970-01-01, 0 where there is no bar."""

    def reach(self, rows: int) -> int:
        """Return how many rows hold whole sessions as far back as the last `rows` bars of any current ticker; 1: 1."""

    def current(self) -> Bools:
        """Return which tickers' newest bar counts as today's: only these are ranked."""
