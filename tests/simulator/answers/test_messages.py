from __future__ import annotations

import json

import pytest

from simulator.answers.messages import Request, json_answer, redirect, refusal, text_answer


def request(target: str = "/", *, body: bytes = b"") -> Request:
    return Request(method="GET", host="query1.finance.yahoo.com", target=target, headers={}, body=body)


def test_a_repeated_parameter_counts_with_its_first_value_and_an_empty_one_is_there() -> None:
    assert request("/v7/finance/quote?symbols=A%2CB&symbols=C&events=").query == {"symbols": "A,B", "events": ""}


def test_a_form_is_read_from_the_body() -> None:
    assert request(body=b"agree=agree&agree=agree&csrfToken=a%3Db").form == {"agree": "agree", "csrfToken": "a=b"}


def test_a_body_that_is_no_text_is_a_form_all_the_same() -> None:
    assert request(body=b"\xff\xfe").form == {"\ufffd\ufffd": ""}


def test_a_target_that_is_no_address_says_so() -> None:
    with pytest.raises(ValueError, match="IPv6"):
        _ = request("//[").url


def test_answers_have_yahoo_s_shapes() -> None:
    assert json_answer(200, {"a": [1, 2]}).body == b'{"a":[1,2]}'
    assert json.loads(refusal(404, "Not Found", "nothing").body) == {
        "finance": {"result": None, "error": {"code": "Not Found", "description": "nothing"}}
    }
    moved = redirect(307, "https://guce.yahoo.com/", "A=1", "B=2")
    assert (moved.status, moved.headers["location"], moved.cookies) == (307, "https://guce.yahoo.com/", ("A=1", "B=2"))
    assert text_answer("ä").body == "ä".encode()
