from __future__ import annotations

import asyncio
from pathlib import Path

from daemon.launch import Launch, launch
from daemon.reports import Report
from daemon.system import Beats, supervise
from tests.fix_daemon import stub_environ


async def test_a_child_is_started_and_heard_by_the_means_of_this_system(tmp_path: Path) -> None:
    ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    beaten: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def started(notify: str) -> Launch:
        return launch("stub_beats", environ=stub_environ(), folder=tmp_path, settings=tmp_path / "none", notify=notify)

    def report(pid: int, said: Report, _bad: list[str]) -> None:
        if said.beat and not beaten.done():
            beaten.set_result(pid)

    (tmp_path / "none").write_text("{}", encoding="utf-8")
    beats = Beats(is_child=lambda _pid: True, on_report=report)
    child = supervise(started, beats, on_exit=ended.set_result, on_output=lambda _chunk: None, lock=tmp_path / "l")
    assert await asyncio.wait_for(beaten, 60) == child.pid
    child.ask()
    assert await asyncio.wait_for(ended, 60) == 0
    beats.close()
