"""What an attempt through a proxy means for it: one table, pure. Reads no clock, keeps nothing, knows no other proxy.

candidate -> live -> gold -> cooling -> evicted. A good answer makes a live one, and a gold one of it if its exit
address is known and a cookie and crumb were minted through it. Eviction is the negative cache: it lasts until
`cool_until`, and only a wrong certificate is for good.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from proxies.model import Cause, Member, State

HALF_LIFE_S = 1800.0
"""Scores and strikes of half an hour ago count half: a free proxy's past says little."""
LATENCY_WEIGHT = 0.3
ROW_OF_FAILURES = 6
STRIKES_OUT = 1.5
"""Two within half an hour."""
COOL_MAX_S = 600.0
HOUR_S = 3600.0
DEAD_S = 6 * HOUR_S
DAY_S = 24 * HOUR_S
MONTH_S = 30 * DAY_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What a cause does. `cool_s` doubles with each failure in a row up to `max_s`; 0 = used on at once.

    `blames`: the proxy's score falls; else somebody else was at fault. `strikes`: two and it is out.
    `evicts_s`: out at once, for so long. `candidate_s`: for so long, where it never gave a good answer.
    """

    cool_s: float = 0.0
    max_s: float = COOL_MAX_S
    blames: bool = True
    strikes: bool = False
    evicts_s: float | None = None
    candidate_s: float | None = DEAD_S
    drops_identity: bool = False


TRANSPORT = Rule(cool_s=20.0)
STRIKE = Rule(cool_s=60.0, strikes=True)
RULES: dict[Cause, Rule] = {
    "refused": TRANSPORT,
    "timeout": TRANSPORT,
    "reset": TRANSPORT,
    "connect_denied": Rule(cool_s=20.0, candidate_s=DAY_S),  # a candidate that says so is most often a web server
    "needs_password": Rule(evicts_s=DAY_S),
    "bad_certificate": Rule(evicts_s=MONTH_S, drops_identity=True),
    "proxy_limit": Rule(cool_s=60.0, blames=False, candidate_s=None),
    "yahoo_limit": Rule(cool_s=120.0, max_s=HOUR_S, blames=False, candidate_s=None),
    "consent": Rule(cool_s=DEAD_S, max_s=DEAD_S, blames=False, drops_identity=True),  # an exit in the EU stays one
    "captcha": Rule(cool_s=HOUR_S, max_s=DEAD_S, blames=False),
    "html": STRIKE,
    "not_json": STRIKE,
    "foreign": STRIKE,
    "stale": STRIKE,
    "too_big": STRIKE,
    "tampered": Rule(evicts_s=MONTH_S, drops_identity=True),
    "crumb_refused": Rule(cool_s=COOL_MAX_S, blames=False, candidate_s=None, drops_identity=True),
    "server_error": Rule(blames=False, candidate_s=None),
    "own_exit": Rule(evicts_s=MONTH_S, drops_identity=True),
}


def after(member: Member, cause: Cause, *, now: datetime, latency_ms: float | None = None) -> Member:
    """Return the member after an attempt that came to `cause`; one that is banned does not change, whatever it says."""
    if is_banned(member, now):
        return member
    faded = replace(_faded(member, now), last_checked=now)
    if cause == "ok":
        return _praised(faded, now, latency_ms)
    return _failed(faded, cause, now)


def is_banned(member: Member, now: datetime) -> bool:
    """Whether it is out for what it did, not for what it could not do: a good answer does not bring it back."""
    lies = member.last_error == "tampered" or member.strikes >= STRIKES_OUT
    return member.bad_certificate or (member.state == "evicted" and lies and member.is_cooling(now))


def woken(member: Member, now: datetime) -> Member:
    """Return the member as it may be used at `now`: what has cooled is live again, or a candidate if it never was."""
    if member.is_cooling(now) or member.state not in ("cooling", "evicted"):
        return member
    if member.state == "evicted":
        return replace(member, state="candidate", cool_until=None, fails_in_a_row=0, strikes=0.0)
    return replace(member, state=_usable_state(member), cool_until=None)


def with_identity(member: Member, *, exit_ip: str, cookie: str, crumb: str, now: datetime) -> Member:
    """Return the member with what was learned and minted through it: gold if its last answer was good."""
    known = replace(member, exit_ip=exit_ip, cookie=cookie, crumb=crumb, minted_at=now)
    return replace(known, state=_usable_state(known)) if known.state in ("live", "gold") else known


def score(member: Member, now: datetime) -> float:
    """Return the share of good answers to be expected, 0..1: the mean of a Beta(1, 1) with what it did lately."""
    faded = _faded(member, now)
    return (faded.score_ok + 1.0) / (faded.score_ok + faded.score_fail + 2.0)


def _praised(member: Member, now: datetime, latency_ms: float | None) -> Member:
    good = replace(
        member,
        ok=member.ok + 1,
        score_ok=member.score_ok + 1.0,
        fails_in_a_row=0,
        latency_ms=_averaged(member.latency_ms, latency_ms),
        last_ok=now,
        cool_until=None,
        last_error=None,
    )
    return replace(good, state=_usable_state(good))


def _failed(member: Member, cause: Cause, now: datetime) -> Member:
    rule = RULES[cause]
    # A first refusal of a crumb is its age; it is minted anew. A second one in a row rests the exit.
    free = not rule.cool_s or (cause == "crumb_refused" and member.last_error != cause)
    in_a_row = member.fails_in_a_row + (not free)
    failed = replace(
        member,
        fail=member.fail + rule.blames,
        score_fail=member.score_fail + rule.blames,
        strikes=member.strikes + rule.strikes,
        fails_in_a_row=in_a_row,
        last_error=cause,
        bad_certificate=cause == "bad_certificate",
    )
    if rule.drops_identity:
        failed = replace(failed, cookie="", crumb="", minted_at=None)
    evicted_s = _evicted_s(failed, rule)
    if evicted_s is not None:
        return replace(
            failed, state="evicted", cool_until=_later(member.cool_until, now + timedelta(seconds=evicted_s))
        )
    if free:
        return replace(failed, state="live" if failed.state == "gold" and not failed.has_identity else failed.state)
    cool_s = min(rule.max_s, rule.cool_s * 2.0 ** min(in_a_row - 1, 10))
    return replace(failed, state="cooling", cool_until=_later(member.cool_until, now + timedelta(seconds=cool_s)))


def _evicted_s(failed: Member, rule: Rule) -> float | None:
    """Return for how long it is out, None = it is not."""
    if rule.evicts_s is not None:
        return rule.evicts_s
    if failed.strikes >= STRIKES_OUT:
        return DAY_S
    if failed.ok == 0 and rule.candidate_s is not None:
        return rule.candidate_s
    return DEAD_S if rule.blames and failed.fails_in_a_row >= ROW_OF_FAILURES else None


def _usable_state(member: Member) -> State:
    if member.exit_ip and member.has_identity:
        return "gold" if member.ok else "candidate"
    return "live" if member.ok else "candidate"


def _faded(member: Member, now: datetime) -> Member:
    if member.scored_at is None:
        return replace(member, scored_at=now)
    age_s = max(0.0, (now - member.scored_at).total_seconds())
    left = 0.5 ** (age_s / HALF_LIFE_S)
    return replace(
        member,
        score_ok=member.score_ok * left,
        score_fail=member.score_fail * left,
        strikes=member.strikes * left,
        scored_at=max(now, member.scored_at),
    )


def _averaged(before: float | None, latency_ms: float | None) -> float | None:
    if before is None or latency_ms is None:
        return before if latency_ms is None else latency_ms
    return before + LATENCY_WEIGHT * (latency_ms - before)


def _later(before: datetime | None, then: datetime) -> datetime:
    return then if before is None else max(before, then)
