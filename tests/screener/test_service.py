from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from core.settings import Daily, Database, Screener, Settings, State
from screener.cube.build import Stopped
from screener.expressions.errors import ExpressionError
from screener.jobs.request import read_request
from screener.service import Service, new_id
from screener.store import Store
from storage import scans
from storage.writer import Writer
from tests.fix_scans import fill, wandering
from tests.fix_storage import NOON, StillClock

CLOSES = wandering(20, bars=120)


@pytest.fixture
def service(sqlite_file: Path, tmp_path: Path, still_clock: StillClock) -> Iterator[Service]:
    settings = Settings(
        state=State(dir=str(tmp_path / "state")),
        database=Database(url=f"sqlite:///{sqlite_file}"),
        daily=Daily(history_days=120),
        screener=Screener(results_dir=str(tmp_path / "results"), stream_timeout_s=30.0),
    )
    store = Store(settings, service="test", clock=still_clock)
    yield Service(settings, store, still_clock)
    store.close()


@pytest.fixture
def keeper(service: Service, still_clock: StillClock) -> Iterator[Writer]:
    url = service.settings.database.url
    with Writer.open(url, service="test", origin="practice", clock=still_clock) as writer:
        fill(writer, CLOSES)
        yield writer


def test_an_id_sorts_by_time_and_is_never_given_twice() -> None:
    first, second = new_id(NOON), new_id(NOON)
    assert first != second and first.startswith("scan_20261123_170000_") and len(first) == 29


def test_a_scan_is_run_streamed_kept_and_written_as_a_file(service: Service, keeper: Writer) -> None:
    request = read_request({"expression": "close > prev(close)", "order_by": "roc5", "export": "csv"})
    scans.begin(keeper, "scan_x", {}, name=None, at=NOON)
    outcome = service.run(request, scan_id="scan_x", load=service.store.closed)
    service.keep(keeper, "scan_x", request, outcome)
    rising = {ticker for ticker, closes in CLOSES.items() if closes[-1] > closes[-2]}
    assert {entry.data["ticker"] for entry in service.streams.follow("scan_x") if entry.kind == "result"} == rising
    engine: Engine = service.store.engine
    row = scans.read_scan(engine, "scan_x")
    assert (row["status"], row["signals"], row["processed"], row["coverage"]) == ("complete", len(rising), 20, 1.0)
    assert [found["rank"] for found in scans.read_results(engine, "scan_x")] == list(range(1, len(rising) + 1))
    assert Path(row["file"]).read_text(encoding="utf-8").count("\n") == len(rising) + 1
    service.save_times()
    assert (Path(service.settings.state.dir) / "scan_times.json").exists()


def test_a_scan_that_cannot_be_run_leaves_nothing_running(service: Service, keeper: Writer) -> None:
    with pytest.raises(ExpressionError):
        service.run(read_request({"expression": "clos > 1"}), scan_id="scan_x", load=service.store.closed)
    assert service.running == {} and not service.cancel("scan_x")


def test_what_earlier_scans_found_comes_into_the_order(service: Service, keeper: Writer) -> None:
    found = {"session": "2026-11-20", "values": {}, "flags": [], "tech_rating": 90.0}
    scans.save(keeper, "low", {}, schedule="close", at=NOON)
    scans.renew_signals(keeper, "low", "scan_a", [found | {"ticker": "T0013"}], whole=True, at=NOON)
    outcome = service.run(read_request({"expression": "close > 0"}), scan_id="scan_x", load=service.store.closed)
    assert outcome.results[0]["ticker"] == "T0013"


def test_hit_rates_are_counted_once_a_session_and_known_to_the_next_process(service: Service, keeper: Writer) -> None:
    service.renew_rates()
    counted = dict(service.rates)
    assert counted and all(rate.rate is None for rate in counted.values() if rate.events < 100)
    again = Service(service.settings, service.store, service.clock)
    assert again.rates == counted
    service.rates.clear()
    service.renew_rates()
    assert service.rates == {}, "the same session"


def test_a_process_that_ends_counts_no_rates_and_begins_no_scan(service: Service, keeper: Writer) -> None:
    service.store.closed()
    service.stop()
    service.renew_rates()
    assert service.rates == {} and not (Path(service.settings.state.dir) / "hit_rates.json").exists()
    outcome = service.run(read_request({"expression": "close > 0"}), scan_id="scan_x", load=service.store.closed)
    assert (outcome.status, outcome.results) == ("cancelled", [])


def test_a_process_that_ends_gives_up_the_cube_that_it_builds(service: Service, keeper: Writer) -> None:
    service.stop()
    with pytest.raises(Stopped):
        service.run(read_request({"expression": "close > 0"}), scan_id="scan_x", load=service.store.closed)
    assert not (Path(service.settings.state.dir) / "cube" / "current").exists()
