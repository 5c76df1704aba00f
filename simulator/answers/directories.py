"""Nasdaq's symbol directories of this market: nasdaqlisted.txt and otherlisted.txt as its site gives them. No I/O."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from market.eastern import to_local
from simulator.world.listings import Listing
from simulator.world.walk import Market

HOSTS = frozenset({"www.nasdaqtrader.com", "ftp.nasdaqtrader.com"})
NASDAQ_HEAD = "Symbol|Security Name|Market Category|Test Issue|Financial Status|Round Lot Size|ETF|NextShares"
OTHER_HEAD = "ACT Symbol|Security Name|Exchange|CQS Symbol|ETF|Round Lot Size|Test Issue|NASDAQ Symbol"
NASDAQ_TIERS = {"NMS": "Q", "NGM": "G", "NCM": "S"}
OTHER_EXCHANGES = {"NYQ": "N", "ASE": "A", "PCX": "P", "BTS": "Z"}
NASDAQ_TESTS = (
    "ZAZZT|Tick Pilot Test Stock Class A Common Stock|G|Y|N|100|N|N",
    "ZFZZT|Nasdaq ETF Test Stock Nasdaq ETF Test Stock|G|Y|N|100|Y|N",
)
OTHER_TESTS = (
    "ATEST|Tick Pilot Test Control Common Stock|A|ATEST|N|100|Y|ATEST",
    "ATEST.A|Tick Pilot Test Group 1 Common Stock|A|ATEST.A|N|100|Y|ATEST.A",
)
"""Both files carry test issues between the others."""
WHEN_ISSUED = "DD.V|DuPont de Nemours, Inc. Common Stock When-Issued|N|DDw|N|100|N|DD#"
"""As of 2025-10-30; Yahoo has no such symbol."""
# Yahoo's ending -> those of the columns ACT Symbol, CQS Symbol, NASDAQ Symbol.
ENDINGS = {"-WT": (".W", ".WS", "+"), "-UN": (".U", ".U", "="), "-RI": (".R", "r", "^")}


def file(market: Market, path: str) -> str | None:
    """Return the directory under `path`, None if there is none."""
    match path.rpartition("/")[2].lower():
        case "nasdaqlisted.txt":
            rows = [_nasdaq_row(each) for each in _listings(market) if each.exchange in NASDAQ_TIERS]
            return _text(market, NASDAQ_HEAD, [*rows, *NASDAQ_TESTS])
        case "otherlisted.txt":
            rows = [_other_row(each) for each in _listings(market) if each.exchange in OTHER_EXCHANGES]
            return _text(market, OTHER_HEAD, [*rows, *OTHER_TESTS, WHEN_ISSUED])
    return None


def _listings(market: Market) -> Iterable[Listing]:
    return (stock.listing for stock in market.stocks.values() if stock.in_lists)


def _nasdaq_row(listing: Listing) -> str:
    is_etf = "Y" if listing.kind == "ETF" else "N"
    return f"{listing.symbol}|{listing.name}|{NASDAQ_TIERS[listing.exchange]}|N|N|100|{is_etf}|N"


def _other_row(listing: Listing) -> str:
    act, cqs, nasdaq = _other_symbols(listing.symbol)
    is_etf = "Y" if listing.kind == "ETF" else "N"
    return f"{act}|{listing.name}|{OTHER_EXCHANGES[listing.exchange]}|{cqs}|{is_etf}|100|N|{nasdaq}"


def _other_symbols(symbol: str) -> tuple[str, str, str]:
    """Return the symbol as the ACT, CQS and NASDAQ columns spell it: BRK-B -> BRK.B, ABR-PD -> ABR$D, ABRpD, ABR-D."""
    base, dash, ending = symbol.partition("-")
    if not dash:
        return symbol, symbol, symbol
    if found := ENDINGS.get(dash + ending):
        act, cqs, nasdaq = found
        return base + act, base + cqs, base + nasdaq
    if ending.startswith("P"):
        return f"{base}${ending[1:]}", f"{base}p{ending[1:]}", f"{base}-{ending[1:]}"
    return f"{base}.{ending}", f"{base}.{ending}", f"{base}.{ending}"


def _text(market: Market, head: str, rows: Iterable[str]) -> str:
    """Return the file: rows in order of the symbol, the time of its making as the trailer."""
    made = to_local(datetime.fromtimestamp(market.now_s, UTC))
    trailer = f"File Creation Time: {made:%m%d%Y%H:%M}" + "|" * head.count("|")
    return "\r\n".join([head, *sorted(rows), trailer, ""])
