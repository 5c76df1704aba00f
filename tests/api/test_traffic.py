from __future__ import annotations

from api.traffic import BOUNDS_S, Traffic


def test_requests_are_counted_by_method_route_and_status_and_their_times_by_bound() -> None:
    traffic = Traffic()
    for status, duration_s in ((200, 0.0005), (200, 0.002), (404, 20.0)):
        traffic.note("GET", "/x", status, duration_s)
    assert traffic.requests == {("GET", "/x", 200): 2, ("GET", "/x", 404): 1}
    times = traffic.durations["GET", "/x"]
    assert (times.count, times.total_s) == (3, 20.0025)
    assert (times.buckets[0], times.buckets[1], times.buckets[len(BOUNDS_S)]) == (1, 1, 1)
