"""Nasdaq Trader's symbol directories, nasdaqlisted.txt and otherlisted.txt, as listings. Opens no file, asks nobody.

Their form: www.nasdaqtrader.com/trader.aspx?id=symboldirdefs. A file without its trailer was cut and is refused whole:
what it does not name would look unlisted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from core.errors import RetryLater
from market.security_types import security_type_of
from market.tickers import BadTicker, normalise_ticker
from market.universe import Listing, Refusal

TRAILER = "File Creation Time"
LONGEST_NAME = 300
EXCHANGES = {"A": "ASE", "N": "NYQ", "P": "PCX", "Z": "BTS"}
"""Codes of otherlisted.txt -> Yahoo's. V (IEX) and M (Chicago) list test issues alone."""
TIERS = {"Q": "NMS", "G": "NGM", "S": "NCM"}
_NASDAQ_FORM = re.compile(r"([A-Z]+)(?:([-+=^#])([A-Z]?)|\.([A-Z]))?")
_YAHOO_ENDINGS = {"-": "-P", "+": "-WT", "=": "-UN", "^": "-RI"}
"""Signs of the column NASDAQ Symbol: preferred, warrant, unit, right. # is a when-issued listing, which Yahoo lacks."""


class BadSymbolFile(RetryLater):
    """The text is no symbol directory, or not all of one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolFile:
    """`tests`: test issues of the exchanges, which are no listings; `refused`: lines that could not be used."""

    listings: tuple[Listing, ...]
    tests: frozenset[str]
    refused: tuple[Refusal, ...]


def parse_symbol_file(text: str, *, source: str) -> SymbolFile:
    """Read either of the two files; BadSymbolFile if the header or the trailer is not there."""
    lines = text.splitlines()
    header = lines[0].split("|") if lines else []
    if not {"Security Name", "Test Issue", "ETF"} <= set(header):
        raise BadSymbolFile("is no symbol directory", where=source)
    if not lines[-1].startswith(TRAILER):
        raise BadSymbolFile(f"was cut: its last line is not {TRAILER!r}", where=source)
    listings: dict[str, Listing] = {}
    tests: set[str] = set()
    refused = []
    for number, line in enumerate(lines[1:-1], start=2):
        cells = line.split("|")
        try:
            if len(cells) != len(header):
                raise BadTicker(line, f"has {len(cells)} columns, not {len(header)}")
            row = dict(zip(header, cells, strict=True))
            listing = _listing(row)
        except BadTicker as error:
            refused.append(Refusal(number, line[:60], str(error)))
            continue
        if row["Test Issue"] == "Y":
            tests.add(listing.ticker)
        else:
            listings[listing.ticker] = listing
    return SymbolFile(listings=tuple(listings.values()), tests=frozenset(tests), refused=tuple(refused))


def _listing(row: dict[str, str]) -> Listing:
    ticker = yahoo_ticker(row.get("NASDAQ Symbol") or row.get("Symbol") or "")
    name = row["Security Name"].strip()[:LONGEST_NAME] or None
    is_etf = row["ETF"] == "Y"
    return Listing(
        ticker=ticker,
        company_name=name,
        exchange=EXCHANGES.get(row.get("Exchange", "")) or TIERS.get(row.get("Market Category", "")),
        quote_type="ETF" if is_etf else "EQUITY",
        security_type=security_type_of(ticker, name, is_etf=is_etf, is_test=row["Test Issue"] == "Y"),
    )


def yahoo_ticker(symbol: str) -> str:
    """Return Yahoo's form of a NASDAQ Symbol: ABR-D -> ABR-PD, RAC+ -> RAC-WT, BRK.B -> BRK-B. Raises BadTicker."""
    found = _NASDAQ_FORM.fullmatch(symbol)
    if found is None or found[2] == "#":
        raise BadTicker(symbol, "is no symbol that Yahoo has")
    if found[4]:
        return normalise_ticker(f"{found[1]}-{found[4]}")
    return normalise_ticker(found[1] + (_YAHOO_ENDINGS[found[2]] + found[3] if found[2] else ""))
