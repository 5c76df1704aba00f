from __future__ import annotations

import pytest

from simulator.answers.identity import Identities
from simulator.answers.messages import Request


def asking(cookie: str) -> Request:
    return Request(method="GET", host="query1.finance.yahoo.com", target="/", headers={"cookie": cookie})


def minted(identities: Identities) -> str:
    return identities.cookie().partition(";")[0]


def test_a_cookie_is_known_again_by_who_minted_it() -> None:
    identities = Identities(b"secret")
    first, second = minted(identities), minted(identities)

    tokens = {identities.token(asking(first)), identities.token(asking(f"GUC=x; {second}"))}
    assert len(tokens) == 2
    assert None not in tokens
    assert Identities(b"another").token(asking(first)) is None


@pytest.mark.parametrize("cookie", ["", "A3=", "A3=d=forged&S=forged", "A1=d=x", "A3=\x7f;;;=", "A3=d=&S="])
def test_a_cookie_of_somebody_else_is_nobody(cookie: str) -> None:
    assert Identities(b"secret").token(asking(cookie)) is None


def test_a_crumb_has_eleven_characters_and_goes_with_one_cookie() -> None:
    identities = Identities(b"secret")

    assert identities.crumb("one") == identities.crumb("one") != identities.crumb("two")
    assert len(identities.crumb("one")) == 11


def test_a_cookie_lasts_a_year_for_all_of_yahoo() -> None:
    assert "; Max-Age=31557600; Domain=.yahoo.com; Path=/" in Identities(b"secret").cookie()
