from __future__ import annotations

from simulator.record import ledger as module
from simulator.record.ledger import Ledger


def test_requests_and_connections_are_numbered_from_one_and_know_each_other() -> None:
    ledger = Ledger()
    page = ledger.connect(at_s=10.5, proxy="127.0.0.1:8080", exit="198.18.1.0")
    page.host = "query1.finance.yahoo.com"
    _ask(ledger, page, symbols="AAPL,F")
    _ask(ledger, page, symbols="")

    assert [(asked.number, asked.connection, asked.exit) for asked in ledger.requests] == [
        (1, 1, "198.18.1.0"),
        (2, 1, "198.18.1.0"),
    ]
    assert ledger.requests[0].host == "query1.finance.yahoo.com"
    assert [asked.tickers for asked in ledger.requests] == [["AAPL", "F"], []]


def test_the_oldest_pages_go_and_the_count_stays() -> None:
    ledger = Ledger()
    page = ledger.connect(at_s=0, proxy="direct", exit="192.0.2.1")
    for _ in range(module.REQUESTS + 5):
        _ask(ledger, page, symbols="AAPL")

    assert (len(ledger.requests), ledger.requests_seen) == (module.REQUESTS, module.REQUESTS + 5)
    assert ledger.requests[0].number == 6


def test_a_batch_that_comes_again_is_kept_once() -> None:
    ledger = Ledger()
    page = ledger.connect(at_s=0, proxy="direct", exit="192.0.2.1")
    for _ in range(2):
        _ask(ledger, page, symbols=",".join(["AAPL", "F"]))

    first, second = ledger.requests
    assert first.symbols is second.symbols


def _ask(ledger: Ledger, page: module.Connection, *, symbols: str) -> None:
    ledger.ask(page, at_s=1.0, method="GET", path="/v7", symbols=symbols, status=200, sent_bytes=9, fault="")
