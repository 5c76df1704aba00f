from __future__ import annotations

import json
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosedOK, InvalidStatus

from storage import scans
from tests.fix_api import PATIENCE_S, RunningApi, ScanRun
from tests.fix_storage import NOON


def all_of(api: RunningApi, path: str) -> list[Any]:
    """Everything that a stream tells to its end."""
    told = []
    with api.socket(path) as socket, pytest.raises(ConnectionClosedOK):
        while True:
            told.append(json.loads(socket.recv(timeout=PATIENCE_S)))
    return told


@pytest.fixture(scope="module")
def scan(api: RunningApi) -> ScanRun:
    """A scan that is over, with three results."""
    done = ScanRun(api, "scan_done").begin()
    done.find(3, 4, 8, percent=56.5)
    done.end()
    return done


def test_each_path_tells_the_scan_in_its_own_words(api: RunningApi, scan: ScanRun) -> None:
    enveloped = all_of(api, f"/ws/scan/{scan.scan_id}")
    assert [one["type"] for one in enveloped] == ["result"] * 3 + ["progress", "complete"]
    assert enveloped[3]["data"]["progress_percent"] == 100.0
    flat = all_of(api, f"/scan/ws/{scan.scan_id}")
    assert [(one["status"], one["overall_progress"]) for one in flat] == [("complete", 100.0)]
    typed = all_of(api, f"/ws/results/{scan.scan_id}")
    assert [one["type"] for one in typed] == ["result"] * 3 + ["complete"]
    assert (typed[0]["data"]["symbol"], typed[0]["data"]["seq"]) == ("T3", 3)
    assert [one["data"]["seq"] for one in all_of(api, f"/ws/results/{scan.scan_id}?from_seq=3")[:-1]] == [4, 8]
    assert [one["data"]["seq"] for one in all_of(api, f"/ws/results/{scan.scan_id}?from_seq=9")[:-1]] == [3, 4, 8]


def test_a_running_scan_is_told_as_it_goes(api: RunningApi) -> None:
    scan = ScanRun(api, "scan_running").begin()
    with api.socket(f"/ws/results/{scan.scan_id}") as socket:
        scan.find(1, percent=10.0)
        assert json.loads(socket.recv(timeout=PATIENCE_S))["data"]["symbol"] == "T1"
        scan.end()
        assert json.loads(socket.recv(timeout=PATIENCE_S))["type"] == "complete"


def test_market_data_begins_with_the_newest_of_the_tickers_that_are_named(api: RunningApi) -> None:
    with api.socket("/ws/market-data?tickers=msft,AAPL") as socket:
        told = json.loads(socket.recv(timeout=PATIENCE_S))
        assert told["type"] == "quotes" and {row["ticker"] for row in told["data"]} == {"AAPL", "MSFT"}


def test_the_status_of_the_scanners_is_told_at_once(api: RunningApi) -> None:
    with api.socket("/ws/scanner-status") as socket:
        told = json.loads(socket.recv(timeout=PATIENCE_S))
        assert told["type"] == "status" and told["data"]["reachable"] is False
        socket.send("ping")  # such clients do; it wants no answer


@pytest.mark.parametrize(
    ("path", "key", "status"),
    [
        ("/ws/scan/scan_nowhere", None, 404),
        ("/ws/scan/a.b", None, 404),
        ("/ws/signals?from_seq=-1", None, 422),
        ("/ws/signals?from_seq=1;drop", None, 422),
        ("/ws/market-data?tickers=A'--", None, 422),
        ("/ws/signals", "", 401),
        ("/ws/signals", "stk_unknown", 401),
    ],
)
def test_what_cannot_be_told_is_refused_before_the_handshake(
    api: RunningApi, path: str, key: str | None, status: int
) -> None:
    with pytest.raises(InvalidStatus) as caught, api.socket(path, key=key):
        pass
    assert caught.value.response.status_code == status
    assert json.loads(caught.value.response.body or b"")["status"] == status


def test_a_number_beyond_every_number_means_from_now_on(api: RunningApi) -> None:
    def enters(scan_id: str, *tickers: str) -> None:
        found = [{"ticker": name, "seq": 1, "session": "2026-11-20", "values": {}, "flags": []} for name in tickers]
        work = lambda writer: scans.renew_signals(writer, "low", scan_id, found, whole=True, at=NOON)  # noqa: E731
        api.do(api.context.database.write(work))

    enters("s1", "AAPL")
    with api.socket("/ws/signals?from_seq=9999999999999999999") as socket:
        enters("s2", "AAPL", "MSFT")
        told = json.loads(socket.recv(timeout=PATIENCE_S))
        assert (told["type"], told["seq"], told["data"]["symbol"]) == ("signal", 2, "MSFT")
