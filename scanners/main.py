"""Starts a scanner by its name, supervised or by hand. Imports only the one that is asked for."""

from __future__ import annotations

import asyncio
import importlib
import os
from pathlib import Path

from core.files import FileLock, acquire_or_say
from core.notify import Notifier
from core.program import LoopFactory, run
from core.progress import Reporter
from core.settings import Settings
from scanners.context import Context, Work, no_report, run_scanner


async def scan(
    name: str,
    settings: Settings,
    stop: asyncio.Event,
    notifier: Notifier,
    *,
    once: bool = False,
    report: Reporter = no_report,
) -> int | None:
    """Run scanner `name` until it is done or `stop` is set; RetryLater (75) if another copy of it runs."""
    work: Work = importlib.import_module(f"scanners.{name}.work").work
    context = Context.build(name, settings, stop, notifier, report=report, once=once)
    lock = FileLock(Path(settings.state.dir) / f"{name}.lock")
    acquire_or_say(lock, what=f"scanner {name}")
    try:
        lock.write_owner(str(os.getpid()))
        return await run_scanner(context, work)
    finally:
        lock.release()


def main(name: str, *, loop: LoopFactory | None = None) -> int:
    """Run scanner `name` as a process of its own; return its exit code."""

    async def supervised(settings: Settings, stop: asyncio.Event, notifier: Notifier) -> int | None:
        return await scan(name, settings, stop, notifier)

    return run(supervised, service=name, loop=loop)
