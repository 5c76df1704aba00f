"""What the practice market trades: the bundled start prices, or a list of tickers. Never moves a price."""

from __future__ import annotations

import csv
import gzip
import io
import random
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from core.errors import FixByHand
from core.files import read_text

DATA = Path(__file__).parents[1] / "data"
CANARY = "BTC-USD"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One ticker at the start. `kind`: Common, ADR, Preferred, Warrant, Unit, Right, Note, Fund or ETF.

    `daily_volume` in shares; `market_cap_usd` None where the exchange's list has none.
    """

    symbol: str
    name: str
    exchange: str
    kind: str
    price: float
    change: float
    daily_volume: int
    market_cap_usd: int | None


@cache
def bundled() -> tuple[Listing, ...]:
    """Return the 11,817 US listings that come with the program."""
    text = gzip.decompress((DATA / "start_prices.csv.gz").read_bytes()).decode()
    return tuple(_listing(row) for row in csv.DictReader(io.StringIO(text)))


def from_file(path: Path) -> list[Listing]:
    """Return the tickers of `path`, one a line; FixByHand if it cannot be read, is empty or has a bad line."""
    symbols = dict.fromkeys(_symbols(path))
    if not symbols:
        raise FixByHand("no ticker in it", where=str(path), right="give one ticker a line")
    return chosen(symbols)


def is_ticker(text: str) -> bool:
    """Whether a ticker may be called so."""
    return text != "" and text.isascii() and text.isprintable() and " " not in text and "," not in text


def chosen(symbols: Iterable[str]) -> list[Listing]:
    """Return these tickers; one that is not bundled gets an invented price."""
    known = {listing.symbol: listing for listing in bundled()}
    return [known.get(symbol) or invented(symbol, name=symbol) for symbol in symbols]


def _symbols(path: Path) -> Iterable[str]:
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        symbol = line.strip()
        if not symbol or symbol.startswith("#"):
            continue
        if not is_ticker(symbol):
            raise FixByHand(
                f"line {number} is not a ticker: {symbol[:40]!r}", where=str(path), right="give one ticker a line"
            )
        yield symbol


def _listing(row: dict[str, str]) -> Listing:
    if not row["last_price"]:
        return invented(row["symbol"], name=row["name"], exchange=row["exchange"], kind=row["kind"])
    return Listing(
        symbol=row["symbol"],
        name=row["name"],
        exchange=row["exchange"],
        kind=row["kind"],
        price=float(row["last_price"]),
        change=float(row["net_change"] or 0),
        daily_volume=int(row["volume"] or 0),
        market_cap_usd=int(row["market_cap"]) if row["market_cap"] else None,
    )


def invented(symbol: str, *, name: str, exchange: str = "PCX", kind: str = "ETF") -> Listing:
    """Return a listing whose price (8 to 120 USD) and volume come from the symbol alone: the same at each start."""
    dice = random.Random(zlib.crc32(symbol.encode()))
    price = round(dice.uniform(8, 120), 2)
    return Listing(
        symbol=symbol,
        name=name,
        exchange=exchange,
        kind=kind,
        price=price,
        change=round(price * dice.uniform(-0.02, 0.02), 2),
        daily_volume=int(10 ** dice.uniform(2.5, 6.5)),
        market_cap_usd=None,
    )


def canary() -> Listing:
    """Return the ticker that trades day and night. Price and volume: the frame of 2026-08-13T12:03:09Z."""
    return Listing(
        symbol=CANARY,
        name="Bitcoin USD",
        exchange="CCC",
        kind="Crypto",
        price=63391.56,
        change=-674.88,
        daily_volume=42_576_977_920,
        market_cap_usd=1_272_173_820_000,
    )
