"""What a client is told of a scan, from its row: how far it is, what it found. Reads nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from screener.jobs.progress import STAGES, WEIGHTS, duration_text
from storage.scans import ENDED

Row = Mapping[str, Any]


def progress_of(row: Row) -> dict[str, Any]:
    """Return the progress of a scan by its row of `scans`: as it last told, or what its end says of it."""
    told: dict[str, Any] = dict(row["progress"] or _begun(row["id"]))
    told["status"] = row["status"]
    return told | _ended(row, told) if row["status"] in ENDED else told


def _begun(scan_id: str) -> dict[str, Any]:
    stages = {name: _stage(WEIGHTS[name]) for name in STAGES}
    return {
        "scan_id": scan_id,
        "current_stage": STAGES[0],
        "stages": stages,
        "overall_progress": 0.0,
        "overall_eta": None,
        "overall_eta_formatted": duration_text(None),
        "stage_progress": 0.0,
        "stage_eta": None,
        "stage_eta_formatted": duration_text(None),
        "stage_throughput": 0.0,
        "message": "Waiting for the scan engine",
        "elapsed": 0.0,
        "processed": 0,
        "total": 0,
        "signals": 0,
        "high_value": 0,
        "progress_percent": 0.0,
        "current_ticker": "",
    }


def _stage(weight: float) -> dict[str, Any]:
    return {"weight": weight, "progress": 0.0, "state": "pending", "done": 0, "total": 0, "elapsed": 0.0}


def _ended(row: Row, told: Mapping[str, Any]) -> dict[str, Any]:
    """A scan of milliseconds ends before it has told anything: its row has the counts."""
    failed = row["status"] == "failed"
    reached = told["overall_progress"] if failed else 100.0
    timings = row["timings"] or {}
    found = {
        "overall_progress": reached,
        "progress_percent": reached,
        "overall_eta": 0.0,
        "overall_eta_formatted": duration_text(0.0),
        "stage_eta": 0.0,
        "stage_eta_formatted": duration_text(0.0),
        "message": row["error"] or row["status"].replace("_", " ").capitalize(),
    }
    if failed or not timings:
        return found
    stages = {name: _done(told["stages"][name], timings.get(name)) for name in STAGES}
    last = timings.get("symbol_scanning", {})
    return found | {
        "current_stage": STAGES[-1],
        "stages": stages,
        "stage_progress": 100.0,
        "stage_throughput": last.get("per_s", 0.0),
        "elapsed": round(sum(timing["elapsed_s"] for timing in timings.values()), 6),
        "processed": row["processed"],
        "total": row["total"],
        "signals": row["signals"],
        "high_value": row["high_value"],
    }


def _done(stage: Mapping[str, Any], timing: Mapping[str, Any] | None) -> dict[str, Any]:
    if timing is None:
        return dict(stage)
    took = {"done": timing["done"], "total": max(timing["done"], stage["total"]), "elapsed": timing["elapsed_s"]}
    return {**stage, "progress": 100.0, "state": "complete", **took}


def result_of(row: Row) -> dict[str, Any]:
    """Return a result by its row of `scan_results`, with the older names beside: symbol, signal, alpha_score."""
    signals = row["signal"] or []
    return {
        "seq": row["seq"],
        "ticker": row["ticker"],
        "symbol": row["ticker"],
        "session": row["session"],
        "rank": row["rank"],
        "key": row["key"],
        "alpha_score": row["key"] if row["key"] is not None else row["tech_rating"],
        "tech_rating": row["tech_rating"],
        "priority_tier": row["priority_tier"],
        "has_signal": bool(signals),
        "signal": signals[0]["direction"] if signals else None,
        "signals": signals,
        "values": row["measured"] or {},
        "flags": row["flags"] or [],
    }


def statistics_of(row: Row) -> dict[str, Any]:
    """Return how a scan went, in numbers."""
    timings = row["timings"] or {}
    elapsed_s = sum(timing["elapsed_s"] for timing in timings.values())
    created, started, finished = (row[name] for name in ("created_at", "started_at", "finished_at"))
    return {
        "scan_id": row["id"],
        "status": row["status"],
        "created_at": created,
        "started_at": started,
        "finished_at": finished,
        "waited_s": (started - created).total_seconds() if started else None,
        "total": row["total"],
        "processed": row["processed"],
        "signals": row["signals"],
        "high_value": row["high_value"],
        "exact": row["exact"],
        "coverage": row["coverage"],
        "accuracy": row["accuracy"],
        "reason": row["reason"],
        "biased": row["biased"],
        "elapsed_s": elapsed_s if timings else None,
        "tickers_per_s": row["processed"] / elapsed_s if elapsed_s and row["processed"] else None,
        "stages": timings,
    }
