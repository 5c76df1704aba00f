"""Every recording in tests/data/flights is a test: `NAME.json` beside `NAME.jsonl.gz` says what must come of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from core.clock import SystemClock
from core.flight import segments
from scanners.context import run_scanner
from scanners.metrics.work import work as metrics_work
from scanners.prices.work import work as prices_work
from simulator import testing
from simulator.stream.replay import Playback
from tests.fix_cli import Run
from tests.fix_scanners import Stage, eventually, staged

FLIGHTS = Path(__file__).parent.parent / "data" / "flights"


def part_of(found: Any, wanted: Any) -> Any:
    """Return what `found` says to each key that `wanted` names."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        return {key: part_of(found.get(key), value) for key, value in wanted.items()}
    if isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        return [part_of(*each) for each in zip(found, wanted, strict=True)]
    return found


@pytest.mark.parametrize("recording", sorted(FLIGHTS.glob("*.jsonl*")), ids=lambda path: path.name)
def test_a_recording_comes_to_what_is_written_beside_it(here: Run, recording: Path) -> None:
    wanted = json.loads(FLIGHTS.joinpath(recording.name.split(".")[0] + ".json").read_text(encoding="utf-8"))
    tickers = [word for ticker in wanted["tickers"] for word in ("--ticker", ticker)]
    ended = here("replay", recording, "--json", *tickers)
    assert part_of(ended.json(), wanted) == wanted


async def record(stage: Stage) -> dict[str, dict[str, Any]]:
    """Let both scanners fill the table and keep what they heard; return the rows as the price scanner left them."""
    async with stage.at_work(stage.context("prices", prices={"flight_recorder_mb": 5}), prices_work) as scanner:
        await eventually(stage.priced)
        await scanner.stop()
    prices = stage.stocks()
    assert await run_scanner(stage.context("metrics", once=True, metrics={"flight_recorder_mb": 5}), metrics_work) == 0
    return prices


def replayed(here: Run, stage: Stage) -> dict[str, Any]:
    """Return what `tickerd replay` says of the stage's recordings."""
    (stage.folder / "config.toml").write_text('[market]\ncalendar = "always"\n')
    tickers = [word for ticker in stage.tickers for word in ("--ticker", ticker)]
    flight = stage.folder / "state/flight"
    return here("replay", flight / "prices", flight / "metrics", "--json", *tickers).json()


def regular(document: dict[str, Any], ticker: str) -> dict[str, Any]:
    (price,) = [each for each in document["tickers"][ticker]["prices"] if each["kind"] == "regular"]
    return dict(price)


async def test_what_a_scanner_records_comes_to_what_it_wrote_into_the_table(here: Run, stage: Stage) -> None:
    """The user's way: record, take the folder along, replay. Price, time and volume are those of his table."""
    prices = await record(stage)
    flight = stage.folder / "state/flight"
    assert [len(segments(flight / name)) for name in ("prices", "metrics")] == [1, 1]
    document = replayed(here, stage)
    for ticker, row in prices.items():
        price = regular(document, ticker)
        assert price["price_usd"] == row["current_price"]
        assert price["price_time"] == row["price_time"].replace(" ", "T")[:-3] + "Z"
        assert document["tickers"][ticker]["quote"]["volume"] == stage.stocks()[ticker]["volume"]
    assert document["errors"] == []


async def test_the_practice_market_plays_a_user_s_recording_into_another_table(
    here: Run, stage: Stage, sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Prices that only the recording knows get there over real connections; those of the other market's walk do not."""
    await record(stage)
    wanted, flight = replayed(here, stage), stage.folder / "state/flight"
    folder = tmp_path_factory.mktemp("other")
    file = Path(shutil.copy(sqlite_template, folder / "tickerd.db"))
    async with testing.running(folder, seed=2) as market:
        playback = Playback([flight / "prices", flight / "metrics"], speed=5.0)
        market.server.play(playback)
        other = staged(market, folder, file, clock=SystemClock())
        async with other.at_work(other.context("prices"), prices_work) as scanner:
            await eventually(lambda: playback.is_over)
            await eventually(lambda: all(price_of(other, t) == regular(wanted, t)["price_usd"] for t in other.tickers))
            await scanner.stop()
        assert await run_scanner(other.context("metrics", once=True), metrics_work) == 0
        rows, recorded = other.stocks(), stage.stocks()
    for column in ("volume", "previous_close", "days_high", "market_cap"):
        assert {each: row[column] for each, row in rows.items()} == {each: recorded[each][column] for each in rows}


def price_of(stage: Stage, ticker: str) -> float | None:
    price: float | None = stage.stocks()[ticker]["current_price"]
    return price
