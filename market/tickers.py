"""Tickers in Yahoo's form (BRK-B, ABR-PD), whatever form they were written in. Knows no list of tickers."""

from __future__ import annotations

import re

from core.errors import FixByHand

MAX_SHOWN_CHARS = 20
"""How much of a refused text is shown: twice the longest ticker in any form."""

_YAHOO_FORM = re.compile(r"[A-Z]{1,5}(?:-(?:[A-Z]|P[A-Z]|W[IST]|WT[A-Z]|UN|RI))?")
_PREFERRED = re.compile(r"([A-Z]{1,5})(?:\^|[./]PR[./]?|-PR(?=[A-Z]))([A-Z]?)")
_OTHER = re.compile(r"([A-Z]{1,5})[./]([A-Z]{1,2})")

_YAHOO_SUFFIX = {"WS": "WT", "U": "UN", "RT": "RI"}
"""Warrants, units and rights as the exchanges write them -> as Yahoo does."""

_FOREIGN_LETTERS = frozenset("FLTV")
"""Yahoo's one-letter suffixes of Frankfurt, London, Tokyo and TSX Venture; no US share class uses them."""


class BadTicker(FixByHand):
    """Text that is not a ticker of a US exchange. `raw` is the text, cut to MAX_SHOWN_CHARS."""

    def __init__(self, raw: str | None, reason: str) -> None:
        self.raw = raw if raw is None else raw[:MAX_SHOWN_CHARS]
        super().__init__(f"{self.raw!r} {reason}", right="write a US ticker like AAPL, BRK.B or ABR^D")


def normalise_ticker(raw: str | None) -> str:
    """Yahoo's form of a US ticker in any common form: `brk.b`, `BRK/B` -> BRK-B; `ABR^D`, `ABR.PRD` -> ABR-PD.

    A form with a dash is taken as Yahoo's own and kept. Raises BadTicker.
    """
    text = (raw or "").strip(" \t\r\n")
    if not text:
        raise BadTicker(raw, "is empty")
    if not text.isascii() or not text.isprintable() or " " in text:
        raise BadTicker(raw, "holds a space, a control character or a letter beyond A-Z")
    ticker = _to_yahoo(text.upper())
    if not _YAHOO_FORM.fullmatch(ticker):
        raise BadTicker(raw, "does not have the form of a US ticker")
    return ticker


def _to_yahoo(text: str) -> str:
    if preferred := _PREFERRED.fullmatch(text):
        return f"{preferred[1]}-P{preferred[2]}"
    other = _OTHER.fullmatch(text)
    if other and other[2] not in _FOREIGN_LETTERS:
        return f"{other[1]}-{_YAHOO_SUFFIX.get(other[2], other[2])}"
    return text
