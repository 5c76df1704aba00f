"""The stream's rules for one connection, and the frames of one second. Does no I/O, reads no clock."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from simulator.stream import wire
from simulator.trouble.faults import Faults
from simulator.world.walk import Market, Stock

_NO_PRICES = (float("nan"), -1.0, float("inf"), 0.0)
_GARBAGE = {
    "json": wire.frame_of(b'{"type":"pricing","message":'),
    "kind": wire.frame_of(b'{"type":"earnings","message":"CgRBQVBM"}'),
    "base64": wire.frame_of(b'{"type":"pricing","message":"?!"}'),
    "protobuf": wire.frame_of(b'{"type":"pricing","message":"////////"}'),
    "binary": wire.frame_of(b"\x00\xff\x00\xff", wire.BINARY),
}
# In a closed market the newest message is one of the evening's.
_MARKET_HOURS = {"PRE": wire.PRE, "REGULAR": wire.REGULAR, "POST": wire.POST, "CLOSED": wire.POST}


class Refused(Exception):
    """The client sent what Yahoo answers by closing the connection without a status."""


@dataclass(slots=True, kw_only=True)
class Subscription:
    """What one connection listens to: first come, first served; unknown symbols take a place."""

    faults: Faults
    number: int = 0
    symbols: dict[str, None] = field(default_factory=dict)

    def receive_text(self, text: str) -> list[str]:
        """Return the symbols that are new; raise Refused for what closes the connection."""
        orders = _orders(text)
        for symbol in orders.get("unsubscribe", []):
            self.symbols.pop(symbol, None)
        wanted = [symbol for symbol in dict.fromkeys(orders.get("subscribe", [])) if symbol not in self.symbols]
        # What is over the limit is dropped without a word: no error, no close.
        taken = wanted[: max(0, self.faults.honoured_symbols(self.number) - len(self.symbols))]
        self.symbols.update(dict.fromkeys(taken))
        return taken

    def honoured(self) -> Iterable[str]:
        """Return those that are told of now: fewer than were taken, if the limit has come down since."""
        most = self.faults.honoured_symbols(self.number)
        return self.symbols if len(self.symbols) <= most else islice(self.symbols, most)


def _orders(text: str) -> dict[str, list[str]]:
    try:
        orders = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Refused("not JSON") from error
    if not isinstance(orders, dict) or orders.keys() - {"subscribe", "unsubscribe"}:
        raise Refused("unknown key")
    for symbols in orders.values():
        # Half of a surrogate pair is not printable: no ledger could tell of it.
        if not isinstance(symbols, list) or not all(isinstance(each, str) and each.isprintable() for each in symbols):
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

    def snapshot(self, symbols: list[str]) -> dict[str, bytes]:
        """Return symbol -> frame of each known one's last price, with the time of its last trade, however old."""
        return {
            stock.listing.symbol: self._frame(stock, wire.time_field(stock.trade_time_s))
            for stock in self._known(symbols)
        }

    def stale_snapshot(self, symbols: list[str], *, age_s: int) -> list[bytes]:
        """Return what a server that has slept would send: the previous close, so much older than the last trade."""
        return [
            self._frame(replace(stock, price=stock.previous_close), wire.time_field(stock.trade_time_s - age_s))
            for stock in self._known(symbols)
        ]

    def repeats(self, symbols: list[str]) -> list[bytes]:
        """Return the last second once more with a lower day volume, as was recorded of MSFT on 2020-05-15."""
        return [
            self._frame(
                replace(stock, volume=max(0, stock.volume - stock.last_size)), wire.time_field(stock.trade_time_s)
            )
            for stock in self._known(symbols)
        ]

    def garbage(self, forms: Sequence[str], symbols: list[str]) -> bytes:
        """Return a frame that is none, or one that no client may believe; each second another of `forms`."""
        stock = next(iter(self._known(symbols)), self._market.canary)
        time = wire.time_field(self._market.now_s)
        match form := forms[self._market.now_s % len(forms)]:
            case "price":
                return self._frame(replace(stock, price=_NO_PRICES[self._market.now_s % len(_NO_PRICES)]), time)
            case "ticker":
                return self._frame(replace(stock, listing=replace(stock.listing, symbol="ZVZZT")), time)
        return _GARBAGE[form]

    def _known(self, symbols: list[str]) -> list[Stock]:
        found = [stock for symbol in symbols if (stock := self._market.stocks.get(symbol))]
        return [stock for stock in found if not self._is_gone(stock)]

    def _is_gone(self, stock: Stock) -> bool:
        return stock.listing.symbol in self._faults.drop_symbols

    def _frame(self, stock: Stock, time: bytes) -> bytes:
        if stock is self._market.canary:
            return wire.text_frame(wire.canary_message(stock))
        hours = _MARKET_HOURS[self._market.phase]
        known = self._fixed.get(stock.listing.symbol)
        if known is None or known.listing is not stock.listing:  # a new or renamed ticker
            known = self._fixed[stock.listing.symbol] = wire.fixed(stock)
        return wire.text_frame(wire.stock_message(stock, known, time=time, market_hours=hours))
