"""The stream's rules for one connection, and the frames of one second. Does no I/O, reads no clock."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from simulator import wire
from simulator.faults import Faults
from simulator.walk import Market, Stock

# In a closed market the newest message is one of the evening's.
_MARKET_HOURS = {"PRE": wire.PRE, "REGULAR": wire.REGULAR, "POST": wire.POST, "CLOSED": wire.POST}


class Refused(Exception):
    """The client sent what Yahoo answers by closing the connection without a status."""


@dataclass(slots=True, kw_only=True)
class Subscription:
    """What one connection listens to: first come, first served; unknown symbols take a place."""

    faults: Faults
    symbols: dict[str, None] = field(default_factory=dict)

    def receive_text(self, text: str) -> list[str]:
        """Return the symbols that are new; raise Refused for what closes the connection."""
        orders = _orders(text)
        for symbol in orders.get("unsubscribe", []):
            self.symbols.pop(symbol, None)
        wanted = [symbol for symbol in dict.fromkeys(orders.get("subscribe", [])) if symbol not in self.symbols]
        # What is over the limit is dropped without a word: no error, no close.
        taken = wanted[: max(0, self.faults.symbols_per_connection - len(self.symbols))]
        self.symbols.update(dict.fromkeys(taken))
        return taken


def _orders(text: str) -> dict[str, list[str]]:
    try:
        orders = json.loads(text)
    except ValueError as error:
        raise Refused("not JSON") from error
    if not isinstance(orders, dict) or orders.keys() - {"subscribe", "unsubscribe"}:
        raise Refused("unknown key")
    for symbols in orders.values():
        if not isinstance(symbols, list) or not all(isinstance(symbol, str) for symbol in symbols):
            raise Refused("not a list of symbols")
    return orders


class Feed:
    """Makes a frame at most once a second and ticker, however many connections want it."""

    def __init__(self, market: Market, faults: Faults) -> None:
        self._market = market
        self._faults = faults
        self._fixed = {symbol: wire.fixed(stock) for symbol, stock in market.stocks.items()}

    def frames(self, traded: list[Stock], *, wanted: set[str]) -> dict[str, bytes]:
        """Return symbol -> frame for those of `traded` that somebody listens to."""
        stocks = [stock for stock in traded if stock.listing.symbol in wanted]
        time = wire.time_field(stocks[0].trade_time_s) if stocks else b""
        return {stock.listing.symbol: self._frame(stock, time) for stock in stocks if not self._is_gone(stock)}

    def snapshot(self, symbols: list[str]) -> bytes:
        """Return the last price of each known symbol, with the time of its last trade, however old."""
        stocks = [stock for symbol in symbols if (stock := self._market.stocks.get(symbol))]
        return b"".join(
            self._frame(stock, wire.time_field(stock.trade_time_s)) for stock in stocks if not self._is_gone(stock)
        )

    def _is_gone(self, stock: Stock) -> bool:
        return stock.listing.symbol in self._faults.drop_symbols

    def _frame(self, stock: Stock, time: bytes) -> bytes:
        if stock is self._market.canary:
            return wire.text_frame(wire.canary_message(stock))
        hours = _MARKET_HOURS[self._market.phase]
        known = self._fixed[stock.listing.symbol]
        return wire.text_frame(wire.stock_message(stock, known, time=time, market_hours=hours))
