"""`tickerd run` as the shipped processes: copies, kills, an upstream or a database that is away."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from core.clock import SystemClock
from core.errors import NotRunning
from core.files import read_text
from core.settings import Market as MarketSettings
from daemon import client
from market.sessions import build_calendar
from simulator import testing
from simulator.server import PracticeServer
from simulator.world import listings
from simulator.world.walk import Market
from storage import schema_version
from tests.fix_cli import family, running, tickerd
from tests.fix_daemon import PATIENCE_S, is_alive, wait_until
from tests.fix_ports import port_to_come


def write_config(folder: Path, *, proxy: str, ca_file: Path) -> None:
    (folder / "tickers.txt").write_text("\n".join(testing.SYMBOLS))
    (folder / "config.toml").write_text(
        f"""
        [network]
        proxy = "{proxy}"
        ca_file = "{ca_file}"
        start_requests_per_s = 50
        max_requests_per_s = 50
        [market]
        calendar = "always"
        [universe]
        file = "tickers.txt"
        [proxies]
        sources = []
        [api]
        port = 0
        """
    )


def status(folder: Path) -> dict[str, Any]:
    """Return the status; empty while nobody answers."""
    with suppress(NotRunning):
        return client.ask(folder / ".tickerd", {"command": "status"}, timeout_s=PATIENCE_S)
    return {}


def reached(folder: Path, wanted: Callable[[dict[str, Any]], Any], *, within_s: float = PATIENCE_S) -> dict[str, Any]:
    """Wait until the status document is as wanted."""
    found: dict[str, Any] = {}

    def look() -> bool:
        found.clear()
        found.update(status(folder))
        return bool(found) and bool(wanted(found))

    wait_until(look, within_s=within_s)
    return found


def all_run(document: dict[str, Any]) -> bool:
    wanted = [each for each in document["processes"] if each["wanted"]]
    names = {each["name"] for each in wanted if each["state"] == "running"}
    return document["state"] == "running" and names >= {"prices", "metrics", "recorder"} and len(names) == len(wanted)


def priced(folder: Path) -> int:
    with closing(sqlite3.connect(folder / "tickerd.db")) as connection:
        query = "SELECT count(*) FROM stocks_stock WHERE current_price IS NOT NULL AND metrics_updated_at IS NOT NULL"
        return int(connection.execute(query).fetchone()[0])


def logs_of(folder: Path) -> str:
    return "\n".join(file.read_text() for file in (folder / "logs").iterdir())


def test_one_copy_runs_and_the_kill_of_the_orchestrator_leaves_nobody_behind(tmp_path: Path) -> None:
    with testing.process(tmp_path) as market:
        write_config(tmp_path, proxy=market.proxy_url, ca_file=market.ca_file)
        with running("run", folder=tmp_path, output=tmp_path / "said") as first:
            reached(tmp_path, all_run)
            second = tickerd("run", folder=tmp_path)
            second.fails(75, f".tickerd/lock: an orchestrator already runs with pid {first.pid}; stop that one first")
            children = [each.pid for each in family(first.pid)]
            assert len(children) >= 3
            first.kill()
            wait_until(lambda: not any(map(is_alive, children)), within_s=60)

        assert tickerd("status", folder=tmp_path).code == 3
        with running("run", folder=tmp_path, output=tmp_path / "said") as third:
            reached(tmp_path, all_run)
            wait_until(lambda: priced(tmp_path) == len(testing.SYMBOLS))
            children = [each.pid for each in family(third.pid)]
            third.send_signal(signal.SIGTERM)
            assert third.wait(60) == 0
            assert not any(map(is_alive, children))
    assert "Traceback" not in logs_of(tmp_path) + (tmp_path / "said").read_text()


def closed_market(folder: Path) -> tuple[PracticeServer, int]:
    """Return a practice market that does not listen yet, and its port; the configuration leads there."""
    clock = SystemClock()
    calendar = build_calendar(MarketSettings(calendar="always"), read=read_text)
    traded = Market(listings.chosen(testing.SYMBOLS), calendar=calendar, seed=1, now=clock.utc_now())
    server = PracticeServer(traded, clock=clock)
    (folder / "ca.pem").write_bytes(server.authority.pem)
    port = port_to_come()
    write_config(folder, proxy=f"http://127.0.0.1:{port}", ca_file=folder / "ca.pem")
    return server, port


async def test_an_upstream_that_is_away_is_waited_for_and_said_since_when(tmp_path: Path) -> None:
    server, port = closed_market(tmp_path)
    failures: list[BaseException] = []

    with running("run", folder=tmp_path, output=tmp_path / "said") as daemon:
        away = await asyncio.to_thread(reached, tmp_path, lambda document: document["alerts"])
        assert daemon.poll() is None
        (alert,) = away["alerts"]
        assert (alert["alert"], alert["process"]) == ("upstream_unreachable", None)
        assert alert["since"] >= away["since"]
        assert f"since {alert['since']}" in alert["text"]
        assert "trying again" in alert["text"]
        text = (await asyncio.to_thread(tickerd, "status", folder=tmp_path)).out
        assert "ALERT upstream does not answer" in text
        assert "Traceback" not in logs_of(tmp_path)

        await server.start("127.0.0.1", port, on_failure=failures.append)
        try:
            healed = await asyncio.to_thread(reached, tmp_path, lambda document: not document["alerts"])
            await asyncio.to_thread(reached, tmp_path, all_run)
            await asyncio.to_thread(wait_until, lambda: priced(tmp_path) == len(testing.SYMBOLS))
            assert all(each["restarts"] == 0 for each in healed["processes"])
            daemon.send_signal(signal.SIGINT)
            assert await asyncio.to_thread(daemon.wait, 60) == 0
        finally:
            await server.stop()
    assert failures == []
    assert "Traceback" not in logs_of(tmp_path) + (tmp_path / "said").read_text()


def test_a_database_that_another_program_locks_is_waited_for_and_not_touched(tmp_path: Path) -> None:
    file = tmp_path / "tickerd.db"
    schema_version.upgrade(f"sqlite:///{file}")
    write_config(tmp_path, proxy="http://127.0.0.1:1", ca_file=tmp_path / "ca.pem")
    (tmp_path / "ca.pem").write_text("")
    before = file.read_bytes()
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with running("run", folder=tmp_path, output=tmp_path / "said") as daemon:
            locked = reached(tmp_path, lambda document: document["alerts"])
            (alert,) = locked["alerts"]
            assert alert["alert"] == "database_unreachable"
            assert "tickerd.db: is locked by another program; end that program's transaction" in alert["text"]
            assert locked["database"]["reachable"] is False
            assert file.read_bytes() == before
            other.execute("ROLLBACK")
            reached(tmp_path, lambda document: document["database"]["reachable"])
            daemon.send_signal(signal.SIGINT)
            assert daemon.wait(60) == 0


def test_a_database_of_the_other_market_is_said_and_its_prices_are_not_touched(tmp_path: Path) -> None:
    with testing.process(tmp_path) as market:
        write_config(tmp_path, proxy=market.proxy_url, ca_file=market.ca_file)
        file = tmp_path / "tickerd.db"
        schema_version.upgrade(f"sqlite:///{file}")
        assert tickerd("universe", "import", "tickers.txt", folder=tmp_path).code == 0
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("INSERT INTO app_meta (key, value) VALUES ('origin', 'live')")
            connection.commit()
        with running("run", folder=tmp_path, output=tmp_path / "said") as daemon:

            def refused(document: dict[str, Any]) -> bool:
                told = [json.dumps(each) for each in document["alerts"]]
                return all(
                    any(name in each and "holds live data and these are practice data" in each for each in told)
                    for name in ("prices", "metrics")
                )

            reached(tmp_path, refused)
            assert tickerd("status", folder=tmp_path).code == 1
            daemon.send_signal(signal.SIGINT)
            assert daemon.wait(60) == 0
        assert priced(tmp_path) == 0
        with closing(sqlite3.connect(file)) as connection:
            assert connection.execute("SELECT value FROM app_meta WHERE key = 'origin'").fetchall() == [("live",)]
