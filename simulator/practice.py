"""A whole practice market: the server, its control port, its fleet and the script that it follows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from core.clock import Clock
from core.errors import TickerdError
from core.logs import get_logger
from simulator.ports.control import Control
from simulator.ports.control_port import LINE_BYTES, ControlPort
from simulator.ports.loopback import address_of, listen
from simulator.server import LEDGER_MB, PracticeServer
from simulator.trouble.script import Happening, Script
from simulator.world.walk import Market

log = get_logger(__name__)


class Practice:
    """Listens from `start` on; `control_address`: HOST:PORT."""

    def __init__(self, market: Market, *, clock: Clock, ledger_mb: float = LEDGER_MB) -> None:
        self.server = PracticeServer(market, clock=clock, ledger_mb=ledger_mb)
        self.control = Control(self.server)
        self._port = ControlPort(self.control)
        self._listening: asyncio.Server | None = None

    @property
    def control_address(self) -> str:
        assert self._listening is not None, "start() comes first"
        return address_of(self._listening)

    async def start(
        self,
        listen_on: tuple[str, int],
        control_on: tuple[str, int],
        *,
        script: Script,
        on_failure: Callable[[BaseException], None],
    ) -> None:
        """Open the ports and follow the script; FixByHand for a step that can never happen."""
        happenings = [(step, self.control.event(step.event, step.ticker, step.details)) for step in script.events]
        await self.server.start(*listen_on, on_failure=on_failure)
        self._listening = await listen(self._port.serve, *control_on, key="--control", line_bytes=LINE_BYTES)
        self.server.fleet.add(script.fleet)
        for fault in script.faults:
            self.server.order(fault)
        for step, happen in happenings:
            self.server.schedule(step.at_s, _said(step, happen))

    async def stop(self) -> None:
        """End every connection and the market."""
        if self._listening is not None:
            self._listening.close()
        await self._port.stop()
        await self.server.stop()


def _said(step: Happening, happen: Callable[[], None]) -> Callable[[], None]:
    """Return the step as an action that is logged, and whose failure ends nothing."""

    def act() -> None:
        try:
            happen()
        except TickerdError as error:
            log.warning("practice_event_failed", market_event=step.event, ticker=step.ticker, error=str(error))
        else:
            log.info("practice_event_happened", market_event=step.event, ticker=step.ticker)

    return act
