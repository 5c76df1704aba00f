"""A child that is ready at once and beats until it is told to stop."""

import asyncio
import os

from core.clock import SystemClock
from core.notify import Notifier
from core.program import run
from core.settings import Settings


async def main(_settings: Settings, stop: asyncio.Event, notifier: Notifier) -> None:
    notifier.ready()
    while not stop.is_set():
        notifier.beat(
            coverage={"price": {"fresh": 3, "total": 4}}, facts={"origin": "practice", "upstream": "reachable"}
        )
        await SystemClock().sleep(0.05)


if __name__ == "__main__":
    raise SystemExit(run(main, service=os.environ.get("STUB_NAME", "stub")))
