"""The measurements: a child killed, a child stopped, a supervisor killed, nothing to do. Judges no figure."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bench.supervisor_contenders import SLEEPER, Kind, Running, end, running, start, wait_for
from bench.supervisor_proc import children, command_line, cost, is_alive
from core.clock import SystemClock, pause

GIVE_UP_S = 10.0
ALONE_S = 0.1  # a child that lives longer without its supervisor has outlived it
SECOND_LOOK_S = 1.5  # after a second start: time for copies to be seen


@dataclass(frozen=True, slots=True, kw_only=True)
class Replaced:
    """From the signal to the new process: `spawned_ms` its number exists, `execed_ms` it is the program,
    `running_ms` its first statement. None: not within GIVE_UP_S."""

    spawned_ms: float | None
    execed_ms: float | None
    running_ms: float | None


def replaced(started: Running, victim: int, number: signal.Signals) -> Replaced:
    """Signal one child and watch, without a pause, until another has taken its place."""
    before = children(started.pid)
    began_ns = time.monotonic_ns()
    os.kill(victim, number)

    def passed_ms(at_ns: int) -> float:
        return (at_ns - began_ns) / 1e6

    new = _newcomer(started, before, began_ns)
    if new is None:
        return Replaced(spawned_ms=None, execed_ms=None, running_ms=None)
    spawned_ns = time.monotonic_ns()
    while SLEEPER not in command_line(new):
        if passed_ms(time.monotonic_ns()) > 1000 * GIVE_UP_S:
            raise TimeoutError(f"{started.kind.name} started {command_line(new)!r} in the place of a sleeper")
    execed_ns = time.monotonic_ns()
    wait_for(started.note(new).exists, what=f"{started.kind.name}: the first statement of process {new}")
    running_ms = passed_ms(int(started.note(new).read_text()))
    return Replaced(spawned_ms=passed_ms(spawned_ns), execed_ms=passed_ms(execed_ns), running_ms=running_ms)


def _newcomer(started: Running, before: set[int], began_ns: int) -> int | None:
    while time.monotonic_ns() - began_ns < GIVE_UP_S * 1e9:
        if new := children(started.pid) - before:
            return new.pop()
    return None


def kills(contenders: Sequence[Running], rounds: int, luck: random.Random) -> dict[str, list[Replaced]]:
    """Kill one child of each contender in turn, `rounds` times, each at a random moment of whatever it polls by."""
    found: dict[str, list[Replaced]] = {each.kind.name: [] for each in contenders}
    for _ in range(rounds):
        for contender in luck.sample(contenders, len(contenders)):
            contender.forgive()
            pause(contender.kind.settle_s + luck.random())
            contender.wait_whole()
            victim = luck.choice(sorted(contender.sleepers()))
            found[contender.kind.name].append(replaced(contender, victim, signal.SIGKILL))
    return found


def stops(contender: Running, rounds: int, luck: random.Random) -> list[Replaced]:
    """SIGSTOP one child after the other; a contender that has missed one is not asked again."""
    found: list[Replaced] = []
    while len(found) < rounds:
        contender.forgive()
        pause(contender.kind.settle_s + luck.random())
        contender.wait_whole()
        victim = luck.choice(sorted(contender.sleepers()))
        found.append(replaced(contender, victim, signal.SIGSTOP))
        if found[-1].execed_ms is None:
            with suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
            return found
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Idle:
    """What a supervisor with three sleeping children costs: CPU in percent of one core."""

    cpu_percent: float
    wakeups_per_s: float
    rss_mb: float
    pss_mb: float


def idle(contenders: Iterable[Running], seconds: float) -> dict[str, Idle]:
    """Leave all contenders alone for `seconds`, side by side."""
    clock = SystemClock()
    before = {each: (cost(each.pid), clock.monotonic_s()) for each in contenders}
    pause(seconds)
    found = {}
    for contender, (was, was_s) in before.items():
        now, passed_s = cost(contender.pid), clock.monotonic_s() - was_s
        found[contender.kind.name] = Idle(
            cpu_percent=100 * (now.cpu_s - was.cpu_s) / passed_s,
            wakeups_per_s=(now.wakeups - was.wakeups) / passed_s,
            rss_mb=now.rss_mb,
            pss_mb=now.pss_mb,
        )
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Orphaned:
    """After kill -9 of the supervisor: `outlived` children alive 100 ms later, `copies` after a second start."""

    outlived: int
    copies: int


def orphaned(kind: Kind, folder: Path, *, beat_s: float) -> Orphaned:
    """Kill a supervisor, look for its children, start it again and count again."""
    with running(kind, folder, beat_s=beat_s) as first:
        sleepers = first.sleepers()
        first.popen.kill()
        pause(ALONE_S)
        outlived = sum(map(is_alive, sleepers))
        second = start(kind, folder, beat_s=beat_s)
        try:
            second.wait_whole("the second start")
            pause(SECOND_LOOK_S)
            return Orphaned(outlived=outlived, copies=len(second.copies()))
        finally:
            end(second)
