"""One cycle through the crowd, as orders: whom to ask for what, and what to do with what came. Pure; sends nothing.

Batches wait in a line; one that failed goes to its end and is asked for through another exit, until the deadline.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from market.quotes import Quote
from proxies.breaker import Breaker, Trip
from proxies.model import Cause, Member
from proxies.rotation import Rotation
from scanners.metrics.staging import Batch, Judge, Version

DIRECT = "direct"
REFUSED_BY = 2
"""So many exits must refuse a list's length before it is halved: one may be lying."""
WITNESS_WAIT_S = 10.0
"""Staged batches wait so long for others, to be vouched for by one request."""
LOOKED_AT = 3
"""So many batches of the line are looked at, to find one that may be asked for."""
LEAST_GOT = 0.5
"""An answer that holds less of what was asked is none."""
SHORT_BY = 2
"""Unless so many exits say the same."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask for `tickers`: all of one batch, or for testimony a few tickers of each of several."""

    tickers: tuple[str, ...]
    batches: tuple[Batch, ...]
    is_testimony: bool
    member: Member | None
    """None: the direct lane."""
    timeout_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """When an answer or a failure came and how long it took; `idle_s`: the exit's rest before it.

    `minted`: cookie and crumb were fetched first.
    """

    now: datetime
    now_s: float
    idle_s: float = 0.0
    latency_s: float | None = None
    minted: bool = False


@dataclass(frozen=True, slots=True)
class Accepted:
    """To be written. `source`: whose words these are."""

    version: Version


