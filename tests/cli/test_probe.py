from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.clock import SystemClock
from core.files import FileLock
from market.universe import Listing
from scanners.probe import stream as probe_stream
from simulator import testing
from simulator.world import listings
from storage.universe import load_universe
from storage.writer import Writer
from tests.fix_cli import TIME, Run, fits_80_columns

TICKERS = [listing.symbol for listing in listings.bundled()][:130]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HEAR_S", "SNAPSHOT_S", "RATE_S"):
        monkeypatch.setattr(probe_stream, name, 0.5)


@pytest.fixture
def market(tmp_path: Path) -> Iterator[testing.PracticeProcess]:
    universe = tmp_path / "universe.txt"
    universe.write_text("\n".join(TICKERS))
    with testing.process(tmp_path, "--universe", str(universe)) as running:
        (tmp_path / "config.toml").write_text(
            f'[network]\nproxy = "{running.proxy_url}"\nca_file = "{running.ca_file}"\n'
            "start_requests_per_s = 1000.0\nmax_requests_per_s = 1000.0\n"
        )
        yield running


@pytest.fixture
def listed(sqlite_file: Path) -> None:
    with Writer.open(f"sqlite:///{sqlite_file}", service="test", origin=None, clock=SystemClock()) as writer:
        load_universe(writer, [Listing(ticker=ticker) for ticker in TICKERS])


@pytest.mark.usefixtures("listed")
def test_what_agrees_with_the_settings_is_shown_and_nothing_is_proposed(
    here: Run, market: testing.PracticeProcess
) -> None:
    shown = here("probe")
    assert (shown.code, shown.err) == (0, "")
    lines = [" ".join(line.split()) for line in shown.out.splitlines()]
    assert "symbols a connection 100 (believed: 100)" in lines
    assert "tickers a request 100 (believed: 100)" in lines
    assert "a crumb and its cookie bound (believed: bound)" in lines
    assert "Nothing that was found speaks against the settings." in lines
    assert "The upstream is practice; used: 7 requests, 4 connections" in shown.out
    assert fits_80_columns(shown.out)


@pytest.mark.usefixtures("listed")
def test_what_speaks_against_the_settings_is_proposed_as_lines_of_config_toml(
    here: Run, market: testing.PracticeProcess
) -> None:
    market.fault("cut_symbols", symbols=50)
    market.fault("batch_limit", symbols=50)
    shown = here("probe")
    assert shown.code == 0
    assert shown.out.endswith(
        "\nPut into config.toml:\n\n"
        "[prices]\nsymbols_per_connection = 49  # now 99\n"
        "[metrics]\nbatch_size = 50  # now 100\n"
    )
    assert fits_80_columns(shown.out)


@pytest.mark.usefixtures("listed")
def test_as_json_it_is_one_document(here: Run, market: testing.PracticeProcess) -> None:
    market.fault("cut_symbols", symbols=50)
    document = here("probe", "--json").json()
    assert TIME.fullmatch(document["at"])
    assert document["symbols_per_connection"] == {"believed": 100, "found": 50, "refused": 51, "reason": ""}
    assert document["proposals"] == [{"key": "prices.symbols_per_connection", "now": 99, "proposed": 49}]
    assert document["crumb"] == {"is_bound_to_cookie": True, "reason": ""}
    assert document["message_rate"]["symbols"] == 120
    assert document["message_rate"]["heard"] == 50
    assert (document["requests"], document["connections"], document["broken_off"]) == (7, 4, [])


@pytest.mark.usefixtures("listed")
def test_what_was_broken_off_is_told_and_the_exit_code_says_try_later(
    here: Run, market: testing.PracticeProcess
) -> None:
    market.fault("too_many", path="/v7/*")
    shown = here("probe")
    assert shown.code == 75
    words = " ".join(shown.out.split())
    assert "Broken off: https://query1.finance.yahoo.com/v7/finance/quote: too many requests: status 429" in words


@pytest.mark.usefixtures("listed")
def test_an_upstream_that_cannot_be_reached_is_exit_69(here: Run, market: testing.PracticeProcess) -> None:
    market.fault("unreachable", host="streamer.*")
    here("probe").fails(69, "streamer.finance.yahoo.com", "502")


@pytest.mark.usefixtures("listed")
def test_two_probes_do_not_run_at_once(here: Run, market: testing.PracticeProcess, tmp_path: Path) -> None:
    (tmp_path / ".tickerd").mkdir()
    with FileLock(tmp_path / ".tickerd" / "probe.lock"):
        here("probe").fails(75, "a probe already runs")
    assert market.connections() == []
