"""Scans, their results and errors, saved scans, signals. Decides nothing about when to scan and knows no expression."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Engine, Table, Text, cast, delete, func, insert, select, update

from core.errors import TickerdError
from storage import signals as moves
from storage.schema import saved_scans, scan_errors, scan_results, scans, signals
from storage.writer import Transaction, Writer

Schedule = Literal["", "minute", "close"]
SOURCE = "scans"
BELL, API_BELL = "screener.bell", "api.bell"
"""In the state folder: rung by who asks for a scan, and by the scan engine when one has something to tell."""
ENDED = ("complete", "terminated_early", "cancelled", "failed")
PRICES = {
    "entry_price": "entry",
    "stop_loss": "stop",
    "target1": "target_1",
    "target2": "target_2",
    "risk_amount": "risk_amount_usd",
    "confluence_factors": "confluence",
}
"""Column of `signals` -> key of what a pattern says, where they differ."""
AS_TEXT = ("measured", "flags", "signal")
RATES = ("hit_rate", "hit_rate_low", "hit_rate_high", "hit_events")
SAME = ("pattern", "direction", "confidence", "atr", "position_size", *RATES)


class NoSuchScan(TickerdError):
    """A scan or a saved scan that the database does not hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A scan that waits for the scan engine; `name`: of the saved scan that it is a run of."""

    id: str
    name: str | None
    request: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a scan ended; `values`: columns of `scans`."""

    status: str
    values: Mapping[str, Any]
    results: Sequence[Mapping[str, Any]]
    errors: Sequence[Mapping[str, Any]]


def ask(writer: Writer, scan_id: str, request: Mapping[str, Any], *, name: str | None, at: datetime) -> None:
    """Note a scan for the scan engine to run."""
    _insert(writer, scan_id, request, name=name, status="pending", at=at)


def begin(writer: Writer, scan_id: str, request: Mapping[str, Any], *, name: str | None, at: datetime) -> None:
    """Note a scan that runs already."""
    _insert(writer, scan_id, request, name=name, status="running", at=at, started_at=at)


def _insert(writer: Writer, scan_id: str, request: Mapping[str, Any], *, at: datetime, **values: Any) -> None:
    row = {"id": scan_id, "request": request, "created_at": at, **values}
    writer.run(lambda tx: tx.connection.execute(insert(scans).values(row)), source=SOURCE, durable=True)


def take(writer: Writer, *, at: datetime, limit: int) -> list[Asked]:
    """Return at most `limit` of the scans that wait, the oldest first; from now on they are running."""

    def body(tx: Transaction) -> list[Asked]:
        waiting = scans.c.status == "pending"
        asked = select(scans.c.id, scans.c.name, scans.c.request).where(waiting)
        wanted = asked.order_by(scans.c.created_at).limit(limit)
        taken = [Asked(id=row.id, name=row.name, request=row.request) for row in tx.connection.execute(wanted)]
        if taken:
            running = update(scans).where(scans.c.id.in_([one.id for one in taken]))
            tx.connection.execute(running.values(status="running", started_at=at))
        return taken

    return writer.run(body, source=SOURCE)


def abandon(writer: Writer, *, at: datetime) -> int:
    """End what a scan engine that is gone had left running; return how many scans."""
    left = update(scans).where(scans.c.status == "running")
    values = {"status": "failed", "error": "the scan engine ended", "finished_at": at}
    return writer.run(lambda tx: tx.connection.execute(left.values(values)).rowcount, source=SOURCE)


def note_progress(
    writer: Writer, scan_id: str, payload: Mapping[str, Any], results: Sequence[Mapping[str, Any]]
) -> None:
    """Keep how far a running scan is and what it has found since the last time; a result kept twice is one."""

    def body(tx: Transaction) -> None:
        tx.execute_many("put_scan_result", [_result_row(scan_id, one) for one in results])
        tx.connection.execute(update(scans).where(scans.c.id == scan_id).values(progress=dict(payload)))

    writer.run(body, source=SOURCE)


