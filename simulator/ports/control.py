"""Carries out orders to a running practice market: faults, events, the fleet, the ledger. Does no I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any, get_type_hints

import msgspec

from core.errors import FixByHand
from simulator.fleet import kinds
from simulator.ports import orders
from simulator.server import PracticeServer
from simulator.trouble import catalogue
from simulator.trouble.catalogue import EVENTS, known
from simulator.world import listings


class Control:
    """Every answer can be said in JSON."""

    def __init__(self, server: PracticeServer) -> None:
        self._server = server
        self._methods: dict[type[orders.Order], Callable[[Any], Any]] = {
            orders.Fault: self._fault,
            orders.Clear: self._clear,
            orders.Faults: self._faults,
            orders.Event: self._event,
            orders.Fleet: lambda _order: server.fleet.members(),
            orders.Proxies: self._proxies,
            orders.Turn: lambda order: server.fleet.turn(order.address, order.kind),
            orders.Requests: self._requests,
            orders.Connections: self._connections,
            orders.Prices: self._prices,
            orders.Price: lambda order: server.truth.price_at(order.ticker, order.at_s),
            orders.Sent: lambda order: server.truth.sent_of(order.ticker, since_s=order.since_s),
            orders.Check: lambda order: server.truth.check(order.table, lag_s=order.lag_s),
            orders.Status: self._status,
        }

    def obey(self, document: object) -> Any:
        """Return what the order in `document` brings; TickerdError for one that is wrong."""
        order = orders.read(document)
        return msgspec.to_builtins(self._methods[type(order)](order))

    def _fault(self, order: orders.Fault) -> int:
        return self._server.order(catalogue.from_text(order.name, order.values, where="fault"))

    def _clear(self, order: orders.Clear) -> int:
        """Return how many faults ended."""
        if order.name is not None:
            known(order.name, catalogue.KINDS, what="fault", where="clear")
        ending = [
            fault
            for fault in [*self._server.waiting, *self._server.faults.active]
            if order.name in (None, fault.kind.name) and order.number in (None, fault.number)
        ]
        self._server.clear(ending)
        return len(ending)

    def _faults(self, _order: orders.Faults) -> list[dict[str, object]]:
        return [
            {"number": fault.number, "name": fault.kind.name, "values": dict(fault.values), "hits": fault.hits}
            for fault in self._server.faults.active
        ]

    def event(self, event: str, ticker: str, details: Mapping[str, object]) -> Callable[[], None]:
        """Return the event as an action; FixByHand for one that is unknown or has wrong details."""
        known(event, dict.fromkeys(EVENTS), what="event", where="event")
        if event == "list_new":
            if details:
                raise FixByHand(f"the details are {', '.join(details)}", where=event, right="give no details")
            return lambda: self._server.market.list_new(listings.chosen([ticker])[0])
        given = _details(getattr(self._server.market, event), details, where=event)
        return lambda: self._server.happen(event, ticker, **given)

    def _event(self, order: orders.Event) -> None:
        self.event(order.event, order.ticker, order.details)()

    def _proxies(self, order: orders.Proxies) -> object:
        wanted = kinds.order(kind=order.kind, count=order.count, protocol=order.protocol, exit=order.exit)
        return self._server.fleet.add([wanted])

    def _requests(self, order: orders.Requests) -> list[object]:
        return [
            asked
            for asked in self._server.ledger.requests
            if asked.number > order.since and _fits(order, asked, ("host", "path", "proxy", "exit"))
        ]

    def _connections(self, order: orders.Connections) -> list[object]:
        return [
            page
            for page in self._server.ledger.connections
            if page.number > order.since and _fits(order, page, ("host", "proxy"))
        ]

    def _prices(self, _order: orders.Prices) -> dict[str, tuple[float, int]]:
        stocks = self._server.market.stocks
        return {symbol: (stock.price, stock.trade_time_s) for symbol, stock in stocks.items()}

    def _status(self, _order: orders.Status) -> dict[str, object]:
        server = self._server
        return {
            "now_s": server.market.now_s,
            "phase": server.market.phase,
            "tickers": len(server.market.stocks),
            "streams": len(server.streams.connections),
            "messages_sent": server.messages_sent,
            "requests": server.ledger.requests_seen,
            "connections": server.ledger.connections_seen,
            "proxies": len(server.fleet.members()),
            "faults": len(server.faults.active),
            "refused_hosts": dict(server.refused_hosts),
        }


def _fits(order: orders.Order, row: object, names: Iterable[str]) -> bool:
    return all(fnmatchcase(getattr(row, name), getattr(order, name)) for name in names)


def _details(method: Callable[..., None], given: Mapping[str, object], *, where: str) -> dict[str, Any]:
    """Return an event's arguments after the ticker, in the types that the market's method has."""
    wanted = {name: kind for name, kind in get_type_hints(method).items() if name not in ("symbol", "return")}
    right = f"give {', '.join(wanted) or 'no details'}"
    if wanted.keys() != given.keys():
        raise FixByHand(f"the details are {', '.join(given) or 'none'}", where=where, right=right)
    try:
        return {name: msgspec.convert(given[name], type=kind) for name, kind in wanted.items()}
    except msgspec.ValidationError as error:
        raise FixByHand(str(error), where=where, right=right) from error
