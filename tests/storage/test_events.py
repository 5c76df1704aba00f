from __future__ import annotations

from sqlalchemy import Engine

from storage import events
from storage.writer import Writer
from tests.fix_storage import NOON

UNSAID = dict.fromkeys(("from_state", "to_state", "cause", "pid", "exit_code", "signal", "detail"))


def put(writer: Writer, source: str, seq: int, event: str) -> None:
    row = UNSAID | {"at": NOON, "source": source, "seq": seq, "process": "prices", "event": event}
    writer.run(lambda tx: tx.execute("put_event", row), source="events")


def test_events_of_all_sources_are_counted_in_the_order_in_which_they_came(writer: Writer, reader: Engine) -> None:
    assert events.newest(reader) == 0
    put(writer, "b", 7, "child_started")
    put(writer, "a", 1, "child_ready")
    found = events.happened(reader, 0, limit=9)
    assert [(row["seq"], row["source"], row["event"]) for row in found] == [
        (1, "b", "child_started"),
        (2, "a", "child_ready"),
    ]
    assert found[0]["at"] == NOON and "id" not in found[0]
    assert [row["seq"] for row in events.happened(reader, 1, limit=9)] == [2]
    assert len(events.happened(reader, 0, limit=1)) == 1 and events.newest(reader) == 2
