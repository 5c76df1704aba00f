from __future__ import annotations

import pytest

from scanners.probe import stream as probe_stream
from scanners.probe.search import Limit, Proposal
from tests.fix_probe import probed
from tests.fix_scanners import Stage


async def test_the_rate_is_what_the_market_sent(probed_market: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe_stream, "SNAPSHOT_S", 2.0)
    monkeypatch.setattr(probe_stream, "RATE_S", 2.2)
    report = await probed(probed_market)
    rate, longest = report.message_rate, max(probed_market.market.connections(), key=lambda each: each.frames)
    assert (rate.symbols, rate.heard) == (120, 100)
    assert rate.messages_per_s is not None
    # One frame a ticker and second, and each ticker's last price at first.
    assert 0 < rate.messages_per_s * rate.seconds_s <= longest.frames - 100
    assert rate.busiest_per_s is not None
    assert rate.busiest_per_s <= 3 / rate.seconds_s
    assert rate.bytes_per_s is not None
    assert 60 < rate.bytes_per_s / rate.messages_per_s < 200  # a frame of about a hundred bytes


@pytest.mark.parametrize("honoured", [50, 97])
async def test_a_stream_that_cuts_lists_is_found_out_to_the_symbol(probed_market: Stage, honoured: int) -> None:
    probed_market.market.fault("cut_symbols", symbols=honoured)
    report = await probed(probed_market)
    assert report.symbols_per_connection == Limit(believed=100, found=honoured, refused=honoured + 1)
    assert report.proposals == [Proposal(key="prices.symbols_per_connection", now=99, proposed=honoured - 1)]


async def test_a_longer_list_that_is_honoured_is_no_reason_to_change(probed_market: Stage) -> None:
    probed_market.market.fault("cut_symbols", symbols=500)
    report = await probed(probed_market)
    assert report.symbols_per_connection == Limit(believed=100, found=120)
    assert report.proposals == []


async def test_a_silent_canary_leaves_the_limit_unmeasured(probed_market: Stage) -> None:
    probed_market.market.fault("drop", symbols="BTC-USD")
    report = await probed(probed_market)
    assert report.symbols_per_connection == Limit(believed=100, reason="BTC-USD is not heard even alone")
