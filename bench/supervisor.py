"""What supervision costs and how fast it heals: tickerd beside supervisord, circus and a loop that only respawns.

Usage: python -m bench.supervisor [--quick] [--seed N] [--realtime]. Exit code 1 if a bound is missed.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench import supervisor_demo
from bench.bound import Bound
from bench.supervisor_contenders import BARE, COPIES, PEERS, TICKERD, Kind, Running, running
from bench.supervisor_faults import GIVE_UP_S, Idle, Orphaned, Replaced, idle, kills, orphaned, stops
from core.notify import beat_interval_s
from core.settings import Supervisor

BEAT_S = beat_interval_s(Supervisor().heartbeat_timeout_s)  # the shipped rhythm
LIMIT_S = 2.0  # the heartbeat limit under which stops are measured
HASTY = f"[supervisor]\nheartbeat_timeout_s = {LIMIT_S}\n"
IDLE_MACHINE_MS = 3.0  # what the bare loop takes while nothing else wants the processors
KILL_MS, AS_SUPERVISORD, AS_CIRCUS = 5.0, 150.0, 50.0
STOP_RATIO = 1.25
CPU_PERCENT, WAKEUPS_PER_S, RSS_MB = 0.1, 2.0, 40.0
NEXT_PRICE_S = 2.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How often and how long."""

    kills: int
    stops: int
    idle_s: float
    orphans: int
    prices: int


