"""What a round of harvest brings: lists sifted, merged, counted. Pure: fetches nothing, keeps nothing."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import islice, zip_longest
from typing import Literal, cast

from proxies.addresses import AddressFilter
from proxies.formats.entries import Listed
from proxies.formats.reading import FORMATS, Format
from proxies.model import PROTOCOLS, Address, Protocol
from storage.proxies import Key, SourceRow

MAX_LIST_BYTES = 5 * 1024 * 1024
"""A list, unpacked; the longest that was seen has 0.8 MB."""
MAX_CANDIDATES = 50_000
"""A round."""
PAUSE_AFTER = 3
"""So many failures in a row, and the list is asked less often: after an hour, two, four, up to a day."""
FIRST_PAUSE_S = 3600.0
LONGEST_PAUSE_S = 86_400.0
LONGEST_ERROR = 200
_PROTOCOL_IN_URL = re.compile("socks[45]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A list: where it is, what it is written in, what its proxies speak where it does not say so."""

    url: str
    format: Format = "auto"
    protocol: Protocol = "http"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sifted:
    """What is left of a list. `refused`: reason -> how many; `entries`: all that it named."""

    shape: str
    accepted: tuple[Address, ...]
    refused: Counter[str]
    entries: int
    cut: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What asking for a list came to. `unchanged`: it is what it was; its candidates are in the pool."""

    source: Source
    outcome: Literal["ok", "unchanged", "failed"]
    error: str = ""
    body_bytes: int = 0
    elapsed_s: float = 0.0
    etag: str = ""
    sifted: Sifted | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceYield:
    """How one list did. `fresh`: of its candidates, those that no list before it named."""

    url: str
    outcome: Literal["ok", "unchanged", "failed"]
    error: str = ""
    shape: str = ""
    body_bytes: int = 0
    elapsed_s: float = 0.0
    entries: int = 0
    candidates: int = 0
    fresh: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    cut: bool = False
    etag: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Harvest:
    """A round. `candidates`: address -> the lists that named it, a blank between them."""

    candidates: dict[Address, str]
    yields: list[SourceYield]


def parse_sources(texts: Iterable[str]) -> list[Source]:
    """Return the lists of the setting, each once: "[FORMAT] [PROTOCOL] https://..."."""
    found = {source.url: source for source in map(_source, texts)}
    return list(found.values())


def _source(text: str) -> Source:
    *words, url = text.split()
    formats = [each for each in FORMATS if each in words]
    protocols = [each for each in PROTOCOLS if each in words]
    return Source(
        url=url,
        format=formats[0] if formats else "auto",
        protocol=protocols[0] if protocols else _meant(url),
    )


def _meant(url: str) -> Protocol:
    """Return what the proxies speak, by the name of their list: nothing else in a list of bare addresses tells."""
    named = set(_PROTOCOL_IN_URL.findall(url.lower()))
    return cast("Protocol", named.pop()) if len(named) == 1 else "http"


def sift(listed: Listed, source: Source, *, addresses: AddressFilter, refused: Collection[Key]) -> Sifted:
    """Return what of a list may be asked. `refused`: the negative cache, (address, protocol) of the known bad."""
    reasons = listed.refused.copy()
    accepted: dict[Address, None] = {}
    for entry in listed.entries:
        for protocol in entry.protocols or (source.protocol,):
            address = Address(protocol, entry.ip, entry.port)
            if address in accepted:
                reasons["repeated"] += 1
            elif (reason := addresses.refusal(entry.ip, entry.port)) is not None:
                reasons[reason] += 1
            elif (address.text, protocol) in refused:
                reasons["known_bad"] += 1
            else:
                accepted[address] = None
    entries = len(accepted) + sum(count for reason, count in reasons.items() if reason != "junk")
    return Sifted(shape=listed.shape, accepted=tuple(accepted), refused=reasons, entries=entries, cut=listed.cut)


def merged(fetched: Sequence[Fetched], *, limit: int = MAX_CANDIDATES) -> Harvest:
    """Return the round: each candidate once, and how each list did. Over the limit each list gives its first ones."""
    turns = zip_longest(*(each.sifted.accepted for each in fetched if each.sifted))
    taken = set(islice(_distinct(address for turn in turns for address in turn if address), limit))
    named: dict[Address, list[str]] = {}
    yields = []
    for each in fetched:
        mine = [address for address in each.sifted.accepted if address in taken] if each.sifted else []
        fresh = sum(address not in named for address in mine)
        for address in mine:
            named.setdefault(address, []).append(each.source.url)
        yields.append(_yield(each, candidates=len(mine), fresh=fresh))
    return Harvest(candidates={address: " ".join(urls) for address, urls in named.items()}, yields=yields)


def _distinct(addresses: Iterable[Address]) -> Iterator[Address]:
    seen: set[Address] = set()
    for address in addresses:
        if address not in seen:
            seen.add(address)
            yield address


def _yield(fetched: Fetched, *, candidates: int, fresh: int) -> SourceYield:
    same = {name: getattr(fetched, name) for name in ("outcome", "error", "body_bytes", "etag")}
    elapsed_s = round(fetched.elapsed_s, 3)
    if (sifted := fetched.sifted) is None:
        return SourceYield(url=fetched.source.url, elapsed_s=elapsed_s, **same)
    over = {"over_limit": len(sifted.accepted) - candidates} if len(sifted.accepted) > candidates else {}
    return SourceYield(
        url=fetched.source.url,
        elapsed_s=elapsed_s,
        shape=sifted.shape,
        entries=sifted.entries,
        candidates=candidates,
        fresh=fresh,
        refused=dict(sifted.refused.most_common()) | over,
        cut=sifted.cut,
        **same,
    )


def row_after(before: SourceRow | None, done: SourceYield, *, at: datetime) -> SourceRow:
    """Return what to keep of a list after this round: its yield, or its error and, if it fails on and on, a pause."""
    kept = before or SourceRow(url=done.url)
    if done.outcome == "failed":
        fails = kept.fails_in_a_row + 1
        return replace(kept, last_error=done.error, fails_in_a_row=fails, paused_until=_pause(fails, at))
    kept = replace(kept, fetched_at=at, last_error=None, fails_in_a_row=0, paused_until=None)
    if done.outcome == "unchanged":
        return kept
    return replace(
        kept,
        etag=done.etag or None,
        entries=done.entries,
        refused=done.entries - done.candidates,
        candidates=done.candidates,
        fresh=done.fresh,
    )


def _pause(fails: int, at: datetime) -> datetime | None:
    if fails < PAUSE_AFTER:
        return None
    return at + timedelta(seconds=min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(fails - PAUSE_AFTER, 10)))


def printable(text: str) -> str:
    """Return a stranger's words as they may be shown and kept: one short line without control characters."""
    shown = "".join(character if character.isprintable() else " " for character in text[: 4 * LONGEST_ERROR])
    return " ".join(shown.split())[:LONGEST_ERROR]
