"""A child that takes half a second to flush when it is asked to end, and makes the file `flushed` once it has."""

import asyncio
from pathlib import Path

from core.clock import SystemClock
from core.notify import Notifier
from core.program import run
from core.settings import Settings


async def main(_settings: Settings, stop: asyncio.Event, notifier: Notifier) -> None:
    notifier.ready()
    while not stop.is_set():
        notifier.beat()
        await SystemClock().sleep(0.05)
    await SystemClock().sleep(0.5)
    Path("flushed").touch(exist_ok=False)


if __name__ == "__main__":
    raise SystemExit(run(main, service="stub"))
