from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from simulator import testing
from simulator.record.ledger import DIRECT, Asked
from simulator.running import RemoteMarket, busiest, past_proxy, repeated
from simulator.testing import PracticeMarket
from tests.fix_simulator import YahooClient


def asked(number: int, at_s: float, **changes: object) -> Asked:
    row: dict[str, object] = {
        "number": number,
        "at_s": at_s,
        "connection": 1,
        "proxy": "127.0.0.1:8080",
        "exit": "198.18.1.0",
        "method": "GET",
        "host": "query1.finance.yahoo.com",
        "path": "/v7/finance/quote",
        "symbols": "A,B",
        "status": 200,
        "sent_bytes": 9,
        "fault": "",
    }
    return Asked(**{**row, **changes})  # type: ignore[arg-type]


def test_a_question_that_was_answered_twice_soon_is_found_in_any_order_of_its_tickers() -> None:
    first, again = asked(1, 0), asked(2, 50, symbols="B,A")
    others = [asked(3, 51, symbols="A"), asked(4, 52, path="/v8"), asked(5, 115), asked(6, 120, status=429)]

    assert repeated([first, again, *others], within_s=60) == [(first, again)]


def test_a_failed_question_may_be_asked_again() -> None:
    assert repeated([asked(1, 0, status=503), asked(2, 1), asked(3, 2, status=401)], within_s=60) == []


def test_who_came_without_a_proxy_is_found() -> None:
    direct = asked(2, 1, proxy=DIRECT)

    assert past_proxy([asked(1, 0), direct]) == [direct]


def test_the_busiest_window_of_each_exit_is_counted() -> None:
    rows = [asked(number, at_s) for number, at_s in enumerate((0, 4, 9, 10, 30))]
    rows.append(asked(9, 31, exit="198.18.1.1"))

    assert busiest(rows, window_s=10) == {"198.18.1.0": 3, "198.18.1.1": 1}


async def test_the_same_answers_come_from_within_and_through_the_control_port(practice_market: PracticeMarket) -> None:
    remote = RemoteMarket(practice_market.control)
    practice_market.add_proxies("good", protocol="socks5")
    practice_market.fault("unauthorized", path="/v8/*")
    for name in ("proxies", "faults_on", "requests", "connections", "status"):
        assert await asyncio.to_thread(getattr(remote, name)) == getattr(practice_market, name)()


def test_a_market_in_its_own_process_is_ordered_and_asked(tmp_path: Path) -> None:
    universe = tmp_path / "u.txt"
    universe.write_text("AAPL\nF\n")
    with testing.process(tmp_path, "--universe", str(universe), "--fleet", "good=2,dead=1") as market:
        client = YahooClient(market.proxy_url, market.ca_file)
        market.fault("too_many", times=1)
        assert client.request("query1.finance.yahoo.com", "/v1/test/getcrumb").status == 429
        client.log_in()
        price = client.quote(["F"]).json()["quoteResponse"]["result"][0]

        assert [member.kind for member in market.proxies()] == ["good", "good", "dead"]
        assert [each.fault for each in market.requests(path="/v1/*")] == ["too_many", ""]
        at = datetime.fromtimestamp(price["regularMarketTime"], UTC)
        assert market.check({"F": (price["regularMarketPrice"], at)}) == []
        assert market.check({"F": (price["regularMarketPrice"] + 1, at)}) != []
        assert market.price_at("F", at) == (price["regularMarketPrice"], int(at.timestamp()))
        assert set(market.prices()) == {"AAPL", "F", "BTC-USD"}
