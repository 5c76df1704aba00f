"""Many candidates through both stages at once: 256 cheap probes, and 64 real requests for what opens a tunnel.

Knows no table: what came of each is handed on as it comes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from core.clock import Clock
from proxies.check import Checked, Checker
from proxies.model import Address, Outcome
from proxies.probe import Probe, Probed
from proxies.stalls import TOO_MUCH_S, Stalls

PROBES = 256
"""Hundreds of new connections a second upset home routers; this is as many as they were seen to bear."""
CHECKS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of one candidate. `listed_as`: the address as it was handed in; the outcome's speaks the protocol
    that was found."""

    listed_as: Address
    outcome: Outcome


Tried = TypeVar("Tried", Probed, Checked)
Tell = Callable[[Result], Awaitable[None]]


class Funnel:
    """Runs candidates through probe and check. One at a time; a stop is obeyed between two candidates."""

    def __init__(
        self,
        probe: Probe,
        checker: Checker,
        clock: Clock,
        *,
        probes: int = PROBES,
        checks: int = CHECKS,
        skips_probe: Callable[[Address], bool] = lambda _address: False,
    ) -> None:
        """`skips_probe`: those that want a password from the first word on: only the real request knows it."""
        self._probe, self._checker, self._clock = probe, checker, clock
        self._probes, self._checks, self._skips_probe = probes, checks, skips_probe
        self._stalls = Stalls(clock.monotonic_s)

    async def run(self, addresses: Iterable[Address], tell: Tell, stop: asyncio.Event) -> None:
        """Ask each address and `tell` what came of it; what `tell` raises ends the run."""
        try:
            with self._stalls.watched():
                await self._run(iter(addresses), tell, stop)
        except ExceptionGroup as errors:
            raise _first(errors) from errors

    async def _run(self, rest: Iterator[Address], tell: Tell, stop: asyncio.Event) -> None:
        opened: asyncio.Queue[tuple[Address, Address] | None] = asyncio.Queue(maxsize=2 * self._checks)
        async with asyncio.TaskGroup() as group:
            checking = [group.create_task(self._check_all(opened, tell)) for _ in range(self._checks)]
            async with asyncio.TaskGroup() as probing:
                for _ in range(self._probes):
                    probing.create_task(self._probe_all(rest, opened, tell, stop))
            for _ in checking:
                await opened.put(None)

    async def _probe_all(
        self,
        rest: Iterator[Address],
        opened: asyncio.Queue[tuple[Address, Address] | None],
        tell: Tell,
        stop: asyncio.Event,
    ) -> None:
        for address in rest:
            if stop.is_set():
                return
            if self._skips_probe(address):
                await opened.put((address, address))
                continue
            probed = await self._fairly(partial(self._probe.ask, address, any_protocol=True))
            if probed.cause == "ok":
                await opened.put((address, Address(probed.protocol, address.ip, address.port)))
            else:
                await self._tell(tell, address, Outcome(address=address, cause=probed.cause, at=self._clock.utc_now()))

    async def _check_all(self, opened: asyncio.Queue[tuple[Address, Address] | None], tell: Tell) -> None:
        while (pair := await opened.get()) is not None:
            listed_as, address = pair
            checked = await self._fairly(partial(self._checker.ask, address))
            at = self._clock.utc_now()
            outcome = Outcome(address=address, cause=checked.cause, at=at, latency_ms=checked.latency_ms)
            await self._tell(tell, listed_as, outcome)

    async def _fairly(self, attempt: Callable[[], Awaitable[Tried]]) -> Tried:
        """Try once more if time ran out while this host itself stood still: a good one would be out for hours."""
        before_s = self._stalls.total_s
        tried = await attempt()
        if tried.cause == "timeout" and self._stalls.total_s - before_s >= TOO_MUCH_S:
            tried = await attempt()
        return tried

    async def _tell(self, tell: Tell, listed_as: Address, outcome: Outcome) -> None:
        await tell(Result(listed_as=listed_as, outcome=outcome))


def _first(errors: ExceptionGroup[Exception]) -> Exception:
    """Return the error that began it."""
    error = errors.exceptions[0]
    return _first(error) if isinstance(error, ExceptionGroup) else error
