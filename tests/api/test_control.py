from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from api.control import STATUS_S, Control
from api.problems import Problem, problem_of
from core.errors import FixByHand, NotRunning
from daemon.control import ControlServer, Handler
from tests.fix_storage import StillClock


class Orchestrator:
    """Answers on a real control socket."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def handlers(self) -> dict[str, Handler]:
        return {"status": self.status, "restart": self.restart, "reload": self.reload}

    def status(self, _name: str) -> dict[str, Any]:
        self.asked.append("status")
        return {"state": "running"}

    def restart(self, name: str) -> dict[str, Any]:
        if name != "prices":
            raise FixByHand("is no process")
        return {"name": name, "state": "starting"}

    def reload(self, _name: str) -> dict[str, Any]:
        raise FixByHand("wrong")


@pytest.fixture
async def orchestrator(tmp_path: Path) -> AsyncIterator[Orchestrator]:
    found = Orchestrator()
    server = ControlServer(tmp_path, found.handlers())
    await server.start()
    yield found
    await server.close()


async def test_an_order_gets_the_orchestrators_answer(orchestrator: Orchestrator, tmp_path: Path) -> None:
    control = Control(tmp_path, StillClock())
    assert await control.ask("restart", "prices") == {"name": "prices", "state": "starting"}


async def test_what_it_refuses_is_told_with_its_words(orchestrator: Orchestrator, tmp_path: Path) -> None:
    control = Control(tmp_path, StillClock())
    with pytest.raises(Problem, match="wrong") as refused:
        await control.ask("reload")
    assert refused.value.status == 422
    with pytest.raises(Problem, match="unknown command") as unknown:
        await control.ask("dance")
    assert unknown.value.status == 409


async def test_a_status_is_good_for_everybody_for_a_moment(orchestrator: Orchestrator, tmp_path: Path) -> None:
    clock = StillClock()
    control = Control(tmp_path, clock)
    assert await asyncio.gather(*(control.status() for _ in range(20))) == [{"state": "running"}] * 20
    assert orchestrator.asked == ["status"]
    await clock.sleep(STATUS_S)
    await control.status()
    assert orchestrator.asked == ["status"] * 2


async def test_without_an_orchestrator_it_is_control_unreachable(tmp_path: Path) -> None:
    with pytest.raises(NotRunning) as missing:
        await Control(tmp_path, StillClock()).status()
    assert (problem_of(missing.value).status, problem_of(missing.value).code) == (503, "control_unreachable")
