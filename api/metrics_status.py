"""The orchestrator's status document as metrics. Asks nobody: the document is an argument."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from api.metrics import Sheet

PROVIDER = "yahoo"
MB = 1e6


def put_status(sheet: Sheet, document: Mapping[str, Any], *, now: datetime) -> None:
    """Write what the document of `tickerd status --json` says at `now`."""
    sheet.put("stocks_control_up", 1)
    sheet.put("stocks_market_open", document["market"]["state"] == "open")
    for process in document["processes"]:
        _put_process(sheet, process, now)
    alerts = document["alerts"]
    for alert in alerts:
        sheet.put("stocks_alert", 1, alert=alert["alert"], process=alert["process"] or "")
    since = {alert["alert"]: alert["since"] for alert in alerts}
    is_open = "upstream_unreachable" in since or "upstream_refusing" in since
    sheet.put("stocks_upstream_circuit_open", is_open, provider=PROVIDER)
    refused = since.get("upstream_refusing")
    refused_s = (now - datetime.fromisoformat(refused)).total_seconds() if refused else 0
    sheet.put("stocks_upstream_rate_limit_wait_seconds", max(0, refused_s), provider=PROVIDER)


def _put_process(sheet: Sheet, process: Mapping[str, Any], now: datetime) -> None:
    name, has_pid = process["name"], process["pid"] is not None
    at_s = now.timestamp()
    sheet.put("stocks_scanner_up", process["state"] == "running", scanner=name)
    sheet.put("stocks_scanner_wanted", process["wanted"], scanner=name)
    if has_pid:
        since_s = datetime.fromisoformat(process["since"]).timestamp()
        sheet.put("stocks_scanner_start_time_seconds", since_s, scanner=name)
    if (age_s := process["beat_age_s"]) is not None:
        sheet.put("stocks_scanner_last_heartbeat_timestamp_seconds", round(at_s - age_s, 3), scanner=name)
    if (rss_mb := process["rss_mb"]) is not None:
        sheet.put("stocks_process_resident_memory_bytes", rss_mb * MB, process=name)
    if (percent := process["cpu_percent"]) is not None:
        sheet.put("stocks_process_cpu_ratio", percent / 100, process=name)