def end(writer: Writer, scan_id: str, ended: Ended, *, at: datetime) -> None:
    """Keep how a scan ended, all its results as they stand now, and its errors."""
    results = [_result_row(scan_id, one) for one in ended.results]  # seconds for many: not while prices wait to write

    def body(tx: Transaction) -> None:
        tx.connection.execute(delete(scan_results).where(scan_results.c.scan_id == scan_id))  # ranks are known now
        tx.execute_many("put_scan_result", results)
        if ended.errors:
            rows = [{"scan_id": scan_id, "at": at, **error} for error in ended.errors]
            tx.connection.execute(insert(scan_errors), rows)
        values = {"status": ended.status, "finished_at": at, **ended.values}
        tx.connection.execute(update(scans).where(scans.c.id == scan_id).values(values))

    writer.run(body, source=SOURCE, durable=True)


def _result_row(scan_id: str, result: Mapping[str, Any]) -> dict[str, Any]:
    signal = {key: result[key] for key in ("signals",) if key in result}
    return {
        "scan_id": scan_id,
        "seq": result["seq"],
        "ticker": result["ticker"],
        "session": date.fromisoformat(result["session"]),
        "rank": result.get("rank"),
        "key": result.get("key"),
        "tech_rating": result.get("tech_rating"),
        "priority_tier": result.get("priority_tier"),
        "measured": json.dumps(result["values"]),
        "flags": json.dumps(result["flags"]),
        "signal": json.dumps(signal["signals"]) if signal else None,
    }


def ask_to_cancel(writer: Writer, scan_id: str) -> bool:
    """Ask the scan engine to stop a scan; False if it is not pending or running."""

    def body(tx: Transaction) -> bool:
        waiting = update(scans).where(scans.c.id == scan_id, scans.c.status == "pending")
        if tx.connection.execute(waiting.values(status="cancelled", finished_at=tx.now)).rowcount:
            return True
        running = update(scans).where(scans.c.id == scan_id, scans.c.status == "running")
        return bool(tx.connection.execute(running.values(cancel_requested=True)).rowcount)

    return writer.run(body, source=SOURCE)


def waiting(engine: Engine) -> tuple[bool, list[str]]:
    """Return whether a scan is pending, and which running ones are to be cancelled: asked often, changes nothing."""
    wanted = select(scans.c.id, scans.c.status).where(
        (scans.c.status == "pending") | ((scans.c.status == "running") & scans.c.cancel_requested)
    )
    with engine.connect() as connection:
        rows = connection.execute(wanted).all()
    return any(row.status == "pending" for row in rows), [row.id for row in rows if row.status == "running"]


def read_scans(engine: Engine, *, limit: int) -> list[dict[str, Any]]:
    """Return the newest scans, the newest first, without their results."""
    with engine.connect() as connection:
        rows = connection.execute(select(scans).order_by(scans.c.created_at.desc()).limit(limit)).mappings()
        return [dict(row) for row in rows]


def read_scan(engine: Engine, scan_id: str) -> dict[str, Any]:
    """Return one scan; NoSuchScan if there is none."""
    with engine.connect() as connection:
        row = connection.execute(select(scans).where(scans.c.id == scan_id)).mappings().first()
    if row is None:
        raise NoSuchScan("is no scan", where=scan_id, right="see `tickerd scan list`")
    return dict(row)


def read_results(engine: Engine, scan_id: str, *, since: int = 0) -> list[dict[str, Any]]:
    """Return a scan's results after number `since`: in the order of their rank, or as found while it has none."""
    of_scan = select(scan_results).where(scan_results.c.scan_id == scan_id, scan_results.c.seq > since)
    with engine.connect() as connection:
        rows = connection.execute(of_scan.order_by(scan_results.c.rank, scan_results.c.seq)).mappings()
        return [dict(row) for row in rows]


def read_standing(engine: Engine, scan_ids: Sequence[str]) -> list[dict[str, Any]]:
    """Return those of these scans that there are, in no order."""
    with engine.connect() as connection:
        return [dict(row) for row in connection.execute(select(scans).where(scans.c.id.in_(scan_ids))).mappings()]


