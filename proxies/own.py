"""Your own and paid proxies: their addresses, and the names and passwords that no table and no log ever holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

from core.errors import FixByHand
from proxies.addresses import ip_number
from proxies.formats.entries import NAMES
from proxies.model import SCHEMES, Address

SESSION = "{session}"
RIGHT = 'write it as "http://USER:PASSWORD@IP:PORT"'
CURL_NAMES = {name for name in NAMES if name not in ("connect", "socks")}


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnProxies:
    """`urls`: whole address with its password, by address. `gateways`: those that a host name or a session makes."""

    urls: Mapping[Address, str] = field(default_factory=dict)
    gateways: tuple[str, ...] = ()

    def url(self, address: Address) -> str:
        """Return how to reach `address`: with its password if it is one of these."""
        return self.urls.get(address, address.url)

    def is_listed(self, address: Address) -> bool:
        return address in self.urls

    def has_password(self, address: Address) -> bool:
        return "@" in self.urls.get(address, "")


def read_own(texts: Iterable[str], *, key: str = "proxies.own") -> OwnProxies:
    """Read `[proxies] own`; FixByHand, without its password, for a text that is no proxy."""
    urls: dict[Address, str] = {}
    gateways: list[str] = []
    for number, text in enumerate(texts, 1):
        parts = _parts(text)
        if parts is None:
            raise FixByHand(f"number {number} is no proxy", key=key, right=RIGHT)
        if SESSION in text or ip_number(parts.hostname or "") is None:
            gateways.append(text)
        else:
            address = _address(parts)
            urls[address] = _url(parts, address)
    return OwnProxies(urls=urls, gateways=tuple(gateways))


def read_line(line: str) -> tuple[Address, str] | None:
    """Return address and URL of a line of a file that holds name and password; None for any other line."""
    parts = _parts(line if "://" in line else f"http://{line}") if "@" in line else None
    if parts is None or ip_number(parts.hostname or "") is None:
        return None
    address = _address(parts)
    return address, _url(parts, address)


def _parts(text: str) -> SplitResult | None:
    """Return the parts of a proxy's URL, None if it is none."""
    try:
        parts = urlsplit(text.strip())
        sound = parts.hostname is not None and bool(parts.port) and text.isprintable()
    except ValueError:
        return None
    return parts if sound and parts.scheme in CURL_NAMES and parts.path in ("", "/") and not parts.query else None


def _address(parts: SplitResult) -> Address:
    return Address(NAMES[parts.scheme], parts.hostname or "", parts.port or 0)


def _url(parts: SplitResult, address: Address) -> str:
    user, at, _ = parts.netloc.rpartition("@")
    return f"{SCHEMES[address.protocol]}://{user}{at}{address.text}"
