"""What may be ordered of a running practice market, and asked of it: one value an order. Carries nothing out."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from core.errors import FixByHand

Count = Annotated[int, Meta(ge=0)]


class Order(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="do", tag=str.lower):
    """In JSON the name stands under "do": {"do": "fault", "name": "mute", "values": {"for_s": 30}}."""


class Fault(Order, frozen=True, kw_only=True):
    """Let something go wrong. `name` may be the whole text of the command line: mute=30s@10s."""

    name: str
    values: dict[str, Any] = {}


class Clear(Order, frozen=True, kw_only=True):
    """End a fault by its number, all of a name, or all, also those whose time has not come."""

    name: str | None = None
    number: int | None = None


class Faults(Order, frozen=True, kw_only=True):
    """Tell the faults that are on."""


class Event(Order, frozen=True, kw_only=True):
    """Let something happen to a ticker: halt, split, ..."""

    event: str
    ticker: str
    details: dict[str, Any] = {}


class Fleet(Order, frozen=True, kw_only=True):
    """Tell the proxies."""


class Proxies(Order, frozen=True, kw_only=True):
    """Open more proxies of one kind."""

    kind: str
    count: Count = 1
    protocol: str = "http"
    exit: str = ""


class Turn(Order, frozen=True, kw_only=True):
    """Make a proxy one of another kind."""

    address: str
    kind: str


class Requests(Order, frozen=True, kw_only=True):
    """Tell the HTTP requests after the number `since`; the others are patterns with * and ?."""

    since: Count = 0
    host: str = "*"
    path: str = "*"
    proxy: str = "*"
    exit: str = "*"


class Connections(Order, frozen=True, kw_only=True):
    """Tell the connections after the number `since`."""

    since: Count = 0
    host: str = "*"
    proxy: str = "*"


class Prices(Order, frozen=True, kw_only=True):
    """Tell each ticker's last price and the second of its last trade."""


class Price(Order, frozen=True, kw_only=True):
    """Tell a ticker's last price as of a second."""

    ticker: str
    at_s: int


class Sent(Order, frozen=True, kw_only=True):
    """Tell when a ticker's price went out over which stream."""

    ticker: str
    since_s: int = 0


class Check(Order, frozen=True, kw_only=True):
    """Tell which rows of a table are wrong: ticker -> (price, second of its trade)."""

    table: dict[str, tuple[float, int]]
    lag_s: Annotated[float, Meta(ge=0)] = 3.0


class Status(Order, frozen=True, kw_only=True):
    """Tell how the market stands."""


ORDERS: tuple[type[Order], ...] = tuple(Order.__subclasses__())
NAMES = ", ".join(order.__name__.lower() for order in ORDERS)
_ANY: Any = None
for _order in ORDERS:
    _ANY = _order if _ANY is None else _ANY | _order


def read(document: object) -> Order:
    """Return the order that a JSON document holds; FixByHand for what is none."""
    try:
        return msgspec.convert(document, type=_ANY)  # type: ignore[no-any-return]  # one of ORDERS
    except msgspec.ValidationError as error:
        right = (
            f"known orders: {NAMES}" if "$.do" in str(error) or "`do`" in str(error) else "see docs/practice-market.md"
        )
        raise FixByHand(str(error), where="order", right=right) from error
