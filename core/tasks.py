"""Background tasks whose errors are seen. Never forgets a task, never swallows what it raised."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

_running: set[asyncio.Task[Any]] = set()


def spawn(
    coroutine: Coroutine[Any, Any, Any], *, name: str, on_error: Callable[[BaseException], None]
) -> asyncio.Task[Any]:
    """Start `coroutine`; keep it referenced until it ends; hand an error (not a cancellation) to `on_error`."""
    task = asyncio.create_task(coroutine, name=name)  # noqa: TID251  (this is the module that may)
    _running.add(task)

    def ended(done: asyncio.Task[Any]) -> None:
        _running.discard(done)
        if not done.cancelled() and (error := done.exception()) is not None:
            on_error(error)

    task.add_done_callback(ended)
    return task


async def cancel_all(tasks: list[asyncio.Task[Any]]) -> None:
    """Cancel `tasks` and wait until each has ended; their errors were already told by `spawn`."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
