"""Whose turn it is: the next exit to ask through. Pure: times come in as monotonic seconds; sends nothing, judges none.

First those whose last answer was good, then those that failed but have a crumb, then those never tried, then the rest;
the worse only while the better cannot do what is left in time; within each the least recently used. One request in
flight and a rest for each exit, however many proxies lead to it.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from proxies import states
from proxies.model import Address, Cause, Member

LARGEST_SHARE = 0.2
"""Of a cycle's batches through one exit: what one stranger sees of us, and can spoil."""
SHORTEST_TIMEOUT_S, LONGEST_TIMEOUT_S = 4.0, 10.0
TIMEOUT_FACTOR = 2.5
"""Times the latency that four answers of five keep to."""
KEPT_LATENCIES = 50
PACE_S = 50.0
"""So soon a cycle should be through if everybody answers well; worse exits are tried only while the better are too few
for that. Where half of the attempts fail, four times as late: to try one out costs twice as much, and brings half."""
LAST_S = 30.0
"""What is still left when that time is over is wanted within so long."""
WORST_ODDS = 0.5
FEWEST = 5
ANSWER_S = 3.0
"""What an answer takes, about."""
SOON_S = 30.0
"""Who cools for longer is of no help now."""
GOOD, KNOWN, NEVER_TRIED, FAILED = range(4)
USABLE = ("candidate", "live", "gold")


@dataclass(slots=True)
class _Entry:
    member: Member
    usable_s: float
    before: Member
    """As it was before its last outcome, to forgive that."""


@dataclass(slots=True)
class _Use:
    """Of one exit. `began_s`, `ended_s`: of its last request; `rested_s`: for so long it had rested before it."""

    began_s: float = -math.inf
    ended_s: float = -math.inf
    rested_s: float = math.inf
    in_flight: bool = False