def read_found(engine: Engine, scan_id: str, *, since: int, limit: int) -> list[dict[str, Any]]:
    """Return at most `limit` of a scan's results after number `since`, in the order of their numbers.

    What is JSON comes as text: who only passes it on need not read it, which would be most of the time.
    """
    columns = [cast(column, Text).label(column.name) if column.name in AS_TEXT else column for column in scan_results.c]
    of_scan = select(*columns).where(scan_results.c.scan_id == scan_id, scan_results.c.seq > since)
    with engine.connect() as connection:
        return [dict(row) for row in connection.execute(of_scan.order_by(scan_results.c.seq).limit(limit)).mappings()]


def newest_found(engine: Engine, scan_id: str) -> int:
    """Return the number of a scan's last result, 0 while there is none."""
    newest = select(func.max(scan_results.c.seq)).where(scan_results.c.scan_id == scan_id)
    with engine.connect() as connection:
        return connection.execute(newest).scalar() or 0


def read_scans_of(engine: Engine, ticker: str, *, limit: int) -> list[dict[str, Any]]:
    """Return in which scans a ticker was found, the newest first."""
    found = (
        select(scans.c.id, scans.c.name, scans.c.created_at, scan_results.c.session, scan_results.c.rank)
        .join(scan_results, scan_results.c.scan_id == scans.c.id)
        .where(scan_results.c.ticker == ticker)
        .order_by(scans.c.created_at.desc())
        .limit(limit)
    )
    with engine.connect() as connection:
        return [dict(row) for row in connection.execute(found).mappings()]


def read_errors(engine: Engine, *, since: datetime) -> list[dict[str, Any]]:
    """Return the errors of scans by stage and words: how often, when last, an example of a ticker."""
    grouped = (
        select(
            scan_errors.c.stage,
            scan_errors.c.error,
            func.count().label("times"),
            func.max(scan_errors.c.at).label("last_at"),
            func.max(scan_errors.c.ticker).label("ticker"),
        )
        .where(scan_errors.c.at >= since)
        .group_by(scan_errors.c.stage, scan_errors.c.error)
        .order_by(func.count().desc())
    )
    with engine.connect() as connection:
        return [dict(row) for row in connection.execute(grouped).mappings()]


def clear_errors(writer: Writer) -> int:
    return writer.run(lambda tx: tx.connection.execute(delete(scan_errors)).rowcount, source=SOURCE)


def save(writer: Writer, name: str, request: Mapping[str, Any], *, schedule: Schedule, at: datetime) -> bool:
    """Keep a scan under a name; True if it is new, False if it took the place of one."""

    def body(tx: Transaction) -> bool:
        values = {"request": dict(request), "schedule": schedule, "updated_at": at}
        changed = tx.connection.execute(update(saved_scans).where(saved_scans.c.name == name).values(values))
        if changed.rowcount:
            return False
        tx.connection.execute(insert(saved_scans).values(name=name, created_at=at, **values))
        return True

    return writer.run(body, source=SOURCE, durable=True)


def read_saved(engine: Engine, name: str | None = None) -> list[dict[str, Any]]:
    """Return the saved scans by name, or the one of that name; NoSuchScan if there is none of it."""
    wanted = select(saved_scans).order_by(saved_scans.c.name)
    with engine.connect() as connection:
        given = wanted if name is None else wanted.where(saved_scans.c.name == name)
        rows = [dict(row) for row in connection.execute(given).mappings()]
    if name is not None and not rows:
        raise NoSuchScan("no scan is saved under this name", where=name, right="see `tickerd scan saved`")
    return rows


