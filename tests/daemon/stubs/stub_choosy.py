"""A child that beats, unless `prices.cycle_s` is 1: then it says that a person must change it, and ends with 78."""

import asyncio

from core.clock import SystemClock
from core.errors import FixByHand
from core.notify import Notifier
from core.program import run
from core.settings import Settings


async def main(settings: Settings, stop: asyncio.Event, notifier: Notifier) -> None:
    if settings.prices.cycle_s == 1:
        raise FixByHand("is too short", key="prices.cycle_s", right="give 60")
    notifier.ready()
    while not stop.is_set():
        notifier.beat()
        await SystemClock().sleep(0.05)


if __name__ == "__main__":
    raise SystemExit(run(main, service="stub"))
