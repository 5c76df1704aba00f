"""The daily refresh against its figures: `python -m bench.daily [PART...] [--tickers 8782] [--kills 20]`.

Parts: night, naive, limit, limit_real, kills, history, truth (default: all). Each bound is kept or missed; seconds are
judged only on a machine that is not busy. A night of the real calendar: best run on a day off.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from bench import daily_truth
from bench.bound import Bound
from bench.daily_kills import kills
from bench.daily_limit import least_s, run
from bench.daily_market import ROOT, Bench, practice
from core.clock import SystemClock, pause

LATENCY_S, THREADS = 0.3, 50
SAMPLE = 150
"""Tickers of the naive loop."""
IDLE_LOAD = 0.6
"""Of the cores: with more at work beforehand, seconds say nothing."""
FIRST_PER_S, MOST_PER_S = 0.25, 8.0
NIGHT_REQUESTS = 88 + 8782


def night(options: argparse.Namespace) -> Iterator[Bound]:
    """The first night and a later one at 300 ms a request, without a limit."""
    quiet = _is_quiet()
    with practice(options.tickers, start_per_s=1000.0, max_per_s=1000.0) as bench:
        bench.market.fault("slow_answer", delay_s=LATENCY_S)
        for name in ("first night", "later night"):
            found = one_night(bench)
            print(f"{name}: {json.dumps(found)}")
            yield Bound(what=f"{name}: times the floor", found=found["times_floor"], limit=1.6, judged=quiet)
            yield Bound(what=f"{name}: peak RSS in MB", found=found["rss_mb"], limit=300)
            yield Bound(what=f"{name}: tickers left", found=found["left"], limit=0)
            bench.another_night()


def one_night(bench: Bench) -> dict[str, Any]:
    """Run the scanner once; `floor_s` is requests x latency / threads."""
    before, clock = bench.market.status().requests, SystemClock()
    began_s = clock.monotonic_s()
    process = bench.start()
    _, status, used = os.wait4(process.pid, 0)
    took_s = clock.monotonic_s() - began_s
    requests = bench.market.status().requests - before
    floor_s = requests * LATENCY_S / THREADS
    ended = bench.newest_run()
    return {
        "exit_code": os.waitstatus_to_exitcode(status),
        "took_s": round(took_s, 1),
        "requests": requests,
        "floor_s": round(floor_s, 1),
        "times_floor": round(took_s / floor_s, 2),
        "rss_mb": round(used.ru_maxrss / 1024, 1),
        "cpu_s": round(used.ru_utime + used.ru_stime, 1),
        "left": ended["failed"],
        "stages": ended["detail"]["stages"],
    }


def naive(options: argparse.Namespace) -> Iterator[Bound]:
    """A loop over `Ticker.info` in 50 threads beside the scanner, on the same sample."""
    with practice(min(SAMPLE, options.tickers), start_per_s=1000.0, max_per_s=1000.0) as bench:
        bench.market.fault("slow_answer", delay_s=LATENCY_S)
        one_night(bench)  # its history, which the loop does not ask for
        bench.another_night()
        ours = one_night(bench)
        before, clock = bench.market.status().requests, SystemClock()
        began_s = clock.monotonic_s()
        told, rss_mb = _naive_loop(bench)
        took_s, count = clock.monotonic_s() - began_s, len(bench.tickers)
        theirs = bench.market.status().requests - before
    loop = f"{theirs / count:.2f} requests and {took_s / count:.3f} s a ticker"
    each = f"{ours['requests'] / count:.2f} requests and {ours['took_s'] / count:.3f} s a ticker"
    print(f"naive loop: {json.dumps(told)}, {loop}, {rss_mb} MB")
    print(f"tickerd: {each}, {ours['rss_mb']} MB")
    yield Bound(what="requests of ours for one of the naive loop", found=ours["requests"] / theirs, limit=1.0)


def _naive_loop(bench: Bench) -> tuple[dict[str, int], float]:
    through = dict.fromkeys(("HTTPS_PROXY", "https_proxy"), bench.market.proxy_url)
    trusted = dict.fromkeys(("CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"), str(bench.market.ca_file))
    folders = {"XDG_CACHE_HOME": str(bench.folder), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "ignore", "-m", "bench.daily_naive", *bench.tickers]
    with subprocess.Popen(
        command, env=os.environ | through | trusted | folders, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        told = json.loads(process.stdout.read())
        _, _, used = os.wait4(process.pid, 0)
        process.returncode = 0
    return told, round(used.ru_maxrss / 1024, 1)


def limit(_options: argparse.Namespace) -> Iterator[Bound]:
    """All listed tickers under a hidden limit of 4, then 1, then 3 requests a second, in virtual time."""
    third = NIGHT_REQUESTS / 3
    moves = {
        "a third of the requests each": [(third / 4, 4.0), (third / 1, 1.0), (0.0, 3.0)],
        "half an hour each": [(1800.0, 4.0), (1800.0, 1.0), (0.0, 3.0)],
        "five minutes each": [(300.0, 4.0), (300.0, 1.0), (0.0, 3.0)],
    }
    for name, phases in moves.items():
        found = [
            run(NIGHT_REQUESTS, phases, start_per_s=FIRST_PER_S, max_per_s=MOST_PER_S, latency_s=LATENCY_S, seed=seed)
            for seed in range(5)
        ]
        floor_s = least_s(NIGHT_REQUESTS, phases)
        worst_s, refused = max(took_s for took_s, _ in found), max(wrong for _, wrong in found)
        yield Bound(what=f"limit, {name}: times what it allows", found=worst_s / floor_s, limit=1.3)
        yield Bound(what=f"limit, {name}: refused share", found=refused / (refused + NIGHT_REQUESTS), limit=0.05)


def limit_real(_options: argparse.Namespace) -> Iterator[Bound]:
    """The shipped scanner under the same limit for minutes: so short a time is mostly learning."""
    with practice(200, start_per_s=2.0, max_per_s=MOST_PER_S) as bench:
        process, clock = bench.start(), SystemClock()
        began_s = clock.monotonic_s()
        for per_s, until_s in ((4.0, 60.0), (1.0, 120.0), (3.0, 3600.0)):
            bench.market.clear("rate_limit")
            bench.market.fault("rate_limit", requests=int(10 * per_s), window_s=10.0, penalty_s=0.0, per="all")
            while process.poll() is None and clock.monotonic_s() < began_s + until_s:
                pause(0.2)
        took_s = clock.monotonic_s() - began_s
        statuses = [each.status for each in bench.market.requests()]
        ended = bench.newest_run()
    floor_s = least_s(len(statuses) - statuses.count(429), [(60.0, 4.0), (60.0, 1.0), (0.0, 3.0)])
    print(f"limit, real: {took_s:.0f} s, the limit allows it in {floor_s:.0f} s; {statuses.count(429)} refused")
    yield Bound(what="limit, real: refused share", found=statuses.count(429) / len(statuses), limit=0.05)
    yield Bound(what="limit, real: tickers left", found=ended["failed"], limit=0)


def killed(options: argparse.Namespace) -> Iterator[Bound]:
    """kill -9 at random points."""
    found = kills(options.kills, tickers=min(1000, options.tickers), latency_s=LATENCY_S, seed=options.seed)
    print(f"kills: {json.dumps(found)}")
    yield Bound(what=f"{options.kills} kills: tickers that are not complete", found=found["incomplete"], limit=0)
    yield Bound(what=f"{options.kills} kills: asked again after one, at most", found=found["most_again"], limit=THREADS)
    yield Bound(what=f"{options.kills} kills: asked twice by one start", found=found["twice_in_one_start"], limit=0)


def history(_options: argparse.Namespace) -> Iterator[Bound]:
    """3.4 million bars into both databases: a report with figures of its own."""
    code = subprocess.run([sys.executable, "-m", "bench.daily_history"], check=False, cwd=ROOT).returncode
    yield Bound(what="bench.daily_history: exit code", found=code, limit=0)


def truth(options: argparse.Namespace) -> Iterator[Bound]:
    """Recorded answers against their rows, and planted errors."""
    told = daily_truth.recorded()
    print(f"recorded: {json.dumps(told)}")
    yield Bound(
        what="recorded answers without row or reason", found=told["answers"] - sum(told["outcomes"].values()), limit=0
    )
    found = daily_truth.planted(options.tickers, errors=50, seed=options.seed)
    print(f"planted: {json.dumps(found)}")
    yield Bound(what="planted errors that the audit missed", found=float(len(found["missed"])), limit=0)


PARTS: dict[str, Callable[[argparse.Namespace], Iterator[Bound]]] = {
    "limit": limit,
    "night": night,
    "naive": naive,
    "limit_real": limit_real,
    "kills": killed,
    "history": history,
    "truth": truth,
}


def _is_quiet() -> bool:
    return os.getloadavg()[0] < IDLE_LOAD * (os.cpu_count() or 1)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print each figure beside its bound; 1 if one was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], default=[*PARTS])
    parser.add_argument("--tickers", type=int, default=8782)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    missed = 0
    for part in options.parts:
        for bound in PARTS[part](options):
            print(bound.line(), flush=True)
            missed += bound.missed
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
