from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

from sqlalchemy import insert, update

from api.metrics import Sheet
from api.metrics_tables import EVER, Tables
from market.universe import Listing
from storage.runs import finish_run, start_run
from storage.schema import scanner_event, stocks_stock
from storage.universe import load_universe
from storage.writer import Transaction, Writer
from tests.fix_api import Direct
from tests.fix_storage import NOON


def execute(statement: Any, tx: Transaction) -> None:
    tx.connection.execute(statement)


def run(writer: Writer, *, minutes_ago: int = 1, **detail: Any) -> None:
    ended = NOON - timedelta(minutes=minutes_ago)
    begun = ended - timedelta(seconds=40)
    run_id = start_run(writer, scanner="prices", session_date=NOON.date(), expected=10, at=begun)
    finish_run(writer, run_id, status="complete", updated=9, failed=1, skipped=0, detail=detail, at=ended)


def told(tables: Tables, direct: Direct) -> list[str]:
    tables.read(direct.reader, NOON)
    sheet = Sheet()
    tables.put(sheet)
    return [line for line in sheet.text().decode().splitlines() if not line.startswith("#")]


def test_a_cycle_is_counted_once_with_its_reasons_and_requests(direct: Direct) -> None:
    tables = Tables()
    run(
        direct.writer,
        why={"fresh_by_pool": 9, "refused": 1},
        requests=12,
        failures={"Unreachable": 2},
        stream={"connections": 2, "open": 1, "proven": 1},
    )
    for _ in range(2):
        lines = told(tables, direct)
        assert 'stocks_scanner_tickers_updated_total{scanner="prices"} 9' in lines
        assert 'stocks_scanner_tickers_failed_total{scanner="prices",reason="refused"} 1' in lines
        assert 'stocks_scanner_cycle_duration_seconds_bucket{scanner="prices",le="30"} 0' in lines
        assert 'stocks_scanner_cycle_duration_seconds_bucket{scanner="prices",le="60"} 1' in lines
        assert 'stocks_scanner_cycle_success_ratio{scanner="prices"} 0.9' in lines
        assert 'stocks_upstream_requests_total{provider="yahoo",outcome="Unreachable"} 2' in lines
        assert 'stocks_upstream_requests_total{provider="yahoo",outcome="ok"} 10' in lines
        assert [line for line in lines if "ws_upstream" in line] == [
            'stocks_ws_upstream_connected{shard="0"} 1',
            'stocks_ws_upstream_connected{shard="1"} 0',
        ]
    run(direct.writer)
    assert 'stocks_scanner_tickers_updated_total{scanner="prices"} 18' in told(tables, direct)


def test_a_cycle_of_before_does_not_count_and_says_nothing_of_connections(direct: Direct) -> None:
    run(direct.writer, minutes_ago=10, stream={"connections": 1, "open": 1})
    lines = told(Tables(NOON - timedelta(minutes=5)), direct)
    assert not any("updated_total" in line or "ws_upstream" in line for line in lines)
    assert 'stocks_scanner_cycle_success_ratio{scanner="prices"} 0.9' in lines


def test_tickers_are_counted_under_the_bounds_of_their_group(direct: Direct) -> None:
    load_universe(direct.writer, [Listing(ticker=name) for name in ("A", "B", "C")])
    ages_s = {"A": 30, "B": 90}
    for name, age_s in ages_s.items():
        at = NOON - timedelta(seconds=age_s)
        changed = update(stocks_stock).where(stocks_stock.c.ticker == name).values(price_updated_at=at)
        direct.writer.run(partial(execute, changed), source="test")
    lines = told(Tables(EVER), direct)
    assert 'stocks_quote_fresh_tickers{group="price",bound="60s"} 1' in lines
    assert 'stocks_quote_fresh_tickers{group="price",bound="120s"} 2' in lines
    assert 'stocks_quote_age_max_seconds{group="price"} 90' in lines
    assert 'stocks_tickers{state="active"} 3' in lines
    assert not any('age_max_seconds{group="daily"' in line for line in lines)


def test_a_restart_counts_under_its_cause(direct: Direct) -> None:
    row = {"at": NOON, "source": "s", "process": "prices", "cause": "crash"}
    events = [row | {"seq": seq, "event": event} for seq, event in enumerate(("scanner_restarted", "scanner_ready"))]
    direct.writer.run(lambda tx: tx.connection.execute(insert(scanner_event), events), source="test")
    lines = [line for line in told(Tables(), direct) if "restarts" in line]
    assert lines == ['stocks_scanner_restarts_total{scanner="prices",reason="crash"} 1']
