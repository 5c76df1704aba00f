"""Which answer is believed: a batch is staged until another source agrees with two random tickers of it. Pure.

Another source is the table (what the stream heard, what was found true this session), the direct lane, or other
exits. The direct lane and the user's own proxies are believed alone; the table is never called a liar.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from market.quality import mixed_up
from market.quotes import Quote
from scanners.metrics.agreement import (
    can_witness,
    contradicts_itself,
    has_moved,
    is_alike,
    is_strange,
    leaves_open,
    withholds,
    words,
)

WITNESSES = 2
SUPPORTERS = 2
"""So many exits must agree where only exits can: two liars out of a hundred may tell the same lie."""
MANY = 4
"""So many voices has a table that contradicts a whole answer: its rows are each other's, or all numbers are changed."""
Ruling = Literal["accepted", "witness", "elsewhere"]


@dataclass(frozen=True, slots=True)
class Version:
    """What one source said of a batch, or of a few tickers of it. `unsound`: those that cannot be, by their rules.

    `vouches`: its word counts beside others; not that of an exit whose address is unknown: it may be another's.
    """

    source: str
    quotes: Mapping[str, Quote]
    missing: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    unsound: frozenset[str] = frozenset()
    vouches: bool = True


@dataclass(slots=True)
class Batch:
    """Tickers that are asked for together, `tried` by which exits, and what was said of them so far.

    `believed`: once accepted, the sources that this stands on.
    """

    tickers: tuple[str, ...]
    tried: set[str] = field(default_factory=set)
    versions: list[Version] = field(default_factory=list)
    testimonies: list[Version] = field(default_factory=list)
    refused_by: set[str] = field(default_factory=set)
    believed: frozenset[str] = frozenset()
    short: set[str] = field(default_factory=set)
    """Exits of which the answer held little of it."""
    is_doubted: bool = False
    """Its tickers were left out before: an answer without them is one."""

    def forget(self, source: str) -> None:
        """Take back what this source said."""
        self.versions = [each for each in self.versions if each.source != source]
        self.testimonies = [each for each in self.testimonies if each.source != source]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """`version`: the one to be written, if accepted. `liars`: exits that said otherwise."""

    ruling: Ruling
    version: Version | None = None
    believed: frozenset[str] = frozenset()
    liars: frozenset[str] = frozenset()


