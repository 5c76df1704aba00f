"""Runs a piece of work on many items: here, or in forked processes that share this one's memory. Knows no scan.

One protocol, so that a pool on other machines (shards of the market, each with its columns) can take its place.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any, Protocol, TypeVar

from core.errors import TickerdError

T = TypeVar("T")
R = TypeVar("R")

PAYS_FROM_S = 0.3
"""Of work: below it forking and sending the answers back costs more than a second core gives (docs/performance.md)."""


class WorkerFailed(TickerdError):
    """A forked worker ended without its answer."""


class Executor(Protocol):
    """`cancelled` is asked before each item; an item under way is let finish."""

    workers: int

    def run(self, work: Callable[[T], R], items: Sequence[T], cancelled: Callable[[], bool]) -> Iterator[R]:
        """Give the answer of each item, in the order of the items."""


class Inline:
    """One after the other, in this process."""

    workers = 1

    def run(self, work: Callable[[T], R], items: Sequence[T], cancelled: Callable[[], bool]) -> Iterator[R]:
        for item in items:
            if cancelled():
                return
            yield work(item)


class Forked:
    """So many forked processes: what `work` needs is there already and is not sent; only answers are."""

    def __init__(self, workers: int) -> None:
        self.workers = workers

    def run(self, work: Callable[[T], R], items: Sequence[T], cancelled: Callable[[], bool]) -> Iterator[R]:
        if sys.platform == "win32":
            raise WorkerFailed("this system cannot fork", right="work inline")
        fork = multiprocessing.get_context("fork")
        pipes: list[Connection[Any, Any]] = []
        processes = []
        for number in range(min(self.workers, len(items))):
            ours, theirs = fork.Pipe(duplex=False)
            mine = [(place, item) for place, item in enumerate(items) if place % self.workers == number]
            process = fork.Process(target=_work, args=(theirs, work, mine), daemon=True)
            process.start()
            theirs.close()
            pipes.append(ours)
            processes.append(process)
        try:
            yield from _in_order(_answers(pipes, cancelled))
        finally:
            for process in processes:
                process.terminate()
                process.join()
            for pipe in pipes:
                pipe.close()


def _work(pipe: Connection[Any, Any], work: Callable[[Any], Any], mine: Sequence[tuple[int, Any]]) -> None:
    for place, item in mine:
        try:
            pipe.send((place, work(item), None))
        except Exception as error:  # told to the parent, which raises
            pipe.send((place, None, repr(error)))
    pipe.send(None)


def _answers(pipes: Sequence[Connection[Any, Any]], cancelled: Callable[[], bool]) -> Iterator[tuple[int, Any]]:
    open_pipes = list(pipes)
    while open_pipes and not cancelled():
        ready = wait(open_pipes, timeout=0.05)
        for pipe in [pipe for pipe in open_pipes if pipe in ready]:
            try:
                message = pipe.recv()
            except EOFError as error:
                raise WorkerFailed("a worker ended without its answer", right="lower max_workers") from error
            if message is None:
                open_pipes.remove(pipe)
                continue
            place, answer, failure = message
            if failure is not None:
                raise WorkerFailed(f"a worker failed: {failure}")
            yield place, answer


def _in_order(answers: Iterator[tuple[int, Any]]) -> Iterator[Any]:
    held: dict[int, Any] = {}
    given = 0
    for place, answer in answers:
        held[place] = answer
        while given in held:
            yield held.pop(given)
            given += 1


def may_fork() -> bool:
    """Whether this process is one thread: a child has a copy of the locks that other threads hold, and not the threads
    that would free them."""
    return sys.platform == "linux" and threading.active_count() == 1


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def choose(*, estimated_s: float, max_workers: int) -> Executor:
    """Return where work of so many seconds is done best; `max_workers` is a cap, never a wish.

    The scan engine, which has threads, works inline: many scans at one time share its cores anyway.
    """
    workers = min(max_workers, cores())
    if workers > 1 and estimated_s >= PAYS_FROM_S and may_fork():
        return Forked(workers)
    return Inline()
