"""Looks at the run's processes twenty times a second and notes what must never be. Signals nobody."""

from __future__ import annotations

import threading
from collections import defaultdict
from pathlib import Path

from bench.supervisor_proc import children, command_line, is_alive, living, read, start_time, state
from core.clock import SystemClock, pause
from core.program import SETTINGS_VARIABLE

LOOK_S = 0.05
LINGER_S = 1.0  # a dead child that is not collected for so long is a zombie
ORPHAN_S = 0.1  # a child that lives longer without its orchestrator has outlived it


class Watcher(threading.Thread):
    """`judging`: False while no scanner has to be there, as the orchestrator is not or an operator plays with them.

    `duplicates`, `survivors`, `zombies`: what was wrong, in words. `absent_s`: the longest time without each scanner.
    """

    def __init__(self, state_dir: Path) -> None:
        super().__init__(name="watcher", daemon=True)
        self._mark = f"{SETTINGS_VARIABLE}={state_dir / 'settings.json'}"
        self._clock = SystemClock()
        self._modules: dict[tuple[int, str], str] = {}
        self._ended = threading.Event()
        self._orchestrator = 0
        self._orphaned_s: dict[int, float] = {}
        self._dead_s: dict[int, float] = {}
        self._seen_s: dict[str, float] = {}
        self.judging = False
        self.looks = 0
        self.duplicates: list[str] = []
        self.survivors: list[str] = []
        self.zombies: list[str] = []
        self.absent_s: dict[str, float] = defaultdict(float)
        self.failure: BaseException | None = None

    def follow(self, orchestrator: int) -> None:
        self._orchestrator = orchestrator

    def end(self) -> None:
        """Stop looking; an error of a look is raised here."""
        self._ended.set()
        self.join()
        if self.failure is not None:
            raise self.failure

    def run(self) -> None:
        try:
            while not self._ended.is_set():
                self._look()
                pause(LOOK_S)
        except BaseException as error:
            self.failure = error

    def members(self) -> dict[str, list[int]]:
        """Return module -> pids of the living children of this run, whoever their parent is now."""
        found: dict[str, list[int]] = defaultdict(list)
        for pid in living():
            module = self._module(pid)
            if module:
                found[module].append(pid)
        return found

    def _module(self, pid: int) -> str:
        """The module that the process runs, if it is a child of this run's."""
        words = command_line(pid).split()
        if "core.child" not in words:
            return ""
        key = (pid, start_time(pid))
        if key not in self._modules:
            module = next((word for word in words[words.index("core.child") + 1 :] if not word.startswith("-")), "")
            self._modules[key] = module if self._mark in read(pid, "environ").split("\0") else ""
        return self._modules[key]

    def _look(self) -> None:
        now_s = self._clock.monotonic_s()
        self.looks += 1
        found = self.members()
        for module, pids in found.items():
            # One look is not one moment: who is still there after the other was seen was there beside it.
            if len(pids) > 1 and sum(map(is_alive, pids)) > 1:
                self.duplicates.append(f"{module}: pids {pids}")
        self._judge_parents({pid for pids in found.values() for pid in pids}, now_s)
        self._judge_zombies(now_s)
        self._judge_absence(found, now_s)

    def _judge_parents(self, pids: set[int], now_s: float) -> None:
        strays = pids - children(self._orchestrator) if self._orchestrator else set()
        strays = {pid for pid in strays if is_alive(pid)}
        self._orphaned_s = {pid: self._orphaned_s.get(pid, now_s) for pid in strays}
        for pid, since_s in self._orphaned_s.items():
            if now_s - since_s > ORPHAN_S:
                self.survivors.append(f"pid {pid}: {command_line(pid)}")

    def _judge_zombies(self, now_s: float) -> None:
        """A stopped orchestrator collects nobody, and need not."""
        if state(self._orchestrator) == "T":
            self._dead_s.clear()
            return
        dead = {pid for pid in children(self._orchestrator) if state(pid) == "Z"}
        self._dead_s = {pid: self._dead_s.get(pid, now_s) for pid in dead}
        self.zombies += [f"pid {pid}" for pid, since_s in self._dead_s.items() if now_s - since_s > LINGER_S]

    def _judge_absence(self, found: dict[str, list[int]], now_s: float) -> None:
        for module in found:
            self._seen_s[module] = now_s
        for module, seen_s in self._seen_s.items():
            if not self.judging:
                self._seen_s[module] = now_s
            elif module.startswith("scanners.") and module != "scanners.daily":
                self.absent_s[module] = max(self.absent_s[module], now_s - seen_s)
