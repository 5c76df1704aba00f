from __future__ import annotations

import asyncio
from pathlib import Path

from core.clock import SystemClock
from core.settings import Logging, Settings, Supervisor
from daemon.launch import launch
from daemon.prepare import Attempt, Preparation, wait
from tests.fix_daemon import stub_environ


def preparation(module: str, folder: Path, attempts: list[Attempt]) -> Preparation:
    return Preparation(
        launch(module, environ=stub_environ(), folder=folder, settings=folder / "none", notify=""),
        settings=Settings(logging=Logging(dir=str(folder)), supervisor=Supervisor(backoff_max_s=0.05)),
        luck=lambda: 0.0,
        on_attempt=attempts.append,
    )


async def test_what_succeeds_is_run_once(tmp_path: Path) -> None:
    attempts: list[Attempt] = []
    attempt = await preparation("stub_done", tmp_path, attempts).run(asyncio.Event())
    assert attempt is not None
    assert (attempt.done, attempts) == (True, [])


async def test_wrong_settings_end_it_with_the_line_that_says_why(tmp_path: Path) -> None:
    attempt = await preparation("stub_wrong_settings", tmp_path, []).run(asyncio.Event())
    assert attempt == Attempt(returncode=78, said="tickerd: database.url: no such place; give another")
    assert attempt.hopeless


async def test_a_database_that_is_away_is_tried_again_until_the_end(tmp_path: Path) -> None:
    attempts: list[Attempt] = []
    stop = asyncio.Event()
    made = preparation("stub_later", tmp_path, attempts)
    running = asyncio.ensure_future(made.run(stop))
    while len(attempts) < 3:
        await SystemClock().sleep(0.01)
    stop.set()
    assert await asyncio.wait_for(running, 60) is None
    assert attempts[2] == Attempt(returncode=75, said="tickerd: database: connection refused; start it")


async def test_a_stop_ends_a_try_that_is_under_way(tmp_path: Path) -> None:
    stop = asyncio.Event()
    attempts: list[Attempt] = []
    running = asyncio.ensure_future(preparation("stub_beats", tmp_path, attempts).run(stop))
    await SystemClock().sleep(0.1)
    assert not running.done()
    stop.set()
    assert await asyncio.wait_for(running, 60) is None
    assert attempts == []


async def test_a_wait_ends_when_the_time_is_over_or_the_stop_comes() -> None:
    stop, clock = asyncio.Event(), SystemClock()
    began_s = clock.monotonic_s()
    await wait(stop, 0.05)
    assert clock.monotonic_s() - began_s > 0.04
    stop.set()
    await asyncio.wait_for(wait(stop, 3600), 60)
