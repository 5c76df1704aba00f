from __future__ import annotations

import os
import sys
import threading

import pytest

from core.clock import pause
from screener.jobs.executor import PAYS_FROM_S, Executor, Forked, Inline, WorkerFailed, choose, cores, may_fork

needs_fork = pytest.mark.skipif(sys.platform == "win32", reason="no fork there")
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # a worker of pytest has threads
BOTH = [Inline(), pytest.param(Forked(2), marks=needs_fork)]


def square(number: int) -> int:
    return number * number


@pytest.mark.parametrize("executor", BOTH, ids=lambda each: type(each).__name__)
def test_every_item_is_answered_once_in_the_order_of_the_items(executor: Executor) -> None:
    assert list(executor.run(square, [3, 1, 2, 5], lambda: False)) == [9, 1, 4, 25]
    assert list(executor.run(square, [], lambda: False)) == []


@pytest.mark.parametrize("executor", BOTH, ids=lambda each: type(each).__name__)
def test_a_cancelled_run_gives_nothing_more(executor: Executor) -> None:
    assert list(executor.run(square, [1, 2, 3], lambda: True)) == []


@needs_fork
def test_forked_work_runs_in_other_processes_and_its_error_is_told() -> None:
    pids = set(Forked(2).run(lambda _: os.getpid(), [1, 2], lambda: False))
    assert os.getpid() not in pids and len(pids) == 2
    with pytest.raises(WorkerFailed, match="ZeroDivisionError"):
        list(Forked(1).run(lambda number: 1 // number, [0], lambda: False))


@needs_fork
def test_a_worker_that_is_killed_is_an_error_and_no_wait_without_end() -> None:
    with pytest.raises(WorkerFailed, match="without its answer"):
        list(Forked(1).run(lambda _: os.kill(os.getpid(), 9), [0], lambda: False))


@needs_fork
def test_an_answer_that_comes_early_waits_for_those_before_it() -> None:
    def work(number: int) -> int:
        if number == 0:
            pause(0.05)
        return number

    assert list(Forked(2).run(work, [0, 1, 2, 3], lambda: False)) == [0, 1, 2, 3]


def test_more_cores_are_used_only_where_it_pays_and_never_more_than_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("screener.jobs.executor.may_fork", lambda: sys.platform != "win32")
    assert choose(estimated_s=PAYS_FROM_S / 2, max_workers=200).workers == 1
    assert choose(estimated_s=60.0, max_workers=1).workers == 1
    most = cores() if sys.platform != "win32" else 1
    assert choose(estimated_s=60.0, max_workers=200).workers == most


def test_a_process_of_several_threads_is_not_forked() -> None:
    held = threading.Event()
    other = threading.Thread(target=held.wait)
    other.start()
    try:
        assert not may_fork() and choose(estimated_s=60.0, max_workers=200).workers == 1
    finally:
        held.set()
        other.join()
