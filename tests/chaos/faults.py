"""What is done to the running demo: a table of faults, each of which is over when its function returns. Judges little:

what a fault itself must see (an answer in time, an edit refused) it adds to `Scene.wrong`.
"""

from __future__ import annotations

import os
import random
import re
import signal
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from core.clock import SystemClock, pause
from core.errors import NotRunning
from daemon.client import ask
from tests.chaos.stage import BACKOFF_MAX_S, CLOCK_LIBRARY, HEARTBEAT_S, READY_TIMEOUT_S, Stage
from tests.chaos.watcher import Watcher

ENDS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV, signal.SIGABRT, signal.SIGINT)
READY_S = 8.0  # imports and connections of a scanner on a machine with other work
ALONE_S = 0.1
ANSWER_S = 1.0
STEPS_S = (-7200, -3600, 3600, 86_400)
GARBAGE = (b"", b"\0" * 1000, b"{", b'{"command": "no such"}\n', b'["status"]\n', b"x" * 300_000 + b"\n")
CLOCK_S = 3.5  # the clock library looks for a new offset once a second, the orchestrator too
STORM_THREADS, STORM_S, FLOOD_S = 50, 2.0, 2.0
SCANNERS = ("prices", "metrics", "recorder")


@dataclass(slots=True, kw_only=True)
class Scene:
    """What a fault may touch. `slowest_answer_s`: of a well-formed command during a storm."""

    stage: Stage
    watcher: Watcher
    luck: random.Random
    log_disk: bool
    wrong: list[str] = field(default_factory=list)
    orchestrator_kills: int = 0
    slowest_answer_s: float = 0.0

    def victim(self) -> int | None:
        """Return a running child by chance."""
        pids = sorted(pid for pid in self.stage.wanted().values() if pid is not None)
        return self.luck.choice(pids) if pids else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """`bound_s`: after it everything must be well again within so long. `alone`: begins only when all is well."""

    name: str
    weight: int
    inject: Callable[[Scene], None]
    bound_s: float = BACKOFF_MAX_S + READY_S
    alone: bool = False
    possible: Callable[[Scene], bool] = lambda scene: True
    why_not: str = ""


def end_a_child(scene: Scene) -> None:
    _send(scene.victim(), scene.luck.choice(ENDS))


def end_all_children(scene: Scene) -> None:
    for pid in scene.stage.wanted().values():
        _send(pid, signal.SIGKILL)


def stop_a_child(scene: Scene) -> None:
    _send(scene.victim(), signal.SIGSTOP)


