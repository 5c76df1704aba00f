"""The AsyncAPI document of the streams. Serves none of them."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

NUMBER = {"type": "number"}
TEXT = {"type": "string"}
TIME = {"type": "string", "format": "date-time"}
SEQ = {"type": "integer", "description": "Grows within its channel: give the last one as `since` or from_seq to go on."}

MESSAGES: dict[str, dict[str, Any]] = {
    "quotes": {"summary": "The newest quote of each ticker asked for; older ones of the same ticker may be left out."},
    "scan": {
        "summary": "What a scan has to say: results one by one, progress, its end.",
        "properties": {"scan_id": TEXT, "type": {"enum": ["result", "progress", "complete"]}, "seq": SEQ},
    },
    "signals": {
        "summary": "A ticker entered or left a saved scan, or somebody has changed its status.",
        "properties": {"seq": SEQ, "kind": {"enum": ["entered", "left", "changed"]}, "at": TIME, "symbol": TEXT},
    },
    "events": {"summary": "What became of the processes.", "properties": {"seq": SEQ, "at": TIME}},
    "scanners": {"summary": "The state of each process, the newest only."},
}
OLDER: dict[str, str] = {
    "/ws/scan/{scan_id}": "Progress of a scan as {data: {progress_percent, ...}}.",
    "/scan/ws/{scan_id}": "Progress of a scan, the flat object.",
    "/scan/stream/{scan_id}": "The same as server-sent events.",
    "/ws/results/{scan_id}": "Results of a scan as {type: result, data}, then {type: complete}.",
    "/ws/signals": "Signals as they enter and leave.",
    "/ws/market-data": "Quotes.",
    "/ws/scanner-status": "The state of each process.",
}


def asyncapi() -> dict[str, Any]:
    """Return the AsyncAPI 3.0 document."""
    channels = {"stream": _channel("/api/v1/stream", "Every channel, on one WebSocket or as server-sent events.")}
    channels |= {
        path.strip("/").replace("/", "_").replace("{scan_id}", "of").replace("-", "_"): _channel(path, words)
        for path, words in OLDER.items()
    }
    for channel in channels.values():
        channel["messages"] = {name: {"$ref": f"#/components/messages/{name}"} for name in MESSAGES}
    operations = {f"receive_{name}": {"action": "send", "channel": {"$ref": f"#/channels/{name}"}} for name in channels}
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "tickerd streams", "version": version("tickerd")},
        "channels": channels,
        "operations": operations,
        "components": {"messages": {name: _message(name, told) for name, told in MESSAGES.items()}},
    }


def _channel(path: str, words: str) -> dict[str, Any]:
    named = {"parameters": {"scan_id": {"description": "The scan."}}} if "{scan_id}" in path else {}
    return {"address": path, "description": words, **named}


def _message(name: str, told: dict[str, Any]) -> dict[str, Any]:
    payload = {"type": "object", "properties": told.get("properties", {}), "additionalProperties": True}
    return {"name": name, "summary": told["summary"], "contentType": "application/json", "payload": payload}
