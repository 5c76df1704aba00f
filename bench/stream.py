"""How the price scanner bears the whole market and heals, yfinance's own listener beside it in the same run.

Usage: python -m bench.stream [--quick] [--seconds S] [--repeats N] [PART ...], PART: load, single, start, recovery.
Exit code 1 if a bound is missed.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from bench import stream_single
from bench.bound import Bound
from bench.stream_control import Control
from bench.stream_load import PICOWS, Case, Load, load, peer_load, quantile
from bench.stream_recovery import CUT_AT, Fault, Healed, cut, faults, heal
from bench.stream_start import start
from core import logs
from market.universe import FIXED_8782
from simulator import testing

CPU = {"websockets": 0.60, "picows": 0.35}
PEAK_MB = 110.0
P50_S, P99_S = 0.25, 0.5
"""Above half of the flush interval, above the whole of it."""
ON_TIME_S = 0.05
"""A market that sends 1 % of its slices later than this has no processor left: then no delay is judged."""
AWAKE_S = 0.25
"""A machine on which an empty loop once woke so late says nothing of seconds."""
FASTER = 2.0
START_S = 6.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How often and how long."""

    seconds: float
    repeats: int
    rounds: int
    messages: int
    quick: bool


FULL = Sizes(seconds=30.0, repeats=10, rounds=5, messages=200_000, quick=False)
QUICK = Sizes(seconds=8.0, repeats=2, rounds=2, messages=50_000, quick=True)


CASES = (
    Case(shape="even", flush_s=1.0),
    Case(shape="even", flush_s=0.25),
    Case(shape="burst", flush_s=1.0),
    Case(shape="even", flush_s=1.0, module=PICOWS),
    Case(shape="burst", flush_s=1.0, module=PICOWS),
)


def measure_load(folder: Path, sizes: Sizes) -> list[Bound]:
    print(
        f"\n8,782 tickers, 89 TLS connections, {sizes.seconds:g} s each. Shares of one core. Delay: from the market's "
        "sending\nto the row that another process sees. Empty loop: how late it woke beside it, the processor time "
        "of the same\nlittle work each time: compare shares of a core only where it is alike.\n"
        f"{'':<31}{'msg/s':>7}{'CPU':>7}{'us/msg':>8}{'peak MB':>9}{'p50 s':>8}{'p99 s':>8}{'max s':>8}{'wrong':>7}"
        f"{'market CPU':>12}{'its p99 late':>14}{'empty loop p99':>16}{'its work':>12}"
    )
    bounds: list[Bound] = []
    for number, case in enumerate(CASES):
        found = load(folder / str(number), case, sizes.seconds)
        name = f"{case.transport}, {case.shape}, flush {case.flush_s:g} s"
        delays, late = found.delays_s, found.market_late_s
        print(
            f"{name:<31}{found.rate:>7.0f}{found.cpu:>7.1%}{found.cpu_us:>8.1f}{found.peak_mb:>9.0f}"
            f"{quantile(delays, 0.5):>8.3f}{quantile(delays, 0.99):>8.3f}{quantile(delays, 1):>8.3f}{found.wrong:>7}"
            f"{found.market_cpu:>12.1%}"
            f"{1e3 * quantile(late, 0.99):>11.1f} ms"
            f"{_beside(found.control)}"
        )
        bounds += _bounds_of(name, case, found)
    for shape in ("even", "burst"):
        peer = peer_load(folder / f"peer-{shape}", shape, sizes.seconds)
        name = f"yfinance, {shape}, no table"
        print(
            f"{name:<31}{peer.rate:>7.0f}{peer.cpu:>7.1%}{peer.cpu_us:>8.1f}{peer.peak_mb:>9.0f}{'':>57}{_beside(peer.control)}"
        )
    return bounds


def _beside(control: Control) -> str:
    return f"{1e3 * quantile(control.late_s, 0.99):>13.1f} ms{control.work_us:>9.1f} us"


def _bounds_of(name: str, case: Case, found: Load) -> list[Bound]:
    on_time = quantile(found.market_late_s, 0.99) <= ON_TIME_S
    # A burst waits for its flush as a whole: how long is chance, and half of the interval is no measure of it.
    p50_s, p99_s = (case.flush_s / 2 if case.shape == "even" else case.flush_s) + P50_S, case.flush_s + P99_S
    return [
        Bound(what=f"{name}: last ticks not in the table after 2 s", found=found.wrong, limit=0, judged=on_time),
        Bound(what=f"{name}: ticks never seen in the table", found=found.unseen, limit=0, judged=on_time),
        Bound(what=f"{name}: p50, s", found=quantile(found.delays_s, 0.5), limit=p50_s, judged=on_time),
        Bound(what=f"{name}: p99, s", found=quantile(found.delays_s, 0.99), limit=p99_s, judged=on_time),
        # By the message: a market that falls behind sends fewer a second than it should.
        Bound(what=f"{name}: share of a core", found=1e-6 * found.cpu_us * found.rate, limit=CPU[case.transport]),
        Bound(what=f"{name}: peak MB", found=found.peak_mb, limit=PEAK_MB),
    ]


