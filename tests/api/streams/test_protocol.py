from __future__ import annotations

import json

import pytest

from api.streams import protocol
from api.streams.protocol import Auth, BadMessage, Ping, Subscribe, Unsubscribe


def test_a_client_says_who_it_is_and_what_it_listens_to() -> None:
    assert protocol.read('{"type":"auth","token":"t"}') == Auth(token="t")
    assert protocol.read('{"type":"ping","id":3}') == Ping(id=3)
    text = (
        '{"id":1,"type":"subscribe","channels":{"quotes":["aapl","BRK.B"],"scan":["scan_1"]},"since":{"signals":812}}'
    )
    said = protocol.read(text)
    assert isinstance(said, Subscribe) and (said.id, said.since, said.throttle_ms) == (1, {"signals": 812}, 0)
    assert said.channels.tickers == frozenset(("AAPL", "BRK-B")) and said.channels.scan == ["scan_1"]
    assert said.channels.signals is None
    assert isinstance(protocol.read('{"type":"unsubscribe","channels":{"events":[]}}'), Unsubscribe)


@pytest.mark.parametrize("named", ['["*"]', '["AAPL","*"]', "[]"])
def test_a_star_or_no_name_at_all_means_every_ticker(named: str) -> None:
    said = protocol.read(f'{{"type":"subscribe","channels":{{"quotes":{named}}}}}')
    assert isinstance(said, Subscribe) and said.channels.tickers is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "[]",
        "null",
        "{}",
        '{"type":"subscribe"}',
        '{"type":"drop table"}',
        '{"type":"subscribe","channels":{"prices":[]}}',
        '{"type":"subscribe","channels":{"quotes":"AAPL"}}',
        '{"type":"subscribe","channels":{"quotes":["A B"]}}',
        '{"type":"subscribe","channels":{"quotes":["\' OR 1=1"]}}',
        '{"type":"subscribe","channels":{"scan":["../../etc/passwd"]}}',
        '{"type":"subscribe","channels":{},"since":{"signals":-1}}',
        '{"type":"subscribe","channels":{},"since":{"signals":1e400}}',
        '{"type":"subscribe","channels":{},"since":{"signals":99999999999999999999}}',
        '{"type":"subscribe","channels":{},"throttle_ms":99999999}',
        '{"type":"subscribe","channels":{},"admin":true}',
        '{"type":"auth","token":""}',
        '{"type":"ping","id":"one"}',
        '{"type":"ping"' + "[" * 5000,
        "\ud800",
        json.dumps({"type": "subscribe", "channels": {"quotes": ["A"] * 10_001}}),
        json.dumps({"type": "subscribe", "channels": {"scan": ["s"] * 51}}),
    ],
)
def test_what_makes_no_sense_is_told_what_would(text: str) -> None:
    with pytest.raises(BadMessage, match=r"see docs/streams\.md"):
        protocol.read(text)


def test_answers_carry_the_number_of_their_request() -> None:
    assert json.loads(protocol.pong(7)) == {"id": 7, "type": "pong"}
    answer = json.loads(protocol.result(1, {"quotes": ["A"]}))
    assert answer == {"id": 1, "type": "result", "success": True, "subscriptions": {"quotes": ["A"]}}
    failed = json.loads(protocol.failure(None, "unknown_scan", "no"))
    assert failed["success"] is False and failed["error"] == {"code": "unknown_scan", "reason": "no"}