FULL = Sizes(kills=20, stops=20, idle_s=60.0, orphans=5, prices=20)
QUICK = Sizes(kills=5, stops=3, idle_s=10.0, orphans=1, prices=3)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="bench.supervisor", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a short run: too few rounds for a verdict")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000), help="of the moments of the faults")
    parser.add_argument(
        "--realtime",
        action="store_true",
        help="go before all other work of this machine, contenders included; needs root",
    )
    options = parser.parse_args(arguments)
    if options.realtime:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    sizes, luck = QUICK if options.quick else FULL, random.Random(options.seed)
    print(f"seed {options.seed}, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors, {sizes}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bounds, quiet = measure_faults(folder / "faults", sizes, luck)
        bounds += measure_idle(folder / "idle", sizes)
        bounds += measure_orphans(folder / "orphans", sizes)
        bounds += measure_prices(folder / "demo", sizes, luck, quiet=quiet)
    print()
    for bound in bounds:
        print(bound.line())
    return int(any(bound.missed for bound in bounds))


def measure_faults(folder: Path, sizes: Sizes, luck: random.Random) -> tuple[list[Bound], bool]:
    """Return the bounds, and whether the machine was quiet enough for figures in seconds."""
    with ExitStack() as stack:
        contenders = _all_running(stack, folder, (TICKERD, *PEERS, BARE), beat_s=beat_interval_s(LIMIT_S), toml=HASTY)
        killed = kills(contenders, sizes.kills, luck)
        _print_replaced("kill -9 of a child", killed)
        stopped = {each.kind.name: stops(each, sizes.stops, luck) for each in contenders if each.kind is not BARE}
        _print_replaced(f"SIGSTOP of a child, heartbeat limit {LIMIT_S:g} s", stopped)
    ours, machine, stop = (_execed_ms(each) for each in (killed["tickerd"], killed["bare loop"], stopped["tickerd"]))
    quiet = machine <= IDLE_MACHINE_MS
    print(f"\ncontrol: the bare loop took {machine:.2f} ms: the machine was {'idle' if quiet else 'busy'}; ", end="")
    print(f"tickerd took {ours / machine:.1f} times as long")
    supervisord, circus = (_execed_ms(killed[peer.name]) for peer in PEERS)
    as_fast = f"{supervisord / machine:.0f} times as fast as supervisord, {circus / machine:.0f} as circus"
    print(f"the bare loop was {as_fast}")
    return [
        Bound(what="kill -9 to replacement, ms", found=ours, limit=KILL_MS, judged=quiet),
        Bound(
            what="times faster than supervisord",
            found=supervisord / ours,
            limit=AS_SUPERVISORD,
            at_least=True,
        ),
        Bound(what="times faster than circus", found=circus / ours, limit=AS_CIRCUS, at_least=True),
        Bound(what="SIGSTOP to replacement, in heartbeat limits", found=stop / LIMIT_S / 1000, limit=STOP_RATIO),
    ], quiet


def measure_idle(folder: Path, sizes: Sizes) -> list[Bound]:
    """The shipped limits and the shipped rhythm of beats."""
    with ExitStack() as stack:
        found = idle(_all_running(stack, folder, (TICKERD, *PEERS), beat_s=BEAT_S), sizes.idle_s)
    _print_idle(found, sizes.idle_s)
    ours = found["tickerd"]
    return [
        Bound(what="idle: CPU, percent of a core", found=ours.cpu_percent, limit=CPU_PERCENT),
        Bound(what="idle: wake-ups a second", found=ours.wakeups_per_s, limit=WAKEUPS_PER_S),
        Bound(what="idle: resident memory, MB", found=ours.rss_mb, limit=RSS_MB),
    ]


def measure_orphans(folder: Path, sizes: Sizes) -> list[Bound]:
    found = {
        kind.name: [orphaned(kind, folder / kind.name / str(number), beat_s=BEAT_S) for number in range(sizes.orphans)]
        for kind in (TICKERD, *PEERS)
    }
    _print_orphans(found)
    outlived = max(each.outlived for each in found["tickerd"])
    copies = max(each.copies for each in found["tickerd"])
    return [
        Bound(what="kill -9 of the supervisor: children alive after 100 ms", found=outlived, limit=0),
        Bound(what="and copies after a second start", found=copies, limit=COPIES),
    ]


def measure_prices(folder: Path, sizes: Sizes, luck: random.Random, *, quiet: bool) -> list[Bound]:
    rounds = supervisor_demo.measure(folder, sizes.prices, luck)
    print(f"\nkill -9 of prices in the demo, {len(rounds)} times, seconds\n{'':<14}{'median':>9}{'min':>9}{'max':>9}")
    for name in supervisor_demo.PARTS:
        _print_row(name, [getattr(each, name) for each in rounds], width=14, digits=3)
    total_s = median(each.total_s for each in rounds)
    return [
        Bound(what="kill -9 of prices to its next committed price, s", found=total_s, limit=NEXT_PRICE_S, judged=quiet)
    ]


def _all_running(
    stack: ExitStack, folder: Path, kinds: Iterable[Kind], *, beat_s: float, toml: str = ""
) -> list[Running]:
    return [stack.enter_context(running(kind, folder / kind.name, beat_s=beat_s, toml=toml)) for kind in kinds]


def _execed_ms(rounds: Iterable[Replaced]) -> float:
    return median(each.execed_ms if each.execed_ms is not None else 1000 * GIVE_UP_S for each in rounds)


def _print_replaced(title: str, found: dict[str, list[Replaced]]) -> None:
    print(f"\n{title}, ms until its replacement is there\n{'':<30}{'median':>9}{'min':>9}{'max':>9}")
    for name, rounds in found.items():
        for part in ("spawned_ms", "execed_ms", "running_ms"):
            values = [getattr(each, part) for each in rounds]
            label = f"{name:<13}{part.removesuffix('_ms'):<9}n={len(values)}"
            if None in values:
                print(f"{label:<30}not within {GIVE_UP_S:g} s")
            else:
                _print_row(label, values, width=30, digits=2)


def _print_row(label: str, values: Sequence[float], *, width: int, digits: int) -> None:
    cells = (f"{value:>9.{digits}f}" for value in (median(values), min(values), max(values)))
    print(f"{label:<{width}}{''.join(cells)}")


def _print_idle(found: dict[str, Idle], seconds: float) -> None:
    print(f"\nidle for {seconds:g} s, three sleeping children")
    print(f"{'':<14}{'CPU %':>9}{'wakeups/s':>11}{'RSS MB':>9}{'PSS MB':>9}")
    for name, each in found.items():
        print(f"{name:<14}{each.cpu_percent:>9.3f}{each.wakeups_per_s:>11.2f}{each.rss_mb:>9.1f}{each.pss_mb:>9.1f}")


def _print_orphans(found: dict[str, list[Orphaned]]) -> None:
    print(f"\nkill -9 of a supervisor with three children\n{'':<14}{'alive after 100 ms':>20}{'after a 2nd start':>20}")
    for name, rounds in found.items():
        outlived, copies = (sorted({getattr(each, key) for each in rounds}) for key in ("outlived", "copies"))
        print(f"{name:<14}{_range(outlived):>20}{_range(copies):>20}   n={len(rounds)}")


def _range(values: Sequence[int]) -> str:
    return f"{values[0]}" if len(values) == 1 else f"{values[0]} to {values[-1]}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
