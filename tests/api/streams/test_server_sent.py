from __future__ import annotations

import http.client
import json
from typing import Any

import pytest

from api.streams.server_sent import position_of
from storage.schema import LARGEST_WHOLE
from tests.fix_api import PATIENCE_S, RunningApi, ScanRun


class Events:
    """A client that reads an event stream line by line."""

    def __init__(self, api: RunningApi, path: str, **headers: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", api.port, timeout=PATIENCE_S)
        sent = {"Host": "localhost", "Accept": "text/event-stream", "X-API-Key": api.admin, **headers}
        self._connection.request("GET", path, headers=sent)
        self.answer = self._connection.getresponse()

    def __enter__(self) -> Events:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def next(self) -> tuple[str, Any]:
        """Return (id, data) of the next event; ("", None) at the end."""
        mark = ""
        while line := self.answer.readline().decode().rstrip("\n"):
            pass
        while raw := self.answer.readline():
            line = raw.decode().rstrip("\n")
            if line.startswith("id: "):
                mark = line[4:]
            elif line.startswith("data: "):
                return mark, json.loads(line[6:])
        return "", None


def test_a_scan_is_followed_to_its_end_and_the_answer_ends_with_it(api: RunningApi) -> None:
    scan = ScanRun(api, "scan_sse").begin()
    scan.find(1, 2, percent=30.0)
    with Events(api, f"/api/v1/stream?channels=scan&scan_id={scan.scan_id}") as events:
        assert events.answer.getheader("content-type") == "text/event-stream; charset=utf-8"
        assert events.answer.getheader("x-accel-buffering") == "no"
        assert events.answer.getheader("cache-control") == "no-store"
        marks = [events.next() for _ in range(3)]
        assert [(mark, told["type"]) for mark, told in marks] == [("1", "result"), ("2", "result"), ("", "progress")]
        scan.find(3, percent=60.0)
        assert events.next()[0] == "3"
        scan.end()
        kinds = []
        while (told := events.next()[1]) is not None:
            kinds.append(told["type"])
        assert kinds[-1] == "complete"


def test_the_last_event_id_goes_on_where_one_was(api: RunningApi) -> None:
    scan = ScanRun(api, "scan_sse_again").begin()
    scan.find(1, 2, 3, percent=30.0)
    path = f"/api/v1/stream?channels=scan&scan_id={scan.scan_id}"
    with Events(api, path, **{"Last-Event-ID": "2"}) as events:
        assert events.next()[0] == "3"
    with Events(api, path + "&from_seq=1") as events:
        assert events.next()[0] == "2"
    path = path.replace("=scan&", "=scan,signals&")
    with Events(api, path, **{"Last-Event-ID": f"signals=0;{scan.scan_id}=2"}) as events:
        assert events.next()[0] == f"{scan.scan_id}=3;signals=0"


def test_the_older_path_tells_the_progress_and_nothing_else(api: RunningApi) -> None:
    scan = ScanRun(api, "scan_sse_old").begin()
    scan.find(1, percent=56.5)
    with Events(api, f"/scan/stream/{scan.scan_id}") as events:
        mark, told = events.next()
        assert mark == "" and (told["overall_progress"], told["status"]) == (56.5, "running")
        scan.end()
        assert events.next()[1]["status"] == "complete" and events.next()[1] is None


def test_a_client_that_goes_gives_its_place_back(api: RunningApi) -> None:
    api.until_nobody_listens()
    with Events(api, "/api/v1/stream?channels=quotes&tickers=AAPL") as events:
        assert events.next()[1]["data"][0]["ticker"] == "AAPL"
        assert len(api.context.doors.open) == 1
        events.answer.close()
    api.until_nobody_listens()


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("", 422, "wrong_request"),
        ("?channels=prices", 422, "wrong_request"),
        ("?channels=scan", 422, "wrong_request"),
        ("?channels=scan&scan_id=scan_nowhere", 404, "unknown_scan"),
        ("?channels=scan&scan_id=..%2Fx", 422, "wrong_request"),
        ("?channels=quotes&tickers=A%27--", 422, "wrong_request"),
        ("?channels=quotes&admin=1", 422, "wrong_request"),
    ],
)
def test_what_cannot_be_followed_is_a_problem(api: RunningApi, query: str, status: int, code: str) -> None:
    answer = api.ask("GET", "/api/v1/stream" + query)
    assert (answer.status, answer.json["code"]) == (status, code)
    api.until_nobody_listens()


def test_the_position_is_read_from_a_number_or_from_names() -> None:
    assert position_of("7", None)("signals") == 7 and position_of("", 5)("signals") == 5
    named = position_of("signals=812;scan_1=4", 5)
    assert (named("signals"), named("scan_1"), named("events")) == (812, 4, 5)
    assert position_of("", None)("signals") is None and position_of("drop table", None)("x") is None
    assert position_of("9" * 30, None)("signals") == LARGEST_WHOLE
