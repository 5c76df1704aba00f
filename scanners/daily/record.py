"""The record of one run of the daily refresh: its row in SQL, its estimate, its coverage. Asks nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any, Literal, Self

from core.logs import get_logger
from scanners.context import minute_of
from scanners.daily import plan
from scanners.daily.night import Night
from scanners.daily.plan import Left
from storage.coverage import CoverageCounts, write_coverage_minute
from storage.runs import DAILY_BARS, finish_run, last_complete, last_session_done, start_run

log = get_logger(__name__)

SCANNER = "daily"
CAREFUL = 0.9
"""Of the rate that was refused last: what can be had of it."""


@dataclass(slots=True, kw_only=True)
class Record:
    """`missed`: sessions that nobody refreshed while the machine was off; `ended`: why before the end, "" = at it."""

    night: Night
    run_id: int
    expected: int
    missed: list[date]
    ended: str = "an error"
    more: dict[str, Any] = field(default_factory=dict)
    bars_noted: bool = False

    @classmethod
    def begin(cls, night: Night, *, expected: int) -> Self:
        """Open the record; a day that was missed is named."""
        context, session = night.context, night.session
        missed = plan.missed(context.calendar, session, last_done=last_session_done(night.engine, SCANNER))
        if missed:
            log.warning("daily_sessions_missed", sessions=[str(each) for each in missed])
        run_id = start_run(
            night.writer,
            scanner=SCANNER,
            session_date=session.session_date,
            expected=expected,
            at=context.clock.utc_now(),
        )
        return cls(night=night, run_id=run_id, expected=expected, missed=missed)

    def estimate(self, left: Left) -> None:
        """Say how long the rest will take."""
        night, context = self.night, self.night.context
        requests = plan.requests_ahead(
            night.standings.values(),
            night.session.session_date,
            before=night.before,
            batch_size=context.settings.metrics.batch_size,
        )
        lane = context.budget.lane()
        most_per_s = night.meter.expected_per_s
        per_s = min(most_per_s, CAREFUL * lane.refused_per_s) if lane.refused_per_s else most_per_s
        hours = requests / per_s / 3600.0
        night.to_come = requests - len(left.quotes) // context.settings.metrics.batch_size
        context.pulse.say(f"{night.session.session_date}: about {hours:.1f} h for {requests:,} requests")
        log.info(
            "daily_estimated",
            session=str(night.session.session_date),
            requests=requests,
            requests_per_s=round(per_s, 2),
            hours=round(hours, 2),
        )

    def bars(self, left: Left) -> None:
        """Note, once a session, that its bars are in: the scan engine waits for them, not for the whole night."""
        night, session_date = self.night, self.night.session.session_date
        standings = list(night.standings.values())
        if self.bars_noted or not plan.bars_are_in(standings, left):
            return
        if not last_complete(night.engine, DAILY_BARS, session_date):
            now, traded = (
                night.context.clock.utc_now(),
                sum(1 for each in standings if plan.has_traded(each, session_date)),
            )
            run_id = start_run(
                night.writer, scanner=DAILY_BARS, session_date=session_date, expected=len(standings), at=now
            )
            counts = {"updated": traded, "failed": 0, "skipped": len(standings) - traded}
            finish_run(night.writer, run_id, status="complete", detail={}, at=now, **counts)
        self.bars_noted = True

    def end(self, left: Left) -> None:
        """Close the record."""
        night, now = self.night, self.night.context.clock.utc_now()
        tally = plan.tally(night.standings.values(), night.session.session_date)
        counts = CoverageCounts(
            fresh=tally.updated, unchanged=0, no_trade=tally.named, unknown=tally.left, total=len(night.standings)
        )
        night.context.pulse.coverage = {SCANNER: asdict(counts)}
        write_coverage_minute(night.writer, minute=minute_of(now), field_group="daily", counts=counts)
        status: Literal["complete", "partial", "failed"] = "partial" if night.meter.count else "failed"
        finish_run(
            night.writer,
            self.run_id,
            status="complete" if left.is_empty and not self.ended else status,
            updated=tally.updated,
            failed=tally.left,
            skipped=tally.named,
            detail=self._detail(),
            at=now,
        )
        log.info(
            "daily_finished", session=str(night.session.session_date), requests=night.lane.requests, **asdict(tally)
        )

    def _detail(self) -> Mapping[str, Any]:
        night = self.night
        stages: dict[str, Counter[str]] = {}
        for (stage, outcome), number in night.outcomes.items():
            stages.setdefault(stage, Counter())[outcome] = number
        return {
            "requests": night.lane.requests,
            "failures": night.asker.failures,
            "stages": stages,
            "named": night.named,
            "missed": [str(each) for each in self.missed],
            "ended": self.ended,
            **self.more,
        }
