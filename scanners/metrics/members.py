"""The members of the pool as the scanner uses them: loaded from SQL, what they came to handed back. Asks nothing."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Engine

from core.clock import Clock
from core.errors import RetryLater
from core.logs import get_logger
from proxies import pool
from proxies.addresses import AddressFilter
from proxies.breaker import Trip
from proxies.model import Address, Cause, Member, Outcome, State
from proxies.own import SESSION, OwnProxies
from proxies.rotation import Rotation
from storage.writer import Writer

log = get_logger(__name__)

STATES: tuple[State, ...] = ("gold", "live", "cooling")
HELD_BACK: frozenset[Cause] = frozenset({"yahoo_limit", "consent"})
"""What a breaker may yet forgive."""
HELD_BACK_S = 60.0
GATEWAY = "gateway-"


class Members:
    """Keeps the rotation filled. `sessions`: how many sessions of each gateway are used side by side."""

    def __init__(
        self,
        engine: Engine,
        writer: Writer | None,
        rotation: Rotation,
        *,
        address_filter: AddressFilter,
        own: OwnProxies,
        sessions: int,
    ) -> None:
        self._engine, self._writer, self._rotation = engine, writer, rotation
        self._filter, self._own, self._sessions = address_filter, own, sessions
        self._outcomes: list[Outcome] = []
        self._minted: dict[Address, Member] = {}
        self._tokens: dict[Address, str] = {}
        self._seen: dict[Address, Member] = {}

    def read(self) -> list[Member]:
        """Return those that the table says may be used; may run in a thread."""
        return [member for member in pool.load(self._engine, states=STATES) if self._may(member)]

    async def refresh(self, clock: Clock) -> None:
        """Hand back what is known, and hold what the table says by now; as it stands while the database is away."""
        await self.hand_back(now=clock.utc_now())
        try:
            held = await asyncio.to_thread(self.read)
        except RetryLater as error:
            log.warning("members_kept", error=str(error))
            return
        self.hold(held, now=clock.utc_now(), now_s=clock.monotonic_s())

    def at_exit(self, exit_ip: str) -> list[Member]:
        """Return those seen to lead to this exit, used or not any more."""
        return [member for member in self._seen.values() if member.exit == exit_ip]

    def hold(self, held: Iterable[Member], *, now: datetime, now_s: float) -> None:
        """Use these from now on; what is not yet handed back is known better here."""
        newer = {outcome.address for outcome in self._outcomes} | self._minted.keys()
        gateways = [each for each in self._rotation.members() if is_gateway(each)] or list(self._new_gateways(now))
        newer |= {each.address for each in gateways if self._rotation.member(each.address)}
        self._rotation.hold([*held, *gateways], now=now, now_s=now_s, newer=newer)
        self._seen = {each.address: each for each in self._rotation.members()}

    def url_of(self, address: Address) -> str:
        """Return how to reach it, with its password or session where it has one."""
        if address in self._tokens:
            template = self._own.gateways[int(address.ip.removeprefix(GATEWAY))]
            return template.replace(SESSION, self._tokens[address])
        return self._own.url(address)

    def refusal(self, ip: str, port: int) -> object | None:
        """Return why it must not be contacted; a gateway was named by the user."""
        return None if ip.startswith(GATEWAY) else self._filter.refusal(ip, port)

    def trusted(self) -> set[str]:
        """Return the exits of what the user named himself: believed alone. A network of one's own proves nothing."""
        return {each.exit for each in self._rotation.members() if is_gateway(each) or self._own.is_listed(each.address)}

    def note(self, member: Member, cause: Cause, *, at: datetime, now_s: float, latency_s: float | None) -> None:
        """Keep an outcome until it is handed back; a gateway that failed gets another session instead."""
        if is_gateway(member):
            if cause != "ok":
                self._renew(member, at=at, now_s=now_s)
            return
        latency_ms = latency_s * 1000.0 if latency_s is not None else None
        self._outcomes.append(Outcome(address=member.address, cause=cause, at=at, latency_ms=latency_ms))

    def minted(self, member: Member) -> None:
        """Keep the cookie and crumb that were minted through it; without a known exit they last while this runs."""
        if member.exit_ip and not is_gateway(member):
            self._minted[member.address] = member

    def forgive(self, trip: Trip) -> None:
        """Say nothing of what was not the proxies' fault."""
        exits = {each.address for each in self._rotation.members() if each.exit in trip.exits}
        self._outcomes = [each for each in self._outcomes if each.cause != trip.cause or each.address not in exits]

    async def hand_back(self, *, now: datetime, is_last: bool = False) -> None:
        """Write what is known by now; what the database does not take is kept for the next time."""
        due = [each for each in self._outcomes if is_last or not _is_held_back(each, now)]
        minted = dict(self._minted)
        if not due and not minted:
            return
        try:
            await asyncio.to_thread(self._write, due, list(minted.values()), now)
        except RetryLater as error:
            log.warning("outcomes_kept", outcomes=len(due), error=str(error))
            return
        self._outcomes = [each for each in self._outcomes if each not in due]
        self._minted = {address: each for address, each in self._minted.items() if minted.get(address) != each}

    def _write(self, outcomes: Sequence[Outcome], minted: Iterable[Member], now: datetime) -> None:
        assert self._writer is not None
        for member in minted:
            at = member.minted_at or now
            pool.set_identity(
                self._writer,
                member.address,
                exit_ip=member.exit,
                cookie=member.cookie,
                crumb=member.crumb,
                at=at,
            )
        pool.record(self._writer, self._engine, outcomes, is_own=self._filter.is_own)

    def _may(self, member: Member) -> bool:
        return self._filter.refusal(member.address.ip, member.address.port) is None

    def _new_gateways(self, now: datetime) -> Iterable[Member]:
        for number, template in enumerate(self._own.gateways):
            for session in range(self._sessions if SESSION in template else 1):
                yield self._session(number, session + 1, now)

    def _session(self, number: int, port: int, now: datetime) -> Member:
        address = Address("http", f"{GATEWAY}{number}", port)
        token = self._tokens[address] = secrets.token_hex(4)
        return Member(address=address, state="live", ok=1, first_seen=now, exit_ip=f"{address.ip}:{token}")

    def _renew(self, member: Member, *, at: datetime, now_s: float) -> None:
        address = member.address
        fresh = self._session(int(address.ip.removeprefix(GATEWAY)), address.port, at)
        failed = replace(fresh, last_checked=at, last_error=member.last_error)
        self._rotation.replace(address, failed, now_s=now_s)


def is_gateway(member: Member) -> bool:
    return member.address.ip.startswith(GATEWAY)


def count(members: Collection[Member]) -> int:
    """Return how many members these are: all sessions of a gateway are one."""
    return len({each.address.ip if is_gateway(each) else each.address for each in members})


def _is_held_back(outcome: Outcome, now: datetime) -> bool:
    return outcome.cause in HELD_BACK and (now - outcome.at).total_seconds() < HELD_BACK_S
