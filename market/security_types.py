"""What kind of security a listing is, from its ticker's ending and its name. Knows no list and asks nobody."""

from __future__ import annotations

import re

TEST = "Test"
"""A test issue of an exchange: it is quoted and trades with itself, and nobody may buy it."""
ETF, COMMON = "ETF", "Common"
PREFERRED, WARRANT, UNIT, RIGHT = "Preferred", "Warrant", "Unit", "Right"

_ENDINGS = (
    (re.compile(r"-P[A-Z]?"), PREFERRED),
    (re.compile(r"-W[IST]?[A-Z]?"), WARRANT),
    (re.compile(r"-UN?"), UNIT),
    (re.compile(r"-R[IT]?"), RIGHT),
)
"""Of tickers in Yahoo's form."""
_ASIDE = re.compile(r"\([^)]*\)?|[,;]? (?:each|every|consisting|exercisable|entitling)\b.*")
"""What a security stands for is not what it is: units hold warrants, ADRs stand for preferred shares."""
_NAMES = tuple(
    (re.compile(words, re.IGNORECASE), kind)
    for words, kind in (
        (r"\bWarrants? to purchase\b", WARRANT),
        (r"\b(?:American|Global) Deposit[ao]ry\b|\bADRs?\b|\bADSs?\b(?!-)|\bNew York Registry\b", "ADR"),
        (r"\bETNs?\b|\bExchange[- ]Traded Notes?\b", "Note"),
        (r"\b(?:Notes?|Debentures?|Bonds?|Debt Securities)\b(?=.*\bdue\b|.*%|\s*$)", "Note"),
        (r"%.*\b(?:Notes|Debentures|Bonds|Subordinated)\b", "Note"),
        (r"\bPreferred (?:Shares?|Stock|Units?|Securities)\b", PREFERRED),
        (r"\bFunds?\b|\bPreferred (?:Income|and|&)", "Fund"),
        (r"\bPreferred\b|\bPreference\b|\bPfd$|\bDepositary Shares\b", PREFERRED),
        (r"\b(?:Corporate|Equity) Units\b|(?<!Common )(?<!Partnership )\bUnits?\.?$", UNIT),
        (r"\bWarrants?\b", WARRANT),
        (r"\bRights?\.?$", RIGHT),
    )
)
"""The first that fits counts."""


def security_type_of(ticker: str, name: str | None, *, is_etf: bool = False, is_test: bool = False) -> str:
    """Return Common, ADR, Preferred, Warrant, Unit, Right, Note, Fund, ETF or Test. `ticker` in Yahoo's form."""
    if is_test or is_etf:
        return TEST if is_test else ETF
    if found := re.search(r"-.+", ticker):
        for ending, kind in _ENDINGS:
            if ending.fullmatch(found[0]):
                return kind
    said = _ASIDE.sub("", name or "").strip()
    return next((kind for words, kind in _NAMES if words.search(said)), COMMON)
