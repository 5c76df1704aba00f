"""The pool as it is kept in SQL: members loaded, found ones added, outcomes recorded. `proxies.states` judges."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Engine

from proxies import states
from proxies.model import Address, Cause, Member, Outcome, Protocol, State
from storage.proxies import Key, ProxyRow, change_proxies, keys_sharing, read_proxies
from storage.writer import Writer

RENAMED = ("address", "sources")
SAME = tuple(field.name for field in fields(Member) if field.name not in RENAMED)
SHARED: tuple[Cause, ...] = ("bad_certificate", "tampered")
"""What one proxy does, its machine does."""
LONGEST_COOKIE = 4096
"""What browsers keep; a longer one was made by somebody else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """In addresses. `again`: were out, and may be tried once more; `known`: are in the pool, or still out."""

    new: int
    again: int
    known: int


def load(engine: Engine, *, states: Collection[State] = ()) -> list[Member]:
    """Return the members in these states, or all, the last good one first."""
    return [member_of(row) for row in read_proxies(engine, states=states)]


def add(writer: Writer, found: Mapping[Address, str], *, at: datetime, banned_hosts: Collection[str] = ()) -> Added:
    """Add what was found: address -> the lists that named it, separated by spaces. `banned_hosts` are left out."""
    by_key = {key_of(address): address for address in found if address.ip not in banned_hosts}
    kinds: dict[Key, str] = {}

    def change(kept: Mapping[Key, ProxyRow | None]) -> Iterator[ProxyRow]:
        for key, row in kept.items():
            address, before = by_key[key], member_of(row) if row else None
            now = _found(before, address, found[address], at)
            kinds[key] = "new" if before is None else "again" if now.state != before.state else "known"
            if now != before:
                yield row_of(now)

    change_proxies(writer, by_key, change)
    counts = Counter(kinds.values())
    return Added(new=counts["new"], again=counts["again"], known=counts["known"])


def record(
    writer: Writer, engine: Engine, outcomes: Sequence[Outcome], *, is_own: Callable[[str], bool] = lambda _ip: False
) -> list[Member]:
    """Note what came of these attempts and return the members as they stand then; unknown ones are left out.

    A wrong certificate bans its exit and its host too, unless that is ours (`is_own`): a gateway has many ports.
    """
    by_key: defaultdict[Key, list[Outcome]] = defaultdict(list)
    for outcome in sorted(outcomes, key=lambda outcome: outcome.at):
        by_key[key_of(outcome.address)].append(outcome)

    def change(kept: Mapping[Key, ProxyRow | None]) -> Iterable[ProxyRow]:
        return [row_of(_after_all(member_of(row), by_key[key])) for key, row in kept.items() if row]

    changed = [member_of(row) for row in change_proxies(writer, by_key, change)]
    for cause in SHARED:
        guilty = {outcome.address: outcome.at for outcome in outcomes if outcome.cause == cause}
        if guilty:
            _spread(writer, engine, [member for member in changed if member.address in guilty], cause, guilty, is_own)
    return changed


def set_identity(
    writer: Writer, address: Address, *, exit_ip: str, cookie: str, crumb: str, at: datetime
) -> Member | None:
    """Keep what was minted through a proxy; None if it is not in the pool any more."""
    if len(cookie) > LONGEST_COOKIE:
        cookie = crumb = ""

    def change(kept: Mapping[Key, ProxyRow | None]) -> Iterator[ProxyRow]:
        for row in kept.values():
            if row:
                yield row_of(states.with_identity(member_of(row), exit_ip=exit_ip, cookie=cookie, crumb=crumb, now=at))

    changed = change_proxies(writer, [key_of(address)], change)
    return member_of(changed[0]) if changed else None


def yields(members: Iterable[Member]) -> dict[str, Counter[str]]:
    """Return for each list how many of these members it named, by state."""
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for member in members:
        for source in member.sources.split():
            found[source][member.state] += 1
    return found


def key_of(address: Address) -> Key:
    return address.text, address.protocol


def address_of(key: Key) -> Address:
    text, protocol = key
    ip, _, port = text.rpartition(":")
    return Address(protocol=cast("Protocol", protocol), ip=ip, port=int(port))


def member_of(row: ProxyRow) -> Member:
    """Return the row as a member."""
    address = address_of(row.key)
    same: dict[str, Any] = {name: getattr(row, name) for name in SAME}
    return Member(address=address, sources=row.source or "", **same)


def row_of(member: Member) -> ProxyRow:
    """Return the member as a row."""
    same: dict[str, Any] = {name: getattr(member, name) for name in SAME}
    text, protocol = key_of(member.address)
    return ProxyRow(address=text, protocol=protocol, source=member.sources or None, **same)


def _found(before: Member | None, address: Address, sources: str, at: datetime) -> Member:
    if before is None:
        return Member(address=address, first_seen=at, sources=sources)
    merged = " ".join(dict.fromkeys((*before.sources.split(), *sources.split())))
    kept = states.woken(before, at) if before.state == "evicted" else before
    return kept if merged == kept.sources else replace(kept, sources=merged)


def _after_all(member: Member, outcomes: Iterable[Outcome]) -> Member:
    for outcome in outcomes:
        member = states.after(member, outcome.cause, now=outcome.at, latency_ms=outcome.latency_ms)
    return member


def _spread(
    writer: Writer,
    engine: Engine,
    members: Iterable[Member],
    cause: Cause,
    guilty: Mapping[Address, datetime],
    is_own: Callable[[str], bool],
) -> None:
    """Let what these did fall on all that share their exits, a wrong certificate on all of their hosts as well."""
    at = max(guilty.values())
    exits = {member.exit_ip for member in members if member.exit_ip}
    hosts = {address.ip for address in guilty if not is_own(address.ip)} if cause == "bad_certificate" else set()

    def ban(kept: Mapping[Key, ProxyRow | None]) -> Iterable[ProxyRow]:
        return [row_of(states.after(member_of(row), cause, now=at)) for row in kept.values() if row]

    done = {key_of(address) for address in guilty}
    keys = [key for key in keys_sharing(engine, hosts=hosts, exits=exits) if key not in done]
    change_proxies(writer, keys, ban)
