from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection

from storage import scans
from storage.writer import Writer
from tests.fix_api import PATIENCE_S, RunningApi, ScanRun
from tests.fix_storage import NOON

STREAM = "/api/v1/stream"


def receive(socket: ClientConnection) -> Any:
    return json.loads(socket.recv(timeout=PATIENCE_S))


def said(socket: ClientConnection, message: object) -> Any:
    """Say something and return the answer; what the stream tells in between is left out."""
    socket.send(json.dumps(message))
    while isinstance(answer := receive(socket), list):
        pass
    return answer


def data(socket: ClientConnection) -> Iterator[dict[str, Any]]:
    """Give what the stream tells, one thing at a time."""
    while True:
        told = receive(socket)
        if isinstance(told, list):
            yield from told


def closing(socket: ClientConnection) -> tuple[int, str]:
    with pytest.raises(ConnectionClosed) as caught:
        while True:
            socket.recv(timeout=PATIENCE_S)
    assert caught.value.rcvd is not None
    return caught.value.rcvd.code, caught.value.rcvd.reason


def test_who_has_no_header_says_who_he_is_first(api: RunningApi) -> None:
    with api.socket(STREAM, key="") as socket:
        assert receive(socket) == {"type": "auth_required", "version": 1}
        assert said(socket, {"type": "auth", "token": api.key("read")})["type"] == "auth_ok"
        assert said(socket, {"type": "ping", "id": 1}) == {"id": 1, "type": "pong"}


@pytest.mark.parametrize(
    ("message", "code"),
    [({"type": "auth", "token": "stk_unknown"}, 4401), ({"type": "ping"}, 4401), ("nonsense", 4400)],
)
def test_who_says_something_else_is_let_go(api: RunningApi, message: object, code: int) -> None:
    with api.socket(STREAM, key="") as socket:
        assert receive(socket)["type"] == "auth_required"
        socket.send(json.dumps(message))
        assert closing(socket)[0] == code


def test_a_wrong_key_a_foreign_page_and_a_foreign_name_never_get_a_socket(api: RunningApi) -> None:
    for sent, status in (
        ({"X-API-Key": "stk_unknown"}, 401),
        ({"X-API-Key": api.admin, "Origin": "http://evil.example"}, 403),
        ({"Origin": "http://evil.example"}, 403),
    ):
        with pytest.raises(InvalidStatus) as caught, api.socket(STREAM, key="", headers=sent):
            pass
        assert caught.value.response.status_code == status
        assert caught.value.response.headers["content-type"] == "application/problem+json"
    own = {"Origin": f"http://localhost:{api.port}"}
    with api.socket(STREAM, headers=own) as socket:
        assert said(socket, {"type": "ping"})["type"] == "pong"


def test_who_may_not_read_is_told_so(api: RunningApi) -> None:
    with pytest.raises(InvalidStatus) as caught, api.socket(STREAM, key=api.key("metrics")):
        pass
    assert caught.value.response.status_code == 403


def test_quotes_come_with_the_newest_and_then_as_they_change(api: RunningApi) -> None:
    subscribe = {"type": "subscribe", "id": 1, "channels": {"quotes": ["AAPL", "XXXX"]}}
    with api.socket(STREAM) as socket:
        assert said(socket, subscribe)["subscriptions"] == {"quotes": ["AAPL", "XXXX"]}
        stream = data(socket)
        assert [row["ticker"] for row in next(stream)["data"]] == ["AAPL"]

        def change(writer: Writer) -> None:
            def body(tx: Any) -> None:
                values = f"current_price = 12.5, change_seq = {tx.seq}"
                tx.connection.exec_driver_sql(f"UPDATE stocks_stock SET {values} WHERE ticker IN ('AAPL', 'MSFT')")
                tx.wrote(2)

            writer.run(body, source="prices")

        api.do(api.context.database.write(change))
        rows = next(stream)["data"]
        assert [(row["ticker"], row["current_price"]) for row in rows] == [("AAPL", 12.5)]
        assert said(socket, {"type": "unsubscribe", "id": 2, "channels": {"quotes": []}})["subscriptions"] == {}


