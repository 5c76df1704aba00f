"""Which addresses may be contacted at all: strict texts, refused networks and ports. Opens nothing, resolves nothing.

A list of proxies is a stranger's text, and a connection to what it names is a packet sent on a stranger's word. The
filter is asked when a list is read and again right before each connection.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Collection, Iterable, Sequence
from ipaddress import IPv4Network
from typing import Literal

from core.errors import FixByHand, TickerdError

Refusal = Literal["not_an_address", "bad_port", "service_port", "private", "reserved", "own", "cdn"]

_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
CANONICAL_IP = rf"{_OCTET}(?:\.{_OCTET}){{3}}"
"""RFC 6943 section 3.1.1, strict: 127.1, 0x7f000001, 2130706433, 0177.0.0.1 and full-width digits all mean 127.0.0.1
to a resolver, and nothing here."""
_IP = re.compile(CANONICAL_IP)
_PORT = re.compile("[1-9][0-9]{0,4}")
LAST_PORT = 65_535
SERVICE_PORTS = frozenset({22, 23, 25, 53, 110, 143, 445, 3306, 5432, 6379, 11211})
"""Mail, logins and databases: to connect there is to knock at a stranger's service."""

PRIVATE = (
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
)
RESERVED = (
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",  # 6to4 relays (RFC 7526); the standard library calls them global
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",  # multicast; the same
    "240.0.0.0/4",
)
"""IANA's IPv4 Special-Purpose Address Registry, what it does not call globally reachable."""


class RefusedAddress(TickerdError):
    """An address that must not be contacted."""


class AddressFilter:
    """What may be contacted. `own_networks` are allowed although private; a service's port is not, even there."""

    def __init__(
        self, *, own_networks: Iterable[str] = (), own_addresses: Collection[str] = (), edges: Iterable[str] = ()
    ) -> None:
        self._mine = _Ranges(networks(own_networks, key="proxies.own_networks"))
        self._private = _Ranges(map(IPv4Network, PRIVATE))
        self._reserved = _Ranges(map(IPv4Network, RESERVED))
        self._edges = _Ranges(map(IPv4Network, edges))
        self._own = set(own_addresses)

    def learn_own(self, address: str) -> None:
        """Refuse this address from now on: it turned out to be this host's own."""
        self._own.add(address)

    def refusal(self, ip: str, port: int) -> Refusal | None:
        """Return why `ip`:`port` must not be contacted; None if it may be."""
        if (number := ip_number(ip)) is None:
            return "not_an_address"
        if not 1 <= port <= LAST_PORT:
            return "bad_port"
        if port in SERVICE_PORTS:
            return "service_port"
        return None if number in self._mine else self._refusal_of(ip, number)

    def is_own(self, ip: str) -> bool:
        """Whether `ip` lies in one of the user's own networks."""
        number = ip_number(ip)
        return number is not None and number in self._mine

    def check(self, ip: str, port: int) -> None:
        """Raise RefusedAddress if `ip`:`port` must not be contacted: to be called right before each connection."""
        if (reason := self.refusal(ip, port)) is not None:
            right = "name its network in own_networks if it is yours" if reason in ("private", "reserved") else ""
            shown = ip[:60].encode("unicode_escape").decode()
            raise RefusedAddress(f"is not contacted: {reason}", where=f"{shown}:{port}", right=right)

    def _refusal_of(self, ip: str, number: int) -> Refusal | None:
        if number in self._private:
            return "private"
        if number in self._reserved:
            return "reserved"
        if number in self._edges:
            return "cdn"
        return "own" if ip in self._own else None


class _Ranges:
    """A set of networks that answers in a microsecond whether a number lies in one of them."""

    def __init__(self, members: Iterable[IPv4Network]) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        bounds = ((int(each.network_address), int(each.broadcast_address)) for each in members)
        for first, last in sorted(bounds):
            if self._lasts and first <= self._lasts[-1] + 1:
                self._lasts[-1] = max(last, self._lasts[-1])
            else:
                self._firsts.append(first)
                self._lasts.append(last)

    def __contains__(self, number: int) -> bool:
        place = bisect_right(self._firsts, number) - 1
        return place >= 0 and number <= self._lasts[place]


def ip_number(text: str) -> int | None:
    """Return the number of a canonical dotted quad; None for any other text."""
    if not _IP.fullmatch(text):
        return None
    first, second, third, fourth = text.split(".")
    return int(first) << 24 | int(second) << 16 | int(third) << 8 | int(fourth)


def port_number(text: str) -> int | None:
    """Return the port of a text of plain digits; None for any other text."""
    return int(text) if _PORT.fullmatch(text) and int(text) <= LAST_PORT else None


def networks(texts: Iterable[str], *, key: str) -> Sequence[IPv4Network]:
    """Return the networks; FixByHand, naming the setting `key`, for one that is none."""
    found = []
    for text in texts:
        try:
            found.append(IPv4Network(text))
        except ValueError as error:
            raise FixByHand(f"{text!r} is no network ({error})", key=key, right='write it as "10.1.2.0/24"') from error
    return found


def listed_networks(text: str) -> list[str]:
    """Return the networks of a file that holds one a line and comments."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return [line for line in lines if line]
