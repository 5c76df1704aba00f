"""Ports of this machine that nothing else takes while a test counts on them."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress

QUIET = range(10_000, 30_000)
"""Below those that Linux gives to whoever connects somewhere: what `bind` to 0 names, the next connection may take."""


def port_to_come() -> int:
    """A port on which nobody listens yet."""
    for port in random.sample(QUIET, 100):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("a hundred ports are taken")


@contextmanager
def deaf_port() -> Iterator[int]:
    """A port that refuses: bound, never listening."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]
