from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import certifi
import pytest

from proxies.check import judged
from proxies.model import Cause
from simulator.testing import PracticeMarket
from tests.fix_proxies import added, tools_of
from yahoo.chart import Chart

NOW = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
CHART = Chart(symbol="AAPL", price=250.0, price_time=NOW, closes={1: 240.0, 2: 245.0})


async def test_what_each_kind_comes_to(practice_market: PracticeMarket, tmp_path: Path) -> None:
    expected: dict[str, Cause] = {
        "good": "ok",
        "shared": "ok",
        "own_certificate": "bad_certificate",
        "tamper_all": "tampered",
        "captcha": "captcha",
        "limited": "yahoo_limit",
        "bomb": "too_big",
        "redirect": "html",
        "dead": "refused",
        "auth": "needs_password",
        "busy": "proxy_limit",
    }
    async with tools_of(practice_market, tmp_path) as tools:
        fleet = {kind: added(practice_market, kind) for kind in expected}
        found = await asyncio.gather(*(tools.checker.ask(address) for address in fleet.values()))
    assert dict(zip(fleet, (each.cause for each in found), strict=True)) == expected
    assert not any(asked.path == "/inward" for asked in practice_market.requests())


async def test_what_yahoo_says_to_an_exit_is_told_apart(practice_market: PracticeMarket, tmp_path: Path) -> None:
    expected: dict[str, Cause] = {
        "wrong_ticker": "foreign",
        "html": "html",
        "server_error": "server_error",
        "truncate": "not_json",
        "too_many": "yahoo_limit",
        "unauthorized": "crumb_refused",
    }
    fleet = {}
    for number, fault in enumerate(expected, 1):
        fleet[fault] = added(practice_market, "good", exit=f"198.18.77.{number}")
        practice_market.fault(fault, exit=f"198.18.77.{number}")
    async with tools_of(practice_market, tmp_path) as tools:
        found = {fault: (await tools.checker.ask(address)).cause for fault, address in fleet.items()}
    assert found == expected


@pytest.mark.parametrize(
    ("chart", "other", "cause"),
    [
        (CHART, CHART, "ok"),
        (CHART, None, "ok"),
        (replace(CHART, price=250.0 * 1.009), CHART, "ok"),  # it moves
        (replace(CHART, price=250.0 * 1.011), CHART, "tampered"),
        (replace(CHART, price=250.0 * 0.989), CHART, "tampered"),
        (replace(CHART, closes={1: 240.0, 2: 245.0 * 1.01}), CHART, "tampered"),
        (replace(CHART, closes={7: 99.0}), CHART, "ok"),  # a day that the other does not know
        (replace(CHART, price=None), None, "tampered"),
        (replace(CHART, price_time=None), None, "tampered"),
        (replace(CHART, price_time=NOW + timedelta(minutes=2)), None, "tampered"),
        (replace(CHART, price_time=NOW - timedelta(days=4)), None, "ok"),  # a long weekend
        (replace(CHART, price_time=NOW - timedelta(days=6)), None, "stale"),
        (replace(CHART, price_time=NOW - timedelta(minutes=16)), CHART, "stale"),
        (replace(CHART, price_time=NOW - timedelta(minutes=14)), CHART, "ok"),
    ],
)
def test_a_chart_is_compared_with_another_source(chart: Chart, other: Chart | None, cause: Cause) -> None:
    assert judged(chart, other, now=NOW) == cause


async def test_a_proxy_with_a_right_certificate_of_a_root_that_is_new_is_asked_again_with_all_roots(
    practice_market: PracticeMarket, tmp_path: Path
) -> None:
    """Should Yahoo change its authority, no proxy is banned for it."""
    async with tools_of(practice_market, tmp_path) as tools:
        other = Path(tools.trust.ca_path).with_name("few-roots.pem")
        other.write_bytes(Path(certifi.where()).read_bytes())
        assert (await tools.checker.ask(added(practice_market, "good"))).cause == "ok"
