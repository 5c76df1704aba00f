"""Which names this server answers to, and which pages may ask it. Reads no request.

A page of another site can have its own name point here (DNS rebinding): then its requests bring that name. An address
in figures cannot be made to point anywhere, so it needs no permission.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import ip_address
from urllib.parse import urlsplit

HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(\d{1,5}))?\Z")
LOOPBACK_NAMES = ("localhost", "localhost.")


def host_of(header: str) -> str | None:
    """Return the name or address in a Host header, without the port; None if it is no such header."""
    found = HOST.match(header.casefold())
    return found[1].strip("[]") if found else None


def is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server that listens there."""
    return host in LOOPBACK_NAMES or (is_address(host) and ip_address(host).is_loopback)


class Hosts:
    """`names`: beside this machine's own; `*.example.org` stands for each name below; `origins`: of other sites whose
    pages may ask, written as browsers do."""

    def __init__(self, names: Sequence[str], origins: Sequence[str]) -> None:
        self._names = frozenset(name.casefold() for name in (*LOOPBACK_NAMES, *names))
        self._below = tuple(name[1:] for name in self._names if name.startswith("*."))
        self.origins = frozenset(origin.casefold().rstrip("/") for origin in origins)

    def answers_to(self, header: str) -> bool:
        """Whether a request with this Host header is meant for this server."""
        host = host_of(header)
        return host is not None and (host in self._names or is_address(host) or host.endswith(self._below or ("\0",)))

    def may_ask(self, origin: str, host_header: str) -> bool:
        """Whether a page of `origin` may: it came from here, or is on the list."""
        origin = origin.casefold()
        if origin in self.origins:
            return True
        try:
            parts = urlsplit(origin)
        except ValueError:
            return False
        return parts.scheme in ("http", "https") and bool(parts.netloc) and parts.netloc == host_header.casefold()
