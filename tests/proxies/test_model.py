from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from proxies.model import Address, Member, Protocol

NOW = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("protocol", "url"),
    [
        ("http", "http://192.0.2.7:8080"),
        ("socks4", "socks4a://192.0.2.7:8080"),
        ("socks5", "socks5h://192.0.2.7:8080"),
    ],
)
def test_names_are_looked_up_by_the_proxy_never_here(protocol: Protocol, url: str) -> None:
    assert Address(protocol, "192.0.2.7", 8080).url == url
    assert Address(protocol, "192.0.2.7", 8080).text == "192.0.2.7:8080"


def test_two_ports_of_one_unknown_exit_count_as_one_exit() -> None:
    first, second = (Member(address=Address("http", "192.0.2.7", port), first_seen=NOW) for port in (80, 8080))
    assert first.exit == second.exit == "192.0.2.7"


def test_a_wrong_certificate_cools_for_ever() -> None:
    member = Member(address=Address("http", "192.0.2.7", 80), first_seen=NOW, bad_certificate=True)
    assert member.is_cooling(NOW + timedelta(days=3650))
