"""Makes the database ready before anything writes: file, schema, universe. One run, then it ends.

Safe beside running scanners: each step is one transaction under the writers' lock. It neither sets nor checks the
origin, because a list of tickers is the same in the real and in the practice market.
"""

from __future__ import annotations

import asyncio
import hashlib
import sys
from pathlib import Path

from core.clock import SystemClock
from core.config import redacted
from core.errors import FixByHand
from core.files import read_text
from core.logs import get_logger
from core.notify import Notifier
from core.program import run
from core.settings import Database, Settings, Universe
from market.universe import BUNDLED_UNIVERSE, Listing, Refusal, UniverseFile, parse_universe, select, with_bundled_facts
from storage import schema_version
from storage.engine import file_of, warn_of_wal_reset_bug
from storage.universe import By, UniverseLoad, load_universe
from storage.writer import Transaction, Writer

log = get_logger(__name__)

SERVICE = "prepare"
FINGERPRINT = "universe_fingerprint"
CHOICE = "universe_choice"
REFUSALS_LOGGED = 20


def prepare(settings: Settings) -> None:
    """Bring the schema up to date (if allowed) and load the universe (if it is new); raises what a person must mend."""
    found = _bring_schema(settings.database)
    with Writer.open(settings.database.url, service=SERVICE, origin=None, clock=SystemClock()) as writer:
        loaded, listed = _bring_universe(writer, settings.universe)
    if file_of(settings.database.url) is not None:
        warn_of_wal_reset_bug()
    log.info(
        "database_prepared",
        database=redacted(settings.database.url),
        schema_before=found.current,
        schema=found.newest,
        tickers_added=loaded.added,
        tickers_updated=loaded.updated,
        tickers_unlisted=loaded.unlisted,
        tickers_listed=listed,
    )


def _bring_schema(database: Database) -> schema_version.SchemaState:
    found = schema_version.check(database.url)
    schema_version.refuse_strange(found, database.url)
    allowed = database.auto_upgrade if database.auto_upgrade is not None else file_of(database.url) is not None
    if found.state == "current":
        return found
    if not allowed:
        schema_version.require_current(database.url)
    return schema_version.upgrade(database.url)


def _bring_universe(writer: Writer, universe: Universe) -> tuple[UniverseLoad, int]:
    """Load the list if its text or its selection is another than last time or no ticker is held."""
    path = Path(universe.file) if universe.file else BUNDLED_UNIVERSE
    text = read_text(path)
    said = f"{universe.include_etfs} {universe.limit} {text}"
    fingerprint = hashlib.sha256(said.encode()).hexdigest()
    held, chosen, listed = writer.run(_held, source="universe")
    if listed and held == fingerprint:
        return UniverseLoad(added=0, updated=0, unlisted=0), listed
    parsed = parse_universe(text, source=str(path))
    _log_refused(parsed.refused, path)
    wanted = select(_with_facts(parsed, path), include_etfs=universe.include_etfs, limit=universe.limit)
    if not wanted:
        raise FixByHand(
            "leaves no ticker", where=str(path), key="universe.include_etfs", right="list stocks or include ETFs"
        )
    # Of the whole market the bundled list is only where it begins: the looks at the sources go on from there.
    same_choice = path == BUNDLED_UNIVERSE and not universe.limit and chosen == _choice(universe)
    by: By = "bundled" if path == BUNDLED_UNIVERSE else "user"
    loaded = load_universe(writer, wanted, by=by, complete=True, keep_found=same_choice)
    writer.run(lambda tx: _note(tx, fingerprint, _choice(universe)), source="universe", durable=True)
    return loaded, writer.run(_held, source="universe")[-1]


def _choice(universe: Universe) -> str:
    """Return what the settings choose, without what the list says."""
    return f"{universe.file} {universe.include_etfs} {universe.limit}"


def _note(tx: Transaction, fingerprint: str, choice: str) -> None:
    tx.execute("put_meta", {"key": FINGERPRINT, "value": fingerprint})
    tx.execute("put_meta", {"key": CHOICE, "value": choice})


def _with_facts(parsed: UniverseFile, path: Path) -> tuple[Listing, ...]:
    if path == BUNDLED_UNIVERSE:
        return parsed.listings
    bundled = parse_universe(read_text(BUNDLED_UNIVERSE), source=str(BUNDLED_UNIVERSE))
    return with_bundled_facts(parsed.listings, bundled.listings)


def _held(tx: Transaction) -> tuple[str | None, str | None, int]:
    """Return the fingerprint of the list loaded last, the choice that led to it and the number of listed tickers."""
    fingerprint, choice = (tx.execute("read_meta", {"key": key}).scalar_one_or_none() for key in (FINGERPRINT, CHOICE))
    return fingerprint, choice, int(tx.execute("count_listed").scalar_one())


def _log_refused(refused: tuple[Refusal, ...], path: Path) -> None:
    for refusal in refused[:REFUSALS_LOGGED]:
        log.warning(
            "universe_line_refused", file=str(path), line=refusal.line, text=refusal.text, reason=refusal.reason
        )
    if len(refused) > REFUSALS_LOGGED:
        log.warning("universe_lines_refused", file=str(path), lines=len(refused))


async def main(settings: Settings, _stop: asyncio.Event, _notifier: Notifier) -> None:
    await asyncio.to_thread(prepare, settings)


if __name__ == "__main__":
    sys.exit(run(main, service=SERVICE))
