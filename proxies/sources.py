"""Fetches the lists, directly and with caps: no list can hold up another, and none is followed elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Engine

from core.clock import Clock
from core.errors import Unreachable
from core.logs import get_logger
from core.progress import Reporter, measured
from net.client import Answer, HttpClient
from net.tls import Trust
from proxies import pool
from proxies.addresses import AddressFilter
from proxies.formats.reading import read_list
from proxies.harvest import (
    MAX_LIST_BYTES,
    Fetched,
    Harvest,
    Sifted,
    Source,
    merged,
    printable,
    row_after,
    sift,
)
from proxies.model import Address
from storage.proxies import Key, read_banned, read_ended, read_sources, write_sources
from storage.writer import Writer

log = get_logger(__name__)

AT_ONCE = 8
TOTAL_S = 30.0
"""For one list, come what may; the client itself gives up after 20 s."""
STAGE = "lists"
LONGEST_ETAG = 200
TOO_BIG = 63  # CURLE_FILESIZE_EXCEEDED


@dataclass(frozen=True, slots=True, kw_only=True)
class Gatherer:
    """What a round needs. `refused`: the negative cache; `etags`: URL -> what its list was tagged when last read."""

    trust: Trust
    proxy: str
    clock: Clock
    addresses: AddressFilter
    refused: Collection[Key] = ()
    etags: Mapping[str, str]

    async def gather(self, sources: Sequence[Source], report: Reporter) -> Harvest:
        """Fetch every list, each for itself, and return the round."""
        began_s = self.clock.monotonic_s()
        fetched: dict[str, Fetched] = {}
        reading = asyncio.Lock()  # one unpacked list in memory at a time
        http = HttpClient(
            ca_path=self.trust.ca_path, proxy=self.proxy, max_clients=AT_ONCE, max_body_bytes=MAX_LIST_BYTES
        )

        def tell() -> None:
            elapsed_s = self.clock.monotonic_s() - began_s
            report(measured(STAGE, done=len(fetched), total=len(sources), elapsed_s=elapsed_s))

        async def one(source: Source) -> None:
            fetched[source.url] = await self._one(http, source, reading)
            tell()

        tell()
        async with http, asyncio.TaskGroup() as group:
            for source in sources:
                group.create_task(one(source), name=f"list {source.url}")
        return merged([fetched[source.url] for source in sources])

    async def _one(self, http: HttpClient, source: Source, reading: asyncio.Lock) -> Fetched:
        began_s = self.clock.monotonic_s()
        try:
            async with asyncio.timeout(TOTAL_S):
                answer = await http.get(source.url, headers=self._headers(source))
            found = await self._read(source, answer, reading)
        except TimeoutError:
            found = failed(source, f"no end within {TOTAL_S:g} s")
        except Unreachable as error:
            too_big = getattr(error, "code", None) == TOO_BIG
            found = failed(source, f"more than {MAX_LIST_BYTES:,} bytes" if too_big else error.reason)
        found = replace(found, elapsed_s=self.clock.monotonic_s() - began_s)
        if found.outcome == "failed":
            log.warning("proxy_list_failed", url=source.url, error=found.error, elapsed_s=round(found.elapsed_s, 3))
        return found

    def _headers(self, source: Source) -> dict[str, str]:
        etag = self.etags.get(source.url)
        return {"If-None-Match": etag} if etag else {}

    async def _read(self, source: Source, answer: Answer, reading: asyncio.Lock) -> Fetched:
        if answer.status == 304 and source.url in self.etags:
            return Fetched(source=source, outcome="unchanged")
        if answer.status != 200:
            return failed(source, refusal(answer))
        async with reading:
            sifted = await asyncio.to_thread(self._sift, source, answer.body)
        if not sifted.entries:
            return failed(source, f"holds no address ({sifted.shape})" if answer.body.strip() else "is empty")
        return Fetched(source=source, outcome="ok", body_bytes=len(answer.body), etag=_etag(answer), sifted=sifted)

    def _sift(self, source: Source, body: bytes) -> Sifted:
        listed = read_list(body, format=source.format)
        return sift(listed, source, addresses=self.addresses, refused=self.refused)


def failed(source: Source, error: str) -> Fetched:
    """Return that a list could not be had, and why."""
    return Fetched(source=source, outcome="failed", error=printable(error))


def refusal(answer: Answer) -> str:
    """Return why an answer is no list."""
    if 300 <= answer.status < 400:
        return f"status {answer.status}: leads elsewhere, where nobody follows; give the address where it is now"
    return f"status {answer.status}"


def _etag(answer: Answer) -> str:
    etag = answer.headers.get("etag", "")
    return etag if len(etag) <= LONGEST_ETAG and etag.isascii() and etag.isprintable() else ""


def keep(
    writer: Writer, engine: Engine, harvest: Harvest, *, at: datetime, is_own: Callable[[str], bool]
) -> pool.Added:
    """Hand the candidates to the pool and note how each list did. `is_own`: whose host is not banned with a port."""
    before = {row.url: row for row in read_sources(engine)}
    hosts, _ = read_banned(engine)
    banned = {host for host in hosts if not is_own(host)}
    unchanged = {done.url for done in harvest.yields if done.outcome == "unchanged"}
    found = _named_again(engine, unchanged, at=at) | harvest.candidates
    added = pool.add(writer, found, at=at, banned_hosts=banned)
    write_sources(writer, [row_after(before.get(done.url), done, at=at) for done in harvest.yields])
    return added


def _named_again(engine: Engine, unchanged: Collection[str], *, at: datetime) -> dict[Address, str]:
    """Return those that may be tried again and stand in lists that were not sent, for they are what they were."""
    if not unchanged:
        return {}
    ended = ((key, [url for url in named.split() if url in unchanged]) for key, named in read_ended(engine, now=at))
    return {pool.address_of(key): " ".join(urls) for key, urls in ended if urls}
