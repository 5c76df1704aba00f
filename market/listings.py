"""Which tickers are new, missing, gone, back or renamed, from what the sources name. Asks nobody, keeps nothing.

Missing is not delisted: 86 % of the tickers that leave a list are on it again within ten trading days.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date

from market.quality import agree
from market.universe import Listing

DAYS_MISSING = 10
"""Trading days on which a ticker may be missing before it is no longer listed."""
MOST_LOST, MOST_LOST_SHARE = 5, 0.1
"""A list that lost more names since last time, and more of them, is not whole: what it lacks tells nothing."""
_WORD = re.compile(r"[a-z0-9]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """A ticker as a source names it; `price` in its currency, None = the source has none."""

    listing: Listing
    price: float | None = None


Source = Mapping[str, Sighting]
"""Ticker -> sighting: all that one source names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A ticker of the table. `kept`: on the user's list, so never missing; `traded`: in the session, as Yahoo told.

    `missing_sessions`: on how many trading days it was looked for in vain, `missing_since` the first of them.
    """

    ticker: str
    is_listed: bool = True
    kept: bool = False
    traded: bool = False
    price: float | None = None
    security_type: str | None = None
    seen_by: frozenset[str] = frozenset()
    missing_since: date | None = None
    missing_sessions: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What the sources name after a session. `sources`: those that answered; `expected`: all that were asked.

    `before`: the look before this one; `tests`: test issues; `again`: the session was looked at before;
    `is_open`: new listings are followed (the list is the market's, not one of the user's).
    """

    session_date: date
    sources: Mapping[str, Source]
    expected: frozenset[str]
    before: Mapping[str, Source] = field(default_factory=dict)
    tests: frozenset[str] = frozenset()
    again: bool = False
    is_open: bool = True

    def telling(self) -> frozenset[str]:
        """Return the sources that are whole, so that what they lack is missing."""
        return frozenset(
            name
            for name, source in self.sources.items()
            if source and _is_whole(len(self.before.get(name, ())), len(source))
        )


def _is_whole(before: int, now: int) -> bool:
    return before - now <= max(MOST_LOST, MOST_LOST_SHARE * before)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A ticker that the sources name."""

    listing: Listing
    seen_by: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    ticker: str
    since: date
    sessions: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """`seen`: listed, and who names it or what type it is was not known; `found`: was missing; `back`: was not listed.

    `renamed`: (old, new); `gone`: ticker -> why it is no longer listed.
    """

    new: list[Seen] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    found: list[Seen] = field(default_factory=list)
    back: list[Seen] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)
    gone: dict[str, str] = field(default_factory=dict)
    renamed: list[tuple[str, str]] = field(default_factory=list)


def judge(known: Iterable[Known], look: Look) -> Verdict:
    """Return what becomes of each ticker; one of which nothing is to be written is not mentioned."""
    held = {each.ticker: each for each in known}
    named = _named(look)
    verdict = Verdict()
    verdict.renamed.extend(_renamed(held, named, look))
    old, new = ({pair[side] for pair in verdict.renamed} for side in (0, 1))
    telling = look.telling()
    for each in held.values():
        if each.ticker not in old | new:
            _judge_known(each, named.get(each.ticker), look, telling, verdict)
    if look.is_open:
        verdict.new.extend(seen for ticker, seen in sorted(named.items()) if ticker not in held and ticker not in new)
    return verdict


def _named(look: Look) -> dict[str, Seen]:
    """Return who is named by any source, with the facts of the first that names it."""
    named: dict[str, Seen] = {}
    for name, source in look.sources.items():
        alone = frozenset({name})
        for ticker, sighting in source.items():
            before = named.get(ticker)
            if before is not None:
                named[ticker] = Seen(listing=before.listing, seen_by=before.seen_by | alone)
            elif ticker not in look.tests:
                named[ticker] = Seen(listing=sighting.listing, seen_by=alone)
    return named


def _judge_known(each: Known, named: Seen | None, look: Look, telling: frozenset[str], verdict: Verdict) -> None:
    if named is not None:
        seen_by = (each.seen_by - look.sources.keys()) | named.seen_by  # a source that did not answer is remembered
        _judge_named(each, Seen(listing=named.listing, seen_by=seen_by), look, verdict)
    elif not each.is_listed or each.kept:
        return
    elif each.ticker in look.tests:
        verdict.gone[each.ticker] = "test issue"
    elif not each.traded and _is_told(each, look, telling):
        _judge_missing(each, look, verdict)


def _judge_named(each: Known, seen: Seen, look: Look, verdict: Verdict) -> None:
    if not each.is_listed:
        if look.is_open or each.missing_since is not None:  # else the user took it off his list
            verdict.back.append(seen)
    elif each.missing_since is not None:
        verdict.found.append(seen)
    elif each.seen_by != seen.seen_by or (each.security_type is None and seen.listing.security_type is not None):
        verdict.seen.append(seen)


def _is_told(each: Known, look: Look, telling: frozenset[str]) -> bool:
    """Whether one that had it tells that it is missing; of a ticker that none ever had, all must."""
    return bool(telling & each.seen_by) if each.seen_by else telling >= look.expected


def _judge_missing(each: Known, look: Look, verdict: Verdict) -> None:
    counted = look.again and each.missing_since is not None
    sessions = each.missing_sessions + (0 if counted else 1)
    if sessions > DAYS_MISSING:
        verdict.gone[each.ticker] = f"missing on {DAYS_MISSING} trading days"
    elif not counted:
        since = each.missing_since or look.session_date
        verdict.missing.append(Missing(ticker=each.ticker, since=since, sessions=sessions))


def _renamed(held: Mapping[str, Known], named: Mapping[str, Seen], look: Look) -> Iterator[tuple[str, str]]:
    """Give (old, new) where one list lost and got one ticker of the same name overnight, at about the same price."""
    prices = {ticker: each.price for source in look.sources.values() for ticker, each in source.items() if each.price}
    pairs = Counter(
        pair for name in sorted(look.telling()) for pair in _same_name(look.before.get(name, {}), look.sources[name])
    )
    olds, news = (Counter(pair[side] for pair in pairs) for side in (0, 1))
    for old, new in sorted(pairs):
        before, price = held.get(old), prices.get(new)
        is_gone = before is not None and before.is_listed and old not in named and new not in held
        if not is_gone or olds[old] > 1 or news[new] > 1 or price is None:
            continue
        assert before is not None
        if before.price is not None and agree(before.price, price):
            yield old, new


def _same_name(before: Source, now: Source) -> Iterator[tuple[str, str]]:
    """Give (old, new): of a name that left and came, the only ticker before and the only one now."""
    left = {_name_of(before[ticker]): ticker for ticker in before.keys() - now.keys()}
    came = {_name_of(now[ticker]): ticker for ticker in now.keys() - before.keys()}
    for name in (left.keys() & came.keys()) - {""}:
        if all(sum(_name_of(each) == name for each in source.values()) == 1 for source in (before, now)):
            yield left[name], came[name]


def _name_of(sighting: Sighting) -> str:
    return " ".join(_WORD.findall((sighting.listing.company_name or "").lower()))
