"""`tickerd replay FILE`: what the program makes of recorded frames and answers. Writes into no table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec
from rich.console import RenderableType

from cli.common import load, plain_table, print_json, show, with_both
from core.clock import utc_text
from core.errors import EXIT_DONE, EXIT_FAILED, FixByHand
from core.files import read_text
from core.flight import Record, read_flight, segments

if TYPE_CHECKING:
    from scanners.replay import Replay

SHOWN = 20
"""Refusals and errors that text shows one by one."""
MOST_ERRORS = 1000
"""A damaged file may hold as many of them as bytes."""


@dataclass(slots=True, kw_only=True)
class FileCount:
    """What a file held. `begin` and `end`: the times of its first and last record."""

    file: str
    records: int = 0
    unreadable: int = 0
    begin: datetime | None = None
    end: datetime | None = None


@click.command(short_help="Run a flight recording through the parsers.")
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path))
@click.option("--ticker", "tickers", multiple=True, metavar="TICKER", help="Show the last values of this one, too.")
@with_both
def replay(files: tuple[Path, ...], tickers: tuple[str, ...], config_file: str | None, as_json: bool) -> int:
    """Run recordings, or folders of them, through the program's parsers and checks, and show what came of it.

    Sessions are those of `[market]`, and every ticker counts as listed. To feed the practice market with a recording
    use `tickerd simulate --replay FILE`. Exit 1 if a record could not be read.
    """
    from market.sessions import build_calendar  # here, so that `--help` imports neither network nor database
    from scanners.replay import Replay

    replayed = Replay(build_calendar(load(config_file).settings.market, read=read_text))
    errors: list[dict[str, Any]] = []
    counts = [_run(path, replayed, errors) for path in expanded(files)]
    document = {
        "files": [asdict(each) for each in counts],
        "frames": {**replayed.frames, "refused": dict(replayed.causes["frame"])},
        "answers": {**replayed.answers, "refused": dict(replayed.causes["answer"])},
        "tickers": {ticker: _values(replayed, ticker) for ticker in tickers},
        "refusals": [asdict(each) for each in replayed.refusals],
        "errors": errors,
    }
    if as_json:
        print_json(document)
    else:
        show(_parts(document))
    return EXIT_FAILED if errors else EXIT_DONE


def expanded(files: Sequence[Path]) -> list[Path]:
    """Return the files, and for a folder its segments, oldest first; FixByHand if it has none."""
    found: list[Path] = []
    for path in files:
        inside = segments(path) if path.is_dir() else [path]
        if not inside:
            raise FixByHand("holds no recording", where=str(path), right="give a folder like .tickerd/flight/prices")
        found += inside
    return found


def _run(path: Path, replayed: Replay, errors: list[dict[str, Any]]) -> FileCount:
    counted = FileCount(file=str(path))
    for number, record in enumerate(read_flight(path), start=1):
        counted.records = number
        if isinstance(record, Record):
            counted.begin = counted.begin or record.at
            counted.end = record.at
            replayed.offer(record, file=str(path), number=number)
        else:
            counted.unreadable += 1
            if len(errors) < MOST_ERRORS:
                errors.append({"file": str(path), "record": number, "reason": record.reason})
    return counted


def _values(replayed: Replay, ticker: str) -> dict[str, Any]:
    quote = replayed.quotes.get(ticker)
    return {
        "prices": [msgspec.structs.asdict(row) for row in replayed.prices(ticker)],
        "quote": asdict(quote) if quote is not None else None,
    }


def _parts(document: Mapping[str, Any]) -> Iterable[RenderableType]:
    for each in document["files"]:
        times = f", {utc_text(each['begin'])} to {utc_text(each['end'])}" if each["begin"] else ""
        yield f"{each['file']}: {each['records']:,} records{times}"
    for kind in ("frames", "answers"):
        yield f"{kind}: " + ", ".join(_counts(document[kind]))
    for ticker, values in document["tickers"].items():
        yield from _ticker(ticker, values)
    if document["refusals"]:
        table = plain_table("refused", "record", "cause", last="file")
        for each in document["refusals"][:SHOWN]:
            table.add_row(each["ticker"] or each["kind"], str(each["record"]), each["cause"], Path(each["file"]).name)
        yield table
    for each in document["errors"][:SHOWN]:
        yield f"{each['file']}: record {each['record']}: {each['reason']}"


def _counts(counts: Mapping[str, Any]) -> Iterable[str]:
    for name, count in counts.items():
        if name != "refused":
            yield f"{count:,} {name}"
    for cause, count in counts["refused"].items():
        yield f"{count:,} refused ({cause})"


def _ticker(ticker: str, values: Mapping[str, Any]) -> Iterable[RenderableType]:
    if not values["prices"] and not values["quote"]:
        yield f"{ticker}: nothing of it reached the table"
        return
    table = plain_table(ticker, last="value")
    for row in values["prices"]:
        table.add_row(f"{row['kind']} price", f"{row['price_usd']} at {utc_text(row['price_time'])}")
    for name, value in (values["quote"] or {}).items():
        if value is not None:
            table.add_row(name, utc_text(value) if isinstance(value, datetime) else str(value))
    yield table
