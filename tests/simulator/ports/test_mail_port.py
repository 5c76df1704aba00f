"""The mail server from outside: smtplib through the CONNECT proxy, as any program would send."""

from __future__ import annotations

import asyncio
import smtplib
import socket
import ssl
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from simulator.testing import PracticeMarket

MESSAGE = b"Subject: prices stand still\r\n\r\nsince 31 s\r\n"


def tunnel(proxy_url: str, host: str, port: int) -> socket.socket:
    """Return a socket whose other end is `host`."""
    proxy = urlsplit(proxy_url)
    found = socket.create_connection((proxy.hostname or "", proxy.port or 0), timeout=10)
    found.sendall(f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += found.recv(1)
    if b" 200 " not in answer:
        found.close()
        raise ConnectionRefusedError(answer.splitlines()[0].decode())
    return found


class Tunnelled(smtplib.SMTP):
    """smtplib's client with another way to its socket."""

    def __init__(self, opened: socket.socket) -> None:
        self._opened = opened
        super().__init__("smtp.practice.test", 587, timeout=10)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        return self._opened


def send(proxy_url: str, ca_file: Path, port: int) -> None:
    trust = ssl.create_default_context(cafile=ca_file)
    opened = tunnel(proxy_url, "smtp.practice.test", port)
    if port == 465:
        opened = trust.wrap_socket(opened, server_hostname="smtp.practice.test")
    with Tunnelled(opened) as client:
        if port == 587:
            client.starttls(context=trust)
        if port != 25:
            client.login("tickerd", "secret")
        assert client.sendmail("a@example.com", ["b@example.com"], MESSAGE) == {}


@pytest.mark.parametrize(("port", "user"), [(25, ""), (465, "tickerd"), (587, "tickerd")])
async def test_a_mail_sent_on_each_port_arrives(practice_market: PracticeMarket, port: int, user: str) -> None:
    await asyncio.to_thread(send, practice_market.proxy_url, practice_market.ca_file, port)

    (mail,) = practice_market.server.sinks.mails
    assert (mail.sender, mail.recipients, mail.content) == ("a@example.com", ("b@example.com",), MESSAGE)
    assert (mail.user, mail.over_tls) == (user, port != 25)


async def test_other_ports_and_other_mail_servers_are_refused(practice_market: PracticeMarket) -> None:
    for host, port in (("smtp.practice.test", 2525), ("smtp.example.com", 587)):
        with pytest.raises(ConnectionRefusedError, match="403"):
            await asyncio.to_thread(tunnel, practice_market.proxy_url, host, port)

    assert not practice_market.server.sinks.mails
    assert practice_market.server.refused_hosts == {"smtp.practice.test": 1, "smtp.example.com": 1}
    practice_market.server.refused_hosts.clear()
