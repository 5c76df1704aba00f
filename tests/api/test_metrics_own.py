from __future__ import annotations

import psutil

from api.metrics import Sheet
from api.metrics_own import memory_limit_bytes, put_traffic
from api.traffic import Traffic


def test_requests_are_counted_by_route_and_refusals_by_whose_limit() -> None:
    traffic, sheet = Traffic(), Sheet()
    traffic.note("GET", "/api/v1/quotes", 200, 0.002)
    traffic.note("GET", "/api/v1/quotes", 429, 0.0001)
    traffic.limited["user"] += 1
    put_traffic(sheet, traffic)
    lines = sheet.text().decode().splitlines()
    assert 'stocks_http_requests_total{method="GET",route="/api/v1/quotes",code="429"} 1' in lines
    assert 'stocks_http_request_duration_seconds_count{method="GET",route="/api/v1/quotes"} 2' in lines
    assert 'stocks_http_request_duration_seconds_bucket{method="GET",route="/api/v1/quotes",le="0.001"} 1' in lines
    assert 'stocks_rate_limited_requests_total{scope="user"} 1' in lines
    assert 'stocks_rate_limited_requests_total{scope="address"} 0' in lines


def test_the_limit_is_never_more_than_the_machine_has() -> None:
    assert 0 < memory_limit_bytes() <= psutil.virtual_memory().total
