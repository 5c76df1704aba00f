"""How soon the order of work comes to the tickers that fire: ours, the four-factor score alone, chance.

    python -m bench.scan_priority            # generated bars, three seeds: nothing follows from them but the arming
    python -m bench.scan_priority FILE       # CSV, gzipped or not: symbol,date,open,high,low,close,volume

Each session is ordered by what the bars before it say. Accuracy is that of a scan: the share of its signals in the
first 20 % of the universe, the mean of the scans; beside it all signals together, and what the best order could do: on
a day on which half the market fires, two fifths of that. Then the share of the universe that holds 95 % of all signals.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.scan_backtest import generated
from screener.cube.bars import Bars
from screener.jobs import priority, score
from screener.jobs.priority import Armed, Places
from screener.measures import market
from screener.patterns.catalogue import DAILY, PATTERNS, fired
from screener.patterns.pattern import NEVER
from screener.patterns.window import DEPTH, Window

TICKERS, BARS, FIRST = 1500, 330, 262
"""Of generated bars; rows from FIRST on know a year."""
SEEDS = (1, 2, 3)
WANTED = 0.6


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Of one pattern and one order: share of a scan's signals in the first fifth, of all, and universe for 95 %."""

    scans: float
    pooled: float
    universe: float


def places_of(hits: Sequence[NDArray[np.bool_]], orders: Sequence[Places]) -> Found:
    """`hits` and `orders`: a row a session."""
    accuracies, places = [], []
    for hit, order in zip(hits, orders, strict=True):
        in_order = hit[order]
        if (one := priority.accuracy(in_order)) is not None:
            accuracies.append(one)
            places.append((np.flatnonzero(in_order) + 1) / len(order))
    every = np.concatenate(places)
    first = float(np.mean(every <= priority.FIRST_SHARE))
    return Found(scans=float(np.mean(accuracies)), pooled=first, universe=float(np.quantile(every, 0.95)))


def best_possible(hits: NDArray[np.bool_]) -> float:
    fired_a_day = hits.sum(axis=1)
    return float(np.minimum(fired_a_day, np.ceil(priority.FIRST_SHARE * hits.shape[1])).sum() / fired_a_day.sum())


def scores(bars: Bars, rows: int) -> list[Places]:
    """Return the order by the four-factor score as of each of the newest rows."""
    measured = market.compute(bars, score.MEASURES, rows)
    past = score.Past.empty(bars.width)
    each = [{name: values[row] for name, values in measured.items()} for row in range(rows)]
    return [np.argsort(-score.score(past, row, {}), kind="stable") for row in each]


def table(bars: Bars, seed: int = 1) -> dict[str, tuple[int, float, dict[str, Found]]]:
    """Return for each pattern that can be armed: signals, best possible, and what each order finds."""
    rows = bars.rows - FIRST
    luck = np.random.default_rng(seed)
    by_score = scores(bars, rows)[:-1]
    by_luck = [luck.permutation(bars.width) for _ in by_score]
    window = Window(bars, max(FIRST, DEPTH), ranked=market.compute(bars, ["rs_rating"], rows))
    found = {}
    for name in DAILY:
        distance = PATTERNS[name].distance
        hits = fired(name, window)[1:] != 0
        if distance is None or not hits.any():
            continue
        armed = [Armed(row < NEVER, row) for row in distance(window)[:-1]]
        ours = [priority.in_order(*each) for each in zip(armed, by_score, by_luck, strict=True)]
        orders = {"ours": ours, "score": by_score, "chance": by_luck}
        ways = {way: places_of(list(hits), order) for way, order in orders.items()}
        found[name] = int(hits.sum()), best_possible(hits), ways
    return found


def show(bars: Bars, seed: int) -> int:
    """Print the table; return how many patterns stay below what is wanted."""
    print(
        f"{bars.width} tickers, {bars.rows - FIRST - 1} scans; accuracy: ours, score, chance | together, best possible"
    )
    below = 0
    for name, (signals, best, ways) in table(bars, seed).items():
        scans = " / ".join(f"{100 * ways[way].scans:3.0f}" for way in ("ours", "score", "chance"))
        universe = " / ".join(f"{100 * ways[way].universe:3.0f}" for way in ("ours", "score", "chance"))
        pooled = f"{100 * ways['ours'].pooled:3.0f} of {100 * best:3.0f}"
        print(f"  {name:30} {signals:7,} signals  accuracy % {scans} | {pooled} | universe for 95 % {universe}")
        below += ways["ours"].scans < WANTED
    return below


def figures() -> dict[str, float]:
    """Return in how many of the tables of all seeds a pattern stays below what is wanted."""
    return {"patterns_below_60_percent": float(sum(show(generated(TICKERS, BARS, seed), seed) for seed in SEEDS))}


def main() -> None:
    from bench.scan_patterns import read

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, nargs="?")
    asked = parser.parse_args()
    if asked.file:
        show(read(asked.file), 1)
    else:
        figures()


if __name__ == "__main__":
    main()
