from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from core.errors import RetryLater
from core.files import FileLock
from core.notify import Notifier
from scanners.main import scan
from tests.fix_scanners import Stage, Supervisor, eventually


@contextmanager
def started(stage: Stage, name: str, supervisor: Supervisor, **sections: Any) -> Iterator[subprocess.Popen[bytes]]:
    child = stage.start(f"scanners.{name}", supervisor, **sections)
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


async def ended(child: subprocess.Popen[bytes], *, within_s: float) -> int:
    """Return the exit code; the market goes on in this loop meanwhile."""
    await eventually(lambda: child.poll() is not None, timeout_s=within_s)
    return child.returncode


def errors_of(child: subprocess.Popen[bytes]) -> str:
    assert child.stderr is not None
    return child.stderr.read().decode()


async def test_the_price_scanner_beats_with_data_and_coverage_and_flushes_at_sigterm(
    stage: Stage, supervisor: Supervisor
) -> None:
    with started(stage, "prices", supervisor) as child:
        await eventually(lambda: supervisor.values("READY"), timeout_s=60)
        await eventually(stage.priced, timeout_s=60)
        await eventually(lambda: supervisor.values("X_DATA_AT") and supervisor.values("X_COVERAGE"))
        child.send_signal(signal.SIGTERM)
        assert await ended(child, within_s=60) == 0
        said = errors_of(child)
    coverage = json.loads(supervisor.values("X_COVERAGE")[-1])["price"]
    assert coverage["total"] == 8
    assert supervisor.drain()[-1] == {"STOPPING": "1"}
    assert "Traceback" not in said
    assert [run["status"] for run in stage.runs("prices")][-1] in ("complete", "partial")


async def test_the_metrics_scanner_beats_with_data_and_coverage_and_ends_at_sigterm(
    stage: Stage, supervisor: Supervisor
) -> None:
    with started(stage, "metrics", supervisor) as child:
        await eventually(lambda: stage.coverage("metrics"), timeout_s=60)
        await eventually(lambda: supervisor.values("X_DATA_AT") and supervisor.values("X_COVERAGE"))
        child.send_signal(signal.SIGTERM)
        assert await ended(child, within_s=60) == 0
        assert "Traceback" not in errors_of(child)
    assert json.loads(supervisor.values("X_COVERAGE")[-1])["metrics"]["fresh"] == 8


async def test_the_daily_scanner_ends_by_itself(stage: Stage, supervisor: Supervisor) -> None:
    with started(stage, "daily", supervisor) as child:
        assert await ended(child, within_s=60) == 0
    assert [run["status"] for run in stage.runs("daily")] == ["complete"]


async def test_a_supervised_scanner_outlives_an_upstream_that_is_away_without_a_traceback(
    stage: Stage, supervisor: Supervisor
) -> None:
    stage.market.faults.refuse_connections = True
    with started(stage, "prices", supervisor) as child:
        await eventually(
            lambda: any('"upstream":"unreachable"' in facts for facts in supervisor.values("X_FACTS")), timeout_s=20
        )
        stage.market.faults.refuse_connections = False
        await eventually(stage.priced, timeout_s=60)
        child.send_signal(signal.SIGTERM)
        assert await ended(child, within_s=60) == 0
        assert "Traceback" not in errors_of(child)


async def test_other_data_in_the_database_end_the_process_with_78_and_one_line(
    stage: Stage, supervisor: Supervisor
) -> None:
    with stage.writer("live") as writer:
        writer.run(lambda tx: tx.wrote(0), source="test")
    with started(stage, "prices", supervisor) as child:
        assert await ended(child, within_s=60) == 78
        last = errors_of(child).splitlines()[-1]
    assert last.startswith("tickerd: ")
    assert "holds live data" in last
    assert stage.stocks("current_price IS NOT NULL") == {}


async def test_a_second_copy_is_refused_and_told_the_pid_of_the_first(stage: Stage) -> None:
    (stage.folder / "state").mkdir()
    lock = FileLock(stage.folder / "state" / "daily.lock")
    assert lock.try_acquire()
    lock.write_owner(str(os.getpid()))
    with pytest.raises(RetryLater, match=f"scanner daily already runs with pid {os.getpid()}") as error:
        await scan("daily", stage.settings, asyncio.Event(), Notifier(None))
    assert error.value.exit_code == 75
    lock.release()
    assert await scan("daily", stage.settings, asyncio.Event(), Notifier(None)) == 0


async def test_the_lock_is_free_after_an_error(stage: Stage) -> None:
    stage.market.faults.refuse_connections = True
    for _ in range(2):
        with pytest.raises(RetryLater, match="streamer"):
            await scan("prices", stage.settings, asyncio.Event(), Notifier(None), once=True)


async def test_progress_is_reported_while_it_scans(stage: Stage) -> None:
    seen: list[int] = []
    code = await scan(
        "metrics",
        stage.settings,
        asyncio.Event(),
        Notifier(None),
        once=True,
        report=lambda progress: seen.append(progress.done),
    )
    assert code == 0
    assert seen[-1] == 8


async def test_a_name_that_is_no_scanner_is_refused(stage: Stage) -> None:
    with pytest.raises(ModuleNotFoundError, match=r"scanners\.nonsense"):
        await scan("nonsense", stage.settings, asyncio.Event(), Notifier(None))
