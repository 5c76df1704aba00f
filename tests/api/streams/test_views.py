from __future__ import annotations

import json
from typing import Any

from api.streams import views
from api.streams.hub import Message
from api.streams.listener import Piece

PROGRESS = {"scan_id": "s", "status": "running", "progress_percent": 56.5, "overall_progress": 56.5}
RESULT = {"scan_id": "s", "seq": 4, "symbol": "AAPL", "has_signal": True, "priority_tier": "high"}


def told(kind: str, payload: dict[str, Any], style: views.Style) -> Any:
    text = views.written(Piece("s", message=Message(payload, 4), kind=kind), style)
    return text and json.loads(text)


def test_the_stream_of_today_names_channel_scan_and_number() -> None:
    head = {"ch": "scan", "scan_id": "s"}
    assert told("result", RESULT, views.CANONICAL) == {**head, "type": "result", "seq": 4, "data": RESULT}
    assert told("progress", PROGRESS, views.CANONICAL) == {**head, "type": "progress", "data": PROGRESS}
    assert told("complete", PROGRESS, views.CANONICAL) == {**head, "type": "complete", "data": PROGRESS}
    signal = views.written(Piece("signals", message=Message({"seq": 1, "kind": "entered"})), views.CANONICAL)
    assert signal == b'{"ch":"signals","seq":1,"kind":"entered"}'


def test_each_older_path_speaks_as_it_always_has() -> None:
    assert told("progress", PROGRESS, views.ENVELOPED)["data"]["progress_percent"] == 56.5
    assert told("progress", PROGRESS, views.FLAT) == PROGRESS
    assert told("result", RESULT, views.FLAT) is None and told("complete", PROGRESS, views.FLAT) is None
    assert told("result", RESULT, views.TYPED) == {"type": "result", "data": RESULT}
    assert told("complete", PROGRESS, views.TYPED)["type"] == "complete"
    assert told("progress", PROGRESS, views.TYPED) is None


def test_quotes_are_one_object_with_all_rows() -> None:
    piece = Piece("quotes", rows=b'{"ticker":"A"},{"ticker":"B"}')
    assert json.loads(views.written(piece, views.CANONICAL) or b"") == {
        "ch": "quotes",
        "data": [{"ticker": "A"}, {"ticker": "B"}],
    }
    assert json.loads(views.written(piece, views.QUOTES) or b"")["type"] == "quotes"
