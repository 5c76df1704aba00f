"""The list of tickers to follow: parsed from text, completed, selected. Opens no file.

`data/universe.csv` holds facts about the symbols of the US exchanges. `data/fixed_8782.txt` is a list that
never changes, for measurements: all 7,182 symbols of it that are not ETFs, and the first 1,600 of its ETFs
that have a category, by length of the symbol, then by alphabet. Sources: NOTICE.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from core.errors import FixByHand
from market.sectors import yahoo_sector
from market.tickers import BadTicker, normalise_ticker

_DATA = Path(__file__).parent / "data"
BUNDLED_UNIVERSE = _DATA / "universe.csv"
FIXED_8782 = _DATA / "fixed_8782.txt"

MAX_LINE_CHARS = 2000
"""The longest line of the bundled list has 270; a longer one by far is not a row of a list."""

MAX_SHOWN_CHARS = 60
"""How much of a refused line is kept for the report."""

NO_SECTOR = "Miscellaneous"
"""Nasdaq's screener calls so what it does not classify."""

UNIVERSE_RIGHT = "write one US ticker per line, or a CSV with a column symbol or ticker"

_NAMES = {  # column of a file -> field of Listing
    "symbol": "ticker",
    "ticker": "ticker",
    "name": "company_name",
    "company_name": "company_name",
    "exchange": "exchange",
    "type": "security_type",
    "security_type": "security_type",
    "sector": "sector",
    "industry": "industry",
}
_LINE_END = re.compile(r"\r\n|\n|\r")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One symbol and the facts known of it; None = not known. For an ETF `industry` is its category."""

    ticker: str
    company_name: str | None = None
    exchange: str | None = None
    quote_type: str | None = None
    """Yahoo's word: "ETF" or "EQUITY"."""
    security_type: str | None = None
    sector: str | None = None
    industry: str | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A line that was left out; `text` is its beginning."""

    line: int
    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class UniverseFile:
    """The listings in the order of the file, each ticker once, and the lines left out."""

    listings: tuple[Listing, ...]
    refused: tuple[Refusal, ...]


def parse_universe(text: str, *, source: str) -> UniverseFile:
    """Read a CSV with a header, or one ticker per line with # comments; a bad line never stops the rest.

    Raises FixByHand if no line holds a valid ticker. No word is special: NA, NAN and TRUE are tickers.
    """
    lines = [
        (number, line)
        for number, line in enumerate(_LINE_END.split(text.removeprefix("\ufeff")), start=1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    header = _header(lines[0][1]) if lines else []
    if lines and not header and "," in lines[0][1]:
        raise FixByHand("no column symbol or ticker", where=f"{source}: line {lines[0][0]}", right=UNIVERSE_RIGHT)
    found: dict[str, tuple[int, Listing]] = {}
    refused: list[Refusal] = []
    for number, line in lines[1:] if header else lines:
        try:
            listing = _listing(line, header)
            if listing.ticker in found:
                raise _BadLine(f"{listing.ticker} is already on line {found[listing.ticker][0]}")
            found[listing.ticker] = (number, listing)
        except (_BadLine, BadTicker) as exc:
            refused.append(Refusal(number, line[:MAX_SHOWN_CHARS], str(exc)))
    if not found:
        why = f" (line {refused[0].line}: {refused[0].reason})" if refused else ""
        raise FixByHand(f"holds no valid ticker{why}", where=source, right=UNIVERSE_RIGHT)
    return UniverseFile(tuple(listing for _, listing in found.values()), tuple(refused))


def with_bundled_facts(listings: Iterable[Listing], bundled: Iterable[Listing]) -> tuple[Listing, ...]:
    """Fill what a listing does not say from the bundled listing of the same ticker."""
    facts = {listing.ticker: listing for listing in bundled}
    return tuple(
        _completed(listing, facts[listing.ticker]) if listing.ticker in facts else listing for listing in listings
    )


def select(listings: Iterable[Listing], *, include_etfs: bool, limit: int) -> tuple[Listing, ...]:
    """The first `limit` (0 = all) listings, with or without those known to be ETFs."""
    wanted = tuple(listing for listing in listings if include_etfs or listing.quote_type != "ETF")
    return wanted[:limit] if limit else wanted


class _BadLine(Exception):
    """Why a line is left out."""


def _header(line: str) -> list[str]:
    """The column names in lower case; empty if the line is not a header."""
    if len(line) > MAX_LINE_CHARS:
        return []
    names = [name.strip().lower() for name in next(csv.reader([line]))]
    return names if {"symbol", "ticker"} & set(names) else []


def _listing(line: str, header: list[str]) -> Listing:
    if len(line) > MAX_LINE_CHARS:
        raise _BadLine(f"has {len(line)} characters; a line has at most {MAX_LINE_CHARS}")
    if _CONTROL.search(line):
        raise _BadLine("holds a control character")
    if not header:
        return Listing(ticker=normalise_ticker(line.partition("#")[0]))
    facts = dict(_facts(line, header))
    security_type = facts.get("security_type")
    return Listing(
        ticker=normalise_ticker(facts.get("ticker")),
        company_name=facts.get("company_name"),
        exchange=facts.get("exchange"),
        quote_type=security_type and ("ETF" if security_type.upper() == "ETF" else "EQUITY"),
        security_type=security_type,
        sector=_sector(facts.get("sector")),
        industry=facts.get("industry"),
    )


def _sector(name: str | None) -> str | None:
    """One sector has one name in the table, from whichever source: Yahoo's. What is no sector is not known."""
    return None if name is None or name == NO_SECTOR else yahoo_sector(name) or name


def _facts(line: str, header: list[str]) -> Iterator[tuple[str, str]]:
    try:
        cells = next(csv.reader([line], strict=True))
    except csv.Error as exc:
        raise _BadLine(str(exc)) from exc
    if len(cells) > len(header):
        raise _BadLine(f"has {len(cells)} columns; the header has {len(header)}")
    for name, cell in zip(header, cells, strict=False):
        if name in _NAMES and cell.strip():
            yield _NAMES[name], cell.strip()


def _completed(listing: Listing, facts: Listing) -> Listing:
    return replace(
        facts,
        **{name: value for name in Listing.__slots__ if (value := getattr(listing, name)) is not None},
    )