def measure_single(_folder: Path, sizes: Sizes) -> list[Bound]:
    found = stream_single.single(sizes.rounds, sizes.messages)
    yfinance_us = median(found["yfinance"])
    print(
        f"\nOne connection without TLS, as fast as it goes, the newest message of each ticker kept: processor time a "
        f"message,\nmedian of {sizes.rounds} interleaved rounds of {sizes.messages:,}"
    )
    for name, figures in found.items():
        us = median(figures)
        spread = f"{min(figures):.1f} to {max(figures):.1f}"
        print(
            f"{stream_single.TOLD[name]:<36}{us:>8.2f} us  ({spread:>14}){1e6 / us:>12,.0f}/s{yfinance_us / us:>8.2f}x"
        )
    times = yfinance_us / median(found["tickerd"])
    return [Bound(what="messages a processor second, against yfinance's", found=times, limit=FASTER, at_least=True)]


def measure_start(folder: Path, sizes: Sizes) -> list[Bound]:
    runs = [start(folder / str(number)) for number in range(sizes.rounds)]
    ours, peers = sorted(run.ours_s for run in runs), sorted(run.peer_s for run in runs)
    print(f"\nFrom the start of the process to 99 % of the tickers, {len(runs)} runs: median and worst")
    print(f"{'tickerd, in the table':<36}{median(ours):>8.2f}{ours[-1]:>8.2f} s")
    print(f"{'yfinance, heard (89 connections)':<36}{median(peers):>8.2f}{peers[-1]:>8.2f} s")
    return [Bound(what="start to 99 % of tickers priced, median, s", found=median(ours), limit=START_S)]


def measure_recovery(folder: Path, sizes: Sizes) -> list[Bound]:
    print(
        f"\nSeconds from the fault to data again, each {sizes.repeats} times; of the 89 connections the first, the "
        "middle one and the last\n"
        f"{'':<20}{'first':>8}{'middle: median':>16}{'worst':>8}{'last: median':>14}{'worst':>8}{'empty loop':>12}"
        "   yfinance's listener"
    )
    arguments = ("--universe", str(FIXED_8782), "--log-level", "error")
    bounds = []
    with testing.process(_made(folder), *arguments) as market:
        for number, fault in enumerate(faults(quick=sizes.quick)):
            healed = [heal(folder / f"{number}-{run}", market, fault) for run in range(sizes.repeats)]
            bounds.append(_shown(fault, healed))
        found = cut(folder / "cut", market)
    after = f"{quantile(found.found_s, 0.5):.1f} s, worst {quantile(found.found_s, 1):.1f} s after the start"
    print(
        f"cut at {CUT_AT}: {len(found.found_s)} of {found.lists} lists found, {after}, said in the log: {found.said}; "
        f"yfinance heard {found.peer_heard} of {found.peer_asked} symbols and said nothing"
    )
    unfound = found.lists - len(found.found_s) if found.said else found.lists
    return [*bounds, Bound(what="lists cut off and not found and said", found=unfound, limit=0)]


def _shown(fault: Fault, healed: Sequence[Healed]) -> Bound:
    middle, last = sorted(each.middle_s for each in healed), sorted(each.last_s for each in healed)
    back = sorted(each.peer_s for each in healed if each.peer_s < math.inf)
    late_s = max(each.awake_late_s for each in healed)
    said = f"back {len(back)} of {len(healed)} times" + (f", median {median(back):.2f}" if back else "")
    print(
        f"{fault.name:<20}{min(each.first_s for each in healed):>8.2f}{median(middle):>16.2f}{middle[-1]:>8.2f}"
        f"{median(last):>14.2f}{last[-1]:>8.2f}"
        f"{1e3 * late_s:>9.0f} ms   {said} in {fault.watch_s:g} s"
    )
    judged_s, how = (middle[-1], "worst") if fault.each else (median(middle), "median")
    return Bound(
        what=f"{fault.name}: data again, {how}, s", found=judged_s, limit=fault.within_s, judged=late_s <= AWAKE_S
    )


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


PARTS: dict[str, Callable[[Path, Sizes], list[Bound]]] = {
    "load": measure_load,
    "single": measure_single,
    "start": measure_start,
    "recovery": measure_recovery,
}


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="bench.stream", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a short run: too short for a verdict")
    parser.add_argument("--seconds", type=float, help="of each load")
    parser.add_argument("--repeats", type=int, help="of each fault")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)} (default: all)")
    given = parser.parse_args(arguments)
    if unknown := set(given.parts) - PARTS.keys():
        parser.error(f"no part: {', '.join(sorted(unknown))}; known: {', '.join(PARTS)}")
    base = QUICK if given.quick else FULL
    sizes = replace(base, seconds=given.seconds or base.seconds, repeats=given.repeats or base.repeats)
    logs.configure(service="bench", level="error", style="text")
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors, {sizes}")
    bounds: list[Bound] = []
    with tempfile.TemporaryDirectory() as folder:
        for part in given.parts or PARTS:
            bounds += PARTS[part](Path(folder) / part, sizes)
    print()
    for bound in bounds:
        print(bound.line())
    return int(any(bound.missed for bound in bounds))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