class Rotation:
    """The proxies that may be asked through, and when each was. `own`: exits of which the share is not bounded."""

    def __init__(self, *, rest_s: float, own: Collection[str] = ()) -> None:
        self._rest_s, self._own = rest_s, frozenset(own)
        self._entries: dict[Address, _Entry] = {}
        self._uses: dict[str, _Use] = {}
        self._brought: Counter[str] = Counter()
        self._most = self._began_s = math.inf
        self._latencies_s: deque[float] = deque(maxlen=KEPT_LATENCIES)

    def __len__(self) -> int:
        return len(self._entries)

    def begin(self, batches: int) -> None:
        """A cycle of so many batches begins; its time runs from the first pick."""
        self._brought.clear()
        self._began_s = math.inf
        self._most = math.ceil(LARGEST_SHARE * batches)

    def hold(self, members: Iterable[Member], *, now: datetime, now_s: float, newer: Collection[Address] = ()) -> None:
        """Hold just these; what is known of their use stays, and of those in `newer` what is known of them."""
        entries = {address: entry for address, entry in self._entries.items() if address in newer}
        for member in members:
            if member.address in entries:
                continue
            awake = states.woken(member, now)
            if not awake.bad_certificate and (awake.state in USABLE or awake.state == "cooling"):
                entries[member.address] = _Entry(awake, _usable_s(awake, now, now_s), awake)
        self._entries = entries

    def member(self, address: Address) -> Member | None:
        entry = self._entries.get(address)
        return entry.member if entry else None

    def members(self) -> list[Member]:
        return [entry.member for entry in self._entries.values()]

    def pick(self, *, tried: Collection[str], now_s: float, waiting: int, vouching: bool = False) -> Member | None:
        """Return who is to be asked now, None if nobody may be; exits in `tried` only if no other is left at all.

        `waiting`: how many batches there are. Where enough exits answered well last, one of them is waited for.
        `vouching`: only one of which the exit's address is known.
        """
        self._began_s = min(self._began_s, now_s)
        able = self._able(tried, now_s, waiting, vouching)
        free = [entry.member for entry in able if self._free_s(entry) <= now_s]
        return min(free, key=self._order, default=None)

    def next_s(self, *, tried: Collection[str] = (), now_s: float, waiting: int, vouching: bool = False) -> float:
        """Return when the next one may be asked; infinity: only after an answer has come, or never."""
        return min((self._free_s(entry) for entry in self._able(tried, now_s, waiting, vouching)), default=math.inf)

    def _able(self, tried: Collection[str], now_s: float, waiting: int, vouching: bool) -> list[_Entry]:
        """Return the best exits that together do what is left in time, and all of the group that the last is of."""
        entries = [
            each
            for each in self._entries.values()
            if not self._is_used_up(each.member.exit) and (each.member.exit_ip or not vouching)
        ]
        fresh = [entry for entry in entries if entry.member.exit not in tried] or entries
        wanted = max(FEWEST, waiting * (self._rest_s + ANSWER_S) / self._left_s(_odds(entries), now_s))
        by_group: list[list[_Entry]] = [[], [], [], []]
        for entry in fresh:
            by_group[_group(entry.member)].append(entry)
        able, exits = list[_Entry](), set[str]()
        for group in by_group:
            able += group
            exits.update(each.member.exit for each in group if each.usable_s <= now_s + SOON_S)
            if len(exits) >= wanted:
                break
        return able

    def _left_s(self, odds: float, now_s: float) -> float:
        """Return within how long what is left should be through."""
        pace_s = PACE_S / max(WORST_ODDS, odds) ** 2
        return max(LAST_S, pace_s - max(0.0, now_s - self._began_s))

    def has_any(self) -> bool:
        """Whether anybody will be of use soon: false of an empty pool and of one that may bring no more."""
        return any(not self._is_used_up(entry.member.exit) for entry in self._entries.values())

    def idle_before_s(self, member: Member) -> float:
        """Return for how long its exit had rested when its last request began; 0 if it was limited before that."""
        return 0.0 if member.last_error == "yahoo_limit" else self._use(member.exit).rested_s

    def started(self, member: Member, *, now_s: float) -> None:
        use = self._use(member.exit)
        use.rested_s, use.began_s, use.in_flight = now_s - use.began_s, now_s, True

    def ended(
        self,
        member: Member,
        cause: Cause | None,
        *,
        now: datetime,
        now_s: float,
        latency_s: float | None = None,
        brought: bool = False,
        minted: bool = False,
    ) -> Member:
        """Note what a request came to (None: nothing that says anything of it); return the member after it."""
        use = self._use(member.exit)
        use.ended_s, use.in_flight = now_s, False
        if brought:
            self._brought[member.exit] += 1
        if minted:
            use.ended_s += self._rest_s  # it has been asked for a crumb as well
        elif cause == "ok" and latency_s is not None:
            self._latencies_s.append(latency_s)
        if cause is None:
            return member
        latency_ms = None if latency_s is None else latency_s * 1000.0
        return self._become(states.after(member, cause, now=now, latency_ms=latency_ms), now, now_s, before=member)

    def forgive(self, exits: Collection[str], *, now_s: float) -> None:
        """Take the last outcome of these back: it was not theirs."""
        for entry in self._entries.values():
            if entry.member.exit in exits and entry.member.cool_until != entry.before.cool_until:
                entry.member, entry.usable_s = entry.before, now_s

    def replace(self, address: Address, member: Member, *, now_s: float) -> None:
        """Hold `member` in the place of another."""
        self._entries.pop(address, None)
        self._entries[member.address] = _Entry(member, now_s, member)

    def drop(self, exit_ip: str) -> None:
        """Ask through this exit no more."""
        self._entries = {address: each for address, each in self._entries.items() if each.member.exit != exit_ip}

    @property
    def timeout_s(self) -> float:
        """How long to wait for an answer."""
        known = list(self._latencies_s) or [
            each.member.latency_ms / 1000.0 for each in self._entries.values() if each.member.latency_ms is not None
        ]
        return timeout_s(known)

    def _become(self, member: Member, now: datetime, now_s: float, *, before: Member) -> Member:
        if member.address in self._entries:
            if member.state == "evicted":
                del self._entries[member.address]
            else:
                self._entries[member.address] = _Entry(member, _usable_s(member, now, now_s), before)
        return member

    def _free_s(self, entry: _Entry) -> float:
        use = self._use(entry.member.exit)
        if use.in_flight or self._is_used_up(entry.member.exit):
            return math.inf
        return max(entry.usable_s, use.ended_s + self._rest_s)

    def _is_used_up(self, exit_ip: str) -> bool:
        return self._brought[exit_ip] >= self._most and exit_ip not in self._own

    def _order(self, member: Member) -> tuple[int, float]:
        return _group(member), self._use(member.exit).began_s

    def _use(self, exit_ip: str) -> _Use:
        return self._uses.setdefault(exit_ip, _Use())


def _group(member: Member) -> int:
    if member.last_checked is not None and member.last_error is None:
        return GOOD
    if member.has_identity:  # to mint costs two requests more: it is tried again before a stranger
        return KNOWN
    return NEVER_TRIED if member.last_checked is None else FAILED


def _odds(entries: Iterable[_Entry]) -> float:
    """Return how likely one of those that were tried answers well; 1 where none was."""
    shares = [each.member.ok / (each.member.ok + each.member.fail) for each in entries if each.member.ok]
    return sum(shares) / len(shares) if shares else 1.0


def timeout_s(latencies_s: Collection[float]) -> float:
    """Return how long to wait, by what answers took; the longest where none has come."""
    if not latencies_s:
        return LONGEST_TIMEOUT_S
    ordered = sorted(latencies_s)
    p80_s = ordered[math.ceil(0.8 * len(ordered)) - 1]
    return min(LONGEST_TIMEOUT_S, max(SHORTEST_TIMEOUT_S, TIMEOUT_FACTOR * p80_s))


def _usable_s(member: Member, now: datetime, now_s: float) -> float:
    if member.cool_until is None:
        return now_s
    return now_s + max(0.0, (member.cool_until - now).total_seconds())
