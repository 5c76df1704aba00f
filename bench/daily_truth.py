"""Is what the daily refresh writes right? Recorded answers against their rows, and 50 planted errors for the audit.

    .venv/bin/python -m bench.daily_truth [--tickers 8782] [--errors 50] [--seed 1]

The recordings are all 1,261 quoteSummary answers, of each module what is read. The errors are planted into the table of
a whole night against the practice market, one a ticker, anywhere and of any kind; then the shipped scanner audits anew.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import sqlite3
import sys
from collections import Counter
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from bench.daily_market import Bench, practice
from core.clock import SystemClock
from market.fundamentals import FIELDS
from yahoo.quote import BadAnswer, Refused
from yahoo.summary_fields import decode

RECORDED = Path(__file__).parent.parent / "tests" / "data" / "quote_summaries.jsonl.gz"
CHART = "/v8/finance/chart/"
PLACES = {
    "stocks_daily_bar": ("open", "high", "low", "close", "volume"),
    "stocks_stock": ("open_price", "days_high", "days_low", "current_price", "volume"),
}
PRICE_ERRORS = {
    "a cent more": lambda value, _: value + 0.01,
    "two percent": lambda value, _: value * 1.02,
    "cents": lambda value, _: value * 100,
    "dollars": lambda value, _: value / 100,
    "a split": lambda value, _: value / 2,
    "another ticker's": lambda _, other: other,
}
VOLUME_ERRORS = {
    "a fifth more": lambda value, _: int(value * 1.2) + 2000,
    "lots": lambda value, _: value // 100,
    "none": lambda _value, _other: 0,
    "another ticker's": lambda _, other: other,
}


def recorded() -> dict[str, Any]:
    """Return what becomes of every recorded answer, and how many fields their rows hold."""
    outcomes, fields, refused = Counter[str](), 0, Counter[str]()
    for line in gzip.decompress(RECORDED.read_bytes()).splitlines():
        record = json.loads(line)
        at, body = datetime.fromisoformat(record["recorded_at"]), orjson.dumps(record["body"])
        try:
            told = decode(body, asked=record["asked"], at=at, must_name=False)
        except Refused as said:
            outcomes[said.reason] += 1
        except BadAnswer:
            outcomes["bad_answer"] += 1
        else:
            outcomes["row"] += 1
            fields += sum(getattr(told.fundamentals, name) is not None for name in FIELDS)
            refused.update(rule for _, rule in told.refused)
    return {"answers": sum(outcomes.values()), "outcomes": outcomes, "fields": fields, "refused": refused}


def planted(tickers: int, *, errors: int, seed: int) -> dict[str, Any]:
    """Return what the audit finds in a table with `errors` wrong numbers, and in the same one before."""
    with practice(tickers, start_per_s=1000.0, max_per_s=1000.0) as bench:
        before = _night(bench)
        wrong = _plant(bench, errors, random.Random(seed))
        after = _night(bench)
        found = set(bench.rows("SELECT ticker, field FROM truth_finding WHERE verdict = 'differs'"))
    missed = {place: kind for place, kind in wrong.items() if place not in found}
    return {
        "before": before,
        "after": after,
        "planted": len(wrong),
        "found": len(wrong) - len(missed),
        "missed": {f"{ticker} {field}": kind for (ticker, field), kind in missed.items()},
        "found_but_not_planted": len(found - wrong.keys()),
    }


def _night(bench: Bench) -> dict[str, Any]:
    """Let the scanner do what is left of the night: at least the audit."""
    with closing(sqlite3.connect(bench.folder / "tickerd.db")) as connection, connection:
        for table in ("scanner_run", "truth_audit", "truth_finding"):
            connection.execute(f"DELETE FROM {table}")
    asked, clock = bench.market.status().requests, SystemClock()
    begun_s = clock.monotonic_s()
    code = bench.start().wait()
    took_s = clock.monotonic_s() - begun_s
    columns = ("exact", "differs", "not_comparable", "sampled", "outliers", "requests", "total")
    ((*counts,),) = bench.rows(f"SELECT {', '.join(columns)} FROM truth_audit")
    requests = bench.market.status().requests - asked
    return {
        "exit_code": code,
        "all_requests": requests,
        "seconds": round(took_s, 1),
        **dict(zip(columns, counts, strict=True)),
    }


def _plant(bench: Bench, errors: int, dice: random.Random) -> dict[tuple[str, str], str]:
    """Make `errors` numbers wrong, each of its own ticker; return (ticker, field) -> kind."""
    session = bench.rows("SELECT max(session) FROM truth_witness")[0][0]
    held = [
        ticker
        for (ticker,) in bench.rows(
            "SELECT ticker FROM truth_witness JOIN stocks_daily_bar USING (ticker) WHERE truth_witness.volume > 20000"
            f" AND session_date = '{session}' AND session = '{session}' ORDER BY ticker"
        )
    ]
    wrong: dict[tuple[str, str], str] = {}
    with closing(sqlite3.connect(bench.folder / "tickerd.db")) as connection, connection:
        for ticker, other in zip(*[iter(dice.sample(held, 2 * errors))] * 2, strict=True):
            table = dice.choice(list(PLACES))
            column = dice.choice(PLACES[table])
            of_session = f"AND session_date = '{session}'" if table == "stocks_daily_bar" else ""
            values = dict(
                connection.execute(
                    f"SELECT ticker, {column} FROM {table} WHERE ticker IN (?, ?) {of_session}", (ticker, other)
                )
            )
            kinds: dict[str, Any] = VOLUME_ERRORS if column == "volume" else PRICE_ERRORS
            kind = dice.choice(list(kinds))
            value = kinds[kind](values[ticker], values[other])
            connection.execute(f"UPDATE {table} SET {column} = ? WHERE ticker = ? {of_session}", (value, ticker))
            wrong[ticker, f"bar_{column}" if of_session else column] = kind
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tickers", type=int, default=8782)
    parser.add_argument("--errors", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    found = {"recorded": recorded(), "planted": planted(given.tickers, errors=given.errors, seed=given.seed)}
    sys.stdout.write(json.dumps(found, indent=1) + "\n")
    return (
        0
        if not found["planted"]["missed"]
        and found["recorded"]["answers"] == sum(found["recorded"]["outcomes"].values())
        else 1
    )


if __name__ == "__main__":
    sys.exit(main())
