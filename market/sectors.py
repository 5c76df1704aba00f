"""The sectors' names: Yahoo's, those of GICS and of Nasdaq's screener mean the same eleven. Reads nothing."""

from __future__ import annotations

# MSCI and S&P, Global Industry Classification Standard (2023); Yahoo's names as its profiles give them.
GICS_OF_YAHOO = {
    "Basic Materials": "Materials",
    "Communication Services": "Communication Services",
    "Consumer Cyclical": "Consumer Discretionary",
    "Consumer Defensive": "Consumer Staples",
    "Energy": "Energy",
    "Financial Services": "Financials",
    "Healthcare": "Health Care",
    "Industrials": "Industrials",
    "Real Estate": "Real Estate",
    "Technology": "Information Technology",
    "Utilities": "Utilities",
}
# Nasdaq's screener has GICS' names but for these; what it calls "Miscellaneous" is no sector.
YAHOO_OF_NASDAQ = {"Finance": "Financial Services", "Telecommunications": "Communication Services"}
YAHOO_OF = {
    **{name.casefold(): yahoo for yahoo, gics in GICS_OF_YAHOO.items() for name in (yahoo, gics)},
    **{name.casefold(): yahoo for name, yahoo in YAHOO_OF_NASDAQ.items()},
}
NAMES = tuple(dict.fromkeys((*GICS_OF_YAHOO, *GICS_OF_YAHOO.values())))


def yahoo_sector(name: str) -> str | None:
    """Return Yahoo's name of the sector, whoever's name is given in whatever case; None if nobody has such a one."""
    return YAHOO_OF.get(" ".join(name.split()).casefold())
