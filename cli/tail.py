"""`tickerd tail`: the changes of the table as JSON lines, as they are committed. Never polls the table itself."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import click

from cli.common import json_bytes, json_option, load, with_config
from core.clock import pause
from core.errors import RetryLater
from core.program import print_error
from storage.reader import Reader
from storage.schema import stocks_stock

POLL_S = 0.2
AWAY_S = 1.0
ROWS_A_READ = 1000


@click.command(short_help="Show rows as they change, one JSON line each.")
@click.option(
    "--since", type=click.IntRange(min=0), help="Begin after this write. Default: now; with --once: 0, all rows."
)
@click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="NAME",
    type=click.Choice(stocks_stock.columns.keys()),
    help="Show only this column; may be repeated.",
)
@click.option("--once", is_flag=True, help="Show what there is and end.")
@json_option("Changes nothing: it always prints JSON lines.")
@with_config
def tail(since: int | None, columns: tuple[str, ...], once: bool, config_file: str | None, as_json: bool) -> None:
    """Show each row of stocks_stock whose values changed, as it is then: {"seq": ..., "ticker": ..., ...}.

    It always prints JSON lines. To go on later, give --since the last `seq` less one: the rows of one write have
    the same number, and some of them may be shown twice then, but none is left out. Ctrl-C ends it.
    """
    follower = _Follower(load(config_file).settings.database.url, columns)
    try:
        if once:
            follower.begin(since or 0)
            follower.print_all()
        else:
            follower.follow(since, stopping=_stop_asked())
    finally:
        follower.close()


def _stop_asked() -> Callable[[], bool]:
    """From here on the first Ctrl-C only asks: a driver interrupted in a query fails. The second one ends at once."""
    asked: list[int] = []

    def ask(number: int, _frame: object) -> None:
        asked.append(number)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    signal.signal(signal.SIGINT, ask)
    return lambda: bool(asked)


class _Follower:
    """Prints what comes after `seq`."""

    def __init__(self, url: str, columns: tuple[str, ...]) -> None:
        self._url, self._columns = url, columns or None
        self._reader: Reader | None = None
        self._seq: int | None = None

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()

    def begin(self, since: int | None) -> None:
        self._reader = Reader(self._url, service="tail")
        self._seq = self._reader.seq() if since is None else since

    def print_all(self) -> None:
        """Print everything there is now. RetryLater: the database is away; what was printed is not printed again."""
        assert self._reader is not None
        assert self._seq is not None
        while True:
            changes = self._reader.changes(self._seq, limit=ROWS_A_READ, columns=self._columns)
            if changes.rows:
                click.echo(b"\n".join(_line(row) for row in changes.rows))
            if changes.seq == self._seq:
                return
            self._seq = changes.seq

    def follow(self, since: int | None, *, stopping: Callable[[], bool]) -> None:
        """Print changes until asked to stop; a database that is away is named once and waited for."""
        away = False
        while not stopping():
            try:
                if self._reader is None:
                    self.begin(since)
                self.print_all()
            except RetryLater as error:
                if not away:
                    print_error(error)
                away = True
                pause(AWAY_S)
            else:
                if away:
                    click.echo("tickerd: the database is back", err=True)
                away = False
                pause(POLL_S)


def _line(row: dict[str, Any]) -> bytes:
    others = {name: value for name, value in row.items() if name not in ("ticker", "change_seq")}
    return json_bytes({"seq": row["change_seq"], "ticker": row["ticker"], **others})
