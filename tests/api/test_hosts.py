from __future__ import annotations

import pytest

from api.hosts import Hosts, host_of, is_loopback

HOSTS = Hosts(["stocks.example.org", "*.lan"], ["https://Page.example.com/", "http://other.example:8080"])


@pytest.mark.parametrize(
    "header",
    [
        "localhost",
        "LOCALHOST:8000",
        "127.0.0.1:8000",
        "[::1]:8000",
        "192.168.1.5:8000",
        "stocks.example.org",
        "pi.lan:80",
    ],
)
def test_it_answers_to_its_names_and_to_addresses_in_figures(header: str) -> None:
    assert HOSTS.answers_to(header)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "evil.example",
        "localhost.evil.example",
        "lan",
        "evillan",
        "localhost:8000:1",
        "a b",
        "localhost/x",
        "[::1",
        "@localhost",
    ],
)
def test_any_other_name_may_be_a_rebound_one(header: str) -> None:
    assert not HOSTS.answers_to(header)


def test_without_settings_no_name_but_localhost_is_answered() -> None:
    hosts = Hosts([], [])
    assert hosts.answers_to("localhost") and not hosts.answers_to("stocks.example.org")


@pytest.mark.parametrize(
    ("origin", "host", "may"),
    [
        ("http://localhost:8000", "localhost:8000", True),
        ("https://stocks.example.org", "stocks.example.org", True),
        ("https://page.example.com", "localhost:8000", True),
        ("http://other.example:8080", "localhost:8000", True),
        ("http://localhost:8001", "localhost:8000", False),
        ("http://localhost", "localhost:8000", False),
        ("http://evil.example", "localhost:8000", False),
        ("null", "localhost:8000", False),
        ("file://", "localhost:8000", False),
        ("file://localhost:8000", "localhost:8000", False),
        ("http://[", "localhost:8000", False),
        ("", "", False),
    ],
)
def test_a_page_may_ask_if_it_came_from_here_or_is_on_the_list(origin: str, host: str, may: bool) -> None:
    assert HOSTS.may_ask(origin, host) is may


def test_the_name_is_taken_without_its_port() -> None:
    assert (host_of("A.example:80"), host_of("[::1]:80"), host_of("a:b")) == ("a.example", "::1", None)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback_is_out_of_strangers_reach(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["", "0.0.0.0", "::", "192.168.1.1", "example.org"])
def test_any_other_address_is_not(host: str) -> None:
    assert not is_loopback(host)
