"""Builds the address filter of this host: its settings, its own addresses, the edges of delivery networks."""

from __future__ import annotations

import socket
from pathlib import Path

import psutil

from core.files import read_text
from core.settings import Proxies
from proxies.addresses import AddressFilter, listed_networks

ANYWHERE = "192.0.2.1"  # TEST-NET-1 (RFC 5737): nobody
EDGES = Path(__file__).with_name("data") / "cdn_edges.txt"


def load_filter(settings: Proxies) -> AddressFilter:
    """Return the filter; FixByHand if an own network is none."""
    return AddressFilter(
        own_networks=settings.own_networks,
        own_addresses=interface_addresses(),
        edges=listed_networks(read_text(EDGES)),
    )


def interface_addresses() -> set[str]:
    """Return the IPv4 addresses of this host's interfaces; a public one may be among them."""
    try:
        interfaces = psutil.net_if_addrs()
    except OSError:  # the hardened service may not ask for them (AF_NETLINK): the one that leads outside is known
        return outbound_addresses()
    found = (address for addresses in interfaces.values() for address in addresses)
    return {address.address for address in found if address.family == socket.AF_INET}


def outbound_addresses() -> set[str]:
    """Return the IPv4 address that this host's packets bear, found without sending one; nothing where no route is."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unused:
        try:
            unused.connect((ANYWHERE, 9))
        except OSError:
            return set()
        return {unused.getsockname()[0]}
