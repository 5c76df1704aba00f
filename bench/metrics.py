"""The metrics cycle through a hostile crowd: `python -m bench.metrics [--runs 20] [--real] [--out FILE]`.

Simulated in virtual time with the product's own plan, rotation, breaker and staging; an all-knowing scheduler and a
round robin with three tries beside it, in the same crowds. A request counts whatever it was for. Then one real cycle of
the shipped scanner through a fleet of 100 proxies in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

from bench.metrics_model import SCENARIOS, Scenario, World
from bench.metrics_policies import (
    Lie,
    Ours,
    Outcome,
    all_knowing,
    all_of_it,
    every_number,
    one_number,
    one_ticker,
    only,
    price_and_change,
    round_robin,
)
from market.quotes import Quote

CYCLE_S = 600.0
LIARS = 0.05
LIED_ABOUT = ("current_price", "market_cap", "week_52_high", "bid_price", "volume")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--real", action="store_true", help="run the shipped scanner as well")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args(arguments)
    found: dict[str, Any] = {"runs": options.runs, "crowds": {}, "tampering": tampering(options.runs)}
    for scenario in SCENARIOS:
        found["crowds"][scenario.name] = rows = crowd(scenario, options.runs)
        _print_crowd(scenario.name, rows)
    _print_tampering(found["tampering"])
    if options.real:
        from bench.metrics_real import real_cycles

        found["real"] = real_cycles()
        print(json.dumps(found["real"], indent=1))
    if options.out:
        options.out.write_text(json.dumps(found, indent=1) + "\n")


def crowd(scenario: Scenario, runs: int) -> dict[str, dict[str, float]]:
    """Run every policy, cold and in the next cycle, over the same seeds."""
    outcomes: dict[str, list[Outcome]] = {}
    for seed in range(runs):
        ours, world = Ours(World(scenario, seed)), World(scenario, seed)
        minted: set[int] = set()
        for cycle in (0, 1):
            warmth = ("cold", "warm")[cycle]
            moved = _in_cycle(scenario, cycle)
            ours.world.scenario = world.scenario = moved
            found = ours.cycle(begins_s=cycle * CYCLE_S, knows=cycle == 1)
            outcomes.setdefault(f"ours {warmth}", []).append(found)
            found = all_knowing(world, begins_s=cycle * CYCLE_S, minted=minted)
            outcomes.setdefault(f"all-knowing {warmth}", []).append(found)
        outcomes.setdefault("round robin, 3 tries", []).append(round_robin(World(scenario, seed), begins_s=0.0))
    return {name: _row(each) for name, each in outcomes.items()}


def tampering(runs: int) -> dict[str, dict[str, float]]:
    """Let 5 % of the crowd lie; count what is written wrong, cold (nothing is known) and in the next cycle."""
    lies: dict[str, Callable[[int], Lie]] = {
        "every number, each liar by a factor of its own": lambda seed: every_number(_own_factor(seed)),
        "every number, all liars by the same 1 %": lambda _seed: every_number(lambda _number: 1.01),
        "any one number of one ticker, by 2 %": lambda seed: one_ticker(
            random.Random(seed), one_number(random.Random(seed))
        ),
        **{f"one ticker's {name}, by 2 %": _one_ticker(only(name)) for name in LIED_ABOUT},
        "all numbers of one ticker, by 2 %": _one_ticker(all_of_it),
        "one ticker's price by 2 % and its change with it": _one_ticker(price_and_change),
    }
    found = {}
    for name, lie in lies.items():
        told, wrong, banned = 0, 0, 0
        for seed in range(runs):
            ours = Ours(World(replace(SCENARIOS[0], liars=LIARS), seed), lie=lie(seed))
            for cycle in (0, 1):
                outcome = ours.cycle(begins_s=cycle * CYCLE_S, knows=cycle == 1)
                wrong, banned = wrong + outcome.wrong, banned + outcome.banned
            told += ours.lies
        caught = 1.0 - wrong / told if told else math.nan
        found[name] = {"wrong_values_told": told, "wrong_values_written": wrong, "caught": caught, "banned": banned}
    return found


def _one_ticker(change: Callable[[Quote], Quote]) -> Callable[[int], Lie]:
    return lambda seed: one_ticker(random.Random(seed), change)


def _own_factor(seed: int) -> Callable[[int], float]:
    return lambda number: random.Random(seed * 1000 + number).choice((0.5, 0.9, 0.99, 1.01, 1.03, 1.5, 100.0))


def _in_cycle(scenario: Scenario, cycle: int) -> Scenario:
    """Return the crowd with its outage in this cycle."""
    starts_s, ends_s = (each + cycle * CYCLE_S for each in scenario.outage)
    return replace(scenario, outage=(starts_s, ends_s))


def _row(outcomes: Sequence[Outcome]) -> dict[str, float]:
    times_s = sorted(each.took_s for each in outcomes)
    return {
        "p50_s": times_s[len(times_s) // 2],
        "p99_s": times_s[math.ceil(0.99 * len(times_s)) - 1],
        "worst_share": min(each.share for each in outcomes),
        "requests": fmean(each.requests for each in outcomes),
    }


def _print_crowd(name: str, rows: dict[str, dict[str, float]]) -> None:
    print(name)
    for policy, row in rows.items():
        base = rows.get(f"all-knowing {policy.split()[-1]}")
        ratio = f"{row['requests'] / base['requests']:5.2f} x" if base else "       "
        print(
            f"  {policy:22} p50 {row['p50_s']:5.0f} s  p99 {row['p99_s']:5.0f} s  {row['worst_share']:6.1%}"
            f"  {row['requests']:5.0f} requests {ratio}"
        )


def _print_tampering(found: dict[str, dict[str, float]]) -> None:
    for name, row in found.items():
        print(
            f"{name}: {row['wrong_values_told']:.0f} wrong rows told, {row['wrong_values_written']:.0f} written,"
            f" {row['caught']:.2%} caught, {row['banned']:.0f} exits banned"
        )


if __name__ == "__main__":
    main()
