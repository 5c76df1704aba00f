from __future__ import annotations

import os
import sys

import pytest

from screener.jobs.executor import PAYS_FROM_S, Executor, Forked, Inline, WorkerFailed, choose, cores

needs_fork = pytest.mark.skipif(sys.platform == "win32", reason="no fork there")
BOTH = [Inline(), pytest.param(Forked(2), marks=needs_fork)]


def square(number: int) -> int:
    return number * number


@pytest.mark.parametrize("executor", BOTH, ids=lambda each: type(each).__name__)
def test_every_item_is_answered_once_with_its_place(executor: Executor) -> None:
    assert sorted(executor.run(square, [3, 1, 2], lambda: False)) == [(0, 9), (1, 1), (2, 4)]
    assert list(executor.run(square, [], lambda: False)) == []


@pytest.mark.parametrize("executor", BOTH, ids=lambda each: type(each).__name__)
def test_a_cancelled_run_gives_nothing_more(executor: Executor) -> None:
    assert list(executor.run(square, [1, 2, 3], lambda: True)) == []


@needs_fork
def test_forked_work_runs_in_other_processes_and_its_error_is_told() -> None:
    pids = {pid for _, pid in Forked(2).run(lambda _: os.getpid(), [1, 2], lambda: False)}
    assert os.getpid() not in pids and len(pids) == 2
    with pytest.raises(WorkerFailed, match="ZeroDivisionError"):
        list(Forked(1).run(lambda number: 1 // number, [0], lambda: False))


@needs_fork
def test_a_worker_that_is_killed_is_an_error_and_no_wait_without_end() -> None:
    with pytest.raises(WorkerFailed, match="without its answer"):
        list(Forked(1).run(lambda _: os.kill(os.getpid(), 9), [0], lambda: False))


def test_more_cores_are_used_only_where_it_pays_and_never_more_than_there_are() -> None:
    assert choose(estimated_s=PAYS_FROM_S / 2, max_workers=200).workers == 1
    assert choose(estimated_s=60.0, max_workers=1).workers == 1
    most = cores() if sys.platform != "win32" else 1
    assert choose(estimated_s=60.0, max_workers=200).workers == most
