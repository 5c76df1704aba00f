"""How what is new is written for each kind of listeners. Decides nothing about who is told what.

`CANONICAL` is the stream of /api/v1; the others are what the older paths tell, one object a frame.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from api.answers import encode
from api.streams.hub import View
from api.streams.listener import Piece

Style = Mapping[str, View]
"""Kind -> how it is written; what is not in it is not told."""


def _signal(payload: Any) -> bytes:
    return encode({"ch": "signals", **payload})


def _event(payload: Any) -> bytes:
    return encode({"ch": "events", **payload})


def _state(payload: Any) -> bytes:
    return encode({"ch": "scanners", **payload})


def _result(payload: Any) -> bytes:
    return encode(
        {"ch": "scan", "type": "result", "scan_id": payload["scan_id"], "seq": payload["seq"], "data": payload}
    )


def _progress(payload: Any) -> bytes:
    return encode({"ch": "scan", "type": "progress", "scan_id": payload["scan_id"], "data": payload})


def _complete(payload: Any) -> bytes:
    return encode({"ch": "scan", "type": "complete", "scan_id": payload["scan_id"], "data": payload})


def _flat(payload: Any) -> bytes:
    return encode(payload)


def _typed_result(payload: Any) -> bytes:
    return encode({"type": "result", "data": payload})


def _typed_progress(payload: Any) -> bytes:
    return encode({"type": "progress", "data": payload})


def _typed_complete(payload: Any) -> bytes:
    return encode({"type": "complete", "data": payload})


def _typed_signal(payload: Any) -> bytes:
    return encode({"type": "signal", "seq": payload["seq"], "data": payload})


def _typed_state(payload: Any) -> bytes:
    return encode({"type": "status", "data": payload})


CANONICAL: Style = {
    "signals": _signal,
    "events": _event,
    "scanners": _state,
    "result": _result,
    "progress": _progress,
    "complete": _complete,
}
ENVELOPED: Style = {"progress": _typed_progress, "result": _typed_result, "complete": _typed_complete}
"""`/ws/scan/{id}`: `msg.data.progress_percent`."""
FLAT: Style = {"progress": _flat}
"""`/scan/ws/{id}`, `/scan/stream/{id}`: the progress object and nothing else; the last one has the final status."""
TYPED: Style = {"result": _typed_result, "complete": _typed_complete}
"""`/ws/results/{id}`."""
SIGNALS: Style = {"signals": _typed_signal}
SCANNERS: Style = {"scanners": _typed_state, "events": _event}
QUOTES: Style = {}


def written(piece: Piece, style: Style) -> bytes | None:
    """Return a piece as one JSON object; None if this style does not tell it."""
    if piece.message is None:
        start = b'{"ch":"quotes","data":[' if style is CANONICAL else b'{"type":"quotes","data":['
        return start + piece.rows + b"]}"
    view = style.get(piece.kind or piece.channel)
    return piece.message.written(view) if view else None
