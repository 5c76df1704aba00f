"""The first stage: who is listed, by Nasdaq Trader's files and Yahoo's screener. Judges nothing itself.

Each answered page is kept in a file until the look is over, so that a killed look asks for no page twice; the files of
a whole look stay, as the look before the next one.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec

from core.errors import RetryLater, Unreachable
from core.files import FileLock, acquire_or_say, make_folder, write_atomic
from core.logs import get_logger
from core.progress import Progress
from market.listings import Look, Sighting, Source, Verdict, judge
from market.sessions import Session
from market.symbol_files import BadSymbolFile, SymbolFile, parse_symbol_file
from net.client import Answer, HttpClient
from scanners.context import Context, reading
from storage.listings import apply_verdict, read_known, read_looked_at
from storage.writer import Writer
from yahoo.quote import BadAnswer
from yahoo.screener import KINDS, PAGE_ROWS, PARAMS, URL, body_of, parse_page

log = get_logger(__name__)
T = TypeVar("T")

STAGE = "universe"
NASDAQ, YAHOO = "nasdaq", "yahoo"
SOURCES = frozenset({NASDAQ, YAHOO})
FILES = "https://www.nasdaqtrader.com/dynamic/symdir/{}.txt"
FILE_NAMES = ("nasdaqlisted", "otherlisted")
FILE_ATTEMPTS = 3
RETRY_WAIT_S = 2.0
LAST = "last"
WHOLE_SHARE = 0.98
"""Of the rows that a query has; a listing that comes or goes between two pages moves the others by one."""
MOST_NAMED = 20


class Asker(Protocol):
    """The way to Yahoo."""

    async def post(self, url: str, params: Mapping[str, str], body: bytes) -> Answer:
        """Ask once, in a slot of the budget, with cookie and crumb."""

    async def patiently(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Return what `ask` brings; BadAnswer if it is no good however often."""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One answered page or file. `total`: rows of the whole query."""

    rows: list[Sighting]
    total: int
    rows_told: int
    tests: list[str] = []


class Incomplete(RetryLater):
    """A source did not tell all it has."""


async def refresh_universe(
    context: Context, writer: Writer, asker: Asker, session: Session, *, by_hand: bool = False
) -> dict[str, Any]:
    """Look at all sources once a session and bring the table to what they say; return counts for the record.

    `by_hand`: look again even if the session was looked at. Raises what `asker` raises when it is asked to stop or,
    by hand, cannot reach Yahoo; RetryLater if another process looks now.
    """
    folder = make_folder(Path(context.settings.state.dir) / "universe")
    lock = FileLock(folder / "lock")
    acquire_or_say(lock, what="a look at the universe")
    try:
        looked_at = await asyncio.to_thread(reading, context, read_looked_at)
        if looked_at == session.session_date:
            _keep_as_last(folder, session.session_date)
            if not by_hand:
                return {}
        return await _Look(context, asker, folder / str(session.session_date)).run(writer, session, looked_at)
    finally:
        lock.release()


def _keep_as_last(folder: Path, session_date: date) -> None:
    """Let the parts of a whole look be those of the last one."""
    parts = folder / str(session_date)
    if parts.exists():
        _keep_what_was_whole(folder / LAST, parts, session_date)
        shutil.rmtree(folder / LAST, ignore_errors=True)
        parts.rename(folder / LAST)
    for left in folder.iterdir():
        if left.is_dir() and left.name != LAST:
            shutil.rmtree(left)


def _keep_what_was_whole(last: Path, parts: Path, session_date: date) -> None:
    """Let a source that did not tell all count from what it told before: next time its half would be its whole."""
    before = _before(last)
    look = Look(session_date=session_date, sources=_before(parts), expected=SOURCES, before=before)
    for name in before.keys() - look.telling():
        for half in parts.glob(f"{name}-*"):
            half.unlink()
        for whole in last.glob(f"{name}-*"):
            shutil.copy(whole, parts)


@dataclass(frozen=True, slots=True)
class _Look:
    """One look; `parts`: the folder of what was answered."""

    context: Context
    asker: Asker
    parts: Path

    async def run(self, writer: Writer, session: Session, looked_at: date | None) -> dict[str, Any]:
        make_folder(self.parts)
        sources, failed = await self._all()
        if not sources:
            return {"sources": failed}
        universe = self.context.settings.universe
        look = Look(
            session_date=session.session_date,
            sources={name: _source(parts, with_etfs=universe.include_etfs) for name, parts in sources.items()},
            expected=SOURCES,
            before=_before(self.parts.parent / LAST),
            tests=frozenset(test for parts in sources.values() for part in parts for test in part.tests),
            again=looked_at == session.session_date,
            is_open=not universe.file and not universe.limit,
        )
        verdict = await asyncio.to_thread(self._judge, writer, look, session)
        _keep_as_last(self.parts.parent, session.session_date)
        counts = _counts(verdict) | {"sources": {name: len(each) for name, each in look.sources.items()} | failed}
        log.info("universe_refreshed", session=str(session.session_date), **counts)
        return counts

    def _judge(self, writer: Writer, look: Look, session: Session) -> Verdict:
        all_kept = bool(self.context.settings.universe.file)
        known = reading(self.context, lambda engine: read_known(engine, opened_at=session.opens_at, all_kept=all_kept))
        verdict = judge(known, look)
        apply_verdict(writer, verdict, session_date=session.session_date, at=self.context.clock.utc_now())
        return verdict

    async def _all(self) -> tuple[dict[str, list[Part]], dict[str, str]]:
        """Return the parts of each source that told all, and why the others did not."""
        found: dict[str, list[Part]] = {}
        failed: dict[str, str] = {}
        for name, ask in ((NASDAQ, self._nasdaq), (YAHOO, self._yahoo)):
            try:
                found[name] = await ask()
            except (Incomplete, BadAnswer) as error:
                failed[name] = error.reason
                log.warning("universe_source_failed", source=name, reason=error.reason, where=error.where)
        return found, failed

    async def _nasdaq(self) -> list[Part]:
        network = self.context.settings.network
        async with HttpClient(ca_path=self.context.trust.ca_path, proxy=network.proxy) as http:
            return [await self._part(f"{NASDAQ}-{name}", partial(self._file, http, name)) for name in FILE_NAMES]

    async def _file(self, http: HttpClient, name: str) -> Part:
        """Ask Nasdaq for one file, which is no request to Yahoo and takes nothing of its budget."""
        url = FILES.format(name)
        reason = ""
        for attempt in range(FILE_ATTEMPTS):
            if attempt and await self.context.wait(RETRY_WAIT_S):
                break
            try:
                return _part_of(_symbol_file(await http.get(url), url))
            except (Unreachable, BadSymbolFile) as error:
                reason = error.reason
        raise Incomplete(reason or "asked to stop", where=url)

    async def _yahoo(self) -> list[Part]:
        kinds = KINDS if self.context.settings.universe.include_etfs else KINDS[:1]
        return [part for kind in kinds for part in await self._query(kind)]

    async def _query(self, kind: str) -> list[Part]:
        """Ask for all pages of one query."""
        parts: list[Part] = []
        while not parts or (parts[-1].rows_told and len(parts) * PAGE_ROWS < parts[-1].total):
            offset = len(parts) * PAGE_ROWS
            name = f"{YAHOO}-{kind}-{offset:05d}"
            parts.append(await self._part(name, partial(self.asker.patiently, partial(self._page, kind, offset))))
            total = parts[-1].total
            self.context.pulse.advance(Progress(stage=STAGE, done=min(total, offset + PAGE_ROWS), total=total))
        told, total = sum(part.rows_told for part in parts), parts[-1].total
        if told < WHOLE_SHARE * total:
            raise Incomplete(f"{told} rows of {total} came", where=URL)
        return parts

    async def _page(self, kind: str, offset: int) -> Part:
        answer = await self.asker.post(URL, PARAMS, body_of(kind, offset=offset))
        if answer.status != 200:
            raise BadAnswer(f"status {answer.status}", where=URL)
        page = parse_page(answer.body)
        if page.refused:
            log.info("universe_rows_refused", source=YAHOO, rows=len(page.refused), first=page.refused[0])
        return Part(rows=list(page.sightings), total=page.total, rows_told=page.rows)

    async def _part(self, name: str, ask: Callable[[], Awaitable[Part]]) -> Part:
        """Return a part, asked for at most once a look."""
        file = self.parts / f"{name}.json"
        kept = _read(file)
        if kept is not None:
            return kept
        part = await ask()
        write_atomic(file, msgspec.json.encode(part))
        return part


def _symbol_file(answer: Answer, url: str) -> SymbolFile:
    if answer.status != 200:
        raise BadSymbolFile(f"status {answer.status}", where=url)
    return parse_symbol_file(answer.body.decode(errors="replace"), source=url)


def _part_of(file: SymbolFile) -> Part:
    for refusal in file.refused:
        log.info("universe_line_refused", file=NASDAQ, line=refusal.line, text=refusal.text, reason=refusal.reason)
    rows = [Sighting(listing=listing) for listing in file.listings]
    return Part(rows=rows, total=len(rows), rows_told=len(rows), tests=sorted(file.tests))


def _source(parts: list[Part], *, with_etfs: bool) -> Source:
    rows = (row for part in parts for row in part.rows)
    return {row.listing.ticker: row for row in rows if with_etfs or row.listing.quote_type != "ETF"}


def _before(folder: Path) -> dict[str, Source]:
    """Return what the sources named at the look before; nothing before the first."""
    parts: dict[str, list[Part]] = {}
    for name, part in _kept(folder):
        parts.setdefault(name, []).append(part)
    return {name: _source(each, with_etfs=True) for name, each in parts.items()}


def _kept(folder: Path) -> Iterator[tuple[str, Part]]:
    for file in sorted(folder.glob("*.json")):
        part = _read(file)
        if part is not None:
            yield file.name.partition("-")[0], part


def _read(file: Path) -> Part | None:
    """Return a kept part; None if there is none, or none that can be read: then it is asked for again."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=Part)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None


def _counts(verdict: Verdict) -> dict[str, Any]:
    """Return the counts, and the names of what is rare."""
    named: dict[str, list[Any]] = {
        "listed": [seen.listing.ticker for seen in verdict.new],
        "renamed": [list(pair) for pair in verdict.renamed],
        "unlisted": sorted(verdict.gone),
        "back": [seen.listing.ticker for seen in (*verdict.found, *verdict.back)],
    }
    counts = {name: len(names) for name, names in named.items()} | {"missing": len(verdict.missing)}
    return counts | {f"{name}_first": names[:MOST_NAMED] for name, names in named.items() if names}
