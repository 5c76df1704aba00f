from __future__ import annotations

import pytest

from core.errors import FixByHand
from proxies.model import Address
from proxies.own import read_line, read_own

FIRST = Address("http", "192.0.2.7", 8080)


def test_a_proxy_with_a_password_is_reached_with_it_and_known_without_it() -> None:
    own = read_own(["http://user:pa%40ss@192.0.2.7:8080", "socks5://192.0.2.8:1080"])
    assert own.url(FIRST) == "http://user:pa%40ss@192.0.2.7:8080"
    assert own.url(Address("socks5", "192.0.2.8", 1080)) == "socks5h://192.0.2.8:1080"
    assert own.has_password(FIRST) and not own.has_password(Address("socks5", "192.0.2.8", 1080))
    stranger = Address("http", "192.0.2.9", 80)
    assert (own.url(stranger), own.is_listed(stranger), own.is_listed(FIRST)) == ("http://192.0.2.9:80", False, True)


def test_what_has_a_session_or_a_host_name_is_a_gateway() -> None:
    texts = ["http://me-{session}:x@192.0.2.7:8000", "http://me:x@gate.example:8000"]
    assert read_own(texts).gateways == tuple(texts)
    assert read_own(texts).urls == {}


@pytest.mark.parametrize(
    "text",
    ["", "192.0.2.7:8080", "ftp://192.0.2.7:21", "http://192.0.2.7", "http://u:secret@192.0.2.7:99999", "http://h/x"],
)
def test_what_is_no_proxy_is_refused_without_its_password(text: str) -> None:
    with pytest.raises(FixByHand, match=r"proxies.own: number 2 is no proxy; write it as") as caught:
        read_own(["http://192.0.2.7:8080", text])
    assert "secret" not in str(caught.value)


def test_a_line_of_a_file_counts_only_with_a_password() -> None:
    assert read_line("user:pass@192.0.2.7:8080") == (FIRST, "http://user:pass@192.0.2.7:8080")
    for line in ("192.0.2.7:8080", "# me@home", "user:pass@host.example:80", "a@b", "user:pass@127.1:80"):
        assert read_line(line) is None, line
