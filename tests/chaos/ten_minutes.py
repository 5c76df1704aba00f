"""Ten minutes of random faults on the demo. `CHAOS_MINUTES` makes it shorter, `CHAOS_SEED` the same again."""

from __future__ import annotations

import os
import random
import signal
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from core.clock import SystemClock, pause
from market.universe import FIXED_8782
from tests.chaos import report
from tests.chaos.faults import ANSWER_S, FAULTS, Fault, Scene, well_within
from tests.chaos.report import Finding, Healed, nothing, say
from tests.chaos.stage import BACKOFF_MAX_S, Stage, log_disk, stage
from tests.chaos.table import wrong_prices
from tests.chaos.watcher import Watcher

START_S, GIVE_UP_S, CALM_S = 60.0, 120.0, 20.0
EXEC_S = 1.0  # from the end of a pause to the new process, seen by a watcher that looks twenty times a second
MOST_AT_ONCE = 3
STRAY_FDS = 2  # a control client that is just being answered, a child that is just being started


class Run:
    """The faults of one run and what came of them."""

    def __init__(self, scene: Scene) -> None:
        self.scene, self.clock = scene, SystemClock()
        self.left_out = {fault.name: fault.why_not for fault in FAULTS if not fault.possible(scene)}
        self.faults = [fault for fault in FAULTS if fault.name not in self.left_out]
        self.times: Counter[str] = Counter()
        self.healed: list[Healed] = []
        self.calm_fds: dict[int, list[int]] = defaultdict(list)

    def endure(self, seconds: float) -> None:
        """Do faults, one or some on top of each other, and each time wait until all is well."""
        began_s = self.clock.monotonic_s()
        while (passed_s := self.clock.monotonic_s() - began_s) < seconds:
            faults = self._chosen()
            say(f"{passed_s:6.0f} s  {', '.join(fault.name for fault in faults)}")
            for fault in faults:
                fault.inject(self.scene)
                self.times[fault.name] += 1
                pause(self.scene.luck.uniform(0.0, 0.5))
            self._heal(max(faults, key=lambda fault: fault.bound_s))
            pause(self.scene.luck.uniform(0.0, 3.0))

    def _chosen(self) -> Sequence[Fault]:
        luck = self.scene.luck
        chosen = luck.choices(self.faults, [fault.weight for fault in self.faults], k=luck.randint(1, MOST_AT_ONCE))
        return chosen[:1] if chosen[0].alone else [fault for fault in chosen if not fault.alone]

    def _heal(self, worst: Fault) -> None:
        took_s = well_within(self.scene, GIVE_UP_S)
        self.healed.append(Healed(fault=worst.name, took_s=took_s, bound_s=worst.bound_s))
        if took_s > worst.bound_s:
            say(f"          well again only after {took_s:.1f} s; the bound is {worst.bound_s:.1f} s")
        self.scene.watcher.judging = True
        self.calm_fds[self.scene.stage.pid].append(len(os.listdir(f"/proc/{self.scene.stage.pid}/fd")))

    def findings(self) -> Iterator[Finding]:
        """Yield what was found of everything that must not be."""
        watcher, scene = self.scene.watcher, self.scene
        yield nothing("two copies of a process", watcher.duplicates)
        yield nothing("processes that outlived their orchestrator", watcher.survivors)
        yield nothing("zombies", watcher.zombies)
        growth = max((fds[-1] - fds[0] for fds in self.calm_fds.values()), default=0)
        most = max((fd for fds in self.calm_fds.values() for fd in fds), default=0)
        yield Finding(
            what="open files of the orchestrator: growth", found=f"{growth} (most {most})", right=growth <= STRAY_FDS
        )
        late = [f"{each.fault}: {each.took_s:.1f} s" for each in self.healed if each.took_s > each.bound_s]
        yield nothing("times that it was not well within the bound", late)
        for module, absent_s in sorted(watcher.absent_s.items()):
            found = f"{absent_s:.1f} s, bound {BACKOFF_MAX_S:g} s"
            yield Finding(what=f"longest time without {module}", found=found, right=absent_s < BACKOFF_MAX_S + EXEC_S)
        slowest_s = scene.slowest_answer_s
        yield Finding(what="slowest answer in a storm", found=f"{slowest_s:.2f} s", right=slowest_s < ANSWER_S)
        yield nothing("faults that went otherwise", scene.wrong)


@contextmanager
def scene_of(folder: Path, seed: int) -> Iterator[Scene]:
    """A demo whose table is full, and its watcher."""
    with log_disk(folder) as mounted, stage(folder, universe=FIXED_8782) as made:
        watcher = Watcher(made.state_dir)
        watcher.follow(made.pid)
        watcher.start()
        scene = Scene(stage=made, watcher=watcher, luck=random.Random(seed), log_disk=mounted)
        try:
            well_within(scene, START_S)
            yield scene
        finally:
            watcher.end()


def test_whatever_is_done_to_the_demo_it_is_well_again_and_its_table_right(tmp_path: Path) -> None:
    minutes = float(os.environ.get("CHAOS_MINUTES", "10"))
    seed = int(os.environ.get("CHAOS_SEED", random.randrange(1_000_000)))
    say(f"\nCHAOS_MINUTES={minutes:g} CHAOS_SEED={seed}, load {os.getloadavg()[0]:.1f}, in {tmp_path}")
    with scene_of(tmp_path, seed) as scene:
        run = Run(scene)
        run.endure(60 * minutes)
        pause(CALM_S)
        findings = [
            *run.findings(),
            nothing("wrong prices in the table", wrong_prices(scene.stage)),
            *ended(scene.stage, scene.watcher),
        ]
    for line in (*report.table(FAULTS, run.times, run.healed, run.left_out), "", *report.verdicts(findings)):
        say(line)
    assert [each for each in findings if not each.right] == []


def ended(made: Stage, watcher: Watcher) -> Iterator[Finding]:
    """Ask the orchestrator to leave, and see that nobody stays."""
    watcher.judging = False
    code = made.end(signal.SIGTERM)
    yield Finding(what="exit code in the end", found=f"{code}", right=code == 0)
    yield nothing("processes left in the end", [f"{module} {pids}" for module, pids in watcher.members().items()])
    said = (made.folder / "said").read_text()
    yield Finding(what="tracebacks on its terminal", found=f"{said.count('Traceback')}", right="Traceback" not in said)
