from __future__ import annotations

import gzip

import pytest

from simulator.answers.messages import JSON, Request, Response
from simulator.trouble.catalogue import from_text
from simulator.trouble.mischief import Delivery, Mischief, symbols_of

TRUE = Response(status=200, body=b'{"symbol":"A","price":1.5}', content_type=JSON)


def deliver(*texts: str, target: str = "/v7/finance/quote?symbols=A,B,C", mischief: Mischief | None = None) -> Delivery:
    request = Request(method="GET", host="query1.finance.yahoo.com", target=target, headers={})
    faults = [from_text(text) for text in texts]
    return (mischief or Mischief()).deliver(request, faults, exit="198.18.1.1", now_s=0.0, true=lambda: TRUE)


def test_without_faults_the_truth_is_delivered_at_once() -> None:
    assert deliver() == Delivery(response=TRUE)


def test_the_last_fault_that_replaces_the_answer_wins_alone() -> None:
    delivery = deliver("html", "too_many,retry_after_s=5", "slow_answer,delay_s=2")

    assert (delivery.response.status, delivery.response.headers) == (429, {"retry-after": "5"})
    assert (delivery.delay_s, [fault.kind.name for fault in delivery.faults]) == (2.0, ["too_many", "slow_answer"])


def test_json_is_spoiled_by_all_in_their_order_and_a_page_is_not() -> None:
    assert deliver("wrong_ticker", "truncate,at_bytes=14").response.body == b'{"symbol":"ZVZ'
    page = deliver("html", "truncate,at_bytes=14")
    assert (len(page.response.body) > 14, [fault.kind.name for fault in page.faults]) == (True, ["html"])


def test_a_fault_that_does_not_apply_is_not_counted() -> None:
    assert deliver("batch_limit,symbols=3").faults == ()
    assert deliver("batch_limit,symbols=2").response.status == 400
    assert deliver("unit_change,key=dividendYield,times=1").faults == ()
    assert [fault.kind.name for fault in deliver("tamper_all,factor=2").faults] == ["tamper_all"]


def test_a_rate_limit_counts_each_exit_by_itself_or_all_together() -> None:
    for per, statuses in (("exit", [200, 429, 200]), ("all", [200, 429, 429])):
        mischief, fault = Mischief(), from_text(f"rate_limit,requests=1,per={per}")
        request = Request(method="GET", host="h", target="/", headers={})
        found = [
            mischief.deliver(request, [fault], exit=exit, now_s=0.0, true=lambda: TRUE).response.status
            for exit in ("a", "a", "b")
        ]
        assert found == statuses


def test_how_it_comes_is_part_of_the_delivery() -> None:
    delivery = deliver("slow_body,bytes_per_s=7", "cut,at_bytes=3")

    assert (delivery.bytes_per_s, delivery.cut_at, delivery.response) == (7, 3, TRUE)


@pytest.mark.parametrize("megabytes", [1, 3])
def test_a_bomb_is_a_whole_gzip_stream_a_hundred_times_its_size(megabytes: int) -> None:
    response = deliver(f"bomb,unpacked_mb={megabytes}").response

    assert response.headers == {"content-encoding": "gzip"}
    assert len(response.body) < megabytes * 10_000
    assert gzip.decompress(response.body) == b" " * (megabytes << 20)


@pytest.mark.parametrize(
    ("target", "symbols"),
    [
        ("/v7/finance/quote?symbols=A,BRK-B&crumb=x", "A,BRK-B"),
        ("/v7/finance/quote?crumb=x", ""),
        ("/v8/finance/chart/AAPL?range=1d", "AAPL"),
        ("/v10/finance/quoteSummary/F", "F"),
        ("//[", ""),
    ],
)
def test_the_tickers_of_a_request_are_found_in_query_or_path(target: str, symbols: str) -> None:
    assert symbols_of(target) == symbols
