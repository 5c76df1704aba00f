"""What a list names: entries made of cells, and why others are none. Knows no file format, asks nobody."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from proxies.addresses import CANONICAL_IP, ip_number, port_number
from proxies.model import PROTOCOLS, Protocol

NoEntry = Literal["not_an_address", "bad_port", "credentials", "other_protocol", "junk"]
"""A host name, IPv6, a range or an odd way to write an address; name and password; ftp, vmess; nothing of the kind."""

NAMES: dict[str, Protocol] = {
    "http": "http",
    "https": "http",  # an HTTP proxy that opens tunnels; TLS to the proxy itself is not meant
    "connect": "http",
    "socks4": "socks4",
    "socks4a": "socks4",
    "socks": "socks5",
    "socks5": "socks5",
    "socks5h": "socks5",
}
MAX_ENTRIES = 50_000
"""A list; the longest that was seen held 41,000."""
MAX_ROWS = 200_000
"""Lines or rows that are looked at, whatever is in them."""
LONGEST_CELL = 300

_PLAIN = re.compile(rf"(?:([a-z0-9]{{4,7}})://)?({CANONICAL_IP}):([1-9][0-9]{{0,4}})/?")
_ENDPOINT = re.compile(
    r"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.-]{0,15})://)?"
    r"(?P<host>\[[^\]\s]{0,60}\]|[^\s:/\[\]]{1,255}):(?P<port>[^\s:/]{1,12})(?P<more>:\S*)?/?"
)
_ADDRESS_LIKE = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}")
_DIGITS = re.compile("[0-9]{1,6}")
_BETWEEN_NAMES = re.compile(r"[\s,/&+]+")


@dataclass(frozen=True, slots=True)
class Entry:
    """`protocols`: as the list says; empty where it says nothing."""

    ip: str
    port: int
    protocols: tuple[Protocol, ...] = ()


@dataclass(slots=True, kw_only=True)
class Listed:
    """A list as it was read. `refused`: reason -> how many; `cut`: more stood in it than is looked at."""

    shape: str
    entries: list[Entry] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    rows: int = 0
    cut: bool = False

    def row(self) -> bool:
        """Count one more line or row; False if it is not to be looked at any more."""
        self.rows += 1
        self.cut = self.cut or self.rows > MAX_ROWS or len(self.entries) >= MAX_ENTRIES
        return not self.cut

    def take(self, found: Entry | NoEntry) -> None:
        """Keep an entry, count a refusal."""
        if isinstance(found, Entry):
            self.entries.append(found)
        else:
            self.refused[found] += 1


def entry(host: str, port: str, protocols: Sequence[Protocol] = ()) -> Entry | NoEntry:
    """Return the entry of these texts, taken strictly."""
    if ip_number(host) is None:
        return "not_an_address"
    number = port_number(port)
    return "bad_port" if number is None else Entry(host, number, tuple(protocols))


def endpoint(cell: str, protocols: Sequence[Protocol] = ()) -> Entry | NoEntry:
    """Return the entry of `[SCHEME://]IP:PORT`; `protocols` count where it has no scheme."""
    found = _PLAIN.fullmatch(cell)
    if found and (found[1] is None or found[1] in NAMES):
        return entry(found[2], found[3], (NAMES[found[1]],) if found[1] else protocols)
    _, at, there = cell.rpartition("@")
    parts = _ENDPOINT.fullmatch(there) if len(cell) <= LONGEST_CELL else None
    if parts is None:
        return "junk"
    if at or parts["more"] is not None:
        return "credentials"
    scheme = (parts["scheme"] or "").lower()
    if scheme and scheme not in NAMES:
        return "other_protocol"
    return entry(parts["host"], parts["port"], (NAMES[scheme],) if scheme else protocols)


def of_cells(cells: Sequence[str]) -> list[Entry] | NoEntry:
    """Return the entries in the cells of one row: `IP:PORT`, or an IP with its port in the next cell.

    A row without any tells why: the first reason but "junk", which a country or a time in it would give.
    """
    if not any("." in cell or ":" in cell for cell in cells):
        return "junk"
    protocols = named_protocols(cells)
    found = [_at(cells, place, protocols) for place in range(len(cells))]
    entries = [each for each in found if isinstance(each, Entry)]
    if entries:
        return entries
    reasons = [each for each in found if not isinstance(each, Entry) and each != "junk"]
    return reasons[0] if reasons else "junk"


def _at(cells: Sequence[str], place: int, protocols: Sequence[Protocol]) -> Entry | NoEntry:
    cell = cells[place]
    if _ADDRESS_LIKE.fullmatch(cell):
        following = cells[place + 1] if place + 1 < len(cells) else ""
        return entry(cell, following, protocols) if _DIGITS.fullmatch(following) else "junk"
    return endpoint(cell, protocols)


def named_protocols(cells: Iterable[str]) -> tuple[Protocol, ...]:
    """Return the protocols that whole cells name: "SOCKS4", "HTTP, HTTPS"."""
    named: set[Protocol] = set()
    for cell in cells:
        words = _BETWEEN_NAMES.split(cell.lower()) if len(cell) <= LONGEST_CELL else []
        if words and all(word in NAMES for word in words):
            named.update(NAMES[word] for word in words)
    return tuple(protocol for protocol in PROTOCOLS if protocol in named)