def test_a_scan_is_told_from_its_first_result_to_its_end(api: RunningApi) -> None:
    scan = ScanRun(api, "scan_whole").begin()
    with api.socket(STREAM) as socket:
        wanted = {"type": "subscribe", "id": 1, "channels": {"scan": [scan.scan_id]}}
        assert said(socket, wanted)["subscriptions"] == {"scan": {"scan_whole": {"since": 0}}}
        scan.find(2, 5, percent=40.0)
        scan.find(7, percent=70.0)
        scan.end()
        seen = []
        for told in data(socket):
            seen.append((told["type"], told.get("seq")))
            if told["type"] == "complete":
                break
    assert [seq for kind, seq in seen if kind == "result"] == [2, 5, 7]
    assert seen[-1][0] == "complete" and told["data"]["status"] == "complete"


def test_who_comes_back_in_the_middle_of_a_scan_has_lost_nothing(api: RunningApi) -> None:
    scan = ScanRun(api, "scan_resumed").begin()
    scan.find(*range(1, 301), percent=10.0)
    seen: list[int] = []
    is_over = False
    while not is_over:
        with api.socket(STREAM) as socket:
            since = {scan.scan_id: seen[-1]} if seen else {}
            said(socket, {"type": "subscribe", "channels": {"scan": [scan.scan_id]}, "since": since})
            for place, told in enumerate(data(socket)):
                if told["type"] == "result":
                    seen.append(told["seq"])
                if (is_over := told["type"] == "complete") or place == 130:
                    break
        if len(scan.found) < 1300:
            scan.find(*range(len(scan.found) + 1, len(scan.found) + 501), percent=50.0)
        elif scan.found:
            scan.end()
    assert seen == list(range(1, 1301))


def test_signals_go_on_from_any_number(api: RunningApi) -> None:
    def found(*tickers: str) -> list[dict[str, Any]]:
        return [{"ticker": name, "seq": 1, "session": "2026-11-20", "values": {}, "flags": []} for name in tickers]

    def renew(*tickers: str) -> None:
        work = lambda writer: scans.renew_signals(writer, "low", "s", found(*tickers), whole=True, at=NOON)  # noqa: E731
        api.do(api.context.database.write(work))

    renew("AAPL", "MSFT")
    subscribe = {"type": "subscribe", "channels": {"signals": ["*"]}}
    with api.socket(STREAM) as socket:
        answer = said(socket, {**subscribe, "since": {"signals": 1}})
        assert answer["subscriptions"] == {"signals": {"since": 1}}
        stream = data(socket)
        assert (told := next(stream))["seq"] == 2 and (told["kind"], told["symbol"]) == ("entered", "MSFT")
        renew("MSFT")
        assert (told := next(stream))["seq"] == 3 and (told["kind"], told["symbol"]) == ("left", "AAPL")
    with api.socket(STREAM) as socket:
        assert said(socket, subscribe)["subscriptions"] == {"signals": {"since": 3}}, "from now on"


def test_scanners_without_an_orchestrator_are_told_to_be_out_of_reach(api: RunningApi) -> None:
    with api.socket(STREAM) as socket:
        said(socket, {"type": "subscribe", "channels": {"scanners": []}})
        told = next(data(socket))
        assert (told["ch"], told["process"], told["reachable"]) == ("scanners", "tickerd", False)


def test_what_makes_no_sense_closes_the_socket_and_what_is_not_there_does_not(api: RunningApi) -> None:
    with api.socket(STREAM) as socket:
        answer = said(socket, {"type": "subscribe", "id": 9, "channels": {"scan": ["scan_nowhere"]}})
        assert (answer["id"], answer["success"], answer["error"]["code"]) == (9, False, "unknown_scan")
        assert said(socket, {"type": "ping"})["type"] == "pong"
        socket.send('{"type":"subscribe","channels":{"quotes":["A B"]}}')
        code, reason = closing(socket)
        assert code == 4400 and "regex" in reason


def test_a_message_of_more_than_64_kib_closes_the_socket(api: RunningApi) -> None:
    with api.socket(STREAM) as socket:
        socket.send("x" * 70_000)
        assert closing(socket)[0] == 1009


@pytest.mark.parametrize(("path", "key"), [(STREAM, None), (STREAM, ""), ("/ws/signals", None)])
def test_what_is_no_text_closes_the_socket(api: RunningApi, path: str, key: str | None) -> None:
    with capture_logs() as lines, api.socket(path, key=key) as socket:
        socket.send(b"\x00\x01")
        assert closing(socket)[0] == 4400
    assert not [line for line in lines if line["log_level"] == "error"]