@dataclass(slots=True)
class Plan:
    """`direct_after_s`: from then on the direct lane takes what is left; it may always vouch if `direct_vouches`.

    `banned`: exits caught lying, in order.
    """

    rotation: Rotation
    breaker: Breaker
    judge: Judge
    direct_after_s: float
    direct_vouches: bool
    line: deque[Batch] = field(default_factory=deque)
    staged: list[Batch] = field(default_factory=list)
    done: list[Batch] = field(default_factory=list)
    asking: int = 0
    asking_direct: int = 0
    longest: int = 1000
    missing: dict[str, set[str]] = field(default_factory=dict)
    """Tickers that an accepted answer left out, with the sources that did."""
    withheld: dict[str, tuple[str, Quote]] = field(default_factory=dict)
    """Quotes that are not to be written before another source has told the ticker as well, and whose word each is."""
    banned: list[str] = field(default_factory=list)
    trips: list[Trip] = field(default_factory=list)
    testimonies: int = 0
    rechecked: int = 0
    _staged_s: float = math.inf
    _looked_again: bool = False

    def begin(self, batches: Iterable[Sequence[str]]) -> None:
        self.line.extend(Batch(tuple(batch)) for batch in batches)
        self.longest = max((len(batch.tickers) for batch in self.line), default=1)
        self.rotation.begin(len(self.line))

    @property
    def is_over(self) -> bool:
        self._look_again()
        return not (self.line or self.staged or self.asking or self.asking_direct)

    def next(self, *, now_s: float) -> Ask | None:
        """Return what to ask through the crowd now, None if nothing; `wake_s` says when to look again."""
        if self.asking >= self.breaker.concurrency or self.breaker.is_paused(now_s):
            return None
        if not self.direct_vouches and self._wants_testimony(now_s) and (ask := self._testimony(now_s)):
            return ask
        for batch in self._first():
            member = self.rotation.pick(tried=batch.tried, now_s=now_s, waiting=len(self.line))
            if member is not None:
                self.line.remove(batch)
                return self._asked(Ask(batch.tickers, (batch,), False, member, self.rotation.timeout_s), now_s)
        return None

    def next_direct(self, *, now_s: float) -> Ask | None:
        """Return what the direct lane is to ask: testimony, or a batch when its time has come or the pool is empty."""
        if self.direct_vouches and self._wants_testimony(now_s) and (ask := self._testimony(now_s, direct=True)):
            return ask
        may_take = now_s >= self.direct_after_s or not self.rotation.has_any()
        if not may_take:
            return None
        if self.line:
            batch = self.line.popleft()
        elif self.staged:
            batch = self.staged.pop(0)
        else:
            return None
        return self._asked(Ask(batch.tickers, (batch,), False, None), now_s)

    def wake_s(self, *, now_s: float) -> float:
        """Return when something may be to be done that no answer brings about."""
        if self.breaker.is_paused(now_s):
            crowd_s = self.breaker.paused_until_s
        elif self.asking >= self.breaker.concurrency:
            crowd_s = math.inf
        else:
            waiting = len(self.line)
            times_s = (self.rotation.next_s(tried=batch.tried, now_s=now_s, waiting=waiting) for batch in self._first())
            crowd_s = min(times_s, default=math.inf)
        testimony_s = self._staged_s + WITNESS_WAIT_S if self.staged else math.inf
        if self.staged and not self.direct_vouches:
            heard = _heard_of_all(self.staged)
            free_s = self.rotation.next_s(tried=heard, now_s=now_s, waiting=0, vouching=True)
            testimony_s = max(testimony_s, free_s if self.asking < self.breaker.concurrency else math.inf)
        direct_s = self.direct_after_s if now_s < self.direct_after_s else math.inf
        return min(crowd_s, testimony_s, direct_s)

    def failed(self, ask: Ask, cause: Cause | None, heard: Heard) -> None:
        """An ask came to nothing: put its batches back. `cause` None: nobody's fault."""
        self._put_back(ask)
        self._noted(ask, cause, heard, brought=False)

    def refused_length(self, ask: Ask, heard: Heard) -> None:
        """The upstream would not take so long a list: halve it once two exits, or the direct lane, have said so."""
        self.failed(ask, None, heard)
        for batch in ask.batches if not ask.is_testimony else ():
            batch.refused_by.add(ask.member.exit if ask.member else DIRECT)
            if len(batch.tickers) > 1 and (ask.member is None or len(batch.refused_by) >= REFUSED_BY):
                self.longest = min(self.longest, math.ceil(len(batch.tickers) / 2))
                self._split_long()

    def answered(self, ask: Ask, version: Version, heard: Heard) -> list[Accepted]:
        """An answer came that is no refusal; return what may be written."""
        if self._is_too_little(ask, version):
            self.failed(ask, "foreign", heard)
            return []
        self._noted(ask, "ok", heard, brought=not ask.is_testimony)
        if version.source in self.banned:
            self._put_back(ask)
            return []
        for batch in ask.batches:
            if ask.is_testimony:
                mine = {each: version.quotes[each] for each in batch.tickers if each in version.quotes}
                batch.testimonies.append(Version(version.source, mine, vouches=version.vouches))
            else:
                batch.tried.add(version.source)
                batch.versions.append(version)
        return [accepted for batch in ask.batches for accepted in self._judged(batch, heard.now_s)]

    def _is_too_little(self, ask: Ask, version: Version) -> bool:
        """Whether it holds less than half: the first exit of which that is so may lie, two tell what there is."""
        if ask.member is None or ask.is_testimony or len(version.quotes) >= LEAST_GOT * len(ask.tickers):
            return False
        (batch,) = ask.batches
        batch.short.add(version.source)
        return not batch.is_doubted and len(batch.short) < SHORT_BY

    def look_at_table_again(self, *, now_s: float) -> list[Accepted]:
        """Judge what is staged once more: the table may know more by now."""
        waiting, self.staged = self.staged, []
        return [accepted for batch in waiting for accepted in self._judged(batch, now_s)]

    def _first(self) -> list[Batch]:
        """Return the first few batches of the line for which the choice of exits differs."""
        found: dict[frozenset[str], Batch] = {}
        for batch in self.line:
            found.setdefault(frozenset(batch.tried), batch)
            if len(found) == LOOKED_AT:
                break
        return list(found.values())

    def _judged(self, batch: Batch, now_s: float) -> list[Accepted]:
        for liar in self.banned:
            batch.forget(liar)
        if not batch.versions:  # what it stood on was taken back meanwhile
            self.line.append(batch)
            return []
        found = self.judge.judge(batch)
        if found.ruling == "accepted" and found.version is not None:
            batch.believed, batch.versions, batch.testimonies = found.believed, [], []
            self.done.append(batch)
            self._note_missing(found.version)
            for liar in sorted(found.liars):
                self._ban(liar)
            return [Accepted(self._without_strange(found.version))]
        if found.ruling == "elsewhere":
            self.line.append(batch)
        else:
            self.staged.append(batch)
            self._staged_s = min(self._staged_s, now_s)
        return []

    def _without_strange(self, version: Version) -> Version:
        """Keep back the tickers of which only one source has told numbers that do not fit."""
        left_out = set()
        for ticker, quote in self.judge.strange(version).items():
            source, first = self.withheld.get(ticker, (version.source, quote))
            if source == version.source or not self.judge.confirms(quote, first):
                left_out.add(ticker)
                self.withheld[ticker] = version.source, quote
        told = {ticker: quote for ticker, quote in version.quotes.items() if ticker not in left_out}
        for ticker in told:
            self.withheld.pop(ticker, None)
        return replace(version, quotes=told)

    def _ban(self, exit_ip: str) -> None:
        """Believe nothing that this exit said: what it brought this cycle is asked for again."""
        if exit_ip in self.banned:
            return
        self.banned.append(exit_ip)
        self.rotation.drop(exit_ip)
        for batch in self.done[:]:
            if exit_ip in batch.believed:
                self.done.remove(batch)
                batch.believed, batch.tried = frozenset(), {exit_ip}
                self.line.append(batch)
                self.rechecked += 1
        for batch in self.staged[:]:
            batch.forget(exit_ip)
            if not batch.versions:
                self.staged.remove(batch)
                self.line.append(batch)
        for batch in self.line:
            batch.forget(exit_ip)

    def _note_missing(self, version: Version) -> None:
        for ticker in version.quotes:
            self.missing.pop(ticker, None)
        for ticker in version.missing:
            self.missing.setdefault(ticker, set()).add(version.source)

    def _look_again(self) -> None:
        """Ask once more, elsewhere, for what a proxy's answer left out or told strangely: it may be its own doing."""
        if self._looked_again or self.line or self.staged or self.asking or self.asking_direct:
            return
        self._looked_again = True
        said = {ticker: sources for ticker, sources in self.missing.items() if DIRECT not in sources}
        said |= {ticker: {source} for ticker, (source, _) in self.withheld.items()}
        doubted = list(said)
        for first in range(0, len(doubted), self.longest):
            tickers = tuple(doubted[first : first + self.longest])
            tried = {source for ticker in tickers for source in said[ticker]}
            self.line.append(Batch(tickers, tried=tried, is_doubted=True))

    def _wants_testimony(self, now_s: float) -> bool:
        if not self.staged:
            return False
        room = max(1, self.longest // 2)
        is_last = not self.line and not self.asking and not self.asking_direct
        return len(self.staged) >= room or now_s >= self._staged_s + WITNESS_WAIT_S or is_last

    def _testimony(self, now_s: float, *, direct: bool = False) -> Ask | None:
        """Return the question that holds two tickers of each staged batch that the one asked has not spoken of."""
        heard = _heard_of_all(self.staged)
        member = None if direct else self.rotation.pick(tried=heard, now_s=now_s, waiting=0, vouching=True)
        if member is None and not direct:
            return None
        source = DIRECT if member is None else member.exit
        batches, tickers = self._witnesses(source)
        if not tickers:
            return None
        self.staged = [batch for batch in self.staged if batch not in batches]
        self._staged_s = now_s if self.staged else math.inf
        self.testimonies += 1
        return self._asked(Ask(tickers, tuple(batches), True, member, self.rotation.timeout_s), now_s)

    def _witnesses(self, source: str) -> tuple[list[Batch], tuple[str, ...]]:
        """Return the staged batches that this source has not spoken of, as many as fit, and what to ask it."""
        batches: list[Batch] = []
        tickers: list[str] = []
        for batch in self.staged:
            if source in _sources(batch):
                continue
            witnesses = self.judge.witnesses_of(batch)
            if batches and len(tickers) + len(witnesses) > self.longest:
                break
            batches.append(batch)
            tickers += witnesses
        return batches, tuple(tickers[: self.longest])

    def _asked(self, ask: Ask, now_s: float) -> Ask:
        if ask.member is not None:
            self.asking += 1
            self.rotation.started(ask.member, now_s=now_s)
        else:
            self.asking_direct += 1
        return ask

    def _put_back(self, ask: Ask) -> None:
        for batch in ask.batches:
            if ask.is_testimony:
                self.staged.append(batch)
                self._staged_s = 0.0  # it has waited long enough
            else:
                if ask.member is not None:
                    batch.tried.add(ask.member.exit)
                self.line.append(batch)

    def _noted(self, ask: Ask, cause: Cause | None, heard: Heard, *, brought: bool) -> None:
        if ask.member is None:
            self.asking_direct -= 1
            return
        self.asking -= 1
        now, now_s = heard.now, heard.now_s
        self.rotation.ended(
            ask.member,
            cause,
            now=now,
            now_s=now_s,
            latency_s=heard.latency_s,
            brought=brought,
            minted=heard.minted,
        )
        if cause is None:
            return
        trip = self.breaker.note(ask.member.exit, cause, idle_s=heard.idle_s, now_s=now_s)
        if trip is not None:
            self.trips.append(trip)
            self.rotation.forgive(trip.exits, now_s=now_s)

    def _split_long(self) -> None:
        for batch in [each for each in self.line if len(each.tickers) > self.longest]:
            self.line.remove(batch)
            for first in range(0, len(batch.tickers), self.longest):
                self.line.append(Batch(batch.tickers[first : first + self.longest], tried=set(batch.tried)))


def _sources(batch: Batch) -> set[str]:
    return {each.source for each in (*batch.versions, *batch.testimonies)}


def _heard_of_all(batches: Collection[Batch]) -> set[str]:
    """Return the sources that have spoken of each of these: an exit that brought one may vouch for the others."""
    return set.intersection(*map(_sources, batches)) if batches else set()
