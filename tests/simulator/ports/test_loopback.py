from __future__ import annotations

import asyncio
import errno
import socket

import pytest

from core.errors import FixByHand, RetryLater
from simulator.ports.loopback import address_of, listen, split_address


async def nobody(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


@pytest.mark.parametrize("host", ["0.0.0.0", "", "::", "localhost", "192.168.1.1", "127.1", "example.com"])
async def test_it_never_listens_beyond_this_machine(host: str) -> None:
    with pytest.raises(FixByHand, match=r"--control: .* is not a loopback address; use 127\.0\.0\.1:0"):
        await listen(nobody, host, 0, key="--control")


async def test_a_taken_port_may_be_free_later() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(RetryLater, match=r"--control: port \d+ is in use; end its owner or use port 0"),
    ):
        await listen(nobody, "127.0.0.1", taken.getsockname()[1], key="--control")


async def test_the_address_is_the_one_that_can_be_split_again() -> None:
    server = await listen(nobody, "127.0.0.1", 0, key="--listen")
    host, port = split_address(address_of(server), key="--listen")
    server.close()

    assert (host, port > 0) == ("127.0.0.1", True)


async def test_an_ipv6_address_is_in_brackets() -> None:
    try:
        server = await listen(nobody, "::1", 0, key="--listen")
    except FixByHand as error:
        assert isinstance(error.__cause__, OSError)
        assert error.__cause__.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)  # a machine without IPv6
        return
    assert address_of(server).startswith("[::1]:")
    server.close()


@pytest.mark.parametrize("text", ["", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:70000", "127.0.0.1:-1", "127.0.0.1:"])
def test_an_address_without_a_port_is_refused(text: str) -> None:
    with pytest.raises(FixByHand, match=r"has no port; use 127\.0\.0\.1:0"):
        split_address(text, key="--control")
