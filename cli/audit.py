"""`tickerd audit`: what the truth audit of a session found. Reads the table, compares nothing itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date, datetime
from typing import Any

import click
from rich.table import Table

from cli.common import load, open_table, plain_table, print_json, show, with_both
from core.errors import EXIT_DONE, EXIT_FAILED, TickerdError
from scanners.daily.verdicts import in_words
from storage.audits import Finding, read_audit, read_findings


@click.command(short_help="Show what the audit of a session found.")
@click.option("--session", type=click.DateTime(["%Y-%m-%d"]), help="The session's date. Default: the newest audited.")
@with_both
def audit(session: datetime | None, config_file: str | None, as_json: bool) -> int:
    """Show how many tickers of a session are exact, and each number that differs from what Yahoo's chart says.

    The last stage of each daily refresh compares them. Exit 1 if a number differs.
    """
    on = session.date() if session else None
    engine = open_table(load(config_file))
    try:
        row = read_audit(engine, on)
        if row is None:
            raise TickerdError(_none_of(on), where="audit", right="it is made at the end of each daily refresh")
        findings = read_findings(engine, row.session)
    finally:
        engine.dispose()
    text = in_words(row, findings)
    if as_json:
        document: dict[str, Any] = asdict(row) | {"text": text, "findings": [asdict(each) for each in findings]}
        print_json(document)
    else:
        asked = f"{row.asked:,} charts asked: {row.sampled:,} by chance, {row.outliers:,} that looked odd"
        differing = [each for each in findings if each.verdict == "differs"]
        show([f"session {row.session}: {text}", asked])
        show(["", _table(differing)] if differing else [])
    return EXIT_FAILED if row.differs else EXIT_DONE


def _none_of(on: date | None) -> str:
    return f"no audit of {on} is kept" if on else "no session was audited yet"


def _table(findings: Sequence[Finding]) -> Table:
    table = plain_table("ticker", "in the table", "in the chart", last="number, why it was asked")
    for each in findings:
        table.add_row(each.ticker, _said(each.held), _said(each.told), f"{each.field}, {each.rule}")
    return table


def _said(number: float | None) -> str:
    return "none" if number is None else f"{number:,.10g}"