def _send(pid: int | None, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        if pid is not None:
            os.kill(pid, number)


def stop_the_orchestrator(scene: Scene) -> None:
    scene.watcher.judging = False
    os.kill(scene.stage.pid, signal.SIGSTOP)
    pause(scene.luck.uniform(0.5, 1.5 * HEARTBEAT_S))
    os.kill(scene.stage.pid, signal.SIGCONT)


def kill_the_orchestrator(scene: Scene) -> None:
    scene.watcher.judging = False
    scene.stage.end(signal.SIGKILL)
    pause(ALONE_S)
    if left := dict(scene.watcher.members()):
        scene.wrong.append(f"{ALONE_S:g} s after kill -9 of the orchestrator: {left}")
    scene.orchestrator_kills += 1
    scene.stage.start()
    scene.watcher.follow(scene.stage.pid)


def fill_the_log_disk(scene: Scene) -> None:
    """Not a byte is free for some seconds, in which the children have much to say."""
    filler = scene.stage.logs / "filler"
    try:
        with suppress(OSError), filler.open("wb", buffering=0) as file:
            while file.write(bytes(65_536)) == 65_536:
                pass
        if os.statvfs(scene.stage.logs).f_bavail:
            scene.wrong.append("the log disk did not become full")
        flood_a_log(scene)
        pause(scene.luck.uniform(1.0, 4.0))
    finally:
        filler.unlink()


def flood_a_log(scene: Scene) -> None:
    """Write into a child's standard error as fast as the orchestrator reads it: lines, and one that never ends."""
    pid, clock = scene.victim(), SystemClock()
    end_s = clock.monotonic_s() + FLOOD_S
    line = bytes(scene.luck.choices(b"abcdefgh", k=200)) + scene.luck.choice((b"\n", b""))
    with suppress(OSError):  # it may end meanwhile
        pipe = os.open(f"/proc/{pid}/fd/2", os.O_WRONLY | os.O_NONBLOCK)
        try:
            while clock.monotonic_s() < end_s:
                with suppress(BlockingIOError):
                    os.write(pipe, line * 300)
        finally:
            os.close(pipe)


def flood_of_beats(scene: Scene) -> None:
    """Strangers say that they are alive, for as long as it takes: the children's own beats must still count."""
    addresses = re.findall(r"@(tickerd-\S+)", Path("/proc/net/unix").read_text())
    clock = SystemClock()
    end_s = clock.monotonic_s() + FLOOD_S
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stranger:
        stranger.setblocking(False)
        while clock.monotonic_s() < end_s:
            for address in addresses:
                with suppress(OSError):
                    stranger.sendto(b"READY=1\nWATCHDOG=1\nX_PROGRESS=" + b"{" * 3000, "\0" + address)


def cut_the_streams(scene: Scene) -> None:
    scene.stage.market.close_streams(scene.luck.choice((None, 1000, 1001, 1011)))


def flood_the_streams(scene: Scene) -> None:
    """Frames that make no sense, and frames that are far too large, among the true ones."""
    for_s = scene.luck.uniform(2.0, 5.0)
    scene.stage.market.fault(scene.luck.choice(("garbage", "huge")), for_s=for_s)
    pause(for_s)


def step_the_clock(scene: Scene) -> None:
    """Away and back; each time the orchestrator must say that it has noticed."""
    for offset_s in (scene.luck.choice(STEPS_S), 0):
        before = _told(scene.stage, "clock_jumped")
        scene.stage.step_clock(offset_s)
        pause(scene.luck.uniform(CLOCK_S, 8.0))
        if _told(scene.stage, "clock_jumped") == before:
            scene.wrong.append(f"a step of the clock to {offset_s:+d} s was not noticed")


def _told(stage: Stage, event: str) -> int:
    """Return how many lines of the orchestrator's log, its older parts too, are this event."""
    return sum(file.read_text(errors="replace").count(f'"{event}"') for file in stage.logs.glob("tickerd.jsonl*"))


def edit_the_config(scene: Scene) -> None:
    """A broken file changes nothing; a right one is applied, and so is the way back."""
    stage = scene.stage
    before = stage.wanted()
    broken = (stage.text + "\n[prices", stage.text.replace("heartbeat_timeout_s", "heartbeet_timeout_s"), "\0")
    stage.write_config(scene.luck.choice(broken))
    if "error" not in (answer := stage.ask("reload")):
        scene.wrong.append(f"a broken configuration was answered with {answer}")
    if (after := stage.wanted()) != before:
        scene.wrong.append(f"a broken configuration moved {before} to {after}")
    for text in (stage.text.replace("stall_timeout_s = 15.0", "stall_timeout_s = 14.0"), stage.text):
        stage.write_config(text)
        if (ended := stage.tickerd("reload")).returncode != 0:
            scene.wrong.append(f"`tickerd reload` of a right configuration said {ended.stderr!r}")
        pause(scene.luck.uniform(0.0, 2.0))


def storm_of_commands(scene: Scene) -> None:
    """Fifty clients at once start, stop, restart, ask, and talk nonsense; then nothing is held any more."""
    scene.watcher.judging = False
    seeds = [scene.luck.random() for _ in range(STORM_THREADS)]
    answers: list[float] = []
    threads = [threading.Thread(target=_client, args=(scene.stage, seed, answers)) for seed in seeds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    scene.slowest_answer_s = max(scene.slowest_answer_s, *answers)
    for name in SCANNERS:
        scene.stage.ask("start", name)


def _client(stage: Stage, seed: float, answers: list[float]) -> None:
    luck, clock = random.Random(seed), SystemClock()
    end_s = clock.monotonic_s() + STORM_S
    while (began_s := clock.monotonic_s()) < end_s:
        if luck.random() < 0.3:
            _talk_nonsense(stage.state_dir, luck.choice(GARBAGE))
            continue
        with suppress(NotRunning):  # refused or too late: the time it took tells
            command = luck.choice(("start", "stop", "restart", "status", "status"))
            ask(stage.state_dir, {"command": command, "name": luck.choice(SCANNERS)}, timeout_s=5.0)
        answers.append(clock.monotonic_s() - began_s)


def _talk_nonsense(state_dir: Path, words: bytes) -> None:
    folder = os.open(state_dir, os.O_RDONLY)
    try:
        with suppress(OSError), socket.socket(socket.AF_UNIX) as client:
            client.settimeout(0.2)
            client.connect(f"/proc/self/fd/{folder}/control.sock")
            client.sendall(words)
            client.recv(100)
    finally:
        os.close(folder)


def can_reload(scene: Scene) -> bool:
    return scene.stage.tickerd("reload", "--help").returncode == 0


FAULTS: Sequence[Fault] = (
    Fault(name="child ended by a signal", weight=6, inject=end_a_child),
    Fault(name="all children killed", weight=2, inject=end_all_children),
    Fault(
        name="child stopped",
        weight=3,
        inject=stop_a_child,
        bound_s=max(1.25 * HEARTBEAT_S, READY_TIMEOUT_S) + BACKOFF_MAX_S + READY_S,  # it may still have been starting
    ),
    Fault(name="orchestrator stopped", weight=2, inject=stop_the_orchestrator),
    Fault(name="orchestrator killed", weight=3, inject=kill_the_orchestrator),
    Fault(
        name="log disk full",
        weight=2,
        inject=fill_the_log_disk,
        possible=lambda scene: scene.log_disk,
        why_not="only root can give the logs a small disk",
    ),
    Fault(
        name="clock stepped",
        weight=2,
        inject=step_the_clock,
        alone=True,
        possible=lambda scene: CLOCK_LIBRARY is not None,
        why_not="libfaketime is not installed",
    ),
    Fault(name="log flooded", weight=2, inject=flood_a_log),
    Fault(name="beats flooded", weight=1, inject=flood_of_beats),
    Fault(name="streams cut", weight=1, inject=cut_the_streams),
    Fault(name="streams flooded", weight=1, inject=flood_the_streams),
    Fault(
        name="configuration edited",
        weight=2,
        inject=edit_the_config,
        alone=True,
        possible=can_reload,
        why_not="there is no `tickerd reload`",
    ),
    Fault(name="storm of commands", weight=2, inject=storm_of_commands),
)


def well_within(scene: Scene, limit_s: float) -> float:
    """Return after how many seconds everything was well again; AssertionError after `limit_s`."""
    clock = SystemClock()
    began_s = clock.monotonic_s()
    while not scene.stage.is_well():
        assert clock.monotonic_s() - began_s < limit_s, f"not well after {limit_s:g} s: {scene.stage.in_words()}"
        pause(0.02)
    return clock.monotonic_s() - began_s
