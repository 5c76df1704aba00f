"""The whole of /metrics, as it is asked for: after one real scan, and while what it tells of is away."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from msgspec import to_builtins
from prometheus_client.parser import text_string_to_metric_families

from api.metrics_look import LOOK_S
from core.clock import SystemClock
from core.settings import Settings
from screener.jobs.request import Request
from screener.service import Service
from screener.store import Store
from storage import scans
from storage.writer import Writer
from tests.fix_api import RunningApi, new_folder, served, settings_of, with_own_password
from tests.fix_scans import fill

SCAN = "scan_1"
SEEDS = """
scan_performance    time_to_first_result        stocks_scan_time_to_first_result_seconds
scan_performance    total_scan_time             stocks_scan_duration_seconds
scan_performance    symbols_per_second          stocks_scan_symbols_total
scan_performance    symbols_per_second_by_stage stocks_scan_stage_duration_seconds
scan_performance    early_termination_rate      stocks_scan_early_terminations_total
prioritization      high_priority_signal_rate   stocks_scan_priority_symbols_total
prioritization      priority_accuracy           stocks_scan_priority_symbols_total
prioritization      reorder_frequency           stocks_scan_priority_reorders_total
streaming           active_streams              stocks_stream_connections
streaming           stream_latency              stocks_stream_latency_seconds
streaming           websocket_errors            stocks_stream_errors_total
streaming           reconnection_rate           stocks_stream_resumes_total
streaming           messages                    stocks_stream_messages_total
streaming           data_loss                   stocks_stream_messages_dropped_total
security            failed_sign_ins             stocks_auth_failures_total
notifications       not_sent                    stocks_notifications_total
resources           memory_usage                process_resident_memory_bytes
resources           memory_limit                stocks_memory_limit_bytes
resources           cpu_usage                   process_cpu_seconds_total
resources           active_connections          stocks_http_requests_under_way
stages              average_time_per_stage      stocks_scan_stage_duration_seconds
stages              stage_completion            stocks_scans_total
accuracy            eta_accuracy                stocks_scan_eta_error_ratio
performance         cache_hit_rate              stocks_scan_cache_requests_total
performance         api_response_times          stocks_http_request_duration_seconds
performance         error_statistics            stocks_log_messages_total
performance         threading_efficiency        stocks_scan_symbol_worker_processes
analytics           signals_generated           stocks_signals_total
"""
"""What the earlier scanners' lists ask for, and the family that tells it."""


def samples(text: str) -> dict[str, float]:
    """Return each sample by its name and labels, as in `a_total{b="c"}`."""
    found = {}
    for family in text_string_to_metric_families(text):
        for one in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sorted(one.labels.items()))
            found[f"{one.name}{{{labels}}}" if labels else one.name] = one.value
    return found


def seen(api: RunningApi) -> dict[str, float]:
    answer = api.ask("GET", "/metrics")
    assert (answer.status, answer.headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    return samples(answer.body.decode())


def scan_once(settings: Settings) -> None:
    """Do one scan as the scan engine does it: A rises and is found, B falls, C stands still."""
    clock, request = SystemClock(), Request(expression="close > prev(close)")
    with (
        Writer.open(settings.database.url, service="test", origin=None, clock=clock) as writer,
        closing(Store(settings, service="test", clock=clock)) as store,
    ):
        fill(writer, {"A": [10.0, 11.0, 12.0], "B": [20.0, 19.0, 18.0], "C": [5.0, 5.0, 5.0]})
        service = Service(settings, store, clock)
        scans.begin(writer, SCAN, to_builtins(request), name="rising", at=clock.utc_now())
        outcome = service.run(request, scan_id=SCAN, load=store.closed)
        service.keep(writer, SCAN, request, outcome)
        scans.renew_signals(writer, "rising", SCAN, outcome.results, whole=True, at=clock.utc_now())


@pytest.fixture(scope="module")
def scanned(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApi]:
    folder = new_folder(sqlite_template, tmp_path_factory.mktemp("metrics"))
    settings = settings_of(folder, requests_per_s=1000.0, burst=10_000)
    with served(settings, folder) as api:
        with_own_password(api)
        scan_once(settings)
        yield api


@pytest.mark.parametrize("line", SEEDS.strip().splitlines())
def test_each_metric_of_the_earlier_scanners_is_there_after_one_scan(scanned: RunningApi, line: str) -> None:
    _, _, name = line.split()
    found = seen(scanned)
    assert any(sample.split("{")[0] in (name, f"{name}_count") for sample in found), name


def test_one_scan_is_counted_once_however_often_somebody_looks(scanned: RunningApi) -> None:
    for _ in range(2):
        found = seen(scanned)
        assert found['stocks_scans_total{outcome="complete"}'] == 1
        assert found['stocks_scan_symbols_total{outcome="signal"}'] == 1
        assert found['stocks_scan_symbols_total{outcome="no_signal"}'] == 2
        assert found['stocks_scan_duration_seconds_count{mode="now"}'] == 1
        assert found['stocks_scan_cache_requests_total{result="hit"}'] == 3
        assert found["stocks_scan_priority_reorders_total"] == 1
        by_tier = [value for name, value in found.items() if name.startswith("stocks_scan_priority_symbols_total")]
        assert sum(by_tier) == 3
        assert found['stocks_tickers{state="active"}'] == 6


def test_what_is_asked_is_counted_under_its_route_and_what_is_no_route_under_one_name(scanned: RunningApi) -> None:
    for path in ("/api/v1/quotes/AAPL", "/api/v1/quotes/MSFT", "/none/1", "/none/2"):
        scanned.ask("GET", path)
    scanned.do(scanned.context.clock.sleep(LOOK_S))
    found = seen(scanned)
    assert found['stocks_http_requests_total{code="200",method="GET",route="/api/v1/quotes/{ticker}"}'] == 2
    assert found['stocks_http_requests_total{code="404",method="GET",route="unknown"}'] == 2
    assert not any("AAPL" in name for name in found)


def test_it_needs_the_scope_metrics(scanned: RunningApi) -> None:
    assert scanned.ask("GET", "/metrics", key="").status == 401
    assert scanned.ask("GET", "/metrics", key=scanned.key("read", "admin")).status == 403
    assert scanned.ask("GET", "/metrics", key=scanned.key("metrics")).status == 200


def test_every_family_is_there_and_prometheus_itself_has_nothing_against_them(scanned: RunningApi) -> None:
    if not shutil.which("promtool"):
        pytest.skip("promtool is not installed")
    text = scanned.ask("GET", "/metrics").body
    told = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
    assert (told.returncode, told.stdout, told.stderr) == (0, b"", b"")


def test_without_an_orchestrator_and_without_a_database_it_tells_the_rest(
    sqlite_template: Path, tmp_path: Path
) -> None:
    folder = new_folder(sqlite_template, tmp_path)
    with served(settings_of(folder, auth=False), folder) as api:
        found = seen(api)
        assert (found["stocks_control_up"], found['stocks_tickers{state="active"}']) == (0, 3)
        assert "stocks_market_open" in found and not any(name.startswith("stocks_scanner_up") for name in found)
        (folder / "tickerd.db").rename(folder / "away.db")
        api.do(api.context.clock.sleep(LOOK_S))
        found = seen(api)
        failed = [value for name, value in found.items() if name.startswith("stocks_db_errors_total")]
        assert sum(failed) >= 1
        assert 'stocks_tickers{state="active"}' not in found
        assert found['stocks_scans_total{outcome="complete"}'] == 0
        (folder / "away.db").rename(folder / "tickerd.db")
