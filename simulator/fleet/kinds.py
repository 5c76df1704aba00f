"""The kinds of proxies, and how a fleet is written down. Opens nothing.

What share of public proxies is of which kind: most listed ones are web servers or dead, one in ten of those that work
changes what passes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from core.errors import FixByHand
from simulator.trouble.catalogue import known

PROTOCOLS = ("http", "socks4a", "socks5")
MOST = 5_000
SHARED_EXIT = "198.18.0.1"
_FIRST_EXIT = IPv4Address("198.18.1.0")
"""198.18.0.0/15 is kept for such tests (RFC 2544): nobody's address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """`status` and `page`: the answer to a CONNECT; 200 without a page opens the tunnel. `speech`: how it is given.

    `works_each`: all but each so manyth connection are reset. `exit`: "own", "shared" or "rotating".
    `faults`: the names of those that are done to each answer inside the tunnel.
    """

    name: str
    help: str
    status: int = 200
    page: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    speech: str = "plain"
    delay_s: float = 0.0
    works_each: int = 1
    own_certificate: bool = False
    exit: str = "own"
    faults: tuple[str, ...] = ()

    @property
    def opens(self) -> bool:
        return self.status == 200 and not self.page

    @property
    def is_dead(self) -> bool:
        return self.speech == "dead"


WEB_PAGE = b"<html><head><title>400 Bad Request</title></head><body><center>cloudflare</center></body></html>"
PORTAL_PAGE = b"<html><head><title>Welcome</title></head><body>Please log in to the network.</body></html>"

KINDS = {
    kind.name: kind
    for kind in (
        Kind(name="good", help="does what it should"),
        Kind(name="slow", help="takes three seconds to open a tunnel", delay_s=3.0),
        Kind(name="flaky", help="each second connection is reset", works_each=2),
        Kind(name="dead", help="nobody listens", speech="dead"),
        Kind(name="silent", help="takes connections and never says a word", speech="silent"),
        Kind(name="auth", help="407: wants a password", status=407, headers={"proxy-authenticate": 'Basic realm="x"'}),
        Kind(name="busy", help="its own 429, not Yahoo's", status=429, headers={"retry-after": "60"}),
        Kind(name="forbidden", help="403: does not tunnel", status=403),
        Kind(name="web_server", help="no proxy: 400 and a page", status=400, page=WEB_PAGE),
        Kind(name="html", help="200 and a log-in page in place of a tunnel", page=PORTAL_PAGE),
        Kind(name="drip", help="answers with a byte each half second, for ever", speech="drip"),
        Kind(name="flood", help="answers with headers without end", speech="flood"),
        Kind(name="own_certificate", help="breaks TLS open with a certificate of its own", own_certificate=True),
        Kind(name="tamper_all", help="right certificate, every number wrong", faults=("tamper_all",)),
        Kind(name="tamper_one", help="right certificate, one number wrong", faults=("tamper_one",)),
        Kind(name="captcha", help="Yahoo asks its exit for a human, with a 200", faults=("captcha",)),
        Kind(name="limited", help="Yahoo answers its exit with 429", faults=("too_many",)),
        Kind(name="bomb", help="answers unpack to 300 MB", faults=("bomb",)),
        Kind(name="redirect", help="answers lead to a host inside", faults=("redirect",)),
        Kind(name="trickle", help="bodies come at 200 bytes a second", faults=("slow_body",)),
        Kind(name="shared", help=f"good, and leaves by {SHARED_EXIT} like all of its kind", exit="shared"),
        Kind(name="rotating", help="good, and leaves by another exit each time", exit="rotating"),
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """So many proxies of one kind. `exit`: "" = as the kind says."""

    kind: Kind
    count: int = 1
    protocol: str = "http"
    exit: str = ""


def order(*, kind: str, count: object = 1, protocol: str = "http", exit: str = "", where: str = "fleet") -> Order:
    """Return the order; FixByHand for a kind, count, protocol or exit that cannot be."""
    found = known(kind, KINDS, what="kind of proxy", where=where)
    known(protocol, dict.fromkeys(PROTOCOLS), what="protocol", where=where)
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MOST:
        raise FixByHand(f"{count!r} proxies", where=where, key=kind, right=f"give a count from 1 to {MOST}")
    if exit:
        try:
            IPv4Address(exit)
        except ValueError as error:
            raise FixByHand(
                f"{exit!r} is no address", where=where, key="exit", right="use one like 198.18.0.7"
            ) from error
    return Order(kind=found, count=count, protocol=protocol, exit=exit)


def from_text(text: str, *, where: str = "--fleet") -> list[Order]:
    """Read `KIND[/PROTOCOL]=COUNT,...`, as in `good=20,good/socks5=4,dead=10`."""
    return [_order(part.strip(), where) for part in text.split(",") if part.strip()]


def describe() -> str:
    """Return the table as a page of text."""
    return "\n".join(f"{kind.name:15} {kind.help}" for kind in KINDS.values())


def exit_address(number: int) -> str:
    """Return the made-up exit of the fleet's proxy or connection `number`."""
    return str(_FIRST_EXIT + number)


def total(orders: Iterable[Order]) -> int:
    return sum(order.count for order in orders)


def _order(part: str, where: str) -> Order:
    head, equals, count = part.partition("=")
    kind, _, protocol = head.partition("/")
    if not equals or not count.strip().isascii() or not count.strip().isdecimal():
        raise FixByHand(f"{part!r} is no KIND=COUNT", where=where, right="write it as good=20,good/socks5=4,dead=10")
    return order(kind=kind.strip(), count=int(count), protocol=protocol.strip() or "http", where=where)
