import asyncio
import gc
import weakref

from core.clock import SystemClock
from core.tasks import cancel_all, spawn


async def test_the_error_of_a_task_is_handed_over() -> None:
    async def fail() -> None:
        raise ValueError("spilt")

    told: list[BaseException] = []
    task = spawn(fail(), name="failing", on_error=told.append)
    await asyncio.wait([task])
    assert [str(error) for error in told] == ["spilt"]
    assert task.get_name() == "failing"


async def test_a_cancelled_task_is_no_error() -> None:
    told: list[BaseException] = []
    task = spawn(asyncio.Event().wait(), name="waiting", on_error=told.append)
    await cancel_all([task])
    assert task.cancelled()
    assert told == []


async def test_a_task_that_nobody_holds_is_not_lost() -> None:
    """The loop itself holds a waiting task only weakly."""

    async def wait() -> None:
        await asyncio.get_running_loop().create_future()

    told: list[BaseException] = []
    held = weakref.ref(spawn(wait(), name="forgotten", on_error=told.append))
    await SystemClock().sleep(0)
    gc.collect()
    task = held()
    assert task is not None
    await cancel_all([task])
    assert told == []


async def test_cancelling_waits_for_the_last_words_of_each_task() -> None:
    said: list[str] = []
    ready = asyncio.Event()

    async def work(fail: bool) -> None:
        try:
            ready.set()
            await asyncio.Event().wait()
        finally:
            said.append("last words")
            if fail:
                raise OSError("while ending")

    told: list[BaseException] = []
    tasks = [spawn(work(fail), name=str(fail), on_error=told.append) for fail in (False, True)]
    await ready.wait()
    await cancel_all(tasks)
    assert said == ["last words", "last words"]
    assert [str(error) for error in told] == ["while ending"]


async def test_nothing_to_cancel_and_what_has_ended_already_are_fine() -> None:
    async def work() -> int:
        return 5

    ended = asyncio.ensure_future(work())
    await ended
    await cancel_all([])
    await cancel_all([ended])
    assert (ended.cancelled(), ended.result()) == (False, 5)
