"""A child whose event loop is stuck while a thread beats on: its data stands still."""

import threading
from datetime import UTC, datetime

from core.clock import pause
from core.notify import Notifier

notifier = Notifier.from_environment()
notifier.ready()
DATA_AT = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)


def beat() -> None:
    while True:
        notifier.beat(data_at=DATA_AT, facts={"upstream": "reachable"})
        pause(0.05)


threading.Thread(target=beat, daemon=True).start()
while True:
    pass
