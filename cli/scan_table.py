"""What a person sees of a scan: its results as a table and one line about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from cli.common import plain_table, show

if TYPE_CHECKING:
    from screener.jobs.request import Request
    from screener.jobs.scan import Outcome

WIDE = 120
SHOWN_FIELDS = 5
"""Fields of the expression that a table of less than WIDE columns shows."""


def print_outcome(outcome: Outcome, request: Request, limit: int) -> None:
    """Print the first `limit` results and how the scan ended."""
    counts, ended = outcome.counts, outcome.ended
    seconds = sum(timing["elapsed_s"] for timing in outcome.timings.values())
    show([result_table(outcome.results[:limit])] if outcome.results else [])
    more = f", {len(outcome.results) - limit:,} not shown (--limit)" if len(outcome.results) > limit else ""
    said = [f"{counts['signals']:,} of {counts['scanned']:,} tickers in {seconds:.3f} s{more}"]
    if outcome.data_as_of:
        said.append(f"as of {outcome.data_as_of}")
    if counts["not_current"] and not (request.since or request.until):
        said.append(f"{counts['not_current']:,} halted or gone, not scanned")
    if outcome.status != "complete":
        what = "exact" if ended["exact"] else f"{100 * ended['coverage']:.1f} % of the universe"
        said.append(f"{outcome.status.replace('_', ' ')} by {ended['reason']}: {what}")
    if outcome.biased:
        said.append(f"biased: {', '.join(outcome.biased)} as of today")
    if outcome.errors:
        first = outcome.errors[0]
        said.append(f"{len(outcome.errors)} errors, the first: {first['ticker']} {first['error']}")
    show(["", "; ".join(said)])


def result_table(results: Sequence[Mapping[str, Any]]) -> Table:
    """Numbers and texts of the expression; of the patterns what they say to do."""
    signals_ = [result.get("signals") or [] for result in results]
    patterns = {one["pattern"] for told in signals_ for one in told}
    names = [name for name in results[0]["values"] if name not in patterns]
    wide = Console().width > WIDE
    names = names if wide else names[:1] if patterns else names[:SHOWN_FIELDS]
    plan = ("entry", "stop", "target_1", "position_size") if patterns else ()
    table = plain_table("ticker", "session", *names, *(word.replace("_", " ") for word in plan), last="notes")
    for result, told in zip(results, signals_, strict=True):
        first = told[0] if told else {}
        said = [one["direction"] if len(patterns) == 1 else f"{one['pattern']} {one['direction']}" for one in told]
        said += ["allotted"] * any(one.get("allotted") for one in told)
        cells = [cell(result["values"].get(name)) for name in names]
        levels = [cell(first.get(key)) for key in plan]
        table.add_row(result["ticker"], result["session"], *cells, *levels, " ".join([*said, *result["flags"]]))
    return table


def cell(value: Any) -> str:
    """Return `value` as a table shows it: four digits that count, nothing for what is not known."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    return f"{value:,.0f}" if abs(value) >= 1e5 else f"{value:,.4g}" if abs(value) < 1 else f"{value:,.2f}"
