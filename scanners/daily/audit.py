"""The truth audit, last stage of a night: is what the table holds of the session what other endpoints say?

Every ticker is compared with what quoteSummary said of its prices after the close, which costs no request. A sample
by chance and every outlier are compared with the chart endpoint. What was asked is kept at once: the next start goes
on. Changes no number of the table.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from core.errors import RetryLater
from core.logs import get_logger
from core.progress import measured
from market.sessions import Session
from market.truth import Held
from scanners.context import Context, reading
from scanners.daily.asker import Asker
from scanners.daily.charts import ask_once
from scanners.daily.night import worst
from scanners.daily.verdicts import (
    BY_CHANCE,
    by_chart,
    by_witness,
    chosen,
    in_words,
    unfinished,
    verdict_of,
    without_chart,
)
from scanners.lane import Stopped
from storage.audits import (
    AuditRow,
    Finding,
    drop_findings,
    read_audit,
    read_findings,
    read_held,
    write_audit,
    write_findings,
)
from storage.writer import Writer
from yahoo.chart_history import History
from yahoo.quote import Refused

log = get_logger(__name__)

STAGE = "audit"
AROUND = timedelta(days=4)
"""A chart of a few days around the session."""


async def audit(context: Context, writer: Writer, asker: Asker, session: Session) -> dict[str, Any]:
    """Compare, record, and return the counts for the run's record; Stopped if asked to stop before the end."""
    return await _Audit(context, writer, asker, session).run()


class _Audit:
    def __init__(self, context: Context, writer: Writer, asker: Asker, session: Session) -> None:
        self._context, self._writer, self._asker, self._session = context, writer, asker, session
        self._on = session.session_date
        self._found: dict[str, list[Finding]] = {}
        self._requests = 0
        self._started_s = context.clock.monotonic_s()

    async def run(self) -> dict[str, Any]:
        held = {each.ticker: each for each in await asyncio.to_thread(self._read)}
        is_over = self._context.clock.utc_now() >= self._session.closes_at
        rules = chosen(held.values(), self._on) if is_over else {}
        left = deque(ticker for ticker in rules if ticker not in self._found)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self._context.settings.daily.threads, len(left))):
                    group.create_task(self._work(left, held, rules))
        except ExceptionGroup as errors:
            raise worst(errors.exceptions) from errors
        if left:
            raise Stopped("asked to stop")
        for ticker, each in held.items():
            if ticker not in self._found:
                self._found[ticker] = by_witness(each) if is_over else unfinished(each)
        row = self._row(rules, len(held))
        findings = [finding for ticker in sorted(self._found) for finding in self._found[ticker]]
        await asyncio.to_thread(write_audit, self._writer, row, findings)
        self._tell(row, findings)
        return {name: getattr(row, name) for name in ("exact", "differs", "not_comparable", "asked", "outliers")}

    def _read(self) -> list[Held]:
        """Return what is to be compared; what an earlier start has asked for is taken over."""
        context, on = self._context, self._on
        if reading(context, partial(read_audit, session_date=on)) is None:
            for finding in reading(context, partial(read_findings, session_date=on)):
                self._found.setdefault(finding.ticker, []).append(finding)
        else:
            drop_findings(self._writer, on)
        before = context.calendar.last_session(self._session.opens_at)
        date_before, calendar = before.session_date if before else None, context.calendar
        return reading(context, partial(read_held, session=self._session, calendar=calendar, before=date_before))

    async def _work(self, left: deque[str], held: Mapping[str, Held], rules: Mapping[str, str]) -> None:
        while left and not self._context.stop.is_set():
            ticker = left.popleft()
            try:
                findings = await self._compare(held[ticker], rules[ticker])
            except Stopped:
                left.append(ticker)
                return
            await asyncio.to_thread(write_findings, self._writer, self._on, findings)
            self._found[ticker] = findings
            elapsed_s = self._context.clock.monotonic_s() - self._started_s
            done = len(rules) - len(left)
            self._context.pulse.advance(measured(STAGE, done=done, total=len(rules), elapsed_s=elapsed_s))

    async def _compare(self, held: Held, rule: str) -> list[Finding]:
        try:
            chart = await self._asker.patiently(lambda: self._ask(held.ticker))
        except Stopped:
            raise
        except Refused as said:
            return [without_chart(held, rule, said.reason)]
        except RetryLater:
            return [without_chart(held, rule, "not_answered")]
        return by_chart(held, chart, self._on, rule)

    async def _ask(self, ticker: str) -> History:
        self._requests += 1
        return await ask_once(self._asker, ticker, (self._session.opens_at - AROUND, self._session.closes_at + AROUND))

    def _row(self, rules: Mapping[str, str], total: int) -> AuditRow:
        verdicts = Counter(verdict_of(findings) for findings in self._found.values())
        by_chance = sum(rule == BY_CHANCE for rule in rules.values())
        return AuditRow(
            session=self._on,
            at=self._context.clock.utc_now(),
            asked=len(rules),
            exact=verdicts["exact"],
            differs=verdicts["differs"],
            not_comparable=verdicts["not_comparable"],
            sampled=by_chance,
            outliers=len(rules) - by_chance,
            requests=self._requests,
            total=total,
        )

    def _tell(self, row: AuditRow, findings: Sequence[Finding]) -> None:
        for each in findings:
            if each.verdict == "differs":
                log.warning(
                    "truth_differed",
                    ticker=each.ticker,
                    field=each.field,
                    held=each.held,
                    told=each.told,
                    rule=each.rule,
                )
        log.info("audit_finished", session=str(self._on), text=in_words(row, findings))
        show(self._context, row, findings)


def show(context: Context, row: AuditRow, findings: Sequence[Finding]) -> None:
    """Let `tickerd status` say it."""
    context.pulse.facts["audit"] = {"session": str(row.session), "text": in_words(row, findings)}


def show_newest(context: Context) -> None:
    """Let `tickerd status` say what the newest audit found, after a restart."""
    row = reading(context, read_audit)
    if row is not None:
        show(context, row, reading(context, partial(read_findings, session_date=row.session)))
