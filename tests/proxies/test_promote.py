from __future__ import annotations

from pathlib import Path

import pytest

from net.client import Answer
from proxies.promote import echoed
from simulator.testing import PracticeMarket
from tests.fix_proxies import added, tools_of

pytestmark = pytest.mark.usefixtures("patient_crowd")


async def test_gold_has_its_exit_and_a_cookie_and_crumb_that_yahoo_takes(
    practice_market: PracticeMarket, tmp_path: Path
) -> None:
    async with tools_of(practice_market, tmp_path) as tools:
        addresses = {
            "198.18.50.1": added(practice_market, "good", exit="198.18.50.1"),
            "198.18.50.2": added(practice_market, "good", "socks5", exit="198.18.50.2"),
        }
        taken: set[str] = set()
        found = [await tools.promoter.ask(address, taken=taken) for address in addresses.values()]
    assert [(each.cause, each.exit_ip) for each in found] == [("ok", exit) for exit in addresses]
    assert taken == set(addresses)
    assert len({each.crumb for each in found}) == len({each.cookie for each in found}) == 2
    assert all(each.cookie.startswith("A3=") for each in found)
    quotes = [asked for asked in practice_market.requests() if asked.path == "/v7/finance/quote"]
    assert [(asked.exit, asked.status) for asked in quotes] == [(exit, 200) for exit in addresses]


async def test_two_proxies_of_one_exit_mint_once(practice_market: PracticeMarket, tmp_path: Path) -> None:
    async with tools_of(practice_market, tmp_path) as tools:
        taken: set[str] = set()
        first, second = [await tools.promoter.ask(added(practice_market, "shared"), taken=taken) for _ in range(2)]
    assert first.crumb and first.exit_ip == second.exit_ip == "198.18.0.1"
    assert (second.cause, second.cookie, second.crumb) == ("ok", "", "")


async def test_what_fails_says_why(practice_market: PracticeMarket, tmp_path: Path) -> None:
    async with tools_of(practice_market, tmp_path) as tools:
        ask = tools.promoter.ask
        assert (await ask(added(practice_market, "own_certificate"), taken=set())).cause == "bad_certificate"
        assert (await ask(added(practice_market, "dead"), taken=set())).cause == "refused"
        own = added(practice_market, "good", exit="192.0.2.1")  # where the market sees this host itself
        assert (await ask(own, taken=set())).cause == "own_exit"
        banned = added(practice_market, "good", exit="198.18.60.1")
        assert (await ask(banned, taken=set(), banned={"198.18.60.1"})).cause == "tampered"
        limited = added(practice_market, "good", exit="198.18.60.2")
        practice_market.fault("too_many", exit="198.18.60.2", host="query1*")
        assert (await ask(limited, taken=set())).cause == "yahoo_limit"


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (200, b'{"ip": "198.51.100.7"}', "198.51.100.7"),
        (500, b'{"ip": "198.51.100.7"}', ""),
        (200, b'{"ip": "127.1"}', ""),
        (200, b'{"ip": ["x"]}', ""),
        (200, b"<html>", ""),
        (200, b"[]", ""),
    ],
)
def test_only_an_address_is_taken_for_one(status: int, body: bytes, told: str) -> None:
    assert echoed(Answer(status=status, headers={}, body=body)) == told