def forget(writer: Writer, name: str, *, at: datetime) -> bool:
    """Remove a saved scan and let its signals end; False if there is none."""

    def body(tx: Transaction) -> bool:
        _leave(tx, signals.c.scan == name, at)
        return bool(tx.connection.execute(delete(saved_scans).where(saved_scans.c.name == name)).rowcount)

    return writer.run(body, source=SOURCE, durable=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moves:
    """Which tickers have begun and which have ceased to be found by a saved scan."""

    entered: list[str]
    left: list[str]


def renew_signals(
    writer: Writer, name: str, scan_id: str, results: Sequence[Mapping[str, Any]], *, whole: bool, at: datetime
) -> Moves:
    """Compare what a saved scan has found with what it had found: open new signals, end those that are over.

    `whole`: every ticker was looked at; else nothing is said to have left.
    """
    found = {result["ticker"]: result for result in results}

    def body(tx: Transaction) -> Moves:
        active = (signals.c.scan == name) & (signals.c.status == "active")
        held = set(tx.connection.execute(select(signals.c.symbol).where(active)).scalars())
        entered = [ticker for ticker in found if ticker not in held]
        left = sorted(held - found.keys()) if whole else []
        rows = [_signal_row(name, scan_id, found[ticker], at) for ticker in entered]
        if rows:
            tx.connection.execute(insert(signals), rows)
            moves.note(tx, "entered", active & (signals.c.scan_id == scan_id), at)
        if left:
            _leave(tx, active & signals.c.symbol.in_(left), at)
        seen = update(saved_scans).where(saved_scans.c.name == name)
        tx.connection.execute(seen.values(last_run_at=at, last_scan_id=scan_id))
        return Moves(entered=entered, left=left)

    return writer.run(body, source=SOURCE, durable=True)


def note_run(writer: Writer, name: str, scan_id: str, *, at: datetime) -> None:
    """Note a run of a saved scan that came to nothing, so that it is not begun again at once."""
    ran = update(saved_scans).where(saved_scans.c.name == name)
    writer.run(lambda tx: tx.connection.execute(ran.values(last_run_at=at, last_scan_id=scan_id)), source=SOURCE)


def _leave(tx: Transaction, which: Any, at: datetime) -> None:
    active = which & (signals.c.status == "active")
    moves.note(tx, "left", active, at)
    tx.connection.execute(update(signals).where(active).values(status="left", left_at=at, updated_at=at))


def _signal_row(name: str, scan_id: str, result: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    """Return the row of a result; where several patterns fired, of the one with the highest confidence."""
    told = max(result.get("signals") or [{}], key=lambda one: one.get("confidence") or 0)
    values = {column: told.get(key) for column, key in PRICES.items()} | {key: told.get(key) for key in SAME}
    provisional = bool(told.get("provisional")) or "provisional" in result["flags"]
    return values | {
        "scan": name,
        "scan_id": scan_id,
        "symbol": result["ticker"],
        "session": date.fromisoformat(result["session"]),
        "volume": result["values"].get("volume"),
        "tech_rating": result.get("tech_rating"),
        "measured": dict(result["values"]),
        "provisional": provisional,
        "status": "active",
        "created_at": at,
        "updated_at": at,
    }


def read_signals(engine: Engine, *, name: str | None, active: bool, limit: int) -> list[dict[str, Any]]:
    """Return signals, the newest first."""
    wanted = select(signals).order_by(signals.c.created_at.desc(), signals.c.id.desc()).limit(limit)
    if name is not None:
        wanted = wanted.where(signals.c.scan == name)
    if active:
        wanted = wanted.where(signals.c.status == "active")
    with engine.connect() as connection:
        return [dict(row) for row in connection.execute(wanted).mappings()]


def read_memory(engine: Engine, *, at: datetime, days: int) -> dict[str, tuple[float, float | None, float]]:
    """Return by ticker what the scans of the last `days` found: signals a scan, mean rating, days since the newest."""
    since = at - timedelta(days=days)
    found = (
        select(
            signals.c.symbol,
            func.count().label("times"),
            func.avg(signals.c.tech_rating).label("rating"),
            func.max(signals.c.created_at).label("last_at"),
        )
        .where(signals.c.created_at >= since)
        .group_by(signals.c.symbol)
    )
    with engine.connect() as connection:
        runs = connection.execute(_count(scans, scans.c.created_at >= since)).scalar_one() or 1
        rows = connection.execute(found).all()
    return {row.symbol: (row.times / runs, row.rating, (at - row.last_at).total_seconds() / 86400) for row in rows}


def _count(table: Table, which: Any) -> Any:
    return select(func.count()).select_from(table).where(which)
