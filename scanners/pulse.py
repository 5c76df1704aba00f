"""The heartbeat of a scanner: sent from its event loop, carrying the time of its last data. Decides nothing."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from core.clock import Clock, utc_text
from core.notify import Notifier, beat_interval_s
from core.progress import Progress, Reporter


class Pulse:
    """What the next beat will say; scanners set the fields, `run` sends them now and then."""

    def __init__(
        self, notifier: Notifier, clock: Clock, report: Reporter, *, heartbeat_timeout_s: float = math.inf
    ) -> None:
        self._notifier = notifier
        self._clock = clock
        self._report = report
        self._beat_s = beat_interval_s(heartbeat_timeout_s)
        self.data_at: datetime | None = None
        self.progress: Progress | None = None
        self.coverage: Mapping[str, Any] | None = None
        self.facts: dict[str, Any] = {}

    def ready(self) -> None:
        self._notifier.ready()

    def stopping(self) -> None:
        self._notifier.stopping()

    def say(self, text: str) -> None:
        self._notifier.status(text)

    def reached(self) -> None:
        """Data came from the upstream: note when, and end a time of silence."""
        self.data_at = self._clock.utc_now()
        if self.facts.pop("upstream_since", None) is not None:
            self.say("upstream is back")
        if self.facts.get("upstream") != "reachable":
            self.facts["upstream"] = "reachable"
            self.beat()

    def unreachable(self, what: str) -> None:
        """Say since when the upstream is away and what is being tried."""
        self._away("unreachable", what, then="trying again")

    def refusing(self, what: str) -> None:
        """Say since when the upstream answers, but with a refusal: a new process would be refused as well."""
        self._away("refusing", what, then="slowing down")

    def _away(self, state: str, what: str, *, then: str) -> None:
        known = self.facts.get("upstream_since") if self.facts.get("upstream") == state else None
        since = known or utc_text(self._clock.utc_now())
        self.facts |= {"upstream": state, "upstream_since": since}
        self.say(f"upstream {state} since {since}: {what}; {then}")
        if known is None:
            self.beat()  # what the orchestrator judges by is not to wait

    def advance(self, progress: Progress) -> None:
        """Show how far the work is: on the terminal now, in the next beat as well."""
        self.progress = progress
        self._report(progress)

    async def run(self, stop: asyncio.Event) -> None:
        """Beat until `stop`."""
        while not stop.is_set():
            self.beat()
            await self._clock.sleep(self._beat_s)

    def beat(self) -> None:
        self._notifier.beat(data_at=self.data_at, progress=self.progress, coverage=self.coverage, facts=self.facts)