class Judge:
    """Holds what the table knows. `trusted`: sources believed alone; `overruled`: tickers that the table has wrong;
    `odd_ones`: those of which Yahoo's own numbers do not fit each other, as two sources have told alike."""

    def __init__(self, *, trusted: Collection[str], rng: random.Random) -> None:
        self._trusted, self._rng = frozenset(trusted), rng
        self._since: datetime | None = None
        self.known: Mapping[str, Quote] = {}
        self.overruled: set[str] = set()
        self.odd_ones: set[str] = set()
        self.supporters = SUPPORTERS

    def begin(self, since: datetime, *, trusted: Collection[str]) -> None:
        """Judge the session that opened then: in another one the table knows other numbers."""
        if since != self._since:
            self._since = since
            self.overruled.clear()
        self.trust(trusted)

    def trust(self, sources: Collection[str]) -> None:
        """Believe these alone from now on."""
        self._trusted = frozenset(sources)

    def judge(self, batch: Batch) -> Judgement:
        """Return what becomes of a batch of which at least one whole version is there."""
        is_doubted, whole = False, {each.source for each in batch.versions}
        for version in sorted(reversed(batch.versions), key=lambda each: len(self._odd(each))):
            others = [each for each in (*batch.versions, *batch.testimonies) if each.source != version.source]
            against = {each.source for each in others if words(each.quotes, version.quotes)["differ"]}
            backed = {
                each.source for each in others if each.source not in against and each.vouches and _backs(each, version)
            }
            odd = self._odd(version)
            is_mixed_up = mixed_up(len(odd), len(version.quotes))
            if version.source in self._trusted and not is_mixed_up:
                return self._accepted(version, frozenset(), against)
            doubting = against | {each.source for each in others if _leaves_out(version, each) or _moved(version, each)}
            weight = len(against) + (MANY if is_mixed_up else 1 if odd else 0)
            is_known = self._is_known(version, odd)
            is_enough = is_known or backed & self._trusted or len(backed) >= self.supporters or not version.quotes
            if is_enough and 1 + len(backed) + is_known > weight:
                self.overruled.update(odd)
                return self._accepted(version, frozenset(backed), against)
            # One exit that testifies against a batch may be the liar: another is heard before it is fetched again.
            is_doubted |= bool(odd or doubting & self._trusted or doubting & whole or len(doubting) > 1)
        return Judgement(ruling="elsewhere" if is_doubted else "witness")

    def strange(self, version: Version) -> dict[str, Quote]:
        """Return the quotes of a version that another source is to be asked for first, though it is believed."""
        if version.source in self._trusted:
            return {}
        return {
            ticker: quote
            for ticker, quote in version.quotes.items()
            if ticker not in self.odd_ones and is_strange(quote, self.known.get(ticker))
        }

    def confirms(self, quote: Quote, first: Quote) -> bool:
        """Whether a second source tells a ticker's numbers as strange as the first: then they are Yahoo's."""
        if not is_alike(quote, first):
            return False
        self.odd_ones.add(quote.ticker)
        return True

    def witnesses_of(self, batch: Batch) -> list[str]:
        """Return two random tickers of the newest version that another source can be held against.

        And two of those that leave out what could be: the other source may know it.
        """
        quotes = batch.versions[-1].quotes.values()
        kinds = can_witness(quotes), leaves_open(quotes)
        found = [each for some in kinds for each in self._rng.sample(some, min(WITNESSES, len(some)))]
        return found or [quote.ticker for quote in quotes][:WITNESSES]

    def _is_known(self, version: Version, odd: list[str]) -> bool:
        """Whether two random tickers of it agree with the table, which holds nothing against the others."""
        if odd:
            return False
        held = {each: self.known[each] for each in version.quotes if each in self.known and each not in self.overruled}
        agreed = words(held, version.quotes)["agree"]
        moved = [ticker for ticker, quote in held.items() if has_moved(quote, version.quotes[ticker])]
        if mixed_up(len(moved), len(held)):
            return False
        return len(agreed) >= min(WITNESSES, len(version.quotes)) and bool(agreed)

    def _odd(self, version: Version) -> list[str]:
        """Return the tickers whose numbers contradict the table or themselves."""
        differ = set(words(self.known, version.quotes)["differ"])
        own = {quote.ticker for quote in version.quotes.values() if contradicts_itself(quote)} | version.unsound
        gone = {each for each in version.missing if each in self.known}
        gone |= {each for each, quote in version.quotes.items() if withholds(quote, self.known.get(each, quote))}
        return sorted((differ | own | gone) - self.overruled)

    def _accepted(self, version: Version, backed: frozenset[str], against: set[str]) -> Judgement:
        liars = frozenset(against) - self._trusted
        return Judgement(ruling="accepted", version=version, believed=backed | {version.source}, liars=liars)


def _backs(other: Version, version: Version) -> bool:
    """Whether the other agrees with two tickers of it, and knows nothing that it leaves out."""
    if _leaves_out(version, other):
        return False
    found, able = words(other.quotes, version.quotes), len(can_witness(version.quotes.values()))
    if able:
        return len(found["agree"]) >= min(WITNESSES, able)
    return len(found["silent"]) >= min(WITNESSES, len(version.quotes)) and not _moved(version, other)


def _leaves_out(version: Version, other: Version) -> bool:
    return any(withholds(version.quotes[each], other.quotes[each]) for each in _shared(version, other))


def _moved(version: Version, other: Version) -> bool:
    """Whether every price that both tell is another."""
    shared = _shared(version, other)
    return bool(shared) and all(has_moved(version.quotes[each], other.quotes[each]) for each in shared)


def _shared(version: Version, other: Version) -> list[str]:
    return [each for each in other.quotes if each in version.quotes]
